"""The run folder: where a job writes, which config it belongs to, and who is writing to it."""

import contextlib
import errno
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.reading import read_json

CONFIG = "config.json"
ADDED = {"critic.first_weights": "published", "start_from": "", "data.layout": "auto"} | {
    "folder.root": "",
    "folder.first": 0,
    "folder.resize": "crop",
}
"""Keys that older run folders do not have, in any section -> the value that says what was done before."""
RENAMED = {"course_test": "course_project", "study": "quickstart"}
"""Jobs of older run folders -> what they are called now."""
WATCHING = ("dead_after",)
"""Keys, in any section, that say when to give up and nothing about what is made; a resumed run may have others."""
IMAGES = "images.json"
FOUND_OUT = ("rejected.csv", "notes.csv", IMAGES)
"""What a run finds out about its images before it begins."""


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as JSON, atomically: indented, a list of plain values, say a row of a matrix, on one line."""
    with atomic.writer(path) as file:  # piece by piece, since confusion matrices can be large
        for piece in _pieces(value):
            file.write(piece.encode())
        file.write(b"\n")


def _pieces(value: Any, margin: str = "\n") -> Iterator[str]:
    if not isinstance(value, dict | list | tuple) or not value:
        yield json.dumps(value)
    elif isinstance(value, dict):
        for place, (key, inner) in enumerate(value.items()):
            name = key if isinstance(key, str) else json.dumps(key)  # as `json` itself names what is no text
            yield f"{',' if place else '{'}{margin} {json.dumps(name)}: "
            yield from _pieces(inner, f"{margin} ")
        yield f"{margin}}}"
    elif not any(isinstance(inner, dict | list | tuple) for inner in value):
        yield json.dumps(value)
    else:
        for place, inner in enumerate(value):
            yield f"{',' if place else '['}{margin} "
            yield from _pieces(inner, f"{margin} ")
        yield f"{margin}]"


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
        return config | ({"job": RENAMED[config["job"]]} if config.get("job") in RENAMED else {})
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


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """ "key (value there, value now)" for each key in which two configs differ, but for those in `WATCHING`."""
    before, after = _flatten(old), _flatten(new)
    before |= {key: value for key in after.keys() - before.keys() for later, value in ADDED.items() if _is(key, later)}
    keys = sorted(
        key
        for key in before.keys() | after.keys()
        if key.rpartition(".")[2] not in WATCHING and before.get(key, "absent") != after.get(key, "absent")
    )
    return [f"{key} ({before.get(key, 'absent')!r} there, {after.get(key, 'absent')!r} now)" for key in keys]


def _is(key: str, name: str) -> bool:
    """Whether a flat key is `name`, in whatever section."""
    return f".{key}".endswith(f".{name}")


def _grown(old: Mapping[str, Any], new: Mapping[str, Any], may_grow: Mapping[str, str]) -> dict[str, Any]:
    """`new`'s values of the keys in `may_grow` that are larger than in `old`, flat.

    Raises:
        UserError: such a key is smaller now, or there is a reason that it may not grow.
    """
    before, after = _flatten(old), _flatten(new)
    changed = [key for key in may_grow if key in before and key in after and before[key] != after[key]]
    for key in changed:
        told = f"config.{key} is {after[key]}, the run there was begun with {before[key]}"
        if after[key] < before[key]:
            raise UserError(f"{told}: a run can become longer, not shorter; choose another --workdir")
        if may_grow[key]:
            raise UserError(f"{told}: {may_grow[key]}")
    return {key: after[key] for key in changed}


def _with(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with other values, whose keys are flat."""
    changed = json.loads(json.dumps(config))
    for key, value in values.items():
        *path, last = key.split(".")
        section = changed
        for name in path:
            section = section[name]
        section[last] = value
    return changed


def _results(workdir: Path) -> dict[Path, int]:
    """What a run has left that another one would lose, with the time of each file's last change."""
    return {
        path: path.lstat().st_mtime_ns
        for path in workdir.rglob("*")
        if path.name not in (CONFIG, *FOUND_OUT) and not path.name.startswith(".") and not path.is_dir()
    }


@contextlib.contextmanager
def open_run(
    workdir: Path,
    config: Mapping[str, Any],
    may_grow: Mapping[str, str] = MappingProxyType({}),
    *,
    resumes: bool = True,
) -> Iterator[Path]:
    """Claims `workdir` for one job with `config`; the same config resumes, another one is refused.

    What a killed run left half written is removed. A folder without results is nobody's: the config of a first try that
    failed is replaced. Keys in `WATCHING` may change, and runs older than a key in `ADDED` go on.

    Args:
        workdir: the run folder, made if need be.
        config: the job's.
        may_grow: keys, such as "growing.total_kimg", whose value may be larger than before; the run goes on to the new
            end. Where one may not after all, the reason why, else "".
        resumes: False for a job that has nothing to resume. It replaces the results of the same job with any config,
            and its own config is written when it is done, or has ended after it replaced some of them.

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
        before = _results(workdir)
        known = read_config(workdir) if (workdir / CONFIG).exists() and before else None
        others: list[str] = []
        if known is not None and (resumes or known.get("job") != config["job"]):
            others = differences(_with(known, _grown(known, config, may_grow)), config)
        if others:
            shown = ", ".join(others[:4]) + (f" and {len(others) - 4} more" if others[4:] else "")
            raise UserError(
                f"{workdir} holds a run with another config: {shown}; choose another --workdir, or delete it"
            )
        if resumes and known != config:
            write_json(workdir / CONFIG, config)
        try:
            yield workdir
        except BaseException:
            if not resumes and _results(workdir) != before:  # they are of this config, as far as they go
                write_json(workdir / CONFIG, config)
            raise
        if not resumes:
            write_json(workdir / CONFIG, config)
