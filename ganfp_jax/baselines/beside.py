"""The baselines beside a network: they are trained on `train/` and tested on the network's test images."""

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
    """The name of a row, its baseline, and whether that is trained on immunised images."""

    called: str
    name: str
    immunised: bool


class Answer(NamedTuple):
    """The classes that a baseline predicts for images under one condition, and the seconds it took."""

    condition: str
    predicted: Int32[np.ndarray, " n"]
    seconds: float


def methods_of(plain: Iterable[str], immunised: Iterable[str]) -> list[Method]:
    """The methods for training on images as they are, then those for training on immunised images."""
    return [Method(name, name, False) for name in plain] + [
        Method(f"{name}{baselines.IMMUNISED}", name, True) for name in immunised
    ]


def fit(
    methods: Sequence[Method], images: FolderImages, classes: Sequence[str], *, seed: int, immunise: Mapping[str, Any]
) -> Iterator[tuple[str, FittedBaseline]]:
    """Trains each method on `images`, with a progress bar, and yields the name of its row and the trained baseline.

    Args:
        methods: methods of `methods_of`.
        images: training images.
        classes: the names of all classes.
        seed: seed of the training and of the immunisation.
        immunise: arguments of `data.perturb.immunise`.
    """
    with progress(len(methods), "baselines", "method") as bar:
        for immunised, some in itertools.groupby(methods, lambda method: method.immunised):
            training = images.immunised(seed, immunise) if immunised else images
            for method in some:
                yield method.called, training.fit(method.name, classes, seed)
                bar.update(1)


def ask(fitted: FittedBaseline, images: FolderImages, perturbations: Sequence[str], seed: int = 0) -> Iterator[Answer]:
    """A baseline's answers for images under each perturbation; one that reads files answers for clean images only."""
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
    """The accuracy of trained baselines on the images of `parts`, of which only one is in memory at a time.

    Args:
        fitted: name of each row -> its baseline.
        parts: the test images, in parts.
        perturbations: perturbations under which the images are classified.
        classes: the names of all classes.
        seed: seed of perturbations that draw noise.

    Returns:
        Rows of {"name", "condition", "metrics"}, as the pages of the report take them. Baselines that read files have
        rows only for clean images.
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
    """The rows of `measure_rows` and None, or no rows and the reason: no method, or a class without training images.

    A missing baseline is no error, since the network's own results do not depend on it.
    """
    if reason := _reason_for_none(config, root, folder):
        return [], reason
    try:
        return measure_rows(), None
    except UserError as error:
        return [], str(error)


def _reason_for_none(config: Mapping[str, Any], root: Path, folder: labelled.LabelledFolder) -> str | None:
    """The reason why no baseline can be trained, None where one can."""
    if not [*config["methods"], *config["immunised_methods"]]:
        return "config.baselines names none"
    try:
        if "train" not in labelled.splits(root, folder.layout):
            return f"{root} has no train/ of its own for them to learn from"
        train = labelled.open_labelled(root, split="train", classes=folder.classes, layout=folder.layout)
    except UserError as error:
        return str(error)
    absent = [name for label, name in enumerate(folder.classes) if not (train.labels == label).any()]
    return f"{train.root} has no image of {', '.join(absent)}" if absent else None


def train_and_measure(
    config: Mapping[str, Any],
    root: Path,
    tested: labelled.Images,
    perturbations: Sequence[str],
) -> list[dict[str, Any]]:
    """Trains baselines on some of `<root>/train/` and measures them on the network's test images.

    Args:
        config: section `baselines` of configs/evaluate.py.
        root: folder with `train/`, which `rows_or_reason` checks.
        tested: test images of the network, all readable; the training takes their seed too.
        perturbations: as for `measure`, whose rows are returned.
    """
    methods = methods_of(config["methods"], config["immunised_methods"])
    methods = [m for m in methods if "none" in perturbations or baselines.BASELINES[m.name].needs == "images"]
    folder, seed = tested.folder, tested.seed
    train = labelled.open_labelled(root, split="train", classes=folder.classes, layout=folder.layout)
    chosen = first_at_random(train.labels, config["images_per_source"], seed)
    images = FolderImages.read(labelled.Images(train, tested.resolution, tested.resize).part(chosen))
    fitted = dict(fit(methods, images, folder.classes, seed=seed, immunise=config["immunise"]))
    return measure(fitted, map(FolderImages.read, tested.split()), perturbations, folder.classes, seed=seed)
