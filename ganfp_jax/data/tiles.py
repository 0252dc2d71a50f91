"""Where a network of a fixed size looks at a picture of any size: tiles, pixel for pixel.

The tiles lie on a grid that covers the picture with its edges and corners; where flat areas surround a small region, on
a grid that covers that region alone, so that an image on a canvas is seen as it is wherever it lies. Flat tiles are
left out. Where more are left than are wanted, they are chosen evenly over the picture.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int, UInt8
from PIL import Image

from ganfp_jax.run.errors import UserError

FAINT = 1.0  # below this texture nothing can be seen: values vary by less than they are rounded
REGION = 8  # tiles; larger regions lose little where the grid cuts their edges
STEP = 4  # levels between neighbouring pixels that end a flat area

Luma = UInt8[np.ndarray, "h w"]


class Tiling(NamedTuple):
    """How a picture is cut into tiles."""

    tiles: int
    """At most so many; 0 for the centre alone."""
    min_luma_std: float
    """Tiles with less texture (`textures`) are flat. Where no tile has so much, only those below `FAINT` are."""
    windows: int = 0
    """At most so many windows for a map (`data.sweep`); 0 for no map."""

    def check(self) -> None:
        """Raises UserError unless the numbers are possible."""
        if self.tiles < 0:
            raise UserError(f"config.tiles is {self.tiles}; give how many tiles of a picture to look at, or 0")
        if self.windows < 0:
            raise UserError(f"config.map_windows is {self.windows}; give how many windows a map may have, 1 or more")
        if not self.min_luma_std >= 0:
            raise UserError(f"config.min_luma_std is {self.min_luma_std}; give 0 or more")


def check_windows(windows: int, for_map: object = True) -> None:
    """Raises UserError where a map is wanted and has no window."""
    if for_map and windows < 1:
        raise UserError(f"config.map_windows is {windows}; give how many windows a map may have, 1 or more")


TILING = Tiling(tiles=64, min_luma_std=10.0)
"""What Python looks at by default, as configs/attribute.py has it."""


def grid(length: int, side: int) -> Int[np.ndarray, " n"]:
    """Where the fewest tiles that cover `length` pixels begin: side by side, the last one ending where they do.

    So they begin where JPEG's blocks do, as the windows of a training (`data.perturb.immunise`).
    """
    return np.minimum(side * np.arange(-(-length // side)), length - side)


def luma_of(image: UInt8[np.ndarray, "h w 3"]) -> Luma:
    """The luma (Rec. 601), 0 to 255."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).convert("L"))


def textures(
    luma: Luma, tops: Int[np.ndarray, " rows"], lefts: Int[np.ndarray, " cols"], side: int
) -> Float32[np.ndarray, "rows cols"]:
    """How much there is to see in each tile of a grid.

    Returns:
        The standard deviation of the luma, times the share of the pixels that are neither black nor white: where all
        are clipped, no trace is left.
    """
    found = np.empty((len(tops), len(lefts)), np.float32)
    for row, top in enumerate(tops):
        band = luma[top : top + side].astype(np.int32)
        inside = (band > 0) & (band < 255)
        columns = np.stack([band.sum(0), (band * band).sum(0), inside.sum(0)]).astype(np.int64)
        totals = np.concatenate([np.zeros((3, 1), np.int64), columns.cumsum(1)], axis=1)
        mean, square, share = (totals[:, lefts + side] - totals[:, lefts]) / side**2
        found[row] = np.sqrt((square - mean * mean).clip(0)) * share
    return found


class Places(NamedTuple):
    """Places of tiles in a picture."""

    corners: Int[np.ndarray, "n 2"]
    """Top and left, in pixels."""
    textures: Float32[np.ndarray, " n"]


def find(image: UInt8[np.ndarray, "h w 3"], side: int, tiling: Tiling) -> Int[np.ndarray, "n 2"]:
    """Chooses the tiles of a picture at which the network looks.

    Args:
        image: at least as large as a tile.
        side: of a tile, in pixels.
        tiling: how many, 1 or more, and what is flat.

    Returns:
        Top and left of each, in reading order; none where the whole picture is flat.
    """
    places = covering(luma_of(image), side)
    for least in (max(tiling.min_luma_std, FAINT), FAINT):
        chosen = np.flatnonzero(places.textures >= least)
        if len(chosen):
            break
    if len(chosen) > tiling.tiles:
        chosen = spread(places, chosen, tiling.tiles)
    corners = places.corners[chosen]
    return corners[np.lexsort(corners.T[::-1])]


