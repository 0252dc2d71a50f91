"""Which images a training was begun with, and whether its folder still holds those; by names, not by pixels."""

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
    """Compares the images there now with those that the run in `workdir` was begun with, and records them.

    A folder that has got other images is told in a line: a finished training has not seen them; one that goes on will.

    Args:
        config: the training's.
        workdir: its run folder, with the classes, the number of images and a digest of their names in `images.json`.
        step: that of its newest checkpoint, 0 where there is none.
        last: that of its end.

    Raises:
        UserError: the folder has other classes than the network was made for, or cannot be listed.
    """
    now = _list(config)
    if now is None:
        return
    before = _begun_with(workdir, now) if step else now
    order = sorted if step >= last else list  # what another order would change is done
    if "classes" in now and order(now["classes"]) != order(before["classes"]):
        raise UserError(
            f"{now['root']} has the classes {', '.join(now['classes'])}, the network in {workdir} was made for "
            f"{', '.join(before['classes'])}; train one for these in another --workdir, with "
            f"--config.start_from={workdir} to begin at its weights"
        )
    if processes.first() and before.get("digest", now["digest"]) != now["digest"]:
        seen = (
            "which has not seen the new ones; train on them in another --workdir, with "
            f"--config.start_from={workdir} to begin at its weights"
            if step >= last
            else "which goes on with those there now: no longer the run that was begun"
        )
        print(
            f"note: {now['root']} has other images than when the training in {workdir} began ({now['images']:,} now, "
            f"{before['images']:,} then), {seen}"
        )
    if processes.first() and step < last:
        write_json(workdir / IMAGES, now)


def warning_of(checkpoint: str, folder: LabelledFolder) -> str:
    """What to say before `folder` is measured: that the network was trained on these very images; "" where it was not.

    Args:
        checkpoint: a run folder; of other places nothing is known.
        folder: the images, with the network's classes.
    """
    try:
        trained = read_json(Path(checkpoint, IMAGES))
        same = (
            Path(trained["root"]).resolve() == folder.root.resolve()
            and trained["digest"] == _labelled(folder)["digest"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if not same:
        return ""
    return (
        f"{folder.root} holds the images that {checkpoint} was trained on: this says nothing of how it does on others"
    )


def _list(config: dict[str, Any]) -> dict[str, Any] | None:
    """What images there are; None where the config alone says which."""
    if config["program"] != "gan":
        folder = open_training(config)
        return _labelled(folder) | {"classes": list(folder.classes)}
    found = real.names_in_folder(config["data"])
    return None if found is None else _described(config["data"]["folder"]["root"], found)


def _labelled(folder: LabelledFolder) -> dict[str, Any]:
    names = [f"{folder.classes[label]} {name}" for label, name in zip(folder.labels, folder.names, strict=True)]
    return _described(str(folder.root), names)


def _described(root: str, names: list[str]) -> dict[str, Any]:
    digest = hashlib.sha256(json.dumps(names).encode()).hexdigest()
    return {"root": root, "images": len(names), "digest": digest}


def _begun_with(workdir: Path, now: dict[str, Any]) -> dict[str, Any]:
    """What was recorded; of a run that recorded nothing, the classes, which its checkpoint knows."""
    if not (workdir / IMAGES).is_file():
        return _of_checkpoint(workdir) if "classes" in now else {}
    try:
        before: dict[str, Any] = read_json(workdir / IMAGES)
        return {key: _like(now[key], before[key]) for key in now}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{workdir / IMAGES} is damaged ({error}); delete it to go on without it") from error


def _of_checkpoint(workdir: Path) -> dict[str, Any]:
    checkpoint = Stored(workdir)
    with checkpoint.refusals():
        return {"classes": _like([""], checkpoint.metadata()["classes"])}


def _like(expected: Any, value: Any) -> Any:
    """`value`, if it is of the type of `expected`; raises TypeError where it, or something in its list, is not."""
    if type(value) is not type(expected):
        raise TypeError(f"{ascii(value)[:80]} is no {type(expected).__name__}")
    return [_like("", inner) for inner in value] if isinstance(value, list) else value
