"""Metrics of an open set: does a score tell images of known sources from others, and are the known ones named rightly?

The score is high for images of known sources, and an image is accepted where it scores above a threshold. At each:

- TPR is the share of the known images that are accepted;
- CCR, the correct classification rate, is the share of them that are accepted and named rightly;
- FPR is the share of the unknown images that are accepted.

Nothing is interpolated between thresholds, and images of one score are accepted together. A number is None without
known images or without unknown ones.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ganfp_jax.metrics.measures import RATES, Measure, Weights
from ganfp_jax.metrics.ranking import Curve, Ranking, area, average_precision, curve, first_with, hits_at

KEPT = 0.95
"""The share of the known images that is accepted where one threshold has to be chosen."""


class Curves(NamedTuple):
    """Both curves of an open set, over the same thresholds; None without known images or without unknown ones."""

    accepted: Curve | None
    """TPR over FPR: the ROC curve."""
    named: Curve | None
    """CCR over FPR."""


def curves(
    score: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"], unknown: Bool[np.ndarray, " n"]
) -> Callable[[Weights], Curves]:
    """Prepares the curves of N images for any weights, which say how often each image counts.

    Args:
        score: high for images of known sources.
        right: which images are named rightly; of unknown ones it does not count.
        unknown: which images are of unknown sources.
    """
    ranked = Ranking(score)

    def at(weights: Weights) -> Curves:
        hits = (~unknown, right & ~unknown)
        return Curves(*(curve(ranked, hit, unknown, weights) for hit in hits))

    return at


def auroc(found: Curves) -> float | None:
    """The area under TPR over FPR: the chance that a known image scores higher than an unknown one; ties count half.

    1 is perfect and 0.5 is chance, whatever the numbers of images are (Hendrycks and Gimpel 2017, arXiv 1610.02136).
    """
    return area(found.accepted)


def fpr95(found: Curves, kept: float = KEPT) -> float | None:
    """FPR at the highest threshold with a TPR of `kept` or more: the unknown images that pass where 95 % known ones do.

    0 is perfect, and chance is `kept`. It is the FPR95 of OpenOOD (Yang et al. 2022, arXiv 2210.07242); "TNR at TPR 95"
    is 1 minus it.
    """
    return None if found.accepted is None else float(found.accepted.false_positives[first_with(found.accepted, kept)])


def oscr(found: Curves) -> float | None:
    """The area under CCR over FPR, at most the accuracy on known images (Dhamija et al. 2018, arXiv 1811.04110)."""
    return area(found.named)


def ccr_at_fpr(found: Curves, rate: float) -> float | None:
    """The highest CCR whose FPR is at most `rate` (Dhamija et al. 2018)."""
    return hits_at(found.named, rate)


def balanced_accuracy(found: Curves, kept: float = KEPT) -> float | None:
    """The mean of CCR and of 1 - FPR at the threshold of `fpr95`: both kinds of images count alike.

    It is the normalised accuracy of Mendes Júnior et al. 2017 ("Nearest neighbors distance ratio open-set classifier")
    with weights of one half.
    """
    if found.accepted is None or found.named is None:
        return None
    place = first_with(found.accepted, kept)
    return float(found.named.hits[place] + 1 - found.named.false_positives[place]) / 2


def open_set(score: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"], unknown: Bool[np.ndarray, " n"]) -> Measure:
    """`auroc`, `fpr95`, `oscr`, `ccr_at_fpr_N`, `balanced_accuracy`, and `average_precision` of the unknown images.

    Args:
        score, right, unknown: as for `curves`.
    """
    at, doubt = curves(score, right, unknown), Ranking(-score)

    def measure(weights: Weights) -> dict[str, Any]:
        found = at(weights)
        return {
            "auroc": auroc(found),
            "fpr95": fpr95(found),
            "oscr": oscr(found),
            **{f"ccr_at_fpr_{rate}": ccr_at_fpr(found, rate / 100) for rate in RATES},
            "balanced_accuracy": balanced_accuracy(found),
            "average_precision": average_precision(doubt, unknown, weights),
        }

    return measure
