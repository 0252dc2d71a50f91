"""The figure: success against cost."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ganfp_jax.report import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = {"removal": "fakes called real, in %", "forging": "photographs called the generator aimed at, in %"}


def draw_costs(results: Mapping[str, Any]) -> "Figure":
    """Two panels, removal and forging: a line an attack, from mild to strong, by the PSNR of its change.

    Args:
        results: "rows", those of `measure.rows`; the first network's are drawn.
    """
    rows = [row for row in results["rows"] if row["network"] == results["rows"][0]["network"]]
    attacks = [name for name in dict.fromkeys(row["attack"] for row in rows) if name != "none"]
    figure = figures.empty_figure(10.5, 5.2)
    for panel, (goal, label) in zip(figure.subplots(1, 2), PANELS.items(), strict=True):
        for index, attack in enumerate(attacks):
            of = [row for row in rows if (row["goal"], row["attack"]) == (goal, attack) and row["psnr"] is not None]
            success = [100 * row["counts"]["aim"] / row["n"] for row in of]
            style = "-" if attack.startswith("gradient") else "--"
            colour = figures.colour(index)
            panel.plot([row["psnr"] for row in of], success, style, marker="o", color=colour, label=attack)
        panel.invert_xaxis()
        panel.set(xlabel="PSNR of the change, in dB (to the right: more is changed)", ylabel=label, ylim=(-3, 103))
    figures.add_legend(figure, panel, columns=4)
    return figure
