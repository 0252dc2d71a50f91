"""What all figures have in common: one look, as a picture that can stand alone or as a drawing inside a page.

A figure is a function `draw(results)` that returns matplotlib's. `png` makes a file of it; `drawing` gives inline SVG,
which takes its ink and its font from the page around it, so it can be read on a light and on a dark page.
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

# Each has a contrast of at least 3 with both pages, and the first five stay apart (Delta E above 20) for people who see
# no red or no green. Colour never stands alone: 7 colours and 11 markers give 77 sources a look of their own.
PALETTE = ("#185fed", "#d5600a", "#3b9485", "#94593b", "#129cb8", "#b88149", "#556482")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*")
DASHES = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)), ":")
INK = "#2b2f36"  # replaced by the page's own in a drawing
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
    """A figure as the bytes of a PNG file."""
    return _save(draw, results, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})


def drawing(draw: Draw, results: Mapping[str, Any]) -> str:
    """A chart as SVG to be put into a page: no size, no address, no script; ink and font are the page's."""
    text = _save(draw, results, format="svg", transparent=True, metadata={"Date": None, "Creator": None}).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    head, rest = text.split(">", 1)
    head = re.sub(r' (xmlns(:xlink)?|width|height|version)="[^"]*"', "", head)
    # Only the marks that are used again keep their names: groups are called alike in every drawing of a page.
    rest = re.sub(r'<g id="[^"]*"', "<g", rest).replace("xlink:href", "href")
    for name in map(short, results.get("classes", ())):  # the reader's browser has fonts that this machine has not
        if drawable(name) != name:
            rest = rest.replace(html.escape(drawable(name), quote=False), html.escape(name, quote=False))
    return f"{head}>{rest}".replace(INK, "currentColor")


def shown(name: str) -> str:
    """A source's name as a figure has room and glyphs for it."""
    return drawable(short(name))


def colour(index: int) -> str:
    """That of a source by its place among the classes, or of a method."""
    return PALETTE[index % len(PALETTE)]


def add_legend(figure: Any, panel: "Axes", columns: int = 3, marker_scale: float = 1.0) -> None:
    """Below the panel, where it covers nothing; a name may begin with an underscore, which matplotlib would hide."""
    handles = [line for line in panel.get_lines() if not str(line.get_label()).startswith("_child")]
    names = [str(line.get_label()) for line in handles]
    legend_below(figure, handles, names, columns, markerscale=marker_scale)


def empty_figure(width: float, height: float, layout: Any = "constrained") -> "Figure":
    """An empty figure; its size is in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout)


def _save(draw: Draw, results: Mapping[str, Any], **options: Any) -> bytes:
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context(THEME | {"font.family": list(families())}):
        draw(results).savefig(buffer, **options)
    return buffer.getvalue()
