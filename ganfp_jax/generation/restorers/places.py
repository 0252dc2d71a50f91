"""Places: the crops of a photograph that every source shows."""

import zlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8

from ganfp_jax.data.values import LUMA
from ganfp_jax.generation.restorers.tiles import Window

Places = list[tuple[Window, list[tuple[int, int]]]]
"""Windows, and the top left corners of the crops in each, in pixels of the whole picture."""


def places(
    real: UInt8[np.ndarray, "h w 3"],
    name: str,
    *,
    crop: int,
    crops: int,
    cluster: int,
    min_luma_std: float,
    seed: int,
) -> Places:
    """Chooses crops of a photograph, which do not overlap, by its content, its name and the seed alone.

    Crops lie side by side in windows of `cluster` x `cluster`, since a network sees a whole tile at once. The windows
    lie on a grid with a random origin, and are taken in a random order. Flat crops are left out.

    Args:
        real: the reduced photograph.
        name: its name, which makes the random stream.
        crop: the side of a crop; 0 for the whole picture.
        crops: at most so many.
        cluster: crops along the side of a window; fewer where the picture is too small.
        min_luma_std: the least standard deviation of a crop's luma (Rec. 601, 0 to 255).
        seed: 0 to 2**32 - 1.

    Returns:
        The places, in random order; none where the picture is smaller than a crop, or flat.
    """
    height, width = real.shape[:2]
    if not crop:
        flat = _is_flat(real, min_luma_std)
        return [] if flat else [(Window(0, 0, height, width), [(0, 0)])]
    rng = np.random.RandomState([seed, zlib.crc32(name.encode())])
    chosen: Places = []
    left_to_choose = crops
    for window in _windows(height, width, crop, cluster, rng):
        corners = [
            (top, left)
            for top in range(window.top, window.top + window.height, crop)
            for left in range(window.left, window.left + window.width, crop)
            if not _is_flat(real[top : top + crop, left : left + crop], min_luma_std)
        ][:left_to_choose]
        if corners:
            chosen.append((window, corners))
            left_to_choose -= len(corners)
        if not left_to_choose:
            break
    return chosen


def _windows(height: int, width: int, crop: int, cluster: int, rng: np.random.RandomState) -> Iterator[Window]:
    cluster = min(cluster, height // crop, width // crop)
    if not cluster:
        return
    side = cluster * crop
    origin = [rng.randint(min(side, length - side + 1)) for length in (height, width)]
    corners = [
        (top, left)
        for top in range(origin[0], height - side + 1, side)
        for left in range(origin[1], width - side + 1, side)
    ]
    shares = rng.uniform(size=(len(corners), 2))
    for number in rng.permutation(len(corners)):
        (top, left), (down, across) = corners[number], shares[number]
        yield Window(top, left, side, side, (float(down), float(across)))


def _is_flat(crop: UInt8[np.ndarray, "h w 3"], min_luma_std: float) -> bool:
    return bool((crop @ np.array(LUMA)).std() < min_luma_std)
