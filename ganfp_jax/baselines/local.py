"""Local statistics: what the pixels of a small neighbourhood have in common, wherever it lies in the image.

`log_dct` of the whole image looks for traces at fixed frequencies of a fixed grid. Networks that restore photographs
leave none that is the same in every image; they leave other relations between neighbouring pixels. Steganalysis met the
same problem, and counts such relations: Fridrich and Kodovsky, "Rich Models for Steganalysis of Digital Images" (2012).
Nataraj et al., "Detecting GAN generated Fake Images using Co-occurrence Matrices" (2019), did so for generated images.

The number of statistics does not depend on the size of the image, so a model of them answers for other sizes, too.
"""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float32, Int16, UInt8

from ganfp_jax.baselines.linear import LOG_FLOOR
from ganfp_jax.data.values import LUMA

BLOCK = 16
STRIDE = 16  # pixels from one block to the next
CHUNK = 64  # images at a time, so that their blocks stay in the cache

ORDERS = (1, 2, 3)  # of the differences
STEP = 1.0  # of the quantisation, times the largest of a difference's weights (1, 2, 3)
TRUNCATION = 2  # quantised differences beyond it count as it
LEVELS = 2 * TRUNCATION + 1
BINS = LEVELS**3  # co-occurrences of three neighbours

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

    Differences of order 1, 2 and 3 along rows and along columns are divided by the largest of their weights (times
    `STEP`), rounded and cut to [-2, 2]. The triples are those of three neighbours in a row and of three in a column.
    The squares of each 125 numbers sum to 1; they are 0 in images that are too small for a triple.
    """
    return np.concatenate([_of_triples(images[i : i + CHUNK]) for i in range(0, len(images), CHUNK)])


def both(images: Images) -> Float32[np.ndarray, "n f"]:
    """`block_log_dct` and `cooccurrences`, side by side."""
    return np.concatenate([block_log_dct(images), cooccurrences(images)], axis=1)


def luma(images: Images) -> Int16[np.ndarray, "n h w"]:
    """Y of JFIF, rounded."""
    return np.rint(images @ np.array(LUMA, np.float32)).astype(np.int16)


def ycbcr(images: Images) -> Float32[np.ndarray, "3 n h w"]:
    """Y, Cb and Cr of JFIF less the constant 128 of both, not rounded."""
    red, green, blue = LUMA
    weights = np.array(
        [
            LUMA,
            (-red / (2 - 2 * blue), -green / (2 - 2 * blue), 0.5),
            (0.5, -green / (2 - 2 * red), -blue / (2 - 2 * red)),
        ],
        np.float32,
    )
    return np.moveaxis(images @ weights.T, -1, 0)


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
    rows = [
        np.stack([np.bincount(codes.ravel(), minlength=BINS) for codes in triples]) / max(1, triples[0].size)
        for triples in _triples(luma(images))
    ]
    return np.sqrt(np.concatenate(rows, axis=1)).astype(np.float32)


def _triples(values: Int16[np.ndarray, "n h w"]) -> Iterator[UInt8[np.ndarray, "n y x"]]:
    """Yields the codes, 0 to 124, of the triples in rows and in columns of each difference."""
    for axis in (1, 2):
        differences = values
        for order in ORDERS:
            differences = np.diff(differences, axis=axis)
            quantised = np.rint(differences * np.float32(1 / (order * STEP)))
            levels = (np.clip(quantised, -TRUNCATION, TRUNCATION) + TRUNCATION).astype(np.uint8)
            yield _codes(levels, lambda start, stop: np.s_[:, :, start:stop])
            yield _codes(levels, lambda start, stop: np.s_[:, start:stop])


def _codes(
    levels: UInt8[np.ndarray, "n h w"], part: Callable[[int, int | None], tuple[slice, ...]]
) -> UInt8[np.ndarray, "n y x"]:
    first, second, third = levels[part(0, -2)], levels[part(1, -1)], levels[part(2, None)]
    return LEVELS * (LEVELS * first + second) + third
