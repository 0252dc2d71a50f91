"""How far stated probabilities can be relied on: calibration error, and the cost of likelihood ratios."""

import math

import numpy as np
from jaxtyping import Bool, Float

from ganfp_jax.metrics.ratios import fit_pav

FLOOR = 1e-6
"""Least distance of a probability from 0 and 1: one that was rounded to 0 would cost an infinity."""


def expected_calibration_error(
    confidence: Float[np.ndarray, " n"],
    right: Bool[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"],
    bins: int = 15,
) -> float | None:
    """The mean distance of confidence from accuracy over bins of equal width (ECE, Guo et al. 2017, arXiv 1706.04599).

    Args:
        confidence: the probability of each answer, 0 to 1.
        right: whether the answer is right.
        weights: how often each image counts.
        bins: number of bins; each includes its upper end.

    Returns:
        0 to 1; None where all weights are 0.
    """
    if not weights.sum():
        return None
    place = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1).astype(int)
    gaps = np.bincount(place, weights * (confidence - right), bins)
    return float(np.abs(gaps).sum() / weights.sum())


def log_likelihood_ratio(probability: Float[np.ndarray, " n"], prior: float) -> Float[np.ndarray, " n"]:
    """The natural logarithm of posterior odds over prior odds: what the image said, without what was known before.

    Args:
        probability: of the hypothesis, given the image; moved at least `FLOOR` away from 0 and 1.
        prior: of the hypothesis, between 0 and 1.
    """
    kept = np.clip(probability, FLOOR, 1 - FLOOR)
    return np.log(kept / (1 - kept)) - math.log(prior / (1 - prior))


def cllr(
    ratios: Float[np.ndarray, " n"], true: Bool[np.ndarray, " n"], weights: Float[np.ndarray, " n"]
) -> float | None:
    """The cost of log-likelihood-ratios in bits (Brümmer and du Preez 2006): 0 is perfect, 1 says nothing.

    It is ½ [mean over true hypotheses of log2(1 + 1/LR) + mean over false ones of log2(1 + LR)]. A value above 1
    misleads.

    Args:
        ratios: natural logarithm of each likelihood ratio.
        true: whether the hypothesis is true of the image.
        weights: how often each image counts.

    Returns:
        The cost; None where one of the two kinds is missing.
    """
    of_true, of_false = float(weights[true].sum()), float(weights[~true].sum())
    if not of_true or not of_false:
        return None
    cost = np.logaddexp(0, np.where(true, -ratios, ratios)) / math.log(2)
    return float((weights * cost)[true].sum() / of_true + (weights * cost)[~true].sum() / of_false) / 2


def least_cllr(scores: Float[np.ndarray, " n"], true: Bool[np.ndarray, " n"]) -> float | None:
    """Cllr of the best likelihood ratios that rise with the score: what the score is worth once it is calibrated.

    They come from an isotonic regression (pool adjacent violators) on these very images, so they are a bound, not a
    promise. Cllr minus this is what is lost by miscalibration.
    """
    if true.all() or not true.any():
        return None
    return cllr(fit_pav(scores, true)(scores), true, np.ones(len(true)))
