"""The figure of the job `baselines`: accuracy against the number of training images."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ganfp_jax.report import wording
from ganfp_jax.report.figures import DASHES, INK, MARKERS, PALETTE, add_legend, colour, empty_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_low_data(results: Mapping[str, Any]) -> "Figure":
    """Draws accuracy in percent over the number of training images a source: a panel a condition, a line a method.

    95 % intervals are shaded. A row without a number of training images, the network's, is a level line; the thin level
    line is chance.

    Args:
        results: the job's results: {"classes", "rows"}.
    """
    rows = results["rows"]
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    counts = sorted({row["images_per_source"] for row in rows if row["images_per_source"] is not None})
    figure = empty_figure(0.9 + 3.3 * len(conditions), 4.6)
    panels = figure.subplots(1, len(conditions), sharey=True, squeeze=False)[0]
    for panel, condition in zip(panels, conditions, strict=True):
        for index, method in enumerate(methods):
            points = [row for row in rows if (row["method"], row["condition"]) == (method, condition)]
            if not points:
                continue
            middle, low, high = 100 * np.array([[row["accuracy"], *row["ci95"]] for row in points]).T
            label = wording.baseline_label(method)
            if points[0]["images_per_source"] is None:
                panel.axhspan(low[0], high[0], color=INK, alpha=0.12, linewidth=0)
                panel.axhline(middle[0], color=INK, linestyle="--", linewidth=1.4, label=label)
                continue
            places = [row["images_per_source"] for row in points]
            panel.fill_between(places, low, high, color=colour(index), alpha=0.15, linewidth=0)
            panel.vlines(places, low, high, color=colour(index), linewidth=0.7)
            panel.plot(places, middle, color=colour(index), linestyle=DASHES[index // len(PALETTE) % len(DASHES)],
                       marker=MARKERS[index % len(MARKERS)], markersize=3.6, linewidth=1.4, label=label)  # fmt: skip
        panel.axhline(100 / len(results["classes"]), color=INK, linewidth=0.7, alpha=0.45)
        panel.set_xscale("log")
        panel.set_xticks(counts, [f"{count:,}" for count in counts])
        panel.set_xticks([], minor=True)
        panel.set(ylim=(0, 101), xlabel="training images a source")
        panel.set_title(f"{wording.condition_label(condition)} test images")
        panel.grid(alpha=0.2, linewidth=0.5, color=INK)
    panels[0].set_ylabel("right, %")
    fullest = max(panels, key=lambda panel: len(panel.get_lines()))
    add_legend(figure, fullest, columns=min(3, 1 + len(conditions)))
    return figure
