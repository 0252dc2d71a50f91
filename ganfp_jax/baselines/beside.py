"""The baselines that stand beside a network: trained on `train/`, asked about the images that it was tested on."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganfp_jax import baselines
from ganfp_jax.baselines.images import FolderImages, first_at_random
from ganfp_jax.data import labelled, perturb
from ganfp_jax.metrics.statistics import accuracy_block
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress

CHUNK = 1024  # test images that are read at a time


def check_baselines(config: Mapping[str, Any]) -> None:
    """Raises UserError unless the config section `baselines` can be run."""
    baselines.check([*config["methods"], *config["immunised_methods"]])
    perturb.check_immunisation(**config["immunise"])


def why_no_baselines(config: Mapping[str, Any], root: Path, folder: labelled.LabelledFolder) -> str | None:
    """Why no baseline can be shown beside the network, None where some can."""
    if not [*config["methods"], *config["immunised_methods"]]:
        return "config.baselines names none"
    try:
        if "train" not in labelled.splits(root):
            return f"{root} has no train/ of its own for them to learn from"
        known = labelled.open_labelled(root, split="train", classes=folder.classes, layout=folder.layout)
    except UserError as error:
        return str(error)
    absent = [name for label, name in enumerate(folder.classes) if not (known.labels == label).any()]
    return f"{known.root} has no image of {', '.join(absent)}" if absent else None


def where_possible(
    reason: str | None, measure: Callable[[], list[dict[str, Any]]]
) -> tuple[list[dict[str, Any]], str | None]:
    """The rows of `measure`, or none and why: `reason`, or what the training images lack when they are read.

    Baselines stand beside a network; without them its own results are as good as with them.
    """
    if reason:
        return [], reason
    try:
        return measure(), None
    except UserError as error:
        return [], str(error)


def measure_baselines(
    config: Mapping[str, Any],
    root: Path,
    folder: labelled.LabelledFolder,
    names: Sequence[str],
    perturbations: Sequence[str],
    *,
    resolution: int,
    resize: str,
    seed: int,
) -> list[dict[str, Any]]:
    """What cheap methods reach on the images that a network was tested on, trained on some of `<root>/train/`.

    Args:
        config: the section `baselines` of configs/evaluate.py.
        root: where `folder` was opened; `why_no_baselines` is asked first.
        names: of the images of `folder` that the network was tested on; all can be read.
        perturbations: under each of which the images are named.
        resolution, resize, seed: of the test.

    Returns:
        Rows of {"name", "condition", "metrics"}, as the pages of the report take them. Methods that read files
        instead of images have none under a perturbation.
    """
    methods = [(name, name, False) for name in config["methods"]]
    methods += [(f"{name}_immunised", name, True) for name in config["immunised_methods"]]
    methods = [m for m in methods if "none" in perturbations or baselines.BASELINES[m[1]].needs == "images"]
    place = {name: i for i, name in enumerate(folder.names)}
    indices = np.array([place[name] for name in names])
    known = labelled.open_labelled(root, split="train", classes=folder.classes, layout=folder.layout)
    chosen = first_at_random(known.labels, config["images_per_source"], seed)
    train = FolderImages.read(known, resolution, resize, indices=chosen)
    fitted = {}
    with progress(len(methods), "baselines", "method") as bar:
        for called, name, immunised in methods:
            images = train.immunised(seed, config["immunise"]) if immunised else train
            fitted[called] = images.fit(name, folder.classes, seed)
            bar.update(1)
    predicted: dict[tuple[str, str], list[np.ndarray]] = {}
    for chunk in np.array_split(indices, -(-len(indices) // CHUNK)):
        test = FolderImages.read(folder, resolution, resize, indices=chunk)
        for called, method in fitted.items():
            for condition, samples in test.perturbed(method.name, perturbations, seed):
                predicted.setdefault((called, condition), []).append(baselines.predict(method, samples)[0])
    return [
        {
            "name": called,
            "condition": condition,
            "metrics": accuracy_block(folder.labels[indices], np.concatenate(parts), folder.classes),
        }
        for (called, condition), parts in predicted.items()
    ]
