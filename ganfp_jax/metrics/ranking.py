"""Metrics of a score that ranks images: average precision, and what is accepted at a false positive rate.

Each takes weights, which say how often each image counts, since a bootstrap asks a thousand times for the same scores.
scikit-learn's `average_precision_score` gives the same values, but sorts the scores for each set of weights.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float


class Ranking:
    """N images in the order of falling score, sorted once; images with equal scores are accepted together."""

    def __init__(self, scores: Float[np.ndarray, " n"]) -> None:
        self.order = np.argsort(-scores, kind="stable")
        self.ends = np.append(np.flatnonzero(np.diff(scores[self.order])), len(scores) - 1)

    def accepted(self, weights: Float[np.ndarray, " n"]) -> Float[np.ndarray, " q"]:
        """The total weight of the images above each threshold, from none to all of them."""
        return np.concatenate([[0.0], np.cumsum(weights[self.order])[self.ends]])


class Curve(NamedTuple):
    """What is accepted as the threshold falls, from (0, 0) on.

    Of an open set `hits` are correct classification rates (CCR): the share of the known images that are named rightly
    and score above the threshold. Of two classes they are true positive rates.
    """

    false_positives: Float[np.ndarray, " q"]
    """The share of the negatives (unknown images) that score above the threshold."""
    hits: Float[np.ndarray, " q"]


def curve(
    ranking: Ranking,
    hits: Bool[np.ndarray, " n"],
    negatives: Bool[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"],
) -> Curve | None:
    """The curve of CCR over FPR (Dhamija et al. 2018), or a ROC curve; None without positives or without negatives.

    Args:
        ranking: of a score that is high for positives (known images).
        hits: positives that count when they are accepted: all of them for a ROC curve, those named rightly for CCR.
        negatives: all other images are positives.
        weights: how often each image counts.
    """
    positive, negative = float(weights[~negatives].sum()), float(weights[negatives].sum())
    if not positive or not negative:
        return None
    return Curve(ranking.accepted(weights * negatives) / negative, ranking.accepted(weights * hits) / positive)


def area(points: Curve | None) -> float | None:
    """The area under a curve by trapezia, which count ties half: OSCR of an open set, AUROC of a ROC curve."""
    return None if points is None else float(np.trapezoid(points.hits, points.false_positives))


def hits_at(points: Curve | None, rate: float) -> float | None:
    """The most hits at a threshold whose false positive rate is at most `rate`: CCR at FPR 5 %, or TPR at FPR 5 %.

    Nothing is interpolated, since a threshold accepts all images of one score or none.
    """
    if points is None:
        return None
    place = np.searchsorted(points.false_positives, rate * (1 + 1e-12), side="right") - 1
    return float(points.hits[place])


def first_with(points: Curve, hits: float) -> int:
    """The place on a curve of the highest threshold with at least so many hits, 0 to 1."""
    return min(int(np.searchsorted(points.hits, hits * (1 - 1e-12))), len(points.hits) - 1)


def average_precision(
    ranking: Ranking, positive: Bool[np.ndarray, " n"], weights: Float[np.ndarray, " n"]
) -> float | None:
    """The mean precision over the positives, sum of (R_i - R_(i-1)) P_i without interpolation; None without positives.

    It depends on the share of positives, which is what guessing reaches.
    """
    hits, accepted = ranking.accepted(weights * positive), ranking.accepted(weights)
    if not hits[-1]:
        return None
    precision = np.divide(hits, accepted, out=np.zeros_like(hits), where=accepted > 0)
    return float((np.diff(hits) * precision[1:]).sum() / hits[-1])
