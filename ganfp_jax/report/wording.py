"""The format of numbers and names, which console and page share."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ganfp_jax import baselines
from ganfp_jax.data import perturb

MOST_LISTED = 30  # names in a sentence
REAL = "real"
"""The source of photographs that none of the other sources has made or changed."""


def percent(share: float | int | None) -> str:
    """Formats a share: 0.9612 -> "96.1%", 0.9999 -> ">99.9%", 0.0001 -> "<0.1%", None (of no image) -> "–".

    Only a share of exactly 1 or 0 is written 100.0% or 0.0%.
    """
    return "–" if share is None else _percent(share, f"{share:.1%}")


def percents(shares: Sequence[float | int]) -> list[str]:
    """Formats shares of one whole as `percent` does, rounded so that the written numbers add up to the whole.

    Each is rounded down to a tenth of a percent; the missing tenths go to the shares that lost most.
    """
    exact = [1000 * share for share in shares]
    tenths = [math.floor(share + 1e-6) for share in exact]  # the rounding error of a sum of floats is no loss
    by_loss = sorted(range(len(exact)), key=lambda place: tenths[place] - exact[place])
    for place in by_loss[: max(round(sum(exact)) - sum(tenths), 0)]:
        tenths[place] += 1
    return [_percent(share, f"{tenth / 10:.1f}%") for share, tenth in zip(shares, tenths, strict=True)]


def _percent(share: float | int, text: str) -> str:
    if share > 0 and text == "0.0%":
        return "<0.1%"
    return ">99.9%" if share < 1 and text == "100.0%" else text


def interval(bounds: Sequence[float | int]) -> str:
    """Formats an interval: (0.95, 0.97) -> "95.0–97.0", in the percent of the number beside it."""
    low, high = bounds
    return f"{100 * low:.1f}–{100 * high:.1f}"


def measure(block: Mapping[str, Any]) -> str:
    """Formats a measure: {"value": 2.314, "ci95": [2.05, 2.6]} -> "2.31 (2.05–2.60)"; "–" without a value."""
    if block["value"] is None:
        return "–"
    bounds = "" if block["ci95"] is None else " ({:.2f}–{:.2f})".format(*block["ci95"])
    return f"{block['value']:.2f}{bounds}"


def p_value(p: float | int) -> str:
    """Formats a p-value: 0.0321 -> "0.032", 1e-9 -> "< 0.001"; at most 1."""
    return "< 0.001" if p < 0.001 else f"{min(p, 1.0):.3f}"


def signed(value: float | int, digits: int = 1) -> str:
    """Formats a signed number: 3.14 -> "+3.1", -0.52 -> "−0.5" with a minus as wide as the plus, 0.04 -> "0.0"."""
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else ("+" if value > 0 else "−") + text


def duration(seconds: float | int) -> str:
    """Formats seconds: 8.25 -> "8.2 s", 208 -> "3 min 28 s", 7265 -> "2 h 1 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def votes(counts: Mapping[str, int]) -> str:
    """Formats votes: {"real": 1, "SNGAN": 3} -> "SNGAN 3, real 1"; most votes first, classes without one left out."""
    cast = sorted(((name, count) for name, count in counts.items() if count), key=lambda item: -item[1])
    return ", ".join(f"{name} {count}" for name, count in cast)


def summary(verdicts: Mapping[str, int], refused: int) -> str:
    """Counts verdicts and refused files: "2 verdicts: SNGAN 1, real 1; 1 file refused"."""
    given = sum(verdicts.values())
    said = f"{given:,} verdict{'s' * (given != 1)}: {votes(verdicts)}" if given else "No verdict"
    return said + (f"; {refused:,} file{'s' * (refused != 1)} refused" if refused else "")


def listed(names: Sequence[str], last: str = "and") -> str:
    """Lists names: ["a", "b", "c"] -> "a, b and c"; of more than `MOST_LISTED` the first eight "and 992 others"."""
    if len(names) > MOST_LISTED:
        names = [*names[:8], f"{len(names) - 8:,} others"]
    return f" {last} ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def guess(confusion: Sequence[Sequence[int]]) -> tuple[float, str]:
    """Returns the accuracy without looking at the images, and how: of unequal sources the commonest is always named.

    Args:
        confusion: counts; rows target, columns predicted.
    """
    counts = [sum(row) for row in confusion]
    how = "guessing" if len(set(counts)) == 1 else "always naming the commonest source"
    return max(counts) / sum(counts), how


def baseline_label(name: str, how: str = "") -> str:
    """Returns the name of a baseline in words; `how` is the `immunised_by` of an immunised one."""
    plain = name.removesuffix(baselines.IMMUNISED)
    words = baselines.label(plain)
    return words if plain == name else f"{words}, immunised {how}".rstrip()


def immunised_by(immunise: Mapping[str, Any]) -> str:
    """Describes immunising: {"share": 0.5, "perturbations": ("jpeg75",)} -> "by JPEG quality 75"; "" if no image is."""
    if not immunise["share"]:
        return ""
    return f"by {listed([in_a_sentence(name) for name in immunise['perturbations']])}"


def in_a_sentence(perturbation: str) -> str:
    """Returns the name of a perturbation in a sentence."""
    return f"the {perturbation}" if perturbation == perturb.COMBINATION else condition_label(perturbation)


def condition_label(condition: str) -> str:
    """Labels a condition: "jpeg75" -> "JPEG quality 75", "crop5-20" -> "crop 5–20%"; other names stay as they are."""
    return perturb.in_words(condition)


def rule_label(rule: str) -> str:
    """Labels a rule: "mean_logit" -> "mean logit"."""
    return rule.replace("_", " ")


def view_label(view: str) -> str:
    """Labels a view: "rot90" -> "turned 90°", "vertical_flip" -> "vertical flip"; other names stay as they are."""
    turn = re.fullmatch(r"rot(\d+)", view)
    return f"turned {turn[1]}°" if turn else view.replace("_", " ")


def trace_label(source: str) -> str:
    """Labels a source as a finding: "real" promises too much, where only traces of known generators are looked for."""
    return f"no known trace ({REAL})" if source == REAL else source
