"""The networks and baselines of `experiments.restorers`, and the photographs of its tiny variants."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from ml_collections import ConfigDict

from configs import attribution
from experiments.restorers.measure import LogProbabilities
from ganfp_jax import baselines
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.baselines.images import FolderImages
from ganfp_jax.data import labelled, perturb
from ganfp_jax.data import sources as embedded
from ganfp_jax.run.progress import progress

METHODS = (
    *("logistic_log_dct", "logistic_block_log_dct", "logistic_cooccurrences", "logistic_local"),
    f"logistic_local{baselines.IMMUNISED}",
)
WINDOWS = 4  # of each training image
WHOLE = "logistic_log_dct"  # has 12,288 numbers an image of 64x64, for which there is memory for one window
TINY = {
    "train": ("astronaut", "chelsea", "coffee"),
    "calibration": ("grace_hopper",),
    "test": ("china", "flower"),
}
TINIEST = 64  # pixels; networks of less are small


def tiny_photographs(root: Path) -> Path:
    """Copies some of the embedded photographs into folders as `experiments.restorers.photographs` makes them."""
    for split, names in TINY.items():
        (root / split).mkdir(parents=True, exist_ok=True)
        for name in names:
            path = embedded.photo_path(name)
            shutil.copyfile(path, root / split / f"{name}{path.suffix}")
    return root


def moments_config(images: Path, classes: Iterable[str], side: int, crop_from: int, steps: int) -> dict[str, Any]:
    """The training of the network of local statistics on windows of `side` pixels of stored images."""
    config = attribution.get_config("restorers")
    if side < TINIEST:
        config.model.update(block_features=8, num_features=16)
    return _on(config, images, classes, side, crop_from, steps)


def visnet_config(images: Path, classes: Iterable[str], side: int, crop_from: int, steps: int) -> dict[str, Any]:
    """VisNet as the study configures it, on the same windows after the same perturbations."""
    config = attribution.get_config("photos")
    config.immunise = attribution.get_config("restorers").immunise
    if side < TINIEST:
        config.model.fmap_base = 64
    return _on(config, images, classes, side, crop_from, steps)


def _on(
    config: ConfigDict, images: Path, classes: Iterable[str], side: int, crop_from: int, steps: int
) -> dict[str, Any]:
    config.data.root, config.classes = str(images), tuple(classes)
    config.resolution, config.data.crop_from = side, crop_from
    config.num_steps, config.eval_images = steps, 0
    if side < TINIEST:
        config.batch_size, config.compile_effort = 16, "low"
        config.immunise.perturbations = ("jpeg60-95", "rescale0.6-1.4")
    return config.to_dict()


def fit_baselines(
    images: Path,
    classes: Iterable[str],
    side: int,
    crop_from: int,
    methods: Sequence[str] = METHODS,
    perturbations: Sequence[str] = (),
) -> dict[str, baselines.FittedBaseline]:
    """The cheap methods, on `WINDOWS` windows of each training image; immunised ones see what the networks see.

    The regression on whole spectra has one window of each. `perturbations` are those of the networks' training; the
    default are those of `configs/attribution.py:restorers`.
    """
    folder = labelled.open_labelled(images, split="train", classes=tuple(classes))
    known = FolderImages.read(labelled.Images(folder, crop_from))
    photographs = [origin.partition("/")[2] for origin in known.groups]  # which all sources share
    fitted = {}
    with progress(len(methods), "baselines", "method") as bar:
        for name in methods:
            immunise = attribution.get_config("restorers").immunise.to_dict()
            immunise["perturbations"] = tuple(perturbations) or immunise["perturbations"]
            if not name.endswith(baselines.IMMUNISED):
                immunise = {"share": 0.0, "perturbations": ()}
            count = 1 if name == WHOLE else WINDOWS
            draws = [
                perturb.immunise(known.images, np.random.default_rng([2, draw]), side=side, **immunise)
                for draw in range(count)
            ]
            plain = name.removesuffix(baselines.IMMUNISED)
            labels, groups = np.tile(known.labels, count), photographs * count
            fitted[name] = baselines.fit(plain, np.concatenate(draws), labels, folder.classes, groups=groups, seed=0)
            bar.update()
    return fitted


def of_attributor(attributor: Attributor) -> LogProbabilities:
    """What a trained network says of crops, by one view."""

    def log_probabilities(images: UInt8[np.ndarray, "n r r 3"]) -> Float[np.ndarray, "n k"]:
        vote = attributor.vote(images, ("identity",), "mean_logit", 64)
        return np.log(np.maximum(np.asarray(vote.probabilities), 1e-12))

    return log_probabilities


def of_baseline(fitted: baselines.FittedBaseline) -> LogProbabilities:
    """What a baseline says of crops."""
    return lambda images: np.log(np.maximum(baselines.predict(fitted, images)[1], 1e-12))
