"""Correlation of noise residuals, by which cameras are identified from their sensors' non-uniform response (PRNU).

The residual of an image is the part that a wavelet denoiser removes. A source's fingerprint is the mean of its
residuals, and an image is attributed to the source whose fingerprint correlates most with its residual. See Chen et
al., "Determining Image Origin and Integrity Using Sensor Noise" (2008), and for generators Marra et al., "Do GANs leave
artificial fingerprints?" (2019). The settings are some of those of Frank et al. (2020) (reference spec, section 8.10).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from ganfp_jax.baselines import method
from ganfp_jax.data.values import LUMA

WAVELET = "db4"
WINDOWS = (3, 5, 7, 9)  # sides of the windows of a signal's local power, of which the least counts
LEVELS = (1, 2, 3, 4)
SIGMAS = (0.05, 0.35, 0.65, 0.95)  # standard deviations of the denoiser's noise, in grey levels
SEARCHED = 2000  # images for the choice of settings, both to fit and to compare
CHUNK = 512  # images at a time, since their coefficients take many times their memory

Setting = tuple[int, float]  # levels, sigma
Residuals = Float[np.ndarray, "n h w"]


def fit(training: method.Training) -> method.Model:
    """Averages the residuals of each class, with the levels and the sigma that are best on held-out training images.

    The score of a class is the correlation with its fingerprint, -1 to 1. The size of the images limits the levels (two
    at 32x32).
    """
    settings = _settings(min(np.shape(training.samples)[1:3]))
    searched = np.random.RandomState(training.seed).permutation(len(training.labels))[:SEARCHED]
    sample = training.part(np.sort(searched))
    mask, choices = method.held_out(sample), {}
    if mask.any() and np.isin(np.arange(training.num_classes), sample.labels[~mask]).all():
        fingerprints, compared = _fingerprints(sample.part(~mask), settings), sample.part(mask)
        right = dict.fromkeys(settings, 0)
        for first, residuals in residual_chunks(compared.samples, settings):
            for setting, values in residuals.items():
                named = correlation(values, fingerprints[setting]).argmax(axis=1)
                right[setting] += int((named == compared.labels[first : first + len(named)]).sum())
        choices = {setting: hits / len(compared.labels) for setting, hits in right.items()}
    chosen = method.best(choices) if choices else settings[-1]
    fingerprint = _fingerprints(training, [chosen])[chosen]

    def scores(images: method.Images) -> Float[np.ndarray, "n k"]:
        return np.concatenate([correlation(part[chosen], fingerprint) for _, part in residual_chunks(images, [chosen])])

    levels, sigma = chosen
    return method.Model(scores, {"levels": levels, "sigma": sigma, "held_out_accuracy": choices.get(chosen)})


def correlation(residuals: Residuals, fingerprints: Float[np.ndarray, "k h w"]) -> Float[np.ndarray, "n k"]:
    """Normalised cross-correlation of each residual with each fingerprint; 0 where either is flat."""
    return _normalised(residuals) @ _normalised(fingerprints).T


def _settings(side: int) -> list[Setting]:
    import pywt

    most = max(1, pywt.dwt_max_level(side, WAVELET))
    return [(levels, sigma) for levels in LEVELS if levels <= most for sigma in SIGMAS]


def _fingerprints(training: method.Training, settings: list[Setting]) -> dict[Setting, Float[np.ndarray, "k h w"]]:
    shape = (training.num_classes, *np.shape(training.samples)[1:3])
    sums = {setting: np.zeros(shape) for setting in settings}
    for first, residuals in residual_chunks(training.samples, settings):
        for setting, values in residuals.items():
            np.add.at(sums[setting], training.labels[first : first + len(values)], values)
    counts = np.bincount(training.labels, minlength=training.num_classes)
    return {setting: total / counts[:, None, None] for setting, total in sums.items()}


def residual_chunks(
    images: method.Samples, settings: list[Setting]
) -> Iterator[tuple[int, Mapping[Setting, Residuals]]]:
    """Yield for each chunk of images its first index and the residuals under every setting, in grey levels.

    The denoiser (Mihcak et al. 1999) keeps the share p / (p + sigma**2) of each wavelet coefficient, where p is the
    local power of the signal, and all of the coarsest image. The residual is converted to grey. Its row and column
    means are subtracted, since compression and demosaicing give them to all cameras. Then the same filter flattens it
    in the Fourier domain, where periodic traces of processing stand out (Chen et al., section V).

    Args:
        images: images, 0 to 255.
        settings: (levels of the wavelet decomposition, standard deviation of the noise in grey levels) of each setting.
    """
    import pywt

    for first in range(0, len(images), CHUNK):
        chunk = np.asarray(images[first : first + CHUNK], np.float32)
        height, width = chunk.shape[1:3]
        residuals = {}
        # The coefficients of fewer levels are the finer ones of more levels, so one decomposition serves all settings.
        deepest = max(levels for levels, _ in settings)
        details, powers, coarse = [], [], chunk
        for _ in range(deepest):
            coarse, detail = pywt.dwt2(coarse, WAVELET, mode="symmetric", axes=(1, 2))
            details.append(detail)
            powers.append([_local_power(band, "reflect") for band in detail])
        for levels, sigma in settings:
            noise: Any = None  # the coarsest image has no noise
            for detail, power in zip(details[levels - 1 :: -1], powers[levels - 1 :: -1], strict=True):
                bands = [
                    _grey(band * (sigma**2 / np.maximum(p, sigma**2))) for band, p in zip(detail, power, strict=True)
                ]
                if noise is not None:  # the inverse of an odd side gives one more
                    noise = noise[:, : bands[0].shape[1], : bands[0].shape[2]]
                noise = pywt.idwt2((noise, tuple(bands)), WAVELET, mode="symmetric", axes=(1, 2))
            residuals[levels, sigma] = _flattened(noise[:, :height, :width])
        yield first, residuals


def _local_power(values: np.ndarray, mode: str) -> np.ndarray:
    """The least mean square over the windows around each position, on axes 1 and 2."""
    from scipy.ndimage import uniform_filter

    squares = values**2
    power = uniform_filter(squares, WINDOWS[0], axes=(1, 2), mode=mode)
    for window in WINDOWS[1:]:
        np.minimum(power, uniform_filter(squares, window, axes=(1, 2), mode=mode), out=power)
    return power


def _grey(values: Float[np.ndarray, "n h w 3"]) -> Residuals:
    return values @ np.array(LUMA, values.dtype)


def _flattened(noise: Residuals) -> Residuals:
    """Subtract row and column means, then remove the peaks of the spectrum."""
    from scipy.fft import fft2, ifft2

    noise = noise - noise.mean(axis=2, keepdims=True)
    noise -= noise.mean(axis=1, keepdims=True)
    variance = (noise**2).mean(axis=(1, 2), keepdims=True)
    spectrum = fft2(noise, axes=(1, 2), norm="ortho")
    power = _local_power(np.abs(spectrum), "wrap")  # a spectrum has no border
    floor = np.finfo(np.float32).tiny  # for a flat image, whose spectrum is 0
    return ifft2(spectrum * (variance / np.maximum(np.maximum(power, variance), floor)), axes=(1, 2), norm="ortho").real


def _normalised(pictures: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, "n p"]:
    rows = pictures.reshape(len(pictures), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 1e-6)
