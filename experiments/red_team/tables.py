"""The results as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.red_team.measure import OUTCOMES

HEADS = {
    "removal": ("named right", "called real", "another generator", "unsure", "unknown"),
    "forging": ("called real", "the generator aimed at", "another generator", "unsure", "unknown"),
}


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """A table for each goal and network: a line per attack and strength, percentages with their intervals."""
    parts = []
    for network in dict.fromkeys(row["network"] for row in results):
        for goal, heads in HEADS.items():
            of = [row for row in results if (row["network"], row["goal"]) == (network, goal)]
            title = f"| {goal}, {network}, n = {of[0]['n']} | strength | PSNR, dB | {' | '.join(heads)} |"
            parts.append("\n".join([title, f"|{'---|' * (3 + len(heads))}", *map(_line, of)]))
    return "\n\n".join(parts)


def _line(row: Mapping[str, Any]) -> str:
    quality = "–" if row["psnr"] is None else f"{row['psnr']:.1f}"
    cells = [_cell(row["counts"][one] / row["n"], row["ci95"][one]) for one in OUTCOMES]
    return f"| {row['attack']} | {row['strength']} | {quality} | {' | '.join(cells)} |"


def _cell(share: float, interval: Sequence[float]) -> str:
    low, high = (100 * end for end in interval)
    return f"{100 * share:.0f} ({low:.0f} to {high:.0f})"
