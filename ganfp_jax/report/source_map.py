"""The map of a picture: which source was found where, drawn over the picture, with a legend."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image, ImageColor

from ganfp_jax.report import wording
from ganfp_jax.report.figures import PALETTE, colour, empty_figure, shown
from ganfp_jax.report.legends import legend_below

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTHING = "nothing to see"
FLAT = ("#b9bec7", "#8f959f")  # the stripes of flat areas
SMALLEST = 480  # pixels of the longer side of a drawing; smaller pictures are enlarged
STRIPE = 5  # pixels, half of a pattern's period
EDGE = "#14171c"  # between the areas of two sources
WIDTH = 8.0  # inches


class Mapped(TypedDict):
    """What is drawn."""

    picture: UInt8[np.ndarray, "h w 3"]
    labels: Int[np.ndarray, "rows cols"]
    """The class of each cell; -1 where there is nothing to see."""
    strengths: Float[np.ndarray, "rows cols"]
    """Its probability."""
    row_edges: Sequence[int]
    """Where the rows of cells begin and end, in any unit of length."""
    column_edges: Sequence[int]
    classes: Sequence[str]
    shares: Mapping[str, float]
    """Source -> its share of the area, largest first; "" for nothing to see."""


def overlay(mapped: Mapped) -> UInt8[np.ndarray, "h w 3"]:
    """Draws the sources over the picture, which is grey under them: the stronger the colour, the surer the source.

    Each source has the colour that it has in figures; from the eighth on, when colours return, it has stripes. Flat
    areas have grey stripes, and dark lines lie between sources. A small picture is enlarged by a whole factor.
    """
    times = max(1, round(SMALLEST / max(mapped["picture"].shape[:2])))
    picture = mapped["picture"].repeat(times, 0).repeat(times, 1)
    height, width = picture.shape[:2]
    rows = _cell_of(mapped["row_edges"], height)
    columns = _cell_of(mapped["column_edges"], width)
    labels = mapped["labels"][rows][:, columns]
    strengths = mapped["strengths"][rows][:, columns]
    grey = np.asarray(Image.fromarray(picture).convert("L"), np.float32)[..., None].repeat(3, -1)
    canvas = 0.6 * grey + 0.4 * 255
    chance = 1 / max(len(mapped["classes"]), 2)
    opacity = 0.2 + 0.45 * ((strengths - chance) / (1 - chance)).clip(0, 1)
    for k in np.unique(labels[labels >= 0]):
        here = (labels == k) & pattern(int(k), height, width)
        canvas[here] += opacity[here][:, None] * (_rgb(colour(int(k))) - canvas[here])
    flat = labels < 0
    stripes = _diagonals(height, width)
    for mark, part in zip(FLAT, (stripes, ~stripes), strict=True):
        canvas[flat & part] = 0.35 * canvas[flat & part] + 0.65 * _rgb(mark)
    canvas[_borders(labels)] = _rgb(EDGE)
    return canvas.round().clip(0, 255).astype(np.uint8)


def pattern(source: int, height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """Which pixels of a source's area are coloured: all of the first seven sources', stripes of the others'."""
    turn = source // len(PALETTE)
    if not turn:
        return np.ones((height, width), bool)
    y, x = np.mgrid[:height, :width]
    across = (y, x, y + x)[(turn - 1) % 3]
    return (across // STRIPE) % 2 == 0


def swatch(source: int, side: int = 24) -> UInt8[np.ndarray, "s s 3"]:
    """The mark of a source in a legend; of nothing to see for -1."""
    square = np.full((side, side, 3), 244, np.uint8)
    if source < 0:
        stripes = _diagonals(side, side)
        square[stripes], square[~stripes] = _rgb(FLAT[0]), _rgb(FLAT[1])
    else:
        square[pattern(source, side, side)] = _rgb(colour(source))
    return square


def legend(mapped: Mapped) -> list[dict[str, Any]]:
    """The sources that were found, largest area first: `source` (-1 for nothing to see), `name`, `share` in words."""
    numbers = {name: k for k, name in enumerate(mapped["classes"])}
    percents = wording.percents(list(mapped["shares"].values()))
    return [
        {"source": numbers.get(name, -1), "name": name or NOTHING, "share": percent}
        for name, percent in zip(mapped["shares"], percents, strict=True)
    ]


def draw(mapped: Any) -> "Figure":
    """Draws the picture, its map and the legend: side by side, or one above the other where it is wide."""
    height, width = mapped["picture"].shape[:2]
    above = width > 1.6 * height
    panel = WIDTH if above else WIDTH / 2
    tall = panel * height / width
    figure = empty_figure(WIDTH, min(max(2 * tall if above else tall, 1.2), 14.0) + 0.7)
    panels = figure.subplots(2, 1) if above else figure.subplots(1, 2)
    for axes, image, title in zip(
        panels, (mapped["picture"], overlay(mapped)), ("the picture", "sources"), strict=True
    ):
        axes.imshow(image, interpolation="nearest" if max(height, width) < 400 else "antialiased")
        axes.set_title(title)
        axes.axis("off")
    entries = legend(mapped)
    legend_below(
        figure,
        [_handle(entry["source"]) for entry in entries],
        [f"{shown(entry['name'])} {entry['share']}" for entry in entries],
        4,
        handlelength=1.6,
        handleheight=1.2,
    )
    return figure


def _handle(source: int) -> Any:
    from matplotlib.patches import Patch

    if source < 0:
        return Patch(facecolor=FLAT[0], edgecolor=FLAT[1], hatch="////", linewidth=0)
    turn = source // len(PALETTE)
    if not turn:
        return Patch(facecolor=colour(source))
    return Patch(facecolor="white", edgecolor=colour(source), hatch=("---", "|||", "///")[(turn - 1) % 3], linewidth=0)


def _cell_of(edges: Sequence[int], length: int) -> Int[np.ndarray, " n"]:
    """In which cell each of `length` pixels of the drawing lies."""
    places = (np.arange(length) + 0.5) * edges[-1] / length
    return np.searchsorted(np.asarray(edges), places, side="right") - 1


def _borders(labels: Int[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    edge = np.zeros(labels.shape, bool)
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    return edge


def _diagonals(height: int, width: int) -> Bool[np.ndarray, "h w"]:
    y, x = np.mgrid[:height, :width]
    return ((x + y) // STRIPE) % 2 == 0


def _rgb(mark: str) -> Float[np.ndarray, " 3"]:
    return np.array(ImageColor.getrgb(mark), np.float32)
