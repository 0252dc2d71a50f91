"""Windows over all of a picture, closer than its tiles where that can be paid for: what a map of sources is made of."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, UInt8
from PIL import Image

from ganfp_jax.data.tiles import FAINT, cut, luma_of, textures, tight

CLOSEST = 4  # windows a tile's side
THUMBNAIL = 960  # pixels, the longer side


class Sweep(NamedTuple):
    """Windows of a network's size on a grid over a picture."""

    windows: UInt8[np.ndarray, "n r r 3"]
    """Those that are not flat, in reading order; none of a flat picture."""
    tops: Int[np.ndarray, " rows"]
    lefts: Int[np.ndarray, " cols"]
    seen: Bool[np.ndarray, "rows cols"]
    """Which places of the grid are not flat."""
    size: tuple[int, int]
    """Height and width of the picture."""
    side: int
    """Of a window."""
    thumbnail: UInt8[np.ndarray, "_h _w 3"]
    """The picture, no larger than `THUMBNAIL`."""


def sweep(image: UInt8[np.ndarray, "h w 3"], side: int, most: int, min_luma_std: float) -> Sweep:
    """Lays a grid of windows over a picture that is at least as large as one.

    Where flat margins surround all that there is to see, the grid lies on the rest alone, so that an image on a canvas
    is seen as it is.

    Args:
        image: the picture.
        side: of a window, in pixels.
        most: how many windows at most; they are a quarter of their side apart, or further where that would be more.
        min_luma_std: windows with less texture are flat; if all have less, only those below `tiles.FAINT` are.
    """
    size, luma = image.shape[:2], luma_of(image)
    top, left, bottom, right = tight(luma, (0, 0, *size), side) or (0, 0, *size)
    height, width = bottom - top, right - left
    step = max(side // CLOSEST, 1)
    while _count(height, side, step) * _count(width, side, step) > most and step < max(height, width):
        step += max(step // 16, 1)
    tops, lefts = top + _starts(height, side, step), left + _starts(width, side, step)
    texture = textures(luma, tops, lefts, side)
    least = min_luma_std if (texture >= max(min_luma_std, FAINT)).any() else FAINT
    seen = texture >= max(least, FAINT)
    rows, cols = np.nonzero(seen)
    windows = cut(image, np.stack([tops[rows], lefts[cols]], -1), side)
    return Sweep(windows, tops, lefts, seen, (size[0], size[1]), side, thumbnail(image))


def thumbnail(image: UInt8[np.ndarray, "h w 3"], longest: int = THUMBNAIL) -> UInt8[np.ndarray, "_h _w 3"]:
    """The picture with a longer side of at most `longest`; pixels are averaged."""
    share = longest / max(image.shape[:2])
    if share >= 1:
        return image.copy()
    size = tuple(max(1, round(share * length)) for length in (image.shape[1], image.shape[0]))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX, reducing_gap=2.0))


def _count(length: int, side: int, step: int) -> int:
    return -(-(length - side) // step) + 1


def _starts(length: int, side: int, step: int) -> Int[np.ndarray, " n"]:
    return np.rint(np.linspace(0, length - side, _count(length, side, step))).astype(np.int64)
