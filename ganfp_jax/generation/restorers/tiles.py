"""Tiles: a network sees a picture piece by piece, as in the programs that it was published with.

Where a network pools over all that it sees, the side of a tile is part of its trace.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from ganfp_jax.generation.restorers.restorer import Restorer
from ganfp_jax.run.errors import UserError

KNOWN = 8  # tiles that are kept, since windows of a small picture share them

Picture = UInt8[np.ndarray, "h w 3"]
Span = tuple[int, int]
Spans = tuple[Span, Span]


class Window(NamedTuple):
    """A rectangle of a restored picture, in its pixels."""

    top: int
    left: int
    height: int
    width: int
    share: tuple[float, float] = (0.5, 0.5)
    """Where in a larger tile the window lies: 0 at its beginning, 1 at its end; down and across."""


def restore(restorer: Restorer, picture: Picture, windows: Sequence[Window], tile: int) -> Iterator[Picture]:
    """Yields the restored pixels of each window.

    Only the tiles of a window are computed. A window that fits into one tile lies in one, at its `share`; a larger one
    is covered by tiles from its corner on, and so is a whole picture.

    Args:
        restorer: the network.
        picture: the network's input.
        windows: rectangles inside the output.
        tile: the side of a tile without the prepadding, in pixels of the input; 0 for the whole picture.

    Raises:
        UserError: the network does not give as many pixels as its table says.
    """
    if restorer.whole or not tile:
        height, width = picture.shape[:2]
        everything = _run(restorer, picture, (0, height), (0, width))
        for window in windows:
            yield everything[window.top : window.top + window.height, window.left : window.left + window.width]
        return
    known: dict[Spans, Picture] = {}
    for window in windows:
        yield _part(restorer, picture, window, tile, known)


def _part(restorer: Restorer, picture: Picture, window: Window, tile: int, known: dict[Spans, Picture]) -> Picture:
    rows = spans(restorer, window.top, window.height, tile, picture.shape[0], window.share[0])
    columns = spans(restorer, window.left, window.width, tile, picture.shape[1], window.share[1])
    image = np.empty((window.height, window.width, 3), np.uint8)
    for down, across in itertools.product(rows, columns):
        if (down, across) not in known:
            if len(known) >= KNOWN:
                del known[next(iter(known))]
            known[down, across] = _run(restorer, picture, down, across)
        piece = known[down, across]
        ours, its = _overlap(window.top, window.height, down[0] * restorer.scale, piece.shape[0])
        ours_across, its_across = _overlap(window.left, window.width, across[0] * restorer.scale, piece.shape[1])
        image[ours, ours_across] = piece[its, its_across]
    return image


def spans(restorer: Restorer, start: int, length: int, tile: int, side: int, share: float = 0.5) -> list[Span]:
    """Returns the tiles along one axis that cover a window.

    Tiles begin at multiples of the network's `multiple`. Those of a local network end where the window does.

    Args:
        restorer: the network.
        start: the window's first pixel in the output.
        length: the window's length in the output.
        tile: the side of a tile of the input.
        side: the side of the input.
        share: as in `Window`.
    """
    step = restorer.multiple
    tile = max(step, tile - tile % step)
    begin = start // restorer.scale // step * step
    last = -(-(start + length) // restorer.scale)
    spare = 0 if restorer.local else tile - (last - begin)
    if spare > 0:
        begin -= round(share * (spare // step)) * step
        begin = max(0, min(begin, -(-(side - tile) // step) * step))
    end = last if restorer.local else side
    return [(first, min(first + tile, end)) for first in range(begin, last, tile)]


def _run(restorer: Restorer, picture: Picture, rows: Span, columns: Span) -> Picture:
    """Runs the network on one tile."""
    scale, pad = restorer.scale, restorer.prepadding
    height, width = rows[1] - rows[0], columns[1] - columns[0]
    down, across = (_seen(restorer, span, side) for span, side in zip((rows, columns), picture.shape, strict=False))
    output = restorer.forward(picture[np.ix_(down, across)])
    taken = pad if restorer.cropped else 0
    expected = ((len(down) - 2 * taken) * scale, (len(across) - 2 * taken) * scale, 3)
    if output.shape != expected:
        raise UserError(f"{restorer.name} is another network: it made {output.shape} where {expected} was expected")
    margin = (pad - taken) * scale
    output = output[margin : margin + height * scale, margin : margin + width * scale]
    if restorer.adds_input:
        output = output + picture[slice(*rows), slice(*columns)].repeat(scale, 0).repeat(scale, 1)
    return np.clip(output + np.float32(0.5), 0, 255).astype(np.uint8)  # rounded half up, as the programs do


def _seen(restorer: Restorer, span: Span, side: int) -> Int[np.ndarray, " n"]:
    """Returns the indices of the pixels that the network sees along one axis."""
    pad, fill = restorer.prepadding, -(span[1] - span[0]) % restorer.multiple
    places, last = np.arange(span[0] - pad, span[1] + pad + fill), side - 1
    if restorer.repeats or not last:
        return np.clip(places, 0, last)
    return last - np.abs(places % (2 * last) - last)


def _overlap(first: int, length: int, its_first: int, its_length: int) -> tuple[slice, slice]:
    """Returns the part that two intervals share, as a slice of each."""
    begin, end = max(first, its_first), min(first + length, its_first + its_length)
    return slice(begin - first, end - first), slice(begin - its_first, end - its_first)
