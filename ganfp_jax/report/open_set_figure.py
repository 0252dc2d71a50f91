"""The figures of an open set: what images of unknown sources were called, and what each score accepts of them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ganfp_jax.report import wording
from ganfp_jax.report.figures import DASHES, INK, colour, shown
from ganfp_jax.report.legends import legend_below
from ganfp_jax.report.open_set_tables import named_most

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = 9  # kinds with curves
COLUMNS = 3
HATCHES = ("", "///", "...", "xx", "\\\\\\", "||", "ooo", "--", "++")
WORDS = {"unsure": "", "unknown": "....", "nothing to see": "////"}  # and their hatches; no source has such a name
ROOM = 0.09  # the share of a bar that has room for its number


def draw_called(unknown: Mapping[str, Any]) -> "Figure":
    """Draws a bar for each kind, and one for the known images: the shares of their verdicts.

    Args:
        unknown: the section `unknown` of metrics.json.
    """
    from matplotlib.figure import Figure

    shares = named_most(unknown)
    verdicts = list(next(iter(shares.values())))
    figure = Figure(figsize=(7.2, 0.9 + 0.32 * len(shares)), layout="constrained")
    panel = figure.subplots()
    begun = [0.0] * len(shares)
    for index, verdict in enumerate(verdicts):
        widths = [of[verdict] for of in shares.values()]
        bars = panel.barh(range(len(shares)), widths, left=begun, height=0.72, label=shown(verdict), linewidth=0.6,
                          **_style(index, verdict))  # fmt: skip
        for bar, width in zip(bars, widths, strict=True):
            if width >= ROOM:
                panel.text(bar.get_x() + width / 2, bar.get_y() + bar.get_height() / 2, wording.percent(width),
                           ha="center", va="center", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
                           color="black", fontsize=7)  # fmt: skip
        begun = [start + width for start, width in zip(begun, widths, strict=True)]
    panel.set_yticks(range(len(shares)), [shown(kind) for kind in shares])
    panel.invert_yaxis()
    panel.set_xlim(0, 1)
    panel.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
    legend_below(figure, *panel.get_legend_handles_labels(), 5)
    return figure


def _style(index: int, verdict: str) -> dict[str, Any]:
    """A source has a colour and a hatch; the words that name none are empty, since these images were not named."""
    if verdict in WORDS:
        return {"facecolor": "none", "edgecolor": INK, "hatch": WORDS[verdict]}
    return {"facecolor": colour(index), "edgecolor": "white", "hatch": HATCHES[index % len(HATCHES)]}


def draw_curves(results: Mapping[str, Any]) -> "Figure":
    """Draws CCR over FPR, one panel a kind and one line a score; of more than `PANELS` kinds, the first.

    Args:
        results: {"curves": kind -> score -> {"fpr", "ccr"}}.
    """
    from matplotlib.figure import Figure

    kinds = list(results["curves"].items())[:PANELS]
    rows = -(-len(kinds) // COLUMNS)
    # Always as wide as three panels, since a page stretches its drawings to its own width.
    figure = Figure(figsize=(2.5 * COLUMNS, 2.5 * rows + 0.5), layout="constrained")
    for place, (kind, scores) in enumerate(kinds):
        panel = figure.add_subplot(rows, COLUMNS, place + 1)
        _draw_kind(panel, kind, scores)
        if place % COLUMNS == 0:
            panel.set_ylabel("known named (CCR)")
        if place + COLUMNS >= len(kinds):
            panel.set_xlabel("unknown accepted (FPR)")
    handles, names = figure.axes[0].get_legend_handles_labels()
    legend_below(figure, handles, names, 4)
    return figure


def _draw_kind(panel: "Axes", kind: str, scores: Mapping[str, Any]) -> None:
    panel.plot([0, 1], [0, 1], color=INK, linewidth=0.6, alpha=0.5)
    for index, (name, points) in enumerate(scores.items()):
        panel.plot(points["fpr"], points["ccr"], color=colour(index), linestyle=DASHES[index % len(DASHES)],
                   linewidth=1.2, label=name)  # fmt: skip
    panel.set_title(shown(kind))
    panel.set_xlim(-0.01, 1)
    panel.set_ylim(0, 1.01)
    panel.set_xticks([0, 0.5, 1], ["0", "50", "100 %"])
    panel.set_yticks([0, 0.5, 1], ["0", "50", "100 %"])
    panel.grid(alpha=0.2, linewidth=0.5, color=INK)
