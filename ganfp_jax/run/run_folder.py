"""The run folder: a job's output, its config, and the lock of the process that writes to it."""

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
    "data.crop_from": 0,
    "model.spectral_features": 0,
    "optimizer.weight_decay": 0.0,
    "generator.upsampling": "transposed",
    "checkpoint_choice": "last",
    "logit_norm": 0.0,
    "pseudo_unknown.share": 0.0,
    "pseudo_unknown.kinds": [],
    "folder.root": "",
    "folder.first": 0,
    "folder.resize": "crop",
    "photographs": "",
    "source_name": "",
    "restore.reduction": 2.0,
    "restore.crop": 128,
    "restore.crops": 16,
    "restore.cluster": 1,
    "restore.min_luma_std": 10.0,
    "restore.tile": -1,
    "restore.input_jpeg": 0,
    "network.threads": 1,
    "network.white": 1,
}
"""Keys, in any section, that older run folders do not have -> the value that describes those runs."""
RENAMED = {"course_test": "course_project", "study": "quickstart"}
"""Names of jobs in older run folders -> their names now."""
WATCHING = ("dead_after",)
"""Keys, in any section, that say when to stop and do not affect the result; a resumed run may change them."""
IMAGES = "images.json"
FOUND_OUT = ("rejected.csv", "notes.csv", IMAGES)
"""Files that a run writes about its images before it begins."""


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as indented JSON, atomically; a list of plain values, such as a matrix row, takes one line."""
    with atomic.writer(path) as file:  # it is written piece by piece, since confusion matrices can be large
        for piece in _pieces(value):
            file.write(piece.encode())
        file.write(b"\n")


def _pieces(value: Any, margin: str = "\n") -> Iterator[str]:
    if not isinstance(value, dict | list | tuple) or not value:
        yield json.dumps(value)
    elif isinstance(value, dict):
        for place, (key, inner) in enumerate(value.items()):
            name = key if isinstance(key, str) else json.dumps(key)  # as `json` writes keys that are no texts
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
    """Returns the config of a run folder.

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
    """Returns "key (value there, value now)" for each key in which two configs differ, except those in `WATCHING`."""
    before, after = _flatten(old), _flatten(new)
    before |= {key: value for key in after.keys() - before.keys() for later, value in ADDED.items() if _is(key, later)}
    keys = sorted(
        key
        for key in before.keys() | after.keys()
        if key.rpartition(".")[2] not in WATCHING and before.get(key, "absent") != after.get(key, "absent")
    )
    return [f"{key} ({before.get(key, 'absent')!r} there, {after.get(key, 'absent')!r} now)" for key in keys]


def _is(key: str, name: str) -> bool:
    """Whether a flat key is `name` in any section."""
    return f".{key}".endswith(f".{name}")


def _grown(old: Mapping[str, Any], new: Mapping[str, Any], may_grow: Mapping[str, str]) -> dict[str, Any]:
    """Returns the keys in `may_grow` whose values are larger in `new` than in `old`, flat, with their new values.

    Raises:
        UserError: such a key is smaller now, or there is a reason that it may not grow.
    """
    before, after = _flatten(old), _flatten(new)
    changed = [key for key in may_grow if key in before and key in after and before[key] != after[key]]
    for key in changed:
        change = f"config.{key} is {after[key]}, the run there was begun with {before[key]}"
        if after[key] < before[key]:
            raise UserError(f"{change}: a run can become longer, not shorter; choose another --workdir")
        if may_grow[key]:
            raise UserError(f"{change}: {may_grow[key]}")
    return {key: after[key] for key in changed}


def _with(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `config` with the `values` of flat keys."""
    changed = json.loads(json.dumps(config))
    for key, value in values.items():
        *path, last = key.split(".")
        section = changed
        for name in path:
            section = section[name]
        section[last] = value
    return changed


def _results(workdir: Path) -> dict[Path, int]:
    """Returns the files of a run that another run would replace -> the time of each file's last change."""
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

    Half-written files of a killed run are removed. In a folder without results, the config is replaced. Keys in
    `WATCHING` may change, and runs older than a key in `ADDED` go on.

    Args:
        workdir: the run folder, made if need be.
        config: the job's config.
        may_grow: keys, such as "growing.total_kimg", whose value may be larger than before -> "", or the reason that it
            may not. The run goes on to the new end.
        resumes: False for a job that cannot resume. It replaces the results of the same job with any config; its config
            is written when it is done, or when it ends after it replaced some results.

    Raises:
        UserError: the folder holds a run of another config (the differing keys are named), another process is
          writing to it, or it cannot be made.
    """
    config = json.loads(json.dumps(config))  # JSON turns tuples into lists, so the config equals the one read back
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
            differing = ", ".join(others[:4]) + (f" and {len(others) - 4} more" if others[4:] else "")
            raise UserError(
                f"{workdir} holds a run with another config: {differing}; choose another --workdir, or delete it"
            )
        if resumes and known != config:
            write_json(workdir / CONFIG, config)
        try:
            yield workdir
        except BaseException:
            if not resumes and _results(workdir) != before:  # the results so far are of this config
                write_json(workdir / CONFIG, config)
            raise
        if not resumes:
            write_json(workdir / CONFIG, config)
