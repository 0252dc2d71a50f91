"""The statistics of `metrics.json`: accuracies with the uncertainty of a finite test set."""

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Integer

MIN_SHARE = 0.9  # least share of bootstrap repeats with a value, for an interval from their quantiles


def wilson_interval(correct: int | float, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a proportion (Wilson 1927), without continuity correction.

    Args:
        correct: successes, 0..total; a share of the total need not be a whole number.
        total: trials; 0 gives (0, 1), since nothing is known.
        confidence: coverage, between 0 and 1.

    Returns:
        (low, high) within [0, 1].

    Raises:
        ValueError: the counts are impossible, or the confidence is outside (0, 1).
    """
    if not 0 <= correct <= total:
        raise ValueError(f"{correct} correct of {total} is impossible")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    if total == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, shrink = correct / total, 1 + z * z / total
    centre = (share + z * z / (2 * total)) / shrink
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / shrink
    # At 0 and `total` the bounds are exactly 0 and 1, which rounding would miss.
    low = 0.0 if correct == 0 else max(0.0, centre - half)
    high = 1.0 if correct == total else min(1.0, centre + half)
    return low, high


def mcnemar_p(wrong_to_right: int, right_to_wrong: int) -> float:
    """McNemar's exact test of whether a fair coin could have split the changed answers like this.

    Args:
        wrong_to_right: number of images that only the second method answers correctly.
        right_to_wrong: number of images that only the first method answers correctly.

    Returns:
        The two-sided p-value of the binomial test at 1/2; 1.0 where nothing changed.

    Raises:
        ValueError: a count is negative.
    """
    if min(wrong_to_right, right_to_wrong) < 0:
        raise ValueError(f"counts must not be negative: {wrong_to_right} and {right_to_wrong}")
    changed = wrong_to_right + right_to_wrong
    ways = tail = 1  # ways to choose 0 of the changed images, then 1, 2, ... of them
    for i in range(min(wrong_to_right, right_to_wrong)):
        ways = ways * (changed - i) // (i + 1)
        tail += ways
    return min(1.0, 2 * tail / 2**changed)  # exact integers, rounded only here


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction (Holm 1979) of the p-values of one family of tests, in their order.

    Rejecting every hypothesis whose corrected value is at most a keeps the chance of any false rejection at most a. The
    smallest of m values is multiplied by m, the next by m - 1, and so on; no value falls below that of a smaller one.

    Raises:
        ValueError: a value is outside [0, 1].
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError(f"p-values lie between 0 and 1: {list(p_values)}")
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = min(1.0, max(highest, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def auroc(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]
) -> Callable[[Float[np.ndarray, " n"] | None], float | None]:
    """Area under the ROC curve: the chance that a positive scores higher than a negative, where ties count half.

    Args:
        scores: any finite numbers.
        positive: True for the items whose scores should be high.

    Returns:
        area(weights), 0..1, or None without positives or without negatives. The weights say how often each item counts
        (None: once), since a bootstrap calls the function a thousand times for the same scores.
    """
    levels, place = np.unique(scores, return_inverse=True)
    ones = np.ones(len(scores))

    def area(weights: Float[np.ndarray, " n"] | None) -> float | None:
        weights = ones if weights is None else weights
        positives = np.bincount(place, weights * positive, len(levels))
        negatives = np.bincount(place, weights, len(levels)) - positives
        pairs = positives.sum() * negatives.sum()
        return float((positives * (np.cumsum(negatives) - negatives / 2)).sum() / pairs) if pairs else None

    return area


def roc(
    positive: Float[np.ndarray, " n"], negative: Float[np.ndarray, " n"], ends: Int[np.ndarray, " e"]
) -> tuple[Float[np.ndarray, " q"], Float[np.ndarray, " q"]]:
    """ROC curve of items in order of falling score: false and true positive rates, from (0, 0) to (1, 1).

    scikit-learn's `roc_curve` with `sample_weight` gives the same, but sorts the scores for each set of weights.

    Args:
        positive: weight of each item that is a positive, 0 for the others.
        negative: weight of each item that is a negative, 0 for the others.
        ends: index of the last item of each distinct score, since equal scores are accepted together.

    Returns:
        Both rates; NaN where all weights of a kind are 0.
    """
    rates = []
    for weights in (negative, positive):
        total = np.concatenate([[0.0], np.cumsum(weights)[ends]])
        rates.append(total / total[-1] if total[-1] > 0 else np.full_like(total, np.nan))
    return rates[0], rates[1]


def area(far: Float[np.ndarray, " q"], tpr: Float[np.ndarray, " q"]) -> float:
    """Area under a ROC curve by trapezia, which count ties half."""
    return float(np.trapezoid(tpr, far))


def equal_error_rate(far: Float[np.ndarray, " q"], tpr: Float[np.ndarray, " q"]) -> float:
    """The rate at which false acceptances (FAR) equal false rejections (1 - TPR) on a ROC curve; NaN if it has NaN.

    It is interpolated linearly between the two points of the curve where FAR - FRR changes its sign.
    """
    excess = far + tpr - 1  # FAR - FRR, which rises from -1 to 1
    if not np.isfinite(excess).all():
        return math.nan
    i = int(np.argmax(excess >= 0))
    share = -excess[i - 1] / (excess[i] - excess[i - 1])
    return float(far[i - 1] + share * (far[i] - far[i - 1]))


def bootstrap_weights(
    groups: Integer[np.ndarray, " n"],
    repeats: int,
    rng: np.random.Generator | np.random.RandomState,
    strata: Integer[np.ndarray, " n"] | None = None,
) -> Iterator[Float[np.ndarray, " n"]]:
    """Bootstrap weights: how often each of N items occurs in each of `repeats` draws of whole groups with replacement.

    Items of one group are drawn together, since they depend on each other, as crops of one photograph do.

    Args:
        groups: group of each item.
        repeats: number of draws.
        rng: generator of the draws; a `RandomState` has the same stream in every version of NumPy.
        strata: class of each item, the same for all items of a group. Each class is drawn as many groups as it has.
            None draws from all groups.
    """
    number, first, place = np.unique(groups, return_index=True, return_inverse=True)
    stratum = np.zeros(len(number), int) if strata is None else strata[first]
    members = [np.flatnonzero(stratum == one) for one in np.unique(stratum)]
    for _ in range(repeats):
        drawn = np.concatenate([rng.choice(some, len(some)) for some in members])
        yield np.bincount(drawn, minlength=len(number))[place].astype(float)


def percentile_interval(values: Sequence[float | None], confidence: float = 0.95) -> list[float] | None:
    """The interval [low, high] of the middle share `confidence` of those bootstrap repeats that have a value.

    It is None where more than a tenth have no value, since the rest would not be a fair sample.
    """
    known = _known(values, 1)
    return None if known is None else [float(bound) for bound in np.quantile(known, _tails(confidence))]


def basic_interval(
    values: Sequence[float] | Float[np.ndarray, " n"], value: float, *, smallest: float, confidence: float = 0.95
) -> list[float] | None:
    """Bootstrap interval of a rate, [low, high]: the replicates' quantiles reflected at the value, in log-odds.

    The reflection ("basic" bootstrap) corrects the skewness of a rate near 0 or 1, and the log-odds keep the interval
    inside (0, 1).

    Args:
        values: replicates in [0, 1]; NaN for one without a value, such as one without a pair of one source. There is no
            interval if more than a tenth are NaN, since the rest would be the easy ones.
        value: the rate itself.
        smallest: least distance of a rate from 0 and 1; closer rates are moved away, since log-odds are unbounded.
        confidence: nominal coverage, between 0 and 1.

    Raises:
        ValueError: the confidence is outside (0, 1).
    """
    tails, known = _tails(confidence), _known(values, 2)
    if known is None:
        return None

    def log_odds(rates: np.ndarray) -> np.ndarray:
        clipped = np.clip(rates, smallest, 1 - smallest)
        return np.log(clipped / (1 - clipped))

    low, high = np.quantile(log_odds(known), tails)
    reflected = 1 / (1 + np.exp(np.array([high, low]) - 2 * log_odds(np.array([value]))))
    return [min(float(reflected[0]), value), max(float(reflected[1]), value)]


def _known(values: Sequence[float | None] | Float[np.ndarray, " n"], fewest: int) -> Float[np.ndarray, " n"] | None:
    """The repeats that have a value; None where they are too few for an interval."""
    repeats = np.array(values, np.float64)  # None becomes NaN
    known = repeats[np.isfinite(repeats)]
    return known if len(known) >= max(fewest, MIN_SHARE * len(repeats)) else None


def _tails(confidence: float) -> tuple[float, float]:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    return (1 - confidence) / 2, (1 + confidence) / 2


def mean_interval(
    values: Sequence[float] | Float[np.ndarray, " n"],
    confidence: float = 0.95,
    within: tuple[float, float] = (-math.inf, math.inf),
) -> list[float] | None:
    """Student's t interval for the mean of independent values, [low, high], clipped to `within`.

    It is None for fewer than two values. It is also None where all are equal, since the interval would be a point.

    Raises:
        ValueError: the confidence is outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    if len(values) < 2 or np.ptp(values) == 0:
        return None
    from scipy.special import stdtrit  # SciPy is slow to import

    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = float(stdtrit(len(values) - 1, (1 + confidence) / 2)) * error
    return [max(within[0], mean - half), min(within[1], mean + half)]


def proportion(correct: int, total: int) -> dict[str, Any]:
    """A proportion as {"accuracy", "correct", "total", "ci95"}; the accuracy is None where `total` is 0."""
    return {
        "accuracy": correct / total if total else None,
        "correct": correct,
        "total": total,
        "ci95": list(wilson_interval(correct, total)),
    }


def accuracy_block(
    targets: Integer[np.ndarray, " n"], predicted: Integer[np.ndarray, " n"], classes: Sequence[str]
) -> dict[str, Any]:
    """Accuracy overall and per class, and the confusion matrix, as plain JSON-able data.

    Args:
        targets: true class indices, `(N,)`.
        predicted: predicted class indices, `(N,)`.
        classes: the K class names, in index order.

    Returns:
        `accuracy`, `correct`, `total`, `ci95` [low, high], `per_class` {name: the same four}, `confusion` (K rows of K
        counts; row target, column predicted) and `classes`. Per-class accuracy is recall, the share of that class's
        images that were recognised; it is None for a class without images.

    Raises:
        ValueError: a class index is outside 0..K-1, or a class is named twice.
    """
    num_classes = len(classes)
    if len(set(classes)) < num_classes:
        raise ValueError(f"class names must differ: {', '.join(classes)}")
    for name, indices in (("targets", targets), ("predicted", predicted)):
        if indices.size and not (indices.min() >= 0 and indices.max() < num_classes):
            raise ValueError(f"{name} has class indices outside 0..{num_classes - 1}")
    confusion = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(confusion, (targets, predicted), 1)
    hits, totals = np.diagonal(confusion), confusion.sum(axis=1)
    return {
        **proportion(int(hits.sum()), int(totals.sum())),
        "per_class": {name: proportion(int(hits[k]), int(totals[k])) for k, name in enumerate(classes)},
        "confusion": confusion.tolist(),
        "classes": list(classes),
    }


def vote_changes(
    targets: Integer[np.ndarray, " n"], single: Integer[np.ndarray, " n"], voted: Integer[np.ndarray, " n"]
) -> dict[str, Any]:
    """The answers that a vote corrects and spoils: `wrong_to_right`, `right_to_wrong`, `mcnemar_p`."""
    single_right, voted_right = single == targets, voted == targets
    repaired, broken = int(np.sum(voted_right & ~single_right)), int(np.sum(single_right & ~voted_right))
    return {"wrong_to_right": repaired, "right_to_wrong": broken, "mcnemar_p": mcnemar_p(repaired, broken)}
