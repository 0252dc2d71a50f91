"""The figure of an ablation: accuracy against the number of views, one colour and one marker a rule."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ganfp_jax.report import wording
from ganfp_jax.report.figures import INK, MARKERS, PALETTE
from ganfp_jax.report.legends import legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_ablation(results: Mapping[str, Any]) -> "Figure":
    """Draws every set of views and every rule with its 95 % interval, one panel a condition.

    Sets are in the order of their number of views, which is written above them; a dashed line shows the single view.

    Args:
        results: the content of ablation.json.
    """
    from matplotlib.figure import Figure

    conditions = results["conditions"]
    sets = {row["views"]: row["num_views"] for row in conditions[0]["rows"]}
    labels = sorted(sets, key=lambda label: sets[label])
    rules = list(dict.fromkeys(row["rule"] for row in conditions[0]["rows"]))
    figure = Figure(figsize=(max(4.6, 1.4 + 0.55 * len(labels)), 2.9 * len(conditions) + 0.9), layout="constrained")
    panels = figure.subplots(len(conditions), 1, sharex=True, squeeze=False)[:, 0]
    for panel, condition in zip(panels, conditions, strict=True):
        _draw_condition(panel, condition, labels, rules)
    numbers = [sets[label] for label in labels]
    for place, number in enumerate(numbers):
        if place and number != numbers[place - 1]:
            for panel in panels:
                panel.axvline(place - 0.5, color=INK, alpha=0.15, linewidth=0.6)
        if number not in numbers[:place]:
            middle = place + (numbers.count(number) - 1) / 2
            words = f"{number}" if len(numbers) > 1 and number > 1 else f"{number} view" + "s" * (number > 1)
            panels[0].annotate(words, (middle, 1), xycoords=("data", "axes fraction"), xytext=(0, 3),
                               textcoords="offset points", ha="center")  # fmt: skip
    panels[-1].set_xticks(range(len(labels)), [label.replace(",", ",\n") for label in labels], rotation=45, ha="right")
    panels[-1].set_xlabel("views, by their number")
    handles, names = panels[0].get_legend_handles_labels()
    legend_below(figure, handles, names, 4)
    return figure


def _draw_condition(panel: "Axes", condition: Mapping[str, Any], labels: list[str], rules: list[str]) -> None:
    single = condition["single_view"]["accuracy"]
    panel.axhline(100 * single, color=INK, linewidth=0.8, linestyle="--", alpha=0.6, label="one view")
    for index, rule in enumerate(rules):
        rows = {row["views"]: row for row in condition["rows"] if row["rule"] == rule}
        shift = 0.22 * (index - (len(rules) - 1) / 2)  # side by side, so that the intervals do not cover each other
        values = [100 * rows[label]["accuracy"] for label in labels]
        low = [100 * (rows[label]["accuracy"] - rows[label]["ci95_low"]) for label in labels]
        high = [100 * (rows[label]["ci95_high"] - rows[label]["accuracy"]) for label in labels]
        panel.errorbar(
            [place + shift for place in range(len(labels))], values, (low, high), color=PALETTE[index % len(PALETTE)],
            marker=MARKERS[index % len(MARKERS)], markersize=3.6, linestyle="", elinewidth=0.9,
            label=wording.rule_label(rule),
        )  # fmt: skip
    panel.set_ylabel(f"accuracy in %, {wording.condition_label(condition['condition'])}")
    panel.set_xlim(-0.6, len(labels) - 0.4)
    panel.grid(axis="y", alpha=0.2, linewidth=0.5, color=INK)
