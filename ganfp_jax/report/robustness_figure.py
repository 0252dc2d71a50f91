"""The figure of the job `robustness`: accuracy against the strength of a perturbation, one panel a family of them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ganfp_jax.data.perturb import PERTURBATIONS
from ganfp_jax.report import wording
from ganfp_jax.report.figures import DASHES, INK, MARKERS, PALETTE
from ganfp_jax.report.legends import legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MIXED = "drawn for each image"
COLUMNS = 3


def draw_robustness(results: Mapping[str, Any]) -> "Figure":
    """Draws every network and baseline under every perturbation with its 95 % interval.

    Each panel begins with the clean images, then has the perturbations of one family from mild to severe. Ranges and
    the combination share the last panel, which is as wide as the figure. The dotted line is the accuracy of guessing,
    or of always naming the commonest source.

    Args:
        results: the content of metrics.json.
    """
    from matplotlib.figure import Figure

    groups = panels(results)
    wide = MIXED in groups
    columns = max(1, min(COLUMNS, len(groups) - wide))
    rows = -(-(len(groups) - wide) // columns) + wide
    figure = Figure(figsize=(max(2.7 * columns, 5.4) + 0.4, 2.25 * rows + 0.9), layout="constrained")
    grid = figure.add_gridspec(rows, columns)
    for place, (title, conditions) in enumerate(groups.items()):
        row, column = divmod(place, columns)
        panel = figure.add_subplot(grid[-1, :] if title == MIXED else grid[row, column])
        _draw(panel, results, conditions, joined=title != MIXED)
        panel.set_title(title)
        if column == 0 or title == MIXED:
            panel.set_ylabel("accuracy in %")
        else:
            panel.tick_params(axis="y", labelleft=False)
    handles, names = figure.axes[0].get_legend_handles_labels()
    legend_below(figure, handles, names, min(columns, 2))
    return figure


def panels(results: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Returns each title -> (condition, its label), from mild to severe."""
    groups: dict[str, list[tuple[float, str, str]]] = {}
    for entry in results["attacks"]:
        condition, family = entry["attack"], entry["family"]
        strength = condition.removeprefix(family)
        if family in PERTURBATIONS and "-" not in strength:
            severity = -float(strength) if PERTURBATIONS[family].eases else float(strength)
            groups.setdefault(PERTURBATIONS[family].axis, []).append((severity, condition, strength))
        elif family != "none":
            words = wording.condition_label(condition).replace(" ", "\n", 1)
            groups.setdefault(MIXED, []).append((0.0, condition, words))
    if MIXED in groups:
        groups[MIXED] = groups.pop(MIXED)  # the last panel
    return {
        title: [
            ("clean", "clean"),
            *((condition, words) for _, condition, words in sorted(members, key=lambda one: one[0])),
        ]
        for title, members in groups.items()
    }


def _draw(panel: "Axes", results: Mapping[str, Any], conditions: list[tuple[str, str]], joined: bool) -> None:
    """Draws a panel; lines join perturbations of one kind at several strengths (`joined`)."""
    places = {condition: place for place, (condition, _) in enumerate(conditions)}
    lines = [*_networks(results).items(), *_baselines(results).items()]
    apart = 0.0 if joined else min(0.12, 0.7 / len(lines))  # without lines, points would hide each other
    for index, (name, rows) in enumerate(lines):
        network = index < len(results["networks"])
        measured = [condition for condition in places if condition in rows]
        values, low, high = (100 * np.array([rows[condition][key] for condition in measured]) for key in range(3))
        panel.errorbar(
            [places[condition] + apart * (index - (len(lines) - 1) / 2) for condition in measured], values,
            (values - low, high - values), color=PALETTE[index % len(PALETTE)], marker=MARKERS[index % len(MARKERS)],
            markersize=3.6 if network else 2.6, linestyle=DASHES[0 if network else 1] if joined else "",
            linewidth=1.3 if network else 0.8, elinewidth=0.8, label=name,
        )  # fmt: skip
    chance, guess = wording.guess(results["rows"][0]["confusion"])
    panel.axhline(100 * chance, color=INK, linewidth=0.8, linestyle=":", alpha=0.7, label=guess)
    panel.set_xticks(range(len(conditions)), [words for _, words in conditions])
    panel.set_xlim(-0.4, len(conditions) - 0.6)
    panel.set_ylim(0, 102)
    panel.grid(axis="y", alpha=0.2, linewidth=0.5, color=INK)


def _networks(results: Mapping[str, Any]) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Returns each network's name in the legend -> condition -> accuracy and the ends of its interval."""
    lines: dict[str, dict[str, tuple[float, float, float]]] = {}
    for row in results["rows"]:
        points = lines.setdefault(f"{row['network']} network", {})
        points[row["attack"]] = (row["accuracy"], row["ci95_low"], row["ci95_high"])
    return lines


def _baselines(results: Mapping[str, Any]) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Returns the same for the baselines."""
    lines: dict[str, dict[str, tuple[float, float, float]]] = {}
    for entry in results["baselines"]:
        metrics, label = entry["metrics"], wording.baseline_label(entry["name"], results["immunised"])
        lines.setdefault(label, {})[entry["condition"]] = (metrics["accuracy"], *metrics["ci95"])
    return lines
