"""The common style of all figures, and their conversion to PNG files and to drawings inside a page.

A figure is a function `draw(results)` that returns a figure of matplotlib. `png` makes a file of it. `drawing` makes
inline SVG, which takes its ink and its font from the page, so that it can be read on a light and on a dark page.
"""

import html
import io
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ganfp_jax.report.glyphs import drawable, families
from ganfp_jax.report.legends import legend_below, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Each has a contrast of at least 3 with both pages, and the first five stay distinct (Delta E above 20) for people who
# see no red or no green. Colour is never the only mark: 7 colours and 11 markers distinguish 77 sources.
PALETTE = ("#185fed", "#d5600a", "#3b9485", "#94593b", "#129cb8", "#b88149", "#556482")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*")
DASHES = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)), ":")
INK = "#2b2f36"  # a drawing replaces it by the page's colour
DPI = 160
THEME: Any = {
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "ganfp_jax",  # the same drawing, the same bytes
    "text.parse_math": False,  # a $ in the name of a source is a $
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}

Draw = Callable[[Mapping[str, Any]], "Figure"]


def png(draw: Draw, results: Mapping[str, Any]) -> bytes:
    """Renders a figure as the bytes of a PNG file."""
    return _save(draw, results, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})


def drawing(draw: Draw, results: Mapping[str, Any]) -> str:
    """Renders a figure as SVG for a page: without size, address or script, with the page's ink and font."""
    text = _save(draw, results, format="svg", transparent=True, metadata={"Date": None, "Creator": None}).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    head, rest = text.split(">", 1)
    head = re.sub(r' (xmlns(:xlink)?|width|height|version)="[^"]*"', "", head)
    # Only marks that are used again keep their names: groups have the same names in every drawing of a page.
    rest = re.sub(r'<g id="[^"]*"', "<g", rest).replace("xlink:href", "href")
    for name in map(short, results.get("classes", ())):  # the reader's browser has fonts that this machine has not
        if drawable(name) != name:
            rest = rest.replace(html.escape(drawable(name), quote=False), html.escape(name, quote=False))
    return f"{head}>{rest}".replace(INK, "currentColor")


def shown(name: str) -> str:
    """Shortens a source's name to the room of a figure and to glyphs that its fonts have."""
    return drawable(short(name))


def colour(index: int) -> str:
    """Returns the colour of a source by its class index, or of a method."""
    return PALETTE[index % len(PALETTE)]


def add_legend(figure: Any, panel: "Axes", columns: int = 3, marker_scale: float = 1.0) -> None:
    """Puts a legend below the panel; it shows names with a leading underscore, which matplotlib would hide."""
    handles = [line for line in panel.get_lines() if not str(line.get_label()).startswith("_child")]
    names = [str(line.get_label()) for line in handles]
    legend_below(figure, handles, names, columns, markerscale=marker_scale)


def empty_figure(width: float, height: float, layout: Any = "constrained") -> "Figure":
    """Makes an empty figure; its size is in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout)


def _save(draw: Draw, results: Mapping[str, Any], **options: Any) -> bytes:
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context(THEME | {"font.family": list(families())}):
        draw(results).savefig(buffer, **options)
    return buffer.getvalue()
