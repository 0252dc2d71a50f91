"""The images that a training began with, by name, and whether its folder still holds them."""

import hashlib
import json
from pathlib import Path
from typing import Any

from ganfp_jax.data import real
from ganfp_jax.data.labelled import LabelledFolder
from ganfp_jax.run import processes
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.reading import read_json
from ganfp_jax.run.run_folder import IMAGES, write_json
from ganfp_jax.training.labelled_images import open_training
from ganfp_jax.training.stored import Stored


def check(config: dict[str, Any], workdir: Path, step: int, last: int) -> None:
    """Compares the images there now with those that the run in `workdir` began with, and records them.

    One line tells of other images in the folder. A finished training has not seen them; an unfinished one will.

    Args:
        config: config of the training.
        workdir: run folder; `images.json` has the classes, the number of images and a digest of their names.
        step: step of the newest checkpoint, 0 where there is none.
        last: last step of the training.

    Raises:
        UserError: the folder has other classes than the network was made for, or cannot be listed.
    """
    now = _record_now(config)
    if now is None:
        return
    before = _first_record(workdir, now) if step else now
    order = sorted if step >= last else list  # the order of the classes matters to training only
    if "classes" in now and order(now["classes"]) != order(before["classes"]):
        raise UserError(
            f"{now['root']} has the classes {', '.join(now['classes'])}, the network in {workdir} was made for "
            f"{', '.join(before['classes'])}; train one for these in another --workdir, with "
            f"--config.start_from={workdir} to begin at its weights"
        )
    if processes.first() and before.get("digest", now["digest"]) != now["digest"]:
        consequence = (
            "which has not seen the new ones; train on them in another --workdir, with "
            f"--config.start_from={workdir} to begin at its weights"
            if step >= last
            else "which goes on with those there now: no longer the run that was begun"
        )
        print(
            f"note: {now['root']} has other images than when the training in {workdir} began ({now['images']:,} now, "
            f"{before['images']:,} then), {consequence}"
        )
    if processes.first() and step < last:
        write_json(workdir / IMAGES, now)


def warning_of(checkpoint: str, folder: LabelledFolder) -> str:
    """A warning that the network was trained on the very images of `folder`; "" where it was not.

    Args:
        checkpoint: a run folder; for other places the answer is "".
        folder: the images, with the network's classes.
    """
    try:
        trained = read_json(Path(checkpoint, IMAGES))
        same = (
            Path(trained["root"]).resolve() == folder.root.resolve()
            and trained["digest"] == _record_of_folder(folder)["digest"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if not same:
        return ""
    return (
        f"{folder.root} holds the images that {checkpoint} was trained on: this says nothing of how it does on others"
    )


def _record_now(config: dict[str, Any]) -> dict[str, Any] | None:
    """The record of the images there now; None where the config alone determines them."""
    if config["program"] != "gan":
        folder = open_training(config)
        return _record_of_folder(folder) | {"classes": list(folder.classes)}
    names = real.names_in_folder(config["data"])
    return None if names is None else _record(config["data"]["folder"]["root"], names)


def _record_of_folder(folder: LabelledFolder) -> dict[str, Any]:
    names = [f"{folder.classes[label]} {name}" for label, name in zip(folder.labels, folder.names, strict=True)]
    return _record(str(folder.root), names)


def _record(root: str, names: list[str]) -> dict[str, Any]:
    digest = hashlib.sha256(json.dumps(names).encode()).hexdigest()
    return {"root": root, "images": len(names), "digest": digest}


def _first_record(workdir: Path, now: dict[str, Any]) -> dict[str, Any]:
    """The record of the run; without one, the classes in its checkpoint."""
    if not (workdir / IMAGES).is_file():
        return _classes_in_checkpoint(workdir) if "classes" in now else {}
    try:
        before: dict[str, Any] = read_json(workdir / IMAGES)
        return {key: _checked(now[key], before[key]) for key in now}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{workdir / IMAGES} is damaged ({error}); delete it to go on without it") from error


def _classes_in_checkpoint(workdir: Path) -> dict[str, Any]:
    checkpoint = Stored(workdir)
    with checkpoint.refusals():
        return {"classes": _checked([""], checkpoint.metadata()["classes"])}


def _checked(expected: Any, value: Any) -> Any:
    """Returns `value` if it has the type of `expected`; raises TypeError where it, or an item of its list, has not."""
    if type(value) is not type(expected):
        raise TypeError(f"{ascii(value)[:80]} is no {type(expected).__name__}")
    return [_checked("", inner) for inner in value] if isinstance(value, list) else value
