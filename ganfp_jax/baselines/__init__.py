"""Cheap methods whose accuracy on the same images stands beside every network's.

    fitted = baselines.fit("knn", images, labels, classes, groups=origins)
    predicted, scores = baselines.predict(fitted, other_images)

`fit` chooses settings on held-out training images, and never on test images.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int, Int32

from ganfp_jax.baselines import eigenface, knn, linear, local, metadata, prnu, wavelet
from ganfp_jax.baselines.method import Images, Model, Samples, Training
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.reading import parse_json

KEY = "baselines"  # key in the header of a baselines file
IMMUNISED = "_immunised"  # suffix of the names of baselines trained on immunised images


@dataclasses.dataclass(frozen=True)
class Baseline:
    """How a baseline is trained, and whether it reads images or their files.

    `label` is its name in a sentence. `restore` rebuilds the model from its learned arrays, where these are all that it
    learned. One of `any_size` answers for images of other sizes than those of its training, too.
    """

    train: Callable[[Training], Model]
    label: str
    needs: Literal["images", "paths"] = "images"
    restore: Callable[[Mapping[str, np.ndarray]], Model] | None = None
    any_size: bool = False


def _logistic(features: Callable[[Images], np.ndarray], of: str, *, any_size: bool = False) -> Baseline:
    return Baseline(
        linear.make_logistic(features),
        f"logistic regression on {of}",
        restore=lambda arrays: linear.from_arrays(features, arrays),
        any_size=any_size,
    )


BASELINES: dict[str, Baseline] = {
    "knn": Baseline(knn.fit, "nearest neighbours on pixels"),
    "eigenface": Baseline(eigenface.fit, "Eigenface (PCA, linear SVM)"),
    "prnu": Baseline(prnu.fit, "correlation of noise residuals (PRNU)"),
    "logistic_pixels": _logistic(linear.pixels, "pixels"),
    "logistic_log_dct": _logistic(linear.log_dct, "log-DCT"),
    "logistic_log_packets": _logistic(wavelet.log_packets, "log wavelet packets"),
    "logistic_block_log_dct": _logistic(local.block_log_dct, "block log-DCT", any_size=True),
    "logistic_cooccurrences": _logistic(local.cooccurrences, "co-occurrences of differences", any_size=True),
    "logistic_local": _logistic(local.both, "block log-DCT and co-occurrences", any_size=True),
    "metadata": Baseline(metadata.fit, "control: metadata of the files only", needs="paths"),
    "file_size": Baseline(metadata.fit_file_size, "size of the files only", needs="paths"),
}


@dataclasses.dataclass(frozen=True)
class FittedBaseline:
    """A trained baseline: its name, its model, the shape (H, W, 3) of its images (() for paths) and its classes.

    `classes` is empty for old files, which do not have them.
    """

    name: str
    model: Model
    shape: tuple[int, ...]
    classes: tuple[str, ...]


NETWORK = "network"
"""The name of the network in tables of baselines."""


def label(name: str) -> str:
    """The name of a baseline in a sentence; other names without underscores."""
    if name == NETWORK:
        return "the network, one view"
    return BASELINES[name].label if name in BASELINES else name.replace("_", " ")


def check(names: Sequence[str]) -> None:
    """Raise `UserError` unless all `names` are baselines."""
    for name in names:
        if name not in BASELINES:
            raise UserError(f"unknown baseline {name!r}; choose from {', '.join(BASELINES)}")


def fit(
    name: str,
    samples: Samples,
    labels: Int[np.ndarray, " n"],
    classes: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    seed: int = 0,
) -> FittedBaseline:
    """Trains one baseline; the same arguments give the same model.

    Args:
        name: a key of `BASELINES`.
        samples: training images, 0 to 255, or the paths of image files, as `BASELINES[name].needs` says.
        labels: class index of each, 0 to K - 1.
        classes: the K class names.
        groups: origin of each image, such as its photograph (`labelled.fold_groups`). Images of one group are held out
            together. None makes each image a group.
        seed: 0 to 2**32 - 1; it determines the held-out training images and all random numbers.

    Raises:
        UserError: the name is unknown, there are fewer than two classes, or a class has no training image.
    """
    from threadpoolctl import threadpool_limits

    check([name])
    if len(classes) < 2:
        raise UserError(f"baseline {name}: {len(classes)} class(es); give images of at least two sources")
    absent = [class_name for index, class_name in enumerate(classes) if not (labels == index).any()]
    if absent:
        raise UserError(f"baseline {name}: no training image of {', '.join(absent)}; add some or leave the class out")
    groups = [str(i) for i in range(len(labels))] if groups is None else groups
    training = Training(samples, labels, len(classes), groups, seed)
    # A second BLAS thread does not speed up such thin matrices, and is slow on a busy machine.
    with threadpool_limits(1, user_api="blas"):
        model = BASELINES[name].train(training)
    return FittedBaseline(name, model, samples.shape[1:] if isinstance(samples, np.ndarray) else (), tuple(classes))


def predict(fitted: FittedBaseline, samples: Samples) -> tuple[Int32[np.ndarray, " n"], Float[np.ndarray, "n k"]]:
    """The predicted class of each sample, and the score of every class; the prediction has the highest.

    Scores are probabilities for logistic regressions and trees, shares of votes for knn, correlations for prnu and
    distances for eigenface.

    Raises:
        UserError: there are no samples, or the images have another size than those of the training, to which the
            baseline is tied (`Baseline.any_size`).
    """
    from threadpoolctl import threadpool_limits

    if len(samples) == 0:
        raise UserError(f"baseline {fitted.name}: no image to name the source of; give one or more")
    if isinstance(samples, np.ndarray) and not _fits(fitted, samples.shape[1:]):
        raise UserError(
            f"baseline {fitted.name}: images of {samples.shape[2]}x{samples.shape[1]}, trained on "
            f"{fitted.shape[1]}x{fitted.shape[0]}; give images of the training size"
        )
    with threadpool_limits(1, user_api="blas"):
        scores = fitted.model.scores(samples)
    return scores.argmax(axis=1).astype(np.int32), scores


def _fits(fitted: FittedBaseline, shape: tuple[int, ...]) -> bool:
    smallest = min(*shape[:2], *fitted.shape[:2])
    return shape == fitted.shape or (BASELINES[fitted.name].any_size and smallest >= local.BLOCK)


def write(path: str | Path, fitted: Mapping[str, FittedBaseline]) -> None:
    """Writes baselines that consist of arrays (`Baseline.restore`) as one safetensors file, in float32.

    Args:
        path: path of the file.
        fitted: name of each row, such as "knn_immunised" -> its baseline.
    """
    import safetensors.numpy

    tensors = {
        f"{called}/{key}": np.asarray(array, np.float32, order="C")
        for called, baseline in fitted.items()
        for key, array in baseline.model.arrays.items()
    }
    about = {
        called: {"name": baseline.name, "shape": baseline.shape, "classes": baseline.classes}
        for called, baseline in fitted.items()
    }
    safetensors.numpy.save_file(tensors, path, {KEY: json.dumps(about, sort_keys=True)})


def read(path: str | Path) -> dict[str, FittedBaseline]:
    """The baselines of a file of `write`, by the names of their rows."""
    import safetensors

    with safetensors.safe_open(path, "numpy") as file:
        about = json.loads(file.metadata()[KEY])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    fitted = {}
    for called, described in about.items():
        restore = BASELINES[described["name"]].restore
        assert restore is not None  # `write` writes only those that have it
        prefix = f"{called}/"
        arrays = {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}
        fitted[called] = FittedBaseline(
            described["name"], restore(arrays), tuple(described["shape"]), tuple(described.get("classes", ()))
        )
    return fitted


def as_network(header: str) -> tuple[str, dict[str, Any], list[str]]:
    """The regression of a file that takes the place of a network: an immunised one if any, else the first.

    Args:
        header: the text that `write` puts under `KEY`.

    Returns:
        The name of its row, the settings of the same regression among `ganfp_jax.models`, and its classes.

    Raises:
        UserError: the header is damaged, or too old to have classes.
    """
    try:
        about = parse_json(header)
        called = next((name for name in about if name.endswith(IMMUNISED)), next(iter(about)))
        described = about[called]
        if "classes" not in described:
            raise UserError("it does not say what the sources are called; fit and write the baselines again")
        classes = described["classes"]
        side = described["shape"][0]
        return called, {"name": described["name"], "resolution": side, "num_classes": len(classes)}, classes
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, StopIteration) as error:
        raise UserError("its header is damaged; copy it again") from error
