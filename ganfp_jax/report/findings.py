"""Findings of several pages: sentences that the numbers choose."""

from collections.abc import Mapping
from typing import Any

from ganfp_jax.report import wording

SIGNIFICANT = 0.05
"""The significance level: a smaller p is more than chance."""


def baseline_finding(
    metrics: Mapping[str, Any], best: Mapping[str, Any] | None, immunised: str, perturbation: str = ""
) -> str:
    """Returns the sentence that compares the headline with the best cheap baseline.

    Args:
        metrics: the metrics of the headline, with "accuracy", "ci95" and "confusion".
        best: the best baseline on the same images, None where none was run.
        immunised: the perturbations of immunised baselines, in words.
        perturbation: the perturbation of the images, in words, where the sentence must name it.
    """
    test_images = "same images" if perturbation else "same test images"
    if best is None:
        number = "the numbers have" if perturbation else "this number has"
        guess = wording.guess(metrics["confusion"])[1]
        return f"No baseline was run on these images, so {number} no yardstick but {guess}."
    label, cheap = wording.baseline_label(best["name"], immunised), best["metrics"]
    reached, under = wording.percent(cheap["accuracy"]), f"Under {perturbation} " if perturbation else ""
    if is_ahead(metrics, best):
        points = 100 * (metrics["accuracy"] - cheap["accuracy"])
        return (
            f"{under}{'the' if under else 'The'} best baseline, {label}, reaches {reached} on the {test_images}: "
            f"{points:.1f} points less than the network."
        )
    least = "at least " if cheap["accuracy"] >= metrics["accuracy"] else ""
    is_better = cheap["ci95"][0] > metrics["ci95"][1]
    verdict = "is better" if is_better else f"does {least}as well, within the intervals,"
    return f"{under}{'a' if under else 'A'} cheap baseline, {label}, {verdict} on the {test_images} ({reached})."


def is_ahead(metrics: Mapping[str, Any], best: Mapping[str, Any]) -> bool:
    """Whether the interval of a network lies above that of a baseline."""
    return metrics["ci95"][0] > best["metrics"]["ci95"][1]
