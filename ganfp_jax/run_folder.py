"""The run folder: where a job writes, which config it belongs to, and who is writing to it."""

import contextlib
import errno
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from ganfp_jax import atomic
from ganfp_jax.errors import UserError
from ganfp_jax.reading import read_json

CONFIG = "config.json"
ADDED = {"critic.first_weights": "published"}
"""Keys that older run folders do not have -> the value that says what was done before there was a choice."""
WATCHING = ("dead_after",)
"""Keys, in any section, that say when to give up and nothing about what is made; a resumed run may have others."""


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as indented JSON, atomically."""
    atomic.write_bytes(path, (json.dumps(value, indent=1) + "\n").encode())


def read_config(workdir: Path) -> dict[str, Any]:
    """The config that a run folder was made with.

    Raises:
        UserError: there is no such run folder, or its config.json is damaged.
    """
    path = workdir / CONFIG
    if not path.is_file():
        raise UserError(f"{workdir} is not a run folder: it has no {CONFIG}; give the --workdir of a training run")
    try:
        config = read_json(path)
        if not isinstance(config, dict):
            raise ValueError("it is no JSON object")
        return config
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is damaged ({error}); restore it or train again in another --workdir") from error


def _flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    before, after = _flatten(old), _flatten(new)
    before = {key: value for key, value in ADDED.items() if key in after} | before
    keys = sorted(
        key
        for key in before.keys() | after.keys()
        if key.rpartition(".")[2] not in WATCHING and before.get(key, "absent") != after.get(key, "absent")
    )
    return [f"{key} ({before.get(key, 'absent')!r} there, {after.get(key, 'absent')!r} now)" for key in keys]


@contextlib.contextmanager
def open_run(workdir: Path, config: Mapping[str, Any], may_change: Collection[str] = ()) -> Iterator[Path]:
    """Claims `workdir` for one job with `config`; the same config resumes, another one is refused.

    What a killed run left half written is removed. The keys in `may_change` may have other values than in the run
    before, whose results are then replaced; so may those in `WATCHING`, and runs older than a key in `ADDED` go on.

    Raises:
        UserError: the folder holds a run of another config (the differing keys are named), another process is
          writing to it, or it cannot be made.
    """
    config = json.loads(json.dumps(config))  # as it will be read back: tuples are lists there
    with contextlib.ExitStack() as stack:
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            stack.enter_context(atomic.locked(workdir / ".lock", wait=False))
        except BlockingIOError:
            raise UserError(
                f"another process is running in {workdir}; wait for it or choose another --workdir"
            ) from None
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            raise UserError(f"cannot write to --workdir {workdir} ({error.strerror}); choose another folder") from error
        atomic.sweep(workdir)
        known = read_config(workdir) if (workdir / CONFIG).exists() else None
        if known is not None:
            differences = _differences({**known, **{key: config[key] for key in may_change}}, config)
            if differences:
                shown = ", ".join(differences[:4]) + (f" and {len(differences) - 4} more" if differences[4:] else "")
                raise UserError(
                    f"{workdir} holds a run with another config: {shown}; choose another --workdir, or delete it"
                )
        if known != config:
            write_json(workdir / CONFIG, config)
        yield workdir
