"""The Tippett plot: how often trials of one source, and of two, have a larger likelihood ratio than each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ganfp_jax.report.figures import DASHES, INK, colour
from ganfp_jax.report.legends import legend_below

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = {"true": "trials of one source", "false": "trials of two sources"}


def draw_tippett(results: Mapping[str, Any]) -> "Figure":
    """Draws both curves over the common logarithm of the ratio.

    Args:
        results: {"tippett": of `metrics.ratios.tippett`}.
    """
    from matplotlib.figure import Figure

    curves = results["tippett"]
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    panel = figure.subplots()
    for index, (kind, name) in enumerate(KINDS.items()):
        panel.plot(curves[kind], [100 * share for share in curves["share"]], color=colour(index),
                   linestyle=DASHES[index], linewidth=1.4, label=name)  # fmt: skip
    panel.axvline(0, color=INK, linewidth=0.6, alpha=0.5)
    panel.set_xlabel("log10 of the likelihood ratio; right of 0 it supports one source")
    panel.set_ylabel("trials with a larger one, %")
    panel.set_ylim(0, 101)
    panel.grid(alpha=0.2, linewidth=0.5, color=INK)
    legend_below(figure, *panel.get_legend_handles_labels(), 2)
    return figure
