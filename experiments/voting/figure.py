"""The figure of the changes by a majority of views, for each set and condition."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.voting.tables import TRAININGS, significant
from ganfp_jax.report import wording
from ganfp_jax.report.figures import DPI, INK, THEME

LIMIT = 10.0  # points at which the colours end


def voting_figure(cells: Sequence[Mapping[str, Any]], rule: str = "majority") -> bytes:
    """A PNG with a panel per task and training: sets of views by conditions, with the change in points in each cell.

    In blue cells the vote is better than one view, in red ones worse. Bold cells have a p below 0.05 after Holm's
    correction. The name of a set has its number of views, and that of a condition the accuracy of one view.
    """
    cells = [cell for cell in cells if cell["rule"] == rule]
    tasks = list(dict.fromkeys(cell["task"] for cell in cells))
    trainings = list(dict.fromkeys(cell["training"] for cell in cells))
    buffer = io.BytesIO()
    with matplotlib.rc_context(THEME):
        figure = Figure(figsize=(10.5, 3.9 * len(tasks) + 0.7), layout="constrained")
        panels = figure.subplots(len(tasks), len(trainings), squeeze=False)
        for task, row in zip(tasks, panels, strict=True):
            for training, panel in zip(trainings, row, strict=True):
                own = [cell for cell in cells if (cell["task"], cell["training"]) == (task, training)]
                image = _draw(panel, own)
                panel.set_title(f"{task}, trained with {TRAININGS[training]}", pad=8)
        bar = figure.colorbar(image, ax=panels, shrink=0.6, extend="both", pad=0.01)
        bar.set_label("change of accuracy by the vote, in points")
        figure.savefig(buffer, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def _draw(panel: Axes, cells: Sequence[Mapping[str, Any]]) -> Any:
    conditions = list(dict.fromkeys(cell["condition"] for cell in cells))
    single = {cell["condition"]: cell["accuracy"] for cell in cells if cell["views"] == "identity"}
    voted = [cell for cell in cells if cell["views"] != "identity"]
    sets = {cell["views"]: cell["num_views"] for cell in voted}
    order = sorted(sets, key=lambda views: sets[views])
    values = np.full((len(order), len(conditions)), np.nan)
    for cell in voted:
        at = order.index(cell["views"]), conditions.index(cell["condition"])
        values[at] = 100 * cell["change"]
        strong = significant(cell)
        panel.text(
            at[1], at[0], wording.signed(values[at]), ha="center", va="center",
            color="white" if abs(values[at]) > 0.75 * LIMIT else INK, fontweight="bold" if strong else "normal",
        )  # fmt: skip
    image = panel.imshow(values, cmap="RdBu", vmin=-LIMIT, vmax=LIMIT, aspect="auto")
    labels = [wording.condition_label(name).replace("quality ", "") for name in conditions]  # shorter, to stand apart
    words = [f"{label}\n{wording.percent(single[name])}" for label, name in zip(labels, conditions, strict=True)]
    panel.set_xticks(range(len(conditions)), words)
    panel.set_yticks(range(len(order)), [f"{views.replace('identity,', '')} ({sets[views]})" for views in order])
    panel.tick_params(length=0)
    for spine in panel.spines.values():
        spine.set_visible(False)
    return image
