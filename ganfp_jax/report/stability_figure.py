"""The figure of a verdict's stability: votes against the strength of a processing, one panel a family."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ganfp_jax.report.figures import DASHES, INK, MARKERS, colour
from ganfp_jax.report.legends import legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 1.75, 2.3  # inches of a panel
AXES = {
    "jpeg": "JPEG quality",
    "reduced": "reduced to, %",
    "enlarged": "enlarged to, %",
    "cropped": "cropped by, %",
    "blurred": "blur, σ in pixels",
}
"""Family of `attribution.stability` -> what its strengths are."""


class Curve(NamedTuple):
    """One line through all panels."""

    name: str
    """In the legend; "" for none."""
    own: float
    """The share before any processing, 0 to 1."""
    shares: Mapping[str, Sequence[float]]
    """Family -> shares from mild to strong."""
    same: Mapping[str, Sequence[bool]]
    """Family -> whether the verdict is still the same, which a filled mark shows."""


def draw(strengths: Mapping[str, Sequence[str]], curves: Sequence[Curve], axis: str) -> "Figure":
    """Draws the curves, each from the unprocessed picture on the left to the strongest processing.

    Args:
        strengths: family -> the strengths in words, from mild to strong; a panel each.
        curves: those of every panel.
        axis: what the shares are of.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH * len(strengths) + 0.5, HEIGHT + 0.25 * (len(curves) > 1)), layout="constrained")
    panels = figure.subplots(1, len(strengths), sharey=True, squeeze=False)[0]
    for panel, (family, words) in zip(panels, strengths.items(), strict=True):
        for index, curve in enumerate(curves):
            _line(panel, index, curve, family)
        panel.set_xticks(range(len(words) + 1), ["–", *words], fontsize=6.5, rotation=90)
        panel.set_xlabel(AXES[family])
        panel.grid(axis="y", alpha=0.2, linewidth=0.5, color=INK)
    figure.align_xlabels(panels)
    panels[0].set_ylabel(axis)
    panels[0].set_ylim(-4, 104)
    if len(curves) > 1:
        handles, names = panels[0].get_legend_handles_labels()
        legend_below(figure, handles, names, len(curves))
    return figure


def _line(panel: "Axes", index: int, curve: Curve, family: str) -> None:
    values = [100 * share for share in (curve.own, *curve.shares[family])]
    panel.plot(values, color=colour(index), linestyle=DASHES[index], linewidth=1.2, label=curve.name)
    for filled in (True, False):
        there = [place for place, same in enumerate((True, *curve.same[family])) if same == filled]
        face = colour(index) if filled else "none"
        panel.plot(there, [values[place] for place in there], MARKERS[index], color=colour(index), markersize=4,
                   markerfacecolor=face, linestyle="")  # fmt: skip
