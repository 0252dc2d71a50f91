"""The training and test images of a classifier, from its config's `data`, `classes` and `resolution`."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Int32, UInt8

from ganfp_jax.audit.quick import report_leaks
from ganfp_jax.data import labelled, perturb, pseudo_unknown, reports
from ganfp_jax.data.batches import Batch, BatchByStep, make_batches
from ganfp_jax.data.on_disk import ImagesOnDisk, check_together, fits
from ganfp_jax.run import processes
from ganfp_jax.run.config_keys import require
from ganfp_jax.run.errors import UserError

UNKNOWN = -1
"""The label of an image of no known source."""
NONE_UNKNOWN: Mapping[str, Any] = {"share": 0.0, "kinds": ()}


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """Images, 0 to 255, in memory or on disk, and their class indices."""

    images: UInt8[np.ndarray, "n r r 3"] | ImagesOnDisk
    labels: Int32[np.ndarray, " n"]
    side: int | None = None
    """The side of the windows that are shown, None for whole images."""

    def batches(
        self, batch_size: int, seed: int, immunise: Mapping[str, Any], unknown: Mapping[str, Any] = NONE_UNKNOWN
    ) -> BatchByStep:
        """This process's part of endless batches {"image", "label"}.

        Args:
            batch_size, seed: as for `make_batches`.
            immunise: which images are perturbed, as for `perturb.immunise`.
            unknown: which images are replaced first, as for `pseudo_unknown.replace`; their label is `UNKNOWN`.
        """

        def changed(batch: Batch, rng: np.random.Generator, part: slice) -> Batch:
            whole: dict[str, Any] = {"first": part.start, "total": batch_size}
            if unknown["share"]:
                images, replaced = pseudo_unknown.replace(batch["image"], rng, **whole, **unknown)
                batch = {"image": images, "label": np.where(replaced, np.int32(UNKNOWN), batch["label"])}
            return batch | {"image": perturb.immunise(batch["image"], rng, **whole, side=self.side, **immunise)}

        return make_batches(
            {"image": self.images, "label": self.labels},
            batch_size=batch_size,
            seed=seed,
            transform=changed if immunise["share"] or unknown["share"] or self.side else None,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )


def open_training(config: dict[str, Any]) -> labelled.LabelledFolder:
    """The labelled folder `data.root` or its `train/`. It is only listed, so classes are known before decoding.

    Raises:
        UserError: no folder is named, it is missing or incomplete, or the settings of `immunise` make no sense.
    """
    perturb.check_immunisation(**config["immunise"])
    _check_window(config)
    require(config, "data.root")
    return labelled.open_labelled(
        config["data"]["root"], split="train", classes=config["classes"] or None, layout=config["data"]["layout"]
    )


def _check_window(config: dict[str, Any]) -> None:
    larger, resolution = config["data"]["crop_from"], config["resolution"]
    if larger and larger < resolution:
        raise UserError(f"config.data.crop_from is {larger}; give 0, or at least config.resolution {resolution}")
    if not larger and any(map(perturb.resizes, config["immunise"]["perturbations"])):
        raise UserError("immunise: rescale changes the size of images; give a config.data.crop_from to cut them from")


def decode_training(config: dict[str, Any], folder: labelled.LabelledFolder, workdir: Path) -> LabelledImages:
    """All images of the folder. It also lists unusable and cropped images, and prints signs of a leak.

    A set that takes more than `data.cache_gib` of memory stays on disk. One of the processes decodes each file once
    now, as a check. Later the process whose part of a batch a file belongs to decodes it again.

    Each of several processes decodes the whole of a set in memory. Every epoch deals all images out anew, in the order
    in which one process would take them, so each process needs every image sooner or later.

    Raises:
        UserError: a class has no usable image.
    """
    resolution, resize = config["data"]["crop_from"] or config["resolution"], config["data"]["resize"]
    images: np.ndarray | ImagesOnDisk
    if fits(len(folder), resolution, config["data"]["cache_gib"]):
        decoded = labelled.Images(folder, resolution, resize).decode("read train")
        images, kept, rejected, notes = decoded.images, decoded.kept, decoded.rejected, decoded.notes
    else:
        checked = check_together(folder.paths, resolution, resize, "check train")
        kept, notes = checked.kept, {folder.names[i]: note for i, note in checked.notes.items()}
        rejected = tuple((folder.names[i], reason) for i, reason in checked.refused.items())
        images = ImagesOnDisk([folder.paths[i] for i in kept], resolution, resize)
    if processes.first():
        reports.report_rejected([*rejected, *folder.left_out], workdir)
        reports.report_notes(notes, workdir)
        report_leaks(folder)
    labels = folder.labels[kept]
    if missing := [k for k in range(len(folder.classes)) if k not in labels]:
        refused = [file for file in rejected if file[0] in folder.names_of(missing[0])]
        why = f", such as {': '.join(refused[0])}; see data.resize" if refused else ": add some, or leave the class out"
        raise UserError(f"{folder.root / folder.classes[missing[0]]} has no usable image{why}")
    return LabelledImages(images, labels, config["resolution"] if config["data"]["crop_from"] else None)


def decode_some_test(config: dict[str, Any], classes: Sequence[str]) -> LabelledImages | None:
    """Always the same `eval_images` of the split `test`; None where there are none or none are wanted.

    They are for watching a training only: nothing is chosen by them.

    Raises:
        UserError: none of them can be used.
    """
    root = Path(config["data"]["root"])
    if not config["eval_images"] or "test" not in labelled.splits(root, config["data"]["layout"]):
        return None
    folder = labelled.open_labelled(root, split="test", classes=classes, layout=config["data"]["layout"])
    chosen = np.random.RandomState(0).permutation(len(folder))[: config["eval_images"]]
    test = labelled.Images(folder, config["resolution"], config["data"]["resize"]).part(chosen).decode()
    if not len(test.kept):
        name, reason = test.rejected[0]
        raise UserError(f"{folder.root}: no test image to watch can be used, such as {name}: {reason}; see data.resize")
    return LabelledImages(test.images, folder.labels[test.kept])
