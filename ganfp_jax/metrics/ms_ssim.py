"""Multi-scale structural similarity (Wang, Simoncelli and Bovik 2003) between pairs of images.

The lower it is for pairs of generated images, the more varied they are (Odena et al. 2017; ProGAN, arXiv 1710.10196,
section 5). It says nothing about their quality.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from ganfp_jax.models.layers import box_downsample
from ganfp_jax.run.errors import UserError

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # weights of the scales, from fine to coarse
WINDOW, SIGMA = 11, 1.5  # pixels
K1, K2 = 0.01, 0.03
RANGE = 255.0
SMALLEST = 8  # side of the coarsest scale, as of the published five scales at 128x128
BATCH = 64  # pairs in one compiled call


def num_scales(side: int) -> int:
    """The number of scales: 5 from 128x128 up, 4 at 64, 3 at 32, 2 at 16 and 1 at 8.

    Raises:
        UserError: the side is smaller, or cannot be halved so often.
    """
    scales = min(len(WEIGHTS), max(side // SMALLEST, 1).bit_length())
    if side < SMALLEST or side % 2 ** (scales - 1):
        raise UserError(f"MS-SSIM of images of side {side}: give a power of two of at least {SMALLEST}")
    return scales


def _blurring(side: int) -> Float[np.ndarray, "i o"]:
    """The matrix that blurs a row with the Gaussian window without padding; the window shrinks to a smaller image."""
    size = min(WINDOW, side)
    taps = np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / (SIGMA * size / WINDOW)) ** 2)
    matrix = np.zeros((side, side - size + 1), np.float32)
    for column in range(matrix.shape[1]):
        matrix[column : column + size, column] = taps / taps.sum()
    return matrix


def ssim(a: Float[Array, "n s s c"], b: Float[Array, "n s s c"]) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """The structural similarity of each pair at one scale, and its contrast-structure factor alone.

    Values are 0 to 255. Both results are means over all positions and channels; they are 1 for equal images.
    """
    matrix = _blurring(a.shape[1])

    def blur(x: Float[Array, "n s s c"]) -> Float[Array, "n o o c"]:
        return jnp.einsum("nhwc,ho,wp->nopc", x, matrix, matrix, precision="highest")

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    c1, c2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2
    contrast = (2 * covariance + c2) / (var_a + var_b + c2)
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return (luminance * contrast).mean((1, 2, 3)), contrast.mean((1, 2, 3))


@functools.partial(jax.jit, static_argnames="scales")
def ms_ssim_of_pairs(
    a: UInt8[Array, "n s s 3"], b: UInt8[Array, "n s s 3"], *, scales: int = len(WEIGHTS)
) -> Float[Array, " n"]:
    """The multi-scale similarity of a[i] and b[i]: 1 for equal images.

    It is the product of the coarsest scale's similarity and the other scales' contrast-structure factors, each to the
    power of its weight. With fewer than five scales the coarsest are left out, and the other weights are divided by
    their sum. Negative means count as 0, as in ProGAN's metric.
    """
    weights = np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
    x, y = a.astype(jnp.float32), b.astype(jnp.float32)
    result = jnp.ones(len(a))
    for scale, weight in enumerate(weights):
        if scale:
            x, y = box_downsample(x), box_downsample(y)
        whole, contrast = ssim(x, y)
        factor = whole if scale == scales - 1 else contrast
        result *= jnp.maximum(factor, 0.0) ** weight
    return result


def ms_ssim(images: UInt8[np.ndarray, "n s s 3"], *, seed: int = 0, tick: Callable[[], object] = lambda: None) -> float:
    """The mean similarity of n // 2 random pairs of different images, over `num_scales` scales.

    Args:
        images: images, 0 to 255.
        seed: seed of the pairs.
        tick: callback after each of ceil(pairs / BATCH) batches.

    Raises:
        UserError: there are fewer than two images, or their sides make no scales.
    """
    pairs = len(images) // 2
    if not pairs or images.shape[1] != images.shape[2]:
        raise UserError(f"MS-SSIM of images of shape {images.shape}: give at least two square ones")
    scales = num_scales(images.shape[1])
    order = np.random.RandomState(seed).permutation(len(images))
    values = []
    for first in range(0, pairs, BATCH):
        left = order[first : min(first + BATCH, pairs)]
        right = order[pairs:][first : first + len(left)]
        values.append(np.asarray(ms_ssim_of_pairs(images[left], images[right], scales=scales), np.float64))
        tick()
    return float(np.concatenate(values).mean())
