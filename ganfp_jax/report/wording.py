"""How numbers and names are written, the same on the console and on the page."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ganfp_jax import baselines
from ganfp_jax.data import perturb

MOST_LISTED = 30  # names in a sentence


def percent(share: float | int | None) -> str:
    """0.9612 -> "96.1%", 0.9999 -> ">99.9%", 0.0001 -> "<0.1%"; that of no image is "–".

    Only a share of exactly 1 or 0 is written 100.0% or 0.0%.
    """
    return "–" if share is None else _percent(share, f"{share:.1%}")


def percents(shares: Sequence[float | int]) -> list[str]:
    """Shares of one whole as `percent` writes them, rounded so that the numbers that stand there add up to it.

    Each goes down to a tenth of a percent, and the tenths that are then missing go to those that lost most.
    """
    exact = [1000 * share for share in shares]
    tenths = [math.floor(share + 1e-6) for share in exact]  # what a sum of floats leaves out is no loss
    by_loss = sorted(range(len(exact)), key=lambda place: tenths[place] - exact[place])
    for place in by_loss[: max(round(sum(exact)) - sum(tenths), 0)]:
        tenths[place] += 1
    return [_percent(share, f"{tenth / 10:.1f}%") for share, tenth in zip(shares, tenths, strict=True)]


def _percent(share: float | int, text: str) -> str:
    if share > 0 and text == "0.0%":
        return "<0.1%"
    return ">99.9%" if share < 1 and text == "100.0%" else text


def interval(bounds: Sequence[float | int]) -> str:
    """(0.95, 0.97) -> "95.0–97.0"; the unit is the percent of the number it stands beside."""
    low, high = bounds
    return f"{100 * low:.1f}–{100 * high:.1f}"


def measure(block: Mapping[str, Any]) -> str:
    """{"value": 2.314, "ci95": [2.05, 2.6]} -> "2.31 (2.05–2.60)"; "–" without a value."""
    if block["value"] is None:
        return "–"
    bounds = "" if block["ci95"] is None else " ({:.2f}–{:.2f})".format(*block["ci95"])
    return f"{block['value']:.2f}{bounds}"


def p_value(p: float | int) -> str:
    """0.0321 -> "0.032", 1e-9 -> "< 0.001"; at most 1."""
    return "< 0.001" if p < 0.001 else f"{min(p, 1.0):.3f}"


def signed(value: float | int, digits: int = 1) -> str:
    """3.14 -> "+3.1", -0.52 -> "−0.5" with a minus sign as wide as the plus, 0.04 -> "0.0"."""
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else ("+" if value > 0 else "−") + text


def duration(seconds: float | int) -> str:
    """8.25 -> "8.2 s", 208 -> "3 min 28 s", 7265 -> "2 h 1 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def votes(counts: Mapping[str, int]) -> str:
    """{"real": 1, "SNGAN": 3} -> "SNGAN 3, real 1": most votes first, no class without one."""
    cast = sorted(((name, count) for name, count in counts.items() if count), key=lambda item: -item[1])
    return ", ".join(f"{name} {count}" for name, count in cast)


def listed(names: Sequence[str]) -> str:
    """["a", "b", "c"] -> "a, b and c"; of more than `MOST_LISTED` the first eight, "and 992 others"."""
    if len(names) > MOST_LISTED:
        names = [*names[:8], f"{len(names) - 8:,} others"]
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def guess(confusion: Sequence[Sequence[int]]) -> tuple[float, str]:
    """What is right without a look at the images, and how: of unequal sources the commonest can always be named.

    Args:
        confusion: counts; rows target, columns predicted.
    """
    counts = [sum(row) for row in confusion]
    how = "guessing" if len(set(counts)) == 1 else "always naming the commonest source"
    return max(counts) / sum(counts), how


def baseline_label(name: str, how: str = "") -> str:
    """The name of a baseline in words; `how` says what an immunised one was immunised by, as `immunised_by` does."""
    plain = name.removesuffix(baselines.IMMUNISED)
    words = baselines.label(plain)
    return words if plain == name else f"{words}, immunised {how}".rstrip()


def immunised_by(immunise: Mapping[str, Any]) -> str:
    """{"share": 0.5, "perturbations": ("jpeg75",)} -> "by JPEG quality 75"; "" where no image is perturbed."""
    if not immunise["share"]:
        return ""
    return f"by {listed([in_a_sentence(name) for name in immunise['perturbations']])}"


def in_a_sentence(perturbation: str) -> str:
    """What a perturbation is called in a sentence."""
    return f"the {perturbation}" if perturbation == perturb.COMBINATION else condition_label(perturbation)


def condition_label(condition: str) -> str:
    """Of a perturbation or its label: "jpeg75" -> "JPEG quality 75", "crop5-20" -> "crop 5–20%"; others stay as is."""
    return perturb.in_words(condition)


def rule_label(rule: str) -> str:
    """ "mean_logit" -> "mean logit"."""
    return rule.replace("_", " ")


def view_label(view: str) -> str:
    """ "rot90" -> "turned 90°", "vertical_flip" -> "vertical flip"; other names stay as they are."""
    turn = re.fullmatch(r"rot(\d+)", view)
    return f"turned {turn[1]}°" if turn else view.replace("_", " ")
