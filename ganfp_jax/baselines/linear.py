"""Logistic regression on pixels, on log-DCT spectra and on log wavelet packets.

A network's accuracy means little without that of a linear model on the same images. The grids, borders and spectral
peaks that upsampling leaves are at fixed positions, so a linear model often finds them too. The spectral features
follow Frank et al., "Leveraging Frequency Analysis for Deep Fake Image Recognition" (2020); the packets are those of
`wavelet`.
"""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float, UInt8

from ganfp_jax.baselines import method
from ganfp_jax.data.values import to_signed

LOG_FLOOR = 0.1  # grey levels; it is below an 8-bit image's rounding noise and keeps log|0| from being an outlier


def pixels(images: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n f"]:
    """The pixels in [-1, 1], one row per image."""
    return to_signed(images).reshape(len(images), -1)


def log_dct(images: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n f"]:
    """log(|DCT-II| + floor), orthonormal, of every channel, one row per image."""
    from scipy.fft import dctn

    spectrum = dctn(images.astype(np.float32), axes=(1, 2), norm="ortho")
    return np.log(np.abs(spectrum) + np.float32(LOG_FLOOR)).reshape(len(images), -1)


def make_logistic(
    features: Callable[[method.Images], Float[np.ndarray, "n f"]],
) -> Callable[[method.Training], method.Model]:
    """Multinomial logistic regression: L2 penalty with C = 0.1 on standardised features, L-BFGS from zero weights.

    It needs no random number and chooses no setting. The scores are probabilities. It learns an affine map of the
    features, "weights" (F, K) and "bias" (K,).
    """

    def fit(training: method.Training) -> method.Model:
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        scaler, learner = StandardScaler(), LogisticRegression(C=0.1, max_iter=5000)
        learner.fit(scaler.fit_transform(features(training.samples)), training.labels)
        weights, bias = learner.coef_.T, learner.intercept_
        if training.num_classes == 2:  # for two classes scikit-learn keeps only the second's column
            weights, bias = weights * np.array([-0.5, 0.5]), bias * np.array([-0.5, 0.5])
        weights = weights / scaler.scale_[:, None]
        return from_arrays(features, {"weights": weights, "bias": bias - scaler.mean_ @ weights})

    return fit


def from_arrays(
    features: Callable[[method.Images], Float[np.ndarray, "n f"]], arrays: Mapping[str, np.ndarray]
) -> method.Model:
    """The logistic regression with the learned `arrays`."""
    from scipy.special import softmax

    weights, bias = arrays["weights"], arrays["bias"]
    return method.Model(lambda images: softmax(features(images) @ weights + bias, axis=1), arrays=arrays)
