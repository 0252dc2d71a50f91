"""A picture with boxes around the parts of it that were looked at."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int, UInt8
from PIL import Image, ImageDraw

from ganfp_jax.report.source_map import SMALLEST

LIGHT, DARK = (255, 255, 255), (20, 23, 28)  # one of them is seen on any ground
DIMMED = 0.45  # the share of its light that what was not looked at loses


def boxed(
    picture: UInt8[np.ndarray, "h w 3"], size: Sequence[int], boxes: Int[np.ndarray, "n 4"]
) -> UInt8[np.ndarray, "_h _w 3"]:
    """Draws the boxes, if there are any, and dims the rest.

    A small picture is enlarged by a whole factor, as the map beside it is.

    Args:
        picture: a copy of the picture, reduced or not.
        size: height and width of the picture itself.
        boxes: top, left, bottom and right of each, in its pixels.
    """
    times = max(1, round(SMALLEST / max(picture.shape[:2])))
    canvas = picture.repeat(times, 0).repeat(times, 1)
    height, width = canvas.shape[:2]
    dark = ~covered((height, width), size, boxes) & (len(boxes) > 0)
    canvas[dark] = ((1 - DIMMED) * canvas[dark]).astype(np.uint8)
    drawn = Image.fromarray(canvas)
    pen = ImageDraw.Draw(drawn)
    for inset, colour in ((0, DARK), (1, LIGHT)):
        for top, left, bottom, right in _scaled((height, width), size, boxes):
            outline = (left + inset, top + inset, right - 1 - inset, bottom - 1 - inset)
            if outline[2] >= outline[0] and outline[3] >= outline[1]:
                pen.rectangle(outline, outline=colour)
    return np.asarray(drawn)


def covered(shape: Sequence[int], size: Sequence[int], boxes: Int[np.ndarray, "n 4"]) -> Bool[np.ndarray, "h w"]:
    """Which pixels of a copy of the picture lie in a box.

    Args:
        shape: height and width of the copy.
        size, boxes: as for `boxed`.
    """
    seen = np.zeros(tuple(shape), bool)
    for top, left, bottom, right in _scaled(shape, size, boxes):
        seen[top:bottom, left:right] = True
    return seen


def _scaled(shape: Sequence[int], size: Sequence[int], boxes: Int[np.ndarray, "n 4"]) -> list[list[int]]:
    """The boxes in pixels of a copy."""
    scale = np.array([shape[0] / size[0], shape[1] / size[1]] * 2)
    corners: list[list[int]] = np.rint(np.asarray(boxes).reshape(-1, 4) * scale).astype(int).tolist()
    return corners