def covering(luma: Luma, side: int) -> Places:
    """All tiles that are needed to see every part of a picture that is not flat."""
    tops, lefts = (grid(length, side) for length in luma.shape)
    seen = textures(luma, tops, lefts, side)
    corners = np.stack(np.meshgrid(tops, lefts, indexing="ij"), -1)  # (rows, cols, 2)
    if max(seen.shape) > REGION and (seen >= FAINT).all():
        return Places(corners.reshape(-1, 2), seen.ravel())
    parts = []
    for here, box in _regions(luma, seen >= FAINT, tops, lefts, side):
        if box is None:
            parts.append(Places(corners[here], seen[here]))
            continue
        rows, cols = box[0] + grid(box[2] - box[0], side), box[1] + grid(box[3] - box[1], side)
        closer = np.stack(np.meshgrid(rows, cols, indexing="ij"), -1).reshape(-1, 2)
        parts.append(Places(closer, textures(luma, rows, cols, side).ravel()))
    if not parts:
        return Places(np.zeros((0, 2), np.int64), np.zeros(0, np.float32))
    return Places(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _regions(
    luma: Luma, content: np.ndarray, tops: np.ndarray, lefts: np.ndarray, side: int
) -> Iterator[tuple[np.ndarray, tuple[int, int, int, int] | None]]:
    """Yields, for each group of neighbouring tiles that are not flat, which they are and their box if they are few."""
    from scipy import ndimage  # takes a while to import

    labels, _ = ndimage.label(content, np.ones((3, 3)))
    for number, (rows, cols) in enumerate(ndimage.find_objects(labels), start=1):
        few = max(rows.stop - rows.start, cols.stop - cols.start) <= REGION
        window = tops[rows.start], lefts[cols.start], tops[rows.stop - 1] + side, lefts[cols.stop - 1] + side
        yield labels == number, tight(luma, window, side) if few else None


def tight(luma: Luma, window: tuple[int, int, int, int], side: int) -> tuple[int, int, int, int] | None:
    """The smallest box (top, left, bottom, right) of all that is not flat in a window, no smaller than a tile.

    None where no two neighbouring pixels differ by `STEP`. Rows are inside where pixels beside each other differ, and
    columns where pixels one above the other do: so the box of an image on a canvas ends exactly where the image does.
    """
    top, left = max(window[0] - 1, 0), max(window[1] - 1, 0)
    values = luma[top : window[2] + 1, left : window[3] + 1].astype(np.int16)
    rows = np.flatnonzero((np.abs(np.diff(values, axis=1)) >= STEP).any(1))
    cols = np.flatnonzero((np.abs(np.diff(values, axis=0)) >= STEP).any(0))
    if not len(rows) or not len(cols):
        return None
    first, last = _at_least(top + rows[0], top + rows[-1] + 1, side, luma.shape[0])
    start, end = _at_least(left + cols[0], left + cols[-1] + 1, side, luma.shape[1])
    return first, start, last, end


def _at_least(start: int, end: int, side: int, length: int) -> tuple[int, int]:
    """An interval that is lengthened on both sides to `side`, within 0 to `length`."""
    missing = max(side - (end - start), 0)
    start = min(max(start - missing // 2, 0), length - max(side, end - start))
    return int(start), int(max(end, start + side))


def spread(places: Places, candidates: Int[np.ndarray, " m"], count: int) -> Int[np.ndarray, " n"]:
    """Chooses `count` of more candidates evenly: of each of as many equal groups of neighbours the middle one.

    In a group, the half with less texture does not count.
    """
    chosen = []
    for group in _groups(places.corners, candidates, count):
        clearer = group[places.textures[group] >= np.median(places.textures[group])]
        middle = places.corners[group].mean(0)
        chosen.append(clearer[np.argmin(((places.corners[clearer] - middle) ** 2).sum(1))])
    return np.array(chosen)


def _groups(corners: np.ndarray, members: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """Cuts members into `count` groups of about one size, always across the longer side of what is cut."""
    if count == 1:
        yield members
        return
    axis = int(np.argmax(np.ptp(corners[members], axis=0)))
    ordered = members[np.argsort(corners[members, axis], kind="stable")]
    cut = len(ordered) * (count // 2) // count
    yield from _groups(corners, ordered[:cut], count // 2)
    yield from _groups(corners, ordered[cut:], count - count // 2)


def cut(
    image: UInt8[np.ndarray, "h w 3"], corners: Int[np.ndarray, "n 2"], side: int
) -> UInt8[np.ndarray, "n {side} {side} 3"]:
    """Cuts the tiles at these corners out of a picture."""
    tiles = np.empty((len(corners), side, side, 3), np.uint8)
    for tile, (top, left) in zip(tiles, corners, strict=True):
        tile[:] = image[top : top + side, left : left + side]
    return tiles


def share(corners: Int[np.ndarray, "n 2"], side: int, height: int, width: int) -> float:
    """The share of a picture's pixels that lie in at least one of the tiles."""
    seen = np.zeros((height, width), bool)
    for top, left in corners:
        seen[top : top + side, left : left + side] = True
    return float(seen.mean())
