"""Random networks: what an image looks like after a generator that nobody trained.

Each call draws a network of its own, by a seed. Its weights are random, so an image keeps its content, where it has
any, and gets traces that no known source leaves: those of filters, of a nonlinearity and of a way to upsample. Mean and
covariance of its colours stay, so that no wrong colours give it away.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, UInt8
from numpy.lib.stride_tricks import sliding_window_view

Image = UInt8[np.ndarray, "h w 3"]
Maps = Float32[np.ndarray, "h w c"]

WEAKEST = 0.3  # the least share of a network in what it returns: an image that hardly changes is still a known one
ACTIVATIONS: tuple[Callable[[Maps], Maps], ...] = (
    lambda x: np.maximum(x, 0),
    lambda x: np.maximum(x, np.float32(0.2) * x),
    np.tanh,
)


def convolutions(rng: np.random.RandomState, image: Image) -> Image:
    """The image after one to three random convolutions at its own size, mixed with itself."""
    maps = given = _standard(image)
    for _ in range(rng.randint(0, 3)):
        maps = _activated(rng, _convolved(rng, maps, _width(rng)))
    return _mixed(rng, given, _convolved(rng, maps, 3), image)


def upsampling(rng: np.random.RandomState, image: Image) -> Image:
    """The image, reduced to a half or a quarter and enlarged again by a random network."""
    small = _reduced(_standard(image), 2 ** rng.randint(1, 3))
    return _coloured(_enlarged(rng, small, image.shape[:2]), *_colours(image))


def textures(rng: np.random.RandomState, image: Image) -> Image:
    """A texture that a random network makes of small noise; of the image it has only the size."""
    height, width = image.shape[:2]
    factor = 2 ** rng.randint(1, 4)
    noise = rng.standard_normal((-(-height // factor), -(-width // factor), 3)).astype(np.float32)
    made = _enlarged(rng, noise, (height, width))
    grey, colour = rng.uniform(8, 70), rng.uniform(1, 20)  # deviations in levels
    tint = colour * rng.standard_normal((3, 3)) / 3
    return _coloured(made, rng.uniform(40, 215) + rng.uniform(-30, 30, 3), grey**2 * np.ones((3, 3)) + tint @ tint.T)


def _enlarged(rng: np.random.RandomState, maps: Maps, size: tuple[int, int]) -> Maps:
    """A random network's output of `size`, of a smaller input: doubled as often as it takes, a convolution each."""
    upsample = UPSAMPLINGS[rng.randint(len(UPSAMPLINGS))]
    start = maps
    maps = _convolved(rng, maps, _width(rng))
    while min(maps.shape[0] / size[0], maps.shape[1] / size[1]) < 1:
        maps = _activated(rng, _convolved(rng, upsample(_activated(rng, maps)), maps.shape[2]))
        start = _bilinear(start)
    made = _convolved(rng, maps, 3)
    share = rng.uniform(WEAKEST, 1)
    return (share * _unit(made) + (1 - share) * _unit(start))[: size[0], : size[1]].astype(np.float32)


def _convolved(rng: np.random.RandomState, maps: Maps, features: int) -> Maps:
    """A convolution with random weights that keeps the size and, about, the variance."""
    side = (1, 3, 3, 5)[rng.randint(4)]
    kernel = rng.standard_normal((maps.shape[2], side, side, features)) / np.sqrt(maps.shape[2] * side * side)
    edge = ("reflect", "constant")[rng.randint(2)] if min(maps.shape[:2]) > side // 2 else "constant"
    padded = np.pad(maps, ((side // 2,) * 2, (side // 2,) * 2, (0, 0)), mode=edge)  # type: ignore[call-overload]
    return np.tensordot(sliding_window_view(padded, (side, side), axis=(0, 1)), kernel.astype(np.float32), 3)


def _activated(rng: np.random.RandomState, maps: Maps) -> Maps:
    return _unit(ACTIVATIONS[rng.randint(len(ACTIVATIONS))](maps))


def _width(rng: np.random.RandomState) -> int:
    return (4, 8)[rng.randint(2)]


def _nearest(maps: Maps) -> Maps:
    return maps.repeat(2, 0).repeat(2, 1)


def _zeros(maps: Maps) -> Maps:
    """Zeros between the values, as a transposed convolution begins."""
    result = np.zeros((2 * maps.shape[0], 2 * maps.shape[1], maps.shape[2]), np.float32)
    result[::2, ::2] = 2 * maps
    return result


def _bilinear(maps: Maps) -> Maps:
    for axis in (0, 1):
        before, after = (np.take(maps, _shifted(maps.shape[axis], by), axis) for by in (-1, 1))
        pair = np.stack([0.75 * maps + 0.25 * before, 0.75 * maps + 0.25 * after], axis + 1)
        maps = pair.reshape(*maps.shape[:axis], -1, *maps.shape[axis + 1 :])
    return maps.astype(np.float32)


def _shifted(length: int, by: int) -> np.ndarray:
    return np.clip(np.arange(length) + by, 0, length - 1)


UPSAMPLINGS: tuple[Callable[[Maps], Maps], ...] = (_nearest, _zeros, _bilinear)


def _reduced(maps: Maps, factor: int) -> Maps:
    """The means of blocks of `factor` by `factor`; what does not fill a block is left out."""
    height, width = (max(1, side // factor) for side in maps.shape[:2])
    cut = maps[: height * factor, : width * factor]
    return cut.reshape(height, -1, width, cut.shape[1] // width, maps.shape[2]).mean((1, 3))


def _standard(image: Image) -> Maps:
    return _unit(image.astype(np.float32))


def _unit(maps: Maps) -> Maps:
    """With a mean of 0 and a deviation of 1 in each channel; 0 in a channel that is flat."""
    centred = maps - maps.mean((0, 1))
    return (centred / np.maximum(centred.std((0, 1)), 1e-3)).astype(np.float32)


def _mixed(rng: np.random.RandomState, given: Maps, made: Maps, image: Image) -> Image:
    share = rng.uniform(WEAKEST, 1)
    return _coloured(share * _unit(made) + (1 - share) * given, *_colours(image))


def _colours(image: Image) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of an image's colours."""
    pixels = image.reshape(-1, 3).astype(np.float64)
    return pixels.mean(0), np.cov(pixels.T)


def _coloured(maps: Maps, mean: np.ndarray, covariance: np.ndarray) -> Image:
    """An image whose colours have this mean and covariance, as far as levels reach."""
    unit = _unit(maps)
    old = _powered(np.cov(unit.reshape(-1, 3).T.astype(np.float64)) + 1e-3 * np.eye(3), -0.5)
    return np.clip(np.rint(mean + unit @ (old @ _powered(covariance, 0.5))), 0, 255).astype(np.uint8)


def _powered(covariance: np.ndarray, power: float) -> np.ndarray:
    values, axes = np.linalg.eigh(covariance)
    return (axes * np.maximum(values, 1e-6) ** power) @ axes.T
