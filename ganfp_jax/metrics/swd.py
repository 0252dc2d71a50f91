"""Sliced Wasserstein distance between image sets, on every level of a Laplacian pyramid (ProGAN, arXiv 1710.10196).

As in section 5 of the paper, small windows are cut from every level of the pyramid, normalised per colour channel over
the whole set, and compared by the Wasserstein distance of their projections on random directions. Coarse levels show
large structures; the finest level shows texture and noise. Values are 1,000 times the distance, as in the paper's
tables.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, UInt8

from ganfp_jax.models.layers import gaussian_downsample
from ganfp_jax.run.errors import UserError

BATCH = 256  # images in one compiled call
CHUNK = 32  # directions projected and sorted at a time: 256 MiB per set at the published sizes


class Protocol(NamedTuple):
    """The settings of a distance; the defaults are the published ones.

    The paper compares 16,384 images of each set.
    """

    neighbourhood: int = 7
    """Side of a descriptor's window, in pixels."""
    descriptors: int = 128
    """Windows cut from each image at each level."""
    repeats: int = 4
    directions: int = 128
    """Random directions in each repeat."""
    smallest: int = 16
    """Side of the coarsest level."""


PUBLISHED = Protocol()

# (side of the level, sorted projections on a few directions)
Projections = Iterator[tuple[int, Float32[Array | np.ndarray, "c n"]]]


def level_sides(resolution: int, protocol: Protocol = PUBLISHED) -> list[int]:
    """The sides of the levels from fine to coarse: [64, 32, 16] for 64.

    Raises:
        UserError: the images are smaller than the coarsest level, or their side cannot be halved.
    """
    if resolution < max(protocol.smallest, protocol.neighbourhood):
        raise UserError(
            f"images of {resolution}x{resolution} are too small for the sliced Wasserstein distance; "
            f"it needs {protocol.smallest}x{protocol.smallest} or more"
        )
    sides = [resolution]
    while sides[-1] // 2 >= protocol.smallest:
        if sides[-1] % 2:
            raise UserError(f"images of {resolution}x{resolution} make no pyramid; give sides that are powers of two")
        sides.append(sides[-1] // 2)
    return sides


def num_chunks(resolution: int, protocol: Protocol = PUBLISHED) -> int:
    """The number of calls of `tick` by `compare`."""
    return len(level_sides(resolution, protocol)) * -(-protocol.repeats * protocol.directions // CHUNK)


def gaussian_upsample(x: Float[Array, "n h w c"]) -> Float[Array, "n H W c"]:
    """The values of `models.layers.gaussian_upsample`, without its blur, which is slow on a CPU.

    Networks keep the blur: inside a compiled step other arithmetic rounds differently, and trainings would change.
    """
    return _double(_double(x, 1), 2)


def _double(x: Float[Array, "n h w c"], axis: int) -> Float[Array, "n H W c"]:
    # Every second tap meets an inserted zero. The reflected border starts at the second pixel on one side and, after an
    # inserted zero, at the last on the other.
    size = x.shape[axis]
    cut = functools.partial(jax.lax.slice_in_dim, axis=axis)
    before = jnp.concatenate([cut(x, 1, 2), cut(x, 0, size - 1)], axis)
    after = jnp.concatenate([cut(x, 1, size), cut(x, size - 1, size)], axis)
    pairs = jnp.stack([(before + 6 * x + after) / 8, (x + after) / 2], axis + 1)
    return pairs.reshape(*x.shape[:axis], 2 * size, *x.shape[axis + 1 :])


def laplacian_pyramid(images: Float[Array, "n h w c"], levels: int) -> list[Float[Array, "n _ _ c"]]:
    """`levels` images of halving sides: the detail that each loses by halving, and last the smallest image."""
    pyramid = [images]
    for _ in range(levels - 1):
        smaller = gaussian_downsample(pyramid[-1])
        pyramid[-1] = pyramid[-1] - gaussian_upsample(smaller)
        pyramid.append(smaller)
    return pyramid


@functools.partial(jax.jit, static_argnames=("level", "levels", "size"))
def _descriptors(
    images: UInt8[Array, "b h w 3"], corners: Int[Array, "b d 2"], *, level: int, levels: int, size: int
) -> tuple[Float[Array, "bd f"], Float[Array, "b 3"], Float[Array, "b 3"]]:
    """The windows at `corners` of one level, one per row, and each image's mean and variance over them by channel."""
    maps = laplacian_pyramid(images.astype(jnp.float32), levels)[level]

    def window(image: Float[Array, "h w 3"], corner: Int[Array, "2"]) -> Float[Array, "s s 3"]:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), (size, size, 3))

    rows = jax.vmap(jax.vmap(window, (None, 0)))(maps, corners).reshape(len(images), -1, size * size * 3)  # (B, D, F)
    mean = _mean_by_channel(rows)
    var = _mean_by_channel(jnp.square(rows - jnp.tile(mean, size * size)[:, None]))
    return rows.reshape(-1, rows.shape[-1]), mean, var


