"""Power spectra of images: what upsampling leaves behind at fixed frequencies.

All powers are those of an image in the networks' range, black -1 and white 1, with the orthonormal transform: white
noise of variance s**2 has the power s**2 at every frequency. Averages over images are of the logarithm, so a few images
of strong contrast do not outvote the others. Compare Durall et al., "Watch your Up-Convolution" (2020), and Frank et
al., "Leveraging Frequency Analysis for Deep Fake Image Recognition" (2020).
"""

import numpy as np
from jaxtyping import Float, UInt8

from ganfp_jax.data.values import LUMA, to_signed
from ganfp_jax.run.errors import UserError

FLOOR = (2 / 255) ** 2 / 12  # the variance that rounding to 8 bits adds; a stored image shows nothing weaker

Images = UInt8[np.ndarray, "n r r c"] | Float[np.ndarray, "n r r c"]


def average_log_power(images: Images) -> Float[np.ndarray, "r r"]:
    """The mean over images and channels of log10(power + `FLOOR`), with the zero frequency in the middle.

    Each channel of each image is freed of its mean first, so the middle, [R // 2, R // 2], is log10 of the floor.

    Args:
        images: uint8, brought to [-1, 1] first; or floats in that unit, such as image fingerprints.

    Raises:
        UserError: no image.
    """
    if len(images) == 0:
        raise UserError("a power spectrum needs at least one image")
    total = np.zeros(images.shape[1:3])
    for start in range(0, len(images), 64):  # in parts: the complex spectra of all images take several times their room
        total += _log_power(_unit(images[start : start + 64])).sum(axis=(0, 3))
    return np.fft.fftshift(total / (len(images) * images.shape[3]))


def radial_profile(
    spectrum: Float[np.ndarray, "r r"],
) -> tuple[Float[np.ndarray, " f"], Float[np.ndarray, " f"]]:
    """The mean of a spectrum over rings around the zero frequency, which stands in the middle.

    Ring k holds what lies at k / R to within half of 1 / R. The zero frequency has no ring, since it was taken out; nor
    have the corners beyond 0.5, which a diagonal pattern reaches and a vertical or horizontal one does not.

    Returns:
        The rings' frequencies in cycles per pixel, 1 / R to 0.5 (below it for odd R), and their values.
    """
    side = len(spectrum)
    axis = np.arange(side) - side // 2
    ring = np.rint(np.hypot(axis[:, None], axis[None, :])).astype(int).ravel()
    means = np.bincount(ring, spectrum.ravel()) / np.bincount(ring)
    rings = np.arange(1, side // 2 + 1)
    return rings / side, means[rings]


def log_spectrum_features(images: UInt8[np.ndarray, "n r r 3"]) -> Float[np.ndarray, "n f"]:
    """log10(power + `FLOOR`) of the luma at every frequency, one row an image: a space to compare fingerprints with.

    The luma only, because distances between distributions need more images than features. A real image has each power
    twice, at opposite frequencies; one of the two is kept, and the zero frequency, which says nothing, is not:
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
    """True at one of each pair of opposite frequencies, False at the zero frequency; (R, R), not shifted."""
    place = np.arange(side * side).reshape(side, side)
    opposite = place[-np.arange(side) % side][:, -np.arange(side) % side]
    mask = place <= opposite
    mask[0, 0] = False
    return mask
