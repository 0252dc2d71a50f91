"""The command line that does a job again, ready for the shell: what the pages show under "How to reproduce"."""

import json
import shlex
from collections.abc import Collection, Iterator, Mapping
from typing import Any

UNSAID = ("job", "command")  # keys that follow from the config file


def command(name: str, settings: Mapping[str, Any], *, workdir: str = "", whole: Collection[str] = ()) -> str:
    """The command of the job of `configs/<name>.py` with `settings`, quoted for the shell.

    Args:
        name: of the config file.
        settings: a config or a part of one; sections are mappings.
        workdir: the run folder, "" for the job's own.
        whole: sections whose keys the config file does not have; they are given as one mapping.
    """
    line = ["python", "-m", "ganfp_jax.main", f"--config=configs/{name}.py"]
    if workdir:
        line.append(f"--workdir={workdir}")
    return shlex.join([*line, *flags(settings, whole=whole)])


def flags(settings: Mapping[str, Any], *, whole: Collection[str] = (), prefix: str = "") -> Iterator[str]:
    """`--config.key=value` for everything in `settings`, as the flags of ml_collections read it; not quoted."""
    for key, value in settings.items():
        dotted = prefix + key
        if dotted in UNSAID or (dotted in whole and not value):
            continue
        if isinstance(value, Mapping) and dotted not in whole:
            yield from flags(value, whole=whole, prefix=f"{dotted}.")
        else:
            yield f"--config.{dotted}={value if isinstance(value, str) else _literal(value)}"


def _literal(value: object) -> str:
    """As Python writes it, lists as tuples; with double quotes, which the shell's own leave legible."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_literal(key)}: {_literal(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_literal, value))}{',' * (len(value) == 1)})"
    return repr(value)
