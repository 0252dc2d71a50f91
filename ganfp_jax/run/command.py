"""The command line that repeats a job, as the pages show it under "How to reproduce"."""

import json
import os
import shlex
from collections.abc import Collection, Iterator, Mapping
from typing import Any

UNSAID = ("job", "command")  # keys that follow from the config file


def command(
    name: str,
    settings: Mapping[str, Any],
    *,
    workdir: str = "",
    whole: Collection[str] = (),
    files: Collection[str] = (),
) -> str:
    """Returns the command of the job of `configs/<name>.py` with `settings`, quoted for the shell.

    Args:
        name: the name of the config file.
        settings: a config or a part of one; sections are mappings.
        workdir: the run folder; "" means the job's default.
        whole: sections whose keys the config file does not have; each is given as one mapping.
        files: what stands behind "--".
    """
    line = ["python", "-m", "ganfp_jax.main", f"--config=configs/{name}.py"]
    if workdir:
        line.append(f"--workdir={workdir}")
    line += flags(settings, whole=whole)
    return " ".join(quoted(word) for word in (*line, *(["--", *files] if files else [])))


def quoted(word: str) -> str:
    r"""Quotes a word for a shell; what cannot be shown on a line is escaped as bash reads it, as in $'two\nlines'."""
    if word.isprintable():
        return shlex.quote(word)
    escaped = (
        f"\\{c}" if c in "\\'" else c if c.isprintable() else "".join(f"\\x{b:02x}" for b in os.fsencode(c))
        for c in word
    )
    return f"$'{''.join(escaped)}'"


def flags(settings: Mapping[str, Any], *, whole: Collection[str] = (), prefix: str = "") -> Iterator[str]:
    """Yields `--config.key=value` for everything in `settings`, as ml_collections reads it; not quoted."""
    for key, value in settings.items():
        dotted = prefix + key
        if dotted in UNSAID or (dotted in whole and not value):
            continue
        if isinstance(value, Mapping) and dotted not in whole:
            yield from flags(value, whole=whole, prefix=f"{dotted}.")
        else:
            yield f"--config.{dotted}={value if isinstance(value, str) else literal(value)}"


def literal(value: object) -> str:
    """Writes a value as Python does, but lists as tuples, and texts in double quotes (shlex uses single ones)."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{literal(key)}: {literal(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(literal, value))}{',' * (len(value) == 1)})"
    return repr(value)
