"""The baselines that stand beside a network: trained on `train/`, asked about the images that it was tested on."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int32

from ganfp_jax import baselines
from ganfp_jax.baselines import FittedBaseline
from ganfp_jax.baselines.images import FolderImages, first_at_random
from ganfp_jax.data import labelled, perturb
from ganfp_jax.metrics.statistics import accuracy_block
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress


class Method(NamedTuple):
    """What a row is called, the baseline that it is of, and whether that is trained on immunised images."""

    called: str
    name: str
    immunised: bool


class Answer(NamedTuple):
    """What a baseline says of images under one condition: the class index of each, and how long that took."""

    condition: str
    predicted: Int32[np.ndarray, " n"]
    seconds: float


def methods_of(plain: Iterable[str], immunised: Iterable[str]) -> list[Method]:
    """Baselines to be trained on images as they are, then those to be trained on immunised ones."""
    return [Method(name, name, False) for name in plain] + [
        Method(f"{name}{baselines.IMMUNISED}", name, True) for name in immunised
    ]


def fit(
    methods: Sequence[Method], images: FolderImages, classes: Sequence[str], *, seed: int, immunise: Mapping[str, Any]
) -> Iterator[tuple[str, FittedBaseline]]:
    """Trains each method on `images`, with a progress bar; gives what it is called and the trained baseline.

    Args:
        methods: of `methods_of`.
        images: to learn from.
        classes: the names of all classes.
        seed: of the training and of what is immunised.
        immunise: the arguments of `data.perturb.immunise`.
    """
    with progress(len(methods), "baselines", "method") as bar:
        for immunised, some in itertools.groupby(methods, lambda method: method.immunised):
            known = images.immunised(seed, immunise) if immunised else images
            for method in some:
                yield method.called, known.fit(method.name, classes, seed)
                bar.update(1)


def ask(fitted: FittedBaseline, images: FolderImages, perturbations: Sequence[str], seed: int = 0) -> Iterator[Answer]:
    """What a baseline says of images under each perturbation; one that reads files is asked about clean ones alone."""
    for condition, samples in images.perturbed(fitted.name, perturbations, seed):
        clock = time.perf_counter()
        predicted, _ = baselines.predict(fitted, samples)
        yield Answer(condition, predicted, time.perf_counter() - clock)


def measure(
    fitted: Mapping[str, FittedBaseline],
    parts: Iterable[FolderImages],
    perturbations: Sequence[str],
    classes: Sequence[str],
    *,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """What trained baselines reach on the images of `parts`, of which only one is held at a time.

    Args:
        fitted: what each is called -> the baseline.
        parts: the test images.
        perturbations: under each of which the images are named.
        classes: the names of all classes.
        seed: of perturbations that draw noise.

    Returns:
        Rows of {"name", "condition", "metrics"}, as the pages of the report take them. Methods that read files
        instead of images have none under a perturbation.
    """
    labels: list[np.ndarray] = []
    predicted: dict[str, dict[str, list[np.ndarray]]] = {called: {} for called in fitted}
    for images in parts:
        labels.append(images.labels)
        for called, baseline in fitted.items():
            for answer in ask(baseline, images, perturbations, seed):
                predicted[called].setdefault(answer.condition, []).append(answer.predicted)
    targets = np.concatenate(labels)
    return [
        {"name": called, "condition": condition, "metrics": accuracy_block(targets, np.concatenate(answers), classes)}
        for called, conditions in predicted.items()
        for condition, answers in conditions.items()
    ]


def check(config: Mapping[str, Any]) -> None:
    """Raises UserError unless the config section `baselines` can be run."""
    baselines.check([*config["methods"], *config["immunised_methods"]])
    perturb.check_immunisation(**config["immunise"])


def rows_or_reason(
    config: Mapping[str, Any],
    root: Path,
    folder: labelled.LabelledFolder,
    measure_rows: Callable[[], list[dict[str, Any]]],
) -> tuple[list[dict[str, Any]], str | None]:
    """The rows of `measure_rows`, or none and the reason: no method, or no training images of `root` for every class.

    Baselines stand beside a network; without them its own results are as good as with them.
    """
    if reason := why_none(config, root, folder):
        return [], reason
    try:
        return measure_rows(), None
    except UserError as error:
        return [], str(error)


def why_none(config: Mapping[str, Any], root: Path, folder: labelled.LabelledFolder) -> str | None:
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


def train_and_measure(
    config: Mapping[str, Any],
    root: Path,
    tested: labelled.Images,
    perturbations: Sequence[str],
) -> list[dict[str, Any]]:
    """What cheap methods reach on the images that a network was tested on, trained on some of `<root>/train/`.

    Args:
        config: the section `baselines` of configs/evaluate.py.
        root: where their folder was opened; `rows_or_reason` says whether it has what is needed.
        tested: the images that the network was tested on; all can be read. Their seed is the training's too.
        perturbations: as for `measure`, as is what is returned.
    """
    methods = methods_of(config["methods"], config["immunised_methods"])
    methods = [m for m in methods if "none" in perturbations or baselines.BASELINES[m.name].needs == "images"]
    folder, seed = tested.folder, tested.seed
    known = labelled.open_labelled(root, split="train", classes=folder.classes, layout=folder.layout)
    chosen = first_at_random(known.labels, config["images_per_source"], seed)
    train = FolderImages.read(labelled.Images(known, tested.resolution, tested.resize).part(chosen))
    fitted = dict(fit(methods, train, folder.classes, seed=seed, immunise=config["immunise"]))
    return measure(fitted, map(FolderImages.read, tested.split()), perturbations, folder.classes, seed=seed)
