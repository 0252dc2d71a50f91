"""Local statistics: what the pixels of a small neighbourhood have in common, wherever it lies in the image.

`log_dct` of the whole image looks for traces at fixed frequencies of a fixed grid. Networks that restore photographs
leave none that is the same in every image; they leave other relations between neighbouring pixels. Steganalysis met the
same problem, and counts such relations: Fridrich and Kodovsky, "Rich Models for Steganalysis of Digital Images" (2012).
Nataraj et al., "Detecting GAN generated Fake Images using Co-occurrence Matrices" (2019), did so for generated images.

The number of statistics does not depend on the size of the image, so a model of them answers for other sizes, too.
"""

import numpy as np
from jaxtyping import Float32, UInt8

from ganfp_jax.baselines.linear import LOG_FLOOR
from ganfp_jax.data import triples
from ganfp_jax.data.values import YCBCR

BLOCK = 16
STRIDE = 16  # pixels from one block to the next
CHUNK = 64  # images at a time, so that their blocks stay in the cache

Images = UInt8[np.ndarray, "n h w 3"]


def block_log_dct(images: Images) -> Float32[np.ndarray, "n f"]:
    """Mean and standard deviation of log(|DCT-II| + floor) over the blocks of Y, Cb and Cr: 2 x 3 x 256 numbers.

    The transform of each block of 16x16 is orthonormal. The blocks lie side by side from the upper left corner; pixels
    that fill none are left out. In an image with a side below 16 the blocks have that side. A mirrored image has the
    same statistics where the blocks fill its width, since mirroring changes only signs of the spectrum.
    """
    return np.concatenate([_of_blocks(images[i : i + CHUNK]) for i in range(0, len(images), CHUNK)])


def cooccurrences(images: Images) -> Float32[np.ndarray, "n f"]:
    """The square root of how often each triple of quantised differences of Y occurs: 12 x 5**3 numbers.

    Differences of order 1, 2 and 3 along columns and along rows are divided by the largest of their weights, rounded
    and cut to [-2, 2] (`data.triples`). The triples are those of three neighbours in a row and of three in a column.
    The squares of each 125 numbers sum to 1; they are 0 in images that are too small for a triple.
    """
    return np.concatenate([_of_triples(images[i : i + CHUNK]) for i in range(0, len(images), CHUNK)])


def both(images: Images) -> Float32[np.ndarray, "n f"]:
    """`block_log_dct` and `cooccurrences`, side by side."""
    return np.concatenate([block_log_dct(images), cooccurrences(images)], axis=1)


def ycbcr(images: Images) -> Float32[np.ndarray, "3 n h w"]:
    """Y, Cb and Cr of JFIF less the constant 128 of both, not rounded."""
    return np.moveaxis(images @ np.array(YCBCR, np.float32).T, -1, 0)


def _of_blocks(images: Images) -> Float32[np.ndarray, "n f"]:
    from scipy.fft import dctn

    channels = ycbcr(images)
    side = min(BLOCK, *images.shape[1:3])
    windows = np.lib.stride_tricks.sliding_window_view(channels, (side, side), axis=(2, 3))
    blocks = windows[:, :, :: min(STRIDE, side), :: min(STRIDE, side)]  # (3, N, rows, columns, side, side)
    values = np.log(np.abs(dctn(blocks, axes=(4, 5), norm="ortho")) + np.float32(LOG_FLOOR))
    statistics = np.stack([values.mean(axis=(2, 3)), values.std(axis=(2, 3))])  # (2, 3, N, side, side)
    return np.moveaxis(statistics, 2, 0).reshape(len(images), -1)


def _of_triples(images: Images) -> Float32[np.ndarray, "n f"]:
    shares = [
        np.stack([np.bincount(one.ravel(), minlength=triples.BINS) for one in codes]) / max(1, codes[0].size)
        for codes in triples.triples(triples.luma(images))
    ]
    return np.sqrt(np.concatenate(shares, axis=1)).astype(np.float32)
