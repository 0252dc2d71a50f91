"""The page of `score`: tools beside each other, whoever made them."""

from collections.abc import Iterable, Mapping
from typing import Any

from ganfp_jax.report import rendering, wording
from ganfp_jax.report.few import MOST, most_confused, what_is_shown
from ganfp_jax.report.findings import SIGNIFICANT
from ganfp_jax.report.score_tables import accuracies, by_class, pairs, sections

FEW_GROUPS = 10  # with fewer, a bootstrap of groups makes its intervals too short


def values(results: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the template's values of `results.ScorePage`."""
    tools = results["tools"]
    first = next(iter(tools.values()))
    number = len(first["per_class"])  # images of unknown sources stand below and beside these
    known = {"confusion": [row[:number] for row in first["confusion"][:number]]}
    shown = most_confused(known, classes=first["classes"][:number])
    shown = [*shown, *(name for name in results["classes"] if name not in first["per_class"])][:MOST]
    chance, guess = wording.guess(first["confusion"][:number])
    return {
        "tools": tools,
        "first": first,
        "few": what_is_shown(shown, results["classes"], "metrics.json"),
        "chance": chance,
        "guess": guess,
        "findings": list(_findings(results)),
        "leak": _leak(results["audit"]),
        "right": accuracies(tools),
        "by_class": by_class(tools, shown),
        "grids": sections(tools),
        "pairs": pairs(results["pairs"]),
        "matrices": [
            rendering.confusion_matrix(name, block, block["classes"], most_confused(block))
            for name, block in tools.items()
        ],
    }


def _leak(audit: Mapping[str, Any] | None) -> str:
    """What stands above all numbers where the files give the sources away; else ""."""
    if not audit or not audit["leak"]:
        return ""
    return f"{audit['verdict']} No number here says anything of traces in the images before these files are equalised."


def _findings(results: Mapping[str, Any]) -> Iterable[str]:
    """Yields the findings in sentences."""
    for pair in results["pairs"]:
        yield _of_pair(pair)
    for name, block in results["tools"].items():
        if block["rejected"]:
            yield (
                f"{name}: {block['rejected']:,} rows could not be used and do not count; were they wrong answers, "
                f"it would be right on {wording.percent(block['least_accuracy'])}."
            )
    scarce = {
        one: number
        for block in results["tools"].values()
        for one, number in (block["groups"] or {}).items()
        if 0 < number < FEW_GROUPS
    }
    if scarce:
        said = wording.listed([f"{name} come from {number}" for name, number in scarce.items()])
        yield f"Few groups: the images of {said}, so for other ones expect more than these intervals."
    if results["audit"] is None:
        yield "Whether anything but a fingerprint gives the sources away is not known: config.data.root is empty."


def _of_pair(pair: Mapping[str, Any]) -> str:
    """Says which of two tools is better on the images that both have answered."""
    first, second, p = pair["first"], pair["second"], _equals(pair["holm_p"])
    alone = {second: pair["wrong_to_right"], first: pair["right_to_wrong"]}
    counts = (
        f"of {pair['shared']:,} images {alone[first]:,} are named rightly by {first} alone and {alone[second]:,} by "
        f"{second} alone (exact McNemar test with Holm's correction, p {p})."
    )
    if pair["holm_p"] >= SIGNIFICANT:
        return f"{first} and {second} do not differ beyond chance: {counts}"
    better, other = (first, second) if alone[first] > alone[second] else (second, first)
    return f"{better} is better than {other}: {counts}"


def _equals(p: float | int) -> str:
    text = wording.p_value(p)
    return text if text.startswith("<") else f"= {text}"