def _mean_by_channel(rows: Float[Array, "b d f"]) -> Float[Array, "b 3"]:
    # Windows first, then pixels, since a CPU is slow to reduce all but three channels at once.
    return rows.mean(1).reshape(len(rows), -1, 3).mean(1)


@jax.jit
def _project(
    descriptors: Float[Array, "n f"], directions: Float[Array, "f c"], shift: Float[Array, " c"]
) -> Float[Array, "c n"]:
    return jnp.matmul(directions.T, descriptors.T, precision="highest") - shift[:, None]


def _sort(parts: list[Array]) -> Float32[Array | np.ndarray, "c n"]:
    """The joined parts, with every row in ascending order."""
    if jax.default_backend() != "cpu":
        return jnp.sort(jnp.concatenate(parts, axis=1), axis=1)
    joined = np.concatenate(parts, axis=1)
    joined.sort(axis=1)  # on a CPU NumPy's vectorised sort is far faster than XLA's
    return joined


def projections(images: UInt8[np.ndarray, "n h w 3"], *, protocol: Protocol = PUBLISHED, seed: int = 0) -> Projections:
    """One set's side of the distance, from the finest level to the coarsest, `CHUNK` directions at a time.

    `seed` determines the windows and directions for all sets of one size. So image i of both sets is cut at the same
    places (the published code draws anew), and a set has the distance 0 from itself.

    Raises:
        UserError: as `level_sides`, or the images are not square.
    """
    if images.shape[1] != images.shape[2]:
        raise UserError(f"images of {images.shape[2]}x{images.shape[1]}: the quality metrics take square ones only")
    sides = level_sides(images.shape[1], protocol)
    size = protocol.neighbourhood
    for level, side in enumerate(sides):
        shape = (len(images), protocol.descriptors, 2)
        corners = np.random.RandomState([seed, side, 0]).randint(0, side - size + 1, shape).astype(np.int32)
        directions = np.random.RandomState([seed, side, 1]).randn(
            size * size * 3, protocol.repeats, protocol.directions
        )
        directions = (directions / np.linalg.norm(directions, axis=0)).reshape(size * size * 3, -1)
        batches, means, variances = [], [], []
        for first in range(0, len(images), BATCH):
            part = slice(first, first + BATCH)
            rows, mean, var = _descriptors(images[part], corners[part], level=level, levels=len(sides), size=size)
            batches.append(rows)
            means.append(np.asarray(mean, np.float64))
            variances.append(np.asarray(var, np.float64))
        mean, var = np.concatenate(means), np.concatenate(variances)
        std = np.sqrt((var + np.square(mean - mean.mean(0))).mean(0))
        # A collapsed generator may draw flat images: their descriptors become zero instead of NaN.
        scale = np.where(std > 1e-3, 1 / np.maximum(std, 1e-3), 0.0)
        # The projection includes the normalisation, since a normalised copy would double the memory.
        scaled = directions * np.tile(scale, size * size)[:, None]
        shift = np.tile(mean.mean(0), size * size) @ scaled
        for first in range(0, scaled.shape[1], CHUNK):
            some = np.asarray(scaled[:, first : first + CHUNK], np.float32)
            offset = np.asarray(shift[first : first + CHUNK], np.float32)
            yield side, _sort([_project(batch, some, offset) for batch in batches])


def compare(
    real: Iterable[tuple[int, Float32[Array | np.ndarray, "c n"]]],
    generated: Iterable[tuple[int, Float32[Array | np.ndarray, "c n"]]],
    tick: Callable[[], object] = lambda: None,
) -> dict[str, float]:
    """The distances from the `projections` of two sets of one size; `tick` is called after each item."""
    by_side: dict[int, list[np.ndarray]] = {}
    for (side, a), (_, b) in zip(real, generated, strict=True):
        by_side.setdefault(side, []).append(np.asarray(abs(a - b).mean(axis=1), np.float64))
        tick()
    distances = {f"swd_{side}": 1e3 * float(np.concatenate(parts).mean()) for side, parts in by_side.items()}
    return distances | {"swd_mean": float(np.mean(list(distances.values())))}


def swd(
    real: UInt8[np.ndarray, "n h w 3"],
    generated: UInt8[np.ndarray, "m H W 3"],
    *,
    protocol: Protocol = PUBLISHED,
    seed: int = 0,
    tick: Callable[[], object] = lambda: None,
) -> dict[str, float]:
    """1,000 times the sliced Wasserstein distance: {"swd_32": ..., "swd_16": ..., "swd_mean": ...}.

    Lower is better. Two sets of the same distribution are not at 0 but at a floor that falls with their size. One level
    of both sets' descriptors is in memory: 2.5 GB with 16,384 images per set.

    Args:
        real: images, 0 to 255.
        generated: as many images of the same size.
        protocol: windows, directions and levels.
        seed: seed of the windows and of the directions.
        tick: callback, called `num_chunks` times.

    Raises:
        UserError: the sets have different shapes, or the images make no pyramid.
    """
    if real.shape != generated.shape:
        raise UserError(f"sliced Wasserstein distance of {real.shape} and {generated.shape} images: give equal shapes")
    a, b = (projections(images, protocol=protocol, seed=seed) for images in (real, generated))
    return compare(a, b, tick)
