"""Files -> what a network is shown of each picture: tiles of all of it, or one fitted image."""

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from ganfp_jax.data.claims.claim import Claim
from ganfp_jax.data.decode import ImageFile, Picture, decoded
from ganfp_jax.data.preprocess import check_resize, fit, read_each, window
from ganfp_jax.data.sweep import THUMBNAIL, Sweep, sweep, thumbnail
from ganfp_jax.data.tiles import FAINT, Tiling, cut, find, luma_of, share, textures

BYTES = 64_000_000  # of the tiles that are decoded at a time, as far as can be known beforehand


class Whole(NamedTuple):
    """A whole picture, and which parts of it the network is shown."""

    thumbnail: UInt8[np.ndarray, "_h _w 3"]
    """No larger than `sweep.THUMBNAIL`."""
    size: tuple[int, int]
    """Its height and width in pixels."""
    boxes: Int[np.ndarray, "n 4"]
    """Top, left, bottom and right of each part, in pixels."""


class Look(NamedTuple):
    """What a network is shown of a picture."""

    tiles: UInt8[np.ndarray, "n r r 3"]
    """One or more; of a picture that is flat everywhere, its centre."""
    flat: bool
    """There is nothing to see."""
    seen: str
    """Which part of the picture it is, such as "64 tiles, 12.3% of 4000x3000"; "" of an image of the right size."""
    remarks: tuple[str, ...]
    """The conversions of decoding."""
    sweep: Sweep | None = None
    """For a map of the picture, where one was asked for."""
    whole: Whole | None = None
    """The whole picture, where a map was asked for."""
    claims: tuple[Claim, ...] = ()
    """What the file says of its own making."""

    @property
    def counted(self) -> int:
        """On how many tiles a verdict can rest: 0 where there is nothing to see."""
        return 0 if self.flat else len(self.tiles)

    def noted(self, found: str = "") -> str:
        """What was seen of the picture, what was found in it, and what was done to it, in words; else ""."""
        return "; ".join(filter(None, (self.seen, found, *self.remarks)))


def look(picture: Picture, resolution: int, resize: str, tiling: Tiling) -> Look:
    """Chooses what a network of this resolution is shown of a picture.

    Only `resize="crop"` looks at tiles, and at one of an image of the network's size; the others look at one fitted
    image, and so do 0 tiles. A map is of the whole picture either way, unless it is smaller than a window.

    Raises:
        Refused: as `preprocess.fit`; for "crop" the picture is smaller than a tile.
        UserError: `resize` is unknown.
    """
    found, boxes = _look(picture, resolution, resize, tiling)
    found = found._replace(claims=picture.claims)
    if not tiling.windows:
        return found
    height, width = picture.pixels.shape[:2]
    if min(height, width) < resolution:
        return found._replace(whole=Whole(thumbnail(picture.pixels), (height, width), boxes))
    swept = sweep(picture.pixels, resolution, tiling.windows, tiling.min_luma_std)
    return found._replace(sweep=swept, whole=Whole(swept.thumbnail, (height, width), boxes))


def _look(picture: Picture, resolution: int, resize: str, tiling: Tiling) -> tuple[Look, Int[np.ndarray, "n 4"]]:
    """What is looked at, and the boxes of a `Whole`; none of a flat picture."""
    image, seen = fit(picture.pixels, resolution, resize)
    if image.base is not None:  # a part of a large image would keep all of it in memory
        image = image.copy()
    origin = np.zeros(1, np.int64)
    height, width = picture.pixels.shape[:2]
    if resize != "crop" or not tiling.tiles or height == width == resolution:
        flat = bool(textures(luma_of(image), origin, origin, resolution)[0, 0] < FAINT)
        boxes = np.array([window(height, width, resolution, resize)])
        return Look(image[None], flat, seen, picture.remarks), boxes[: 0 if flat else 1]
    corners = find(picture.pixels, resolution, tiling)
    if not len(corners):
        return Look(image[None], True, f"all of {width}x{height} is flat", picture.remarks), np.zeros((0, 4), np.int64)
    part = f"{100 * share(corners, resolution, height, width):.1f}% of {width}x{height}"
    tiles = cut(picture.pixels, corners, resolution)
    boxes = np.concatenate([corners, corners + resolution], axis=1)
    return Look(tiles, False, f"{len(corners)} tile{'s' * (len(corners) != 1)}, {part}", picture.remarks), boxes


class Looked(NamedTuple):
    """The result of `decode_and_look` for a list of files."""

    looks: list[Look]
    """Of the decoded files, in their order."""
    kept: Int[np.ndarray, " m"]
    """Position in the list of files of each."""
    refused: dict[int, str]
    """Position -> reason, for the other files."""

    @property
    def tiles(self) -> UInt8[np.ndarray, "n r r 3"]:
        """The tiles of all pictures, one picture after the other."""
        return np.concatenate([entry.tiles for entry in self.looks])

    @property
    def counts(self) -> Int[np.ndarray, " m"]:
        """How many tiles of each picture there are, 1 or more."""
        return np.array([len(entry.tiles) for entry in self.looks], np.int64)


def together(most: int, resolution: int, tiling: Tiling) -> int:
    """How many pictures can be decoded at a time, `most` or fewer, so that their tiles take at most `BYTES`."""
    small = THUMBNAIL**2 if tiling.windows else 0
    return max(1, min(most, BYTES // (3 * (resolution**2 * max(tiling.tiles + tiling.windows, 1) + small))))


def unchanged(position: int, picture: Picture) -> Picture:
    """Returns a picture as it is, whatever its position."""
    return picture


def decode_and_look(
    files: Sequence[ImageFile],
    resolution: int,
    resize: str,
    tiling: Tiling,
    *,
    change: Callable[[int, Picture], Picture] = unchanged,
    stop: threading.Event | None = None,
) -> Looked:
    """Decodes files, each once, in threads, and chooses what the network is shown of them.

    Args:
        files, resolution, stop: as for `preprocess.decode_and_fit`.
        resize, tiling: as for `look`.
        change: what is done to each whole picture first, given its position in the list.

    Raises:
        UserError: `resize` is unknown. Bad files raise nothing: they are in the result with their reasons.
        Stopped: `stop` was set.
    """
    check_resize(resize)
    looks: dict[int, Look] = {}

    def read(position: int, ended: threading.Event) -> None:
        with decoded(files[position], stop=ended) as picture:
            looks[position] = look(change(position, picture), resolution, resize, tiling)

    refused = read_each(len(files), read, stop=stop)
    kept = sorted(looks)
    return Looked([looks[position] for position in kept], np.array(kept, np.int64), refused)
