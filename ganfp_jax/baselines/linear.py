"""Logistic regression on pixels and on the logarithm of the DCT spectrum.

A network's accuracy means little until it is known what a linear model reaches on the same images: the grids, borders
and spectral peaks that an upsampling network leaves behind sit at fixed positions, so a linear model often finds them
too. The spectral features follow Frank et al., "Leveraging Frequency Analysis for Deep Fake Image Recognition" (2020).

The model is the textbook one (multinomial, L2 penalty, standardised features; the optimum is scikit-learn's
`LogisticRegression(C=INVERSE_PENALTY)`, which a test holds), fitted by L-BFGS over all images from zero weights, so
there is no random number in it. Neighbouring pixels are so alike that plain L-BFGS needs some 350 passes; measuring the
weights along the strongest directions of a sample of the images in units of their curvature leaves some 30, and the
arithmetic stays in float32: 4,500 images of 32x32 take one second. It stops by its own criterion (largest
gradient entry below `TOLERANCE`); `MAX_ITERATIONS` is out of reach, and `Fitted.converged` says so.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int, UInt8

from ganfp_jax.errors import UserError

LOG_DCT_FLOOR = 0.1  # grey levels: below the rounding noise of an 8-bit image, so that log|0| is no outlier
INVERSE_PENALTY = 0.1  # scikit-learn's C
TOLERANCE = 1e-4
MAX_ITERATIONS = 1000
CURVATURE_SAMPLE, CURVATURE_RANK = 1024, 64


def pixels(images: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n f"]:
    """The pixels themselves, in [-1, 1], as one row per image."""
    return _rows(images.astype(np.float32) / 127.5 - 1)


def log_dct(images: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n f"]:
    """log(|DCT-II| + floor) of every channel, orthonormal, as one row per image."""
    from scipy.fft import dctn

    spectrum = dctn(images.astype(np.float32), axes=(1, 2), norm="ortho")
    return _rows(np.log(np.abs(spectrum) + np.float32(LOG_DCT_FLOOR)))


LINEAR_BASELINES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "logistic_pixels": pixels,
    "logistic_log_dct": log_dct,
}


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A trained baseline: plain arrays, so that predicting is one matrix product.

    Attributes:
        name: key of `LINEAR_BASELINES`.
        mean: of each training feature.
        scale: standard deviation of each training feature; 1 where it never varies.
        weights: of the standardised features.
        bias: of each class.
        iterations: what L-BFGS took.
        converged: whether it stopped by its own criterion.
    """

    name: str
    mean: Float[np.ndarray, " f"]
    scale: Float[np.ndarray, " f"]
    weights: Float[np.ndarray, "f k"]
    bias: Float[np.ndarray, " k"]
    iterations: int
    converged: bool


def fit(
    name: str,
    images: UInt8[np.ndarray, "n h w 3"],
    labels: Int[np.ndarray, " n"],
    classes: Sequence[str] | None = None,
) -> Fitted:
    """Trains one baseline.

    Args:
        name: a key of `LINEAR_BASELINES`.
        images: training images.
        labels: class index of each, 0 to K - 1.
        classes: the K class names; without them K is the largest label + 1.

    Raises:
        UserError: unknown name, fewer than two classes, a label beyond them, or a class without a training image.
    """
    features_of = _features_of(name)
    if classes is None:
        classes = [str(index) for index in range(labels.max(initial=-1) + 1)]
    if len(classes) < 2:
        raise UserError(f"baseline {name}: {len(classes)} class(es); give images of at least two sources")
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
        raise UserError(f"baseline {name}: a label is outside 0 to {len(classes) - 1}; name every class")
    absent = [class_name for index, class_name in enumerate(classes) if not (labels == index).any()]
    if absent:
        raise UserError(f"baseline {name}: no training image of {', '.join(absent)}; add some or leave the class out")

    features = features_of(images)
    mean, scale = features.mean(0), features.std(0)
    scale[scale < 1e-6] = 1
    features -= mean
    features /= scale
    weights, bias, iterations, converged = _logistic_regression(features, labels, len(classes))
    return Fitted(name, mean, scale, weights, bias, iterations, converged)


