"""The figure of the table's ratios."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ganfp_jax.report.figures import DPI, THEME

PYTORCH = ("PyTorch", "PyTorch compiled")


def draw(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the ratios of PyTorch's times to ours, a line per row, with the bounds of 95 % of the rounds.

    Args:
        records: records of `experiments.benchmark.__main__.measure`, some of them PyTorch's.
        path: path of the PNG.
    """
    rows = list(dict.fromkeys(record["row"] for record in records if record["competitor"] in PYTORCH))
    with matplotlib.rc_context(THEME):
        figure = Figure(figsize=(8, 1 + 0.27 * len(rows)), layout="constrained")
        axes = figure.subplots()
        for number, competitor in enumerate(PYTORCH):
            mine = [record for record in records if record["competitor"] == competitor]
            ratios = [record["ratio_to_ours"] for record in mine]
            median, low, high = (np.array([ratio[at] for ratio in ratios]) for at in ("median", "low", "high"))
            places = [rows.index(record["row"]) + 0.26 * (number - 0.5) for record in mine]
            axes.errorbar(
                median, places, xerr=(median - low, high - median), fmt="o", markersize=4, linewidth=1, label=competitor
            )
        axes.axvline(1, color="black", linewidth=1)
        axes.set(yticks=range(len(rows)), yticklabels=rows, ylim=(len(rows) - 0.5, -0.5), xscale="log")
        axes.set_xlabel("times as long as ganfp_jax: to the right of the line, ganfp_jax is faster")
        left, right = axes.get_xlim()
        ticks = [tick for tick in (0.25, 0.5, 1, 2, 4, 8) if left < tick < right]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.grid(axis="x", linewidth=0.4)
        figure.legend(loc="outside upper right", ncols=2)
        figure.savefig(path, dpi=DPI, metadata={"Software": None})
