"""The figure of an audit: the accuracy of each kind of fact about a file, beside chance."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ganfp_jax.report.figures import INK, MARKERS, PALETTE
from ganfp_jax.report.legends import legend_below

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VERDICTS = {"leak": 1, "warning": 5, "nothing found": 6}
"""Verdict -> its place in the palette."""


def draw_audit(results: Mapping[str, Any]) -> "Figure":
    """Draws the accuracy of each kind with its 95 % interval; the dashed line is chance.

    Args:
        results: the content of audit.json.
    """
    from matplotlib.figure import Figure

    rows = results["kinds"]
    figure = Figure(figsize=(5.6, 1.1 + 0.3 * len(rows)), layout="constrained")
    panel = figure.subplots()
    for place, (verdict, colour) in enumerate(VERDICTS.items()):
        members = [(index, row) for index, row in enumerate(rows) if row["verdict"] == verdict]
        if not members:
            continue
        values = [100 * row["accuracy"] for _, row in members]
        low = [value - 100 * row["ci95"][0] for value, (_, row) in zip(values, members, strict=True)]
        high = [100 * row["ci95"][1] - value for value, (_, row) in zip(values, members, strict=True)]
        panel.errorbar(values, [index for index, _ in members], xerr=(low, high), color=PALETTE[colour], linestyle="",
                       marker=MARKERS[place], markersize=5, elinewidth=1.2, label=verdict)  # fmt: skip
    panel.axvline(100 / len(results["classes"]), color=INK, linewidth=0.8, linestyle="--", alpha=0.6, label="chance")
    panel.set_yticks(range(len(rows)), [row["kind"] for row in rows])
    panel.set(xlim=(0, 102), xlabel="sources told apart by this alone, accuracy in % (95 % interval)")
    panel.invert_yaxis()
    panel.grid(axis="x", alpha=0.2, linewidth=0.5, color=INK)
    legend_below(figure, *panel.get_legend_handles_labels(), 4, loc="outside upper center")
    return figure