def predict(
    fitted: Fitted, images: UInt8[np.ndarray, "n h w 3"]
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "n k"]]:
    """The most probable class of each image (int32) and the probability of every class; no image is fine.

    Raises:
        UserError: images of another size than those it was trained on.
    """
    features = _features_of(fitted.name)(images)
    if features.shape[1] != len(fitted.mean):
        raise UserError(
            f"baseline {fitted.name}: images of {images.shape[1]}x{images.shape[2]} have {features.shape[1]} "
            f"values, trained on {len(fitted.mean)}; give images of the training size"
        )
    scores = (features - fitted.mean) / fitted.scale @ fitted.weights + fitted.bias
    return scores.argmax(axis=1).astype(np.int32), _softmax(scores)


def _features_of(name: str) -> Callable[[np.ndarray], np.ndarray]:
    if name not in LINEAR_BASELINES:
        raise UserError(f"unknown baseline {name!r}; choose from {', '.join(LINEAR_BASELINES)}")
    return LINEAR_BASELINES[name]


def _rows(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), math.prod(values.shape[1:]))


def _softmax(scores: np.ndarray) -> np.ndarray:
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def _logistic_regression(
    features: np.ndarray, labels: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray, int, bool]:
    """Weights (F, K), bias (K,), iterations and whether L-BFGS met its criterion, for standardised float32 features."""
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    count, size = features.shape
    ridge = 1 / (INVERSE_PENALTY * count)
    everyone = np.arange(count)

    def unpack(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = flat.reshape(size + 1, num_classes).astype(np.float32)
        return rescale(rows[:size]), rows[size]

    def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = unpack(flat)
        scores = features @ weights + bias  # (N, K)
        scores -= scores.max(axis=1, keepdims=True)
        losses = np.log(np.exp(scores).sum(axis=1)) - scores[everyone, labels]
        penalty = ridge / 2 * np.square(weights).sum(dtype=np.float64)
        residual = _softmax(scores)
        residual[everyone, labels] -= 1
        residual /= count
        weights_gradient = rescale(features.T @ residual + ridge * weights)
        gradient = np.concatenate([weights_gradient, residual.sum(axis=0, keepdims=True)])
        return float(losses.mean(dtype=np.float64) + penalty), gradient.ravel().astype(np.float64)

    # Matrices this thin gain nothing from a second BLAS thread, which on a busy machine costs ten times the time.
    with threadpool_limits(1, user_api="blas"):
        rescale = _rescaling(features, ridge, num_classes)
        result = minimize(
            loss_and_gradient,
            np.zeros((size + 1) * num_classes),
            jac=True,
            method="L-BFGS-B",
            options={"gtol": TOLERANCE, "ftol": 1e-9, "maxiter": MAX_ITERATIONS},
        )
    return *unpack(result.x), int(result.nit), bool(result.success)


def _rescaling(features: np.ndarray, ridge: float, num_classes: int) -> Callable[[np.ndarray], np.ndarray]:
    """A symmetric linear map P of (F, K) weights for which P P is about the inverse curvature of the loss at zero.

    There the curvature is covariance / K + ridge; P knows the strongest eigenvectors of the covariance of a sample and
    takes all other directions for equal. It changes how fast the optimum is found, not the optimum.
    """
    sample = features[np.linspace(0, len(features) - 1, min(len(features), CURVATURE_SAMPLE)).astype(int)]
    variances, vectors = np.linalg.eigh(sample @ sample.T / len(sample))
    strong = np.flatnonzero(variances > 1e-4 * variances.max())[-CURVATURE_RANK:]
    variances, vectors = variances[strong], vectors[:, strong]
    directions = sample.T @ vectors / np.sqrt(variances * len(sample))  # (F, rank), orthonormal
    curvature = variances / num_classes + ridge
    rest = curvature.min(initial=1)
    gain = np.sqrt(rest / curvature)[:, None] - 1

    def rescale(weights: np.ndarray) -> np.ndarray:
        return (weights + directions @ (gain * (directions.T @ weights))) / np.sqrt(rest)

    return rescale
