"""Power spectra of images, where upsampling leaves traces at fixed frequencies.

Powers are those of an image in the networks' range, black -1 and white 1, with the orthonormal transform: white noise
of variance s**2 has the power s**2 at every frequency. Averages over images are of the logarithm, so that a few images
of strong contrast do not dominate. Compare Durall et al., "Watch your Up-Convolution" (2020), and Frank et al.,
"Leveraging Frequency Analysis for Deep Fake Image Recognition" (2020).
"""

import numpy as np
from jaxtyping import Float, UInt8

from ganfp_jax.data.values import LUMA, to_signed
from ganfp_jax.run.errors import UserError

FLOOR = (2 / 255) ** 2 / 12  # the variance of rounding to 8 bits, below which a stored image shows nothing

Images = UInt8[np.ndarray, "n r r c"] | Float[np.ndarray, "n r r c"]


def average_log_power(images: Images) -> Float[np.ndarray, "r r"]:
    """The mean over images and channels of log10(power + `FLOOR`), with the zero frequency in the middle.

    The mean of each channel of each image is subtracted first, so the middle, [R // 2, R // 2], is log10 of the floor.

    Args:
        images: uint8, which is mapped to [-1, 1], or floats in that unit, such as image fingerprints.

    Raises:
        UserError: there is no image.
    """
    if len(images) == 0:
        raise UserError("a power spectrum needs at least one image")
    total = np.zeros(images.shape[1:3])
    for start in range(0, len(images), 64):  # in parts, since complex spectra take several times the memory of images
        total += _log_power(_unit(images[start : start + 64])).sum(axis=(0, 3))
    return np.fft.fftshift(total / (len(images) * images.shape[3]))


def radial_profile(
    spectrum: Float[np.ndarray, "r r"],
) -> tuple[Float[np.ndarray, " f"], Float[np.ndarray, " f"]]:
    """The mean of a spectrum over rings around the zero frequency, which stands in the middle.

    Ring k has the frequencies within 1 / (2 R) of k / R. The zero frequency has no ring, since the mean was subtracted.
    The corners beyond 0.5 have none either: diagonal patterns reach them, vertical and horizontal ones do not.

    Returns:
        The frequencies of the rings in cycles per pixel, 1 / R to 0.5 (below it for odd R), and their values.
    """
    side = len(spectrum)
    axis = np.arange(side) - side // 2
    ring = np.rint(np.hypot(axis[:, None], axis[None, :])).astype(int).ravel()
    means = np.bincount(ring, spectrum.ravel()) / np.bincount(ring)
    rings = np.arange(1, side // 2 + 1)
    return rings / side, means[rings]


def log_spectrum_features(images: UInt8[np.ndarray, "n r r 3"]) -> Float[np.ndarray, "n f"]:
    """log10(power + `FLOOR`) of the luma at every frequency, one row per image, to compare fingerprints with.

    Only the luma is used, since distances between distributions need more images than features. A real image has the
    same power at opposite frequencies, so one of the two is kept. The zero frequency, which says nothing, is dropped.
    F = R**2 / 2 + 1 for even R.
    """
    luma = _unit(images) @ np.array(LUMA, np.float32)  # (N, R, R)
    power = _log_power(luma[..., None])[..., 0]
    return power[:, _one_of_two(power.shape[1])].astype(np.float32)


def _unit(images: Images) -> Float[np.ndarray, "n r r c"]:
    return to_signed(images) if images.dtype == np.uint8 else images


def _log_power(images: Float[np.ndarray, "n r r c"]) -> Float[np.ndarray, "n r r c"]:
    from scipy.fft import fft2

    spectrum = fft2(images - images.mean(axis=(1, 2), keepdims=True), axes=(1, 2), norm="ortho")
    return np.log10(spectrum.real**2 + spectrum.imag**2 + FLOOR)


def _one_of_two(side: int) -> np.ndarray:
    """The mask (R, R), not shifted: True at one of each two opposite frequencies, False at the zero frequency."""
    place = np.arange(side * side).reshape(side, side)
    opposite = place[-np.arange(side) % side][:, -np.arange(side) % side]
    mask = place <= opposite
    mask[0, 0] = False
    return mask
