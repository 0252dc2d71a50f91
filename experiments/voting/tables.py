"""The cells as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ganfp_jax.report import wording

Rows = Sequence[Mapping[str, Any]]
TRAININGS = {"mirror": "mirroring", "d4": "all flips and turns"}  # label of each training


def all_tables(cells: Rows, doubts: Rows) -> str:
    """All tables of the experiment."""
    parts = []
    for task, training in _several(cells, "task", "training"):
        own = [cell for cell in cells if (cell["task"], cell["training"]) == (task, training)]
        images, networks = own[0]["images"], own[0]["networks"]
        parts += [f"### {task}, trained with {TRAININGS[training]} ({images:,} images, {networks} networks), majority"]
        parts += [accuracy_table([cell for cell in own if cell["rule"] == "majority"])]
    parts += ["### Rules, eight views", rules_table([cell for cell in cells if cell["views"] == "d4"])]
    shown = [row for row in doubts if row["views"] == "d4" and row["errors_of"] in ("single_view", "majority")]
    parts += ["### Doubt, eight views", doubt_table(shown)]
    return "\n\n".join(parts)


def accuracy_table(cells: Rows) -> str:
    """The table of one task, training and rule: a line per set of views, a column per condition.

    The first line has the accuracy, its interval, and the least and most of the networks. The others have the change in
    points, a star where p is below 0.05 after Holm's correction over the whole experiment, and the mean numbers of
    answers corrected and spoiled.
    """
    conditions = list(dict.fromkeys(cell["condition"] for cell in cells))
    head = ["views", "n", "images/s", *(wording.condition_label(name) for name in conditions)]
    body = []
    for (views,) in _several(cells, "views"):
        row = [cell for cell in cells if cell["views"] == views]
        first = row[0]
        texts = [_single(cell) if views == "identity" else _change(cell) for cell in row]
        body.append([views, str(first["num_views"]), f"{first['images_per_second']:.0f}", *texts])
    return _markdown(head, body)


def rules_table(cells: Rows) -> str:
    """The table of the rules: accuracy and change in points."""
    rules = list(dict.fromkeys(cell["rule"] for cell in cells))
    body = []
    for task, training, condition in _several(cells, "task", "training", "condition"):
        row = [c for c in cells if (c["task"], c["training"], c["condition"]) == (task, training, condition)]
        texts = [f"{100 * cell['accuracy']:.1f} ({_points(cell)})" for cell in row]
        body.append([task, training, wording.condition_label(condition), *texts])
    return _markdown(["task", "training", "images", *map(wording.rule_label, rules)], body)


def doubt_table(doubts: Rows) -> str:
    """The table of AUROCs of detecting wrong answers: mean, least and most of the networks."""
    body = [
        [row["task"], row["training"], wording.condition_label(row["condition"]), wording.rule_label(row["errors_of"])]
        + [_spread(row[signal]) for signal in ("disagreement", "control")]
        for row in doubts
    ]
    return _markdown(["task", "training", "images", "errors of", "disagreement", "p(1-p) of one view"], body)


def _single(cell: Mapping[str, Any]) -> str:
    low, high = cell["ci95"]
    seeds = f"; {100 * cell['least']:.1f} to {100 * cell['most']:.1f}" if cell["networks"] > 1 else ""
    return f"{100 * cell['accuracy']:.1f} ({100 * low:.1f} to {100 * high:.1f}{seeds})"


def _change(cell: Mapping[str, Any]) -> str:
    return f"{_points(cell)} (+{cell['wrong_to_right']:.0f} −{cell['right_to_wrong']:.0f})"


def significant(cell: Mapping[str, Any]) -> bool:
    """Whether p is below 0.05 after Holm's correction, and the sign test agrees with the mean in direction."""
    return cell["holm_p"] is not None and cell["holm_p"] < 0.05 and cell["change"] * cell["sign"] > 0


def _points(cell: Mapping[str, Any]) -> str:
    star = "\\*" if significant(cell) else ""
    return wording.signed(100 * cell["change"]) + star


def _spread(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.2f} ({min(known):.2f} to {max(known):.2f})" if known else "–"


def _several(rows: Rows, *keys: str) -> list[tuple[Any, ...]]:
    return list(dict.fromkeys(tuple(row[key] for key in keys) for row in rows))


def _markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *body])
