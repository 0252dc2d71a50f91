"""Logistic regression on pixels and on the logarithm of the DCT spectrum.

A network's accuracy means little until it is known what a linear model reaches on the same images: the grids, borders
and spectral peaks that an upsampling network leaves behind sit at fixed positions, so a linear model often finds them
too. The spectral features follow Frank et al., "Leveraging Frequency Analysis for Deep Fake Image Recognition" (2020).
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Int32, UInt8

from ganfp_jax.errors import UserError

LOG_DCT_FLOOR = 0.1  # grey levels: below the rounding noise of an 8-bit image, so that log|0| is no outlier


def pixels(images: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n f"]:
    """The pixels themselves, in [-1, 1], as one row per image."""
    return (images.astype(np.float32) / 127.5 - 1).reshape(len(images), -1)


def log_dct(images: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n f"]:
    """log(|DCT-II| + floor) of every channel, orthonormal, as one row per image."""
    from scipy.fft import dctn

    spectrum = dctn(images.astype(np.float32), axes=(1, 2), norm="ortho")
    return np.log(np.abs(spectrum) + np.float32(LOG_DCT_FLOOR)).reshape(len(images), -1)


LINEAR_BASELINES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "logistic_pixels": pixels,
    "logistic_log_dct": log_dct,
}


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A trained baseline: its features by name, and scikit-learn's standardisation and logistic regression on them."""

    name: str
    model: Any
    shape: tuple[int, ...]


def fit(
    name: str, images: UInt8[np.ndarray, "n h w 3"], labels: Int[np.ndarray, " n"], classes: Sequence[str]
) -> Fitted:
    """Trains one baseline: multinomial, L2 penalty with C = 0.1 on standardised features, L-BFGS from zero weights.

    There is no random number in it. 4,500 images of 32x32 take one to three seconds.

    Args:
        name: a key of `LINEAR_BASELINES`.
        images: training images.
        labels: class index of each, 0 to K - 1.
        classes: the K class names.

    Raises:
        UserError: unknown name, fewer than two classes, or a class without a training image.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    if name not in LINEAR_BASELINES:
        raise UserError(f"unknown baseline {name!r}; choose from {', '.join(LINEAR_BASELINES)}")
    if len(classes) < 2:
        raise UserError(f"baseline {name}: {len(classes)} class(es); give images of at least two sources")
    absent = [class_name for index, class_name in enumerate(classes) if not (labels == index).any()]
    if absent:
        raise UserError(f"baseline {name}: no training image of {', '.join(absent)}; add some or leave the class out")
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=5000))
    # Matrices this thin gain nothing from a second BLAS thread, which on a busy machine costs ten times the time.
    with threadpool_limits(1, user_api="blas"):
        model.fit(LINEAR_BASELINES[name](images), labels)
    return Fitted(name, model, images.shape[1:])


def predict(
    fitted: Fitted, images: UInt8[np.ndarray, "n h w 3"]
) -> tuple[Int32[np.ndarray, " n"], Float[np.ndarray, "n k"]]:
    """The most probable class of each image and the probability of every class.

    Raises:
        UserError: images of another size than those it was trained on.
    """
    if images.shape[1:] != fitted.shape:
        raise UserError(
            f"baseline {fitted.name}: images of {images.shape[2]}x{images.shape[1]}, trained on "
            f"{fitted.shape[1]}x{fitted.shape[0]}; give images of the training size"
        )
    probabilities = fitted.model.predict_proba(LINEAR_BASELINES[fitted.name](images))
    return probabilities.argmax(axis=1).astype(np.int32), probabilities
