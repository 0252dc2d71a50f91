"""Metrics that belong together, of answers or scores: each function prepares its arrays once, for any weights.

The result is a function from weights (how often each image counts) to numbers by name, which a bootstrap calls a
thousand times. A number that does not exist is None.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Integer

from ganfp_jax.metrics.ranking import Ranking, area, average_precision, curve, hits_at
from ganfp_jax.metrics.reliability import cllr, expected_calibration_error
from ganfp_jax.metrics.statistics import auroc, bootstrap_weights, percentile_interval
from ganfp_jax.run.progress import progress

RATES = (1, 5, 10)
"""False positive rates, in percent, at which hits are counted."""

Weights = Float[np.ndarray, " n"]
Measure = Callable[[Weights], dict[str, Any]]
"""Weights of the images -> numbers by name; a name may stand for numbers by class."""


def of(chosen: Bool[np.ndarray, " n"], measure: Measure) -> Measure:
    """The measure of some of N images, as a function of the weights of all."""
    return lambda weights: measure(weights[chosen])


def closed_set(targets: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"], classes: Sequence[str]) -> Measure:
    """`accuracy`, `balanced_accuracy` (the mean over the classes that occur) and the accuracy `per_class`.

    Args:
        targets: true classes, 0 to K - 1.
        predicted: answers; any other number is no class and wrong.
        classes: K names.
    """
    right, count = predicted == targets, len(classes)

    def measure(weights: Weights) -> dict[str, Any]:
        totals, hits = np.bincount(targets, weights, count), np.bincount(targets, weights * right, count)
        recalls = [_share(*counts) for counts in zip(hits.tolist(), totals.tolist(), strict=True)]
        return {
            "accuracy": _share(float(hits.sum()), float(totals.sum())),
            "balanced_accuracy": _mean(recalls),
            "per_class": dict(zip(classes, recalls, strict=True)),
        }

    return measure


def one_vs_rest(scores: Float[np.ndarray, "n k"], targets: Int[np.ndarray, " n"], classes: Sequence[str]) -> Measure:
    """`auroc` and `average_precision` of each class against the rest (`per_class`), and their means over the classes.

    Without ties and weights they are scikit-learn's with `average="macro"`. A class without images, or without images
    of others, has None and is left out of the means.
    """
    each = [(k, Ranking(scores[:, k]), auroc(scores[:, k], targets == k)) for k in range(len(classes))]

    def measure(weights: Weights) -> dict[str, Any]:
        areas = [of_class(weights) for _, _, of_class in each]
        precisions = [average_precision(ranked, targets == k, weights) for k, ranked, _ in each]
        return {
            "auroc": _mean(areas),
            "average_precision": _mean(precisions),
            "per_class": {
                name: {"auroc": of_class, "average_precision": precision}
                for name, of_class, precision in zip(classes, areas, precisions, strict=True)
            },
        }

    return measure


def calibration(confidence: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"], bins: int) -> Measure:
    """`ece` of the probabilities of the answers."""
    return lambda weights: {"ece": expected_calibration_error(confidence, right, weights, bins)}


def detection(
    evidence: Float[np.ndarray, " n"], fake: Bool[np.ndarray, " n"], ratios: Float[np.ndarray, " n"] | None
) -> Measure:
    """`auroc`, `average_precision` of generated images, `tpr_at_fpr_N` for each of `RATES`, and `cllr`.

    Args:
        evidence: high for generated images.
        fake: which images are generated.
        ratios: log-likelihood-ratios of "generated"; `cllr` is None without them.
    """
    ranked = Ranking(evidence)

    def measure(weights: Weights) -> dict[str, Any]:
        roc = curve(ranked, fake, ~fake, weights)
        return {
            "auroc": area(roc),
            "average_precision": average_precision(ranked, fake, weights),
            **{f"tpr_at_fpr_{rate}": hits_at(roc, rate / 100) for rate in RATES},
            "cllr": None if ratios is None else cllr(ratios, fake, weights),
        }

    return measure


def with_intervals(
    measure: Measure,
    units: Integer[np.ndarray, " n"],
    strata: Integer[np.ndarray, " n"] | None = None,
    *,
    repeats: int,
    seed: int,
    label: str = "",
) -> dict[str, Any]:
    """Every number of a measure as {"value", "ci95"}, the latter by a bootstrap of whole groups.

    Args:
        measure: of N images; numbers may be nested.
        units: the group of each image, which is drawn as a whole: crops of one photograph, or images of one generator.
        strata: as for `bootstrap_weights`, which draws within each.
        repeats: repeats of the bootstrap.
        seed: its seed.
        label: of the progress bar.

    Returns:
        `ci95` is the percentile interval; None where it would be a point, as where all is right, or has no value.
    """
    draws = []
    with progress(repeats, label, "repeat", delay=2.0) as bar:
        for weights in bootstrap_weights(units, repeats, np.random.RandomState(seed), strata):
            draws.append(measure(weights))
            bar.update()
    return _with_intervals(measure(np.ones(len(units))), draws)


def _with_intervals(values: Any, draws: Sequence[Any]) -> Any:
    if isinstance(values, Mapping):
        return {name: _with_intervals(inner, [draw[name] for draw in draws]) for name, inner in values.items()}
    found = None if values is None else percentile_interval(draws)
    return {"value": values, "ci95": found if found and found[0] < found[1] else None}


def _share(part: float | int, total: float | int) -> float | None:
    return part / total if total else None


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None
