"""Likelihood ratios from scores of known pairs: their calibration, the bounds of what it supports, and their curves.

All ratios are natural logarithms.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

if TYPE_CHECKING:
    from sklearn.isotonic import IsotonicRegression

STEP = 0.01 * math.log(10)  # between the thresholds of `elub`
POINTS = 201  # of a curve of `tippett`


class Pav(NamedTuple):
    """Log-likelihood-ratios that rise with a score, learned by pool adjacent violators."""

    posterior: "IsotonicRegression"

    def __call__(self, scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """The ratios of scores, linear in probability between those that were learned; infinite at the ends."""
        found = self.posterior.predict(scores)
        with np.errstate(divide="ignore"):  # where all learned scores are of one kind, the ratio is 0 or infinite
            return np.log(found) - np.log1p(-found)


def fit_pav(scores: Float[np.ndarray, " n"], true: Bool[np.ndarray, " n"]) -> Pav:
    """Learns the ratios that cost least (`reliability.cllr`) among those that rise with the score.

    Args:
        scores: of items of both kinds.
        true: whether the hypothesis is true of each.
    """
    from sklearn.isotonic import IsotonicRegression

    balanced = np.where(true, 1 / true.sum(), 1 / (~true).sum())  # a prior of one half
    regression = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    return Pav(regression.fit(scores, true.astype(float), sample_weight=balanced))


def elub(ratios: Float[np.ndarray, " n"], true: Bool[np.ndarray, " n"], independent: int) -> tuple[float, float]:
    """The empirical lower and upper bound, between which ratios are supported by the trials that were made.

    By Vergeer et al. 2016 ("Numerical likelihood ratios outputted by LR systems are often based on extrapolation: when
    to stop extrapolating?", Science & Justice 56). Whoever decides for the hypothesis where the ratio exceeds a
    threshold has a Bayes error for each threshold. One misleading trial more is added to each kind. The bounds are the
    thresholds nearest to 1 beyond which the error is larger than that of ratios that are always 1.

    Args:
        ratios: of trials that had no part in the calibration; they may be infinite.
        true: whether the hypothesis is true of each.
        independent: as how many independent trials of each kind they count, so that the added one has its weight.

    Returns:
        Both logarithms, at most 0 and at least 0; no farther from 0 than that of `independent` + 1.
    """
    steps = math.ceil(math.log(independent + 1) / STEP)
    thresholds = STEP * np.arange(-steps, steps + 1)
    missed = _with_one_more(np.searchsorted(np.sort(ratios[true]), thresholds, "right") / true.sum(), independent)
    false = np.searchsorted(np.sort(ratios[~true]), thresholds, "right") / (~true).sum()
    accepted = _with_one_more(1 - false, independent)
    worse = missed + np.exp(thresholds) * accepted > np.minimum(1, np.exp(thresholds))
    low = thresholds[worse & (thresholds <= STEP / 2)].max(initial=-math.inf) + STEP
    high = thresholds[worse & (thresholds >= -STEP / 2)].min(initial=math.inf) - STEP
    most = math.log(independent + 1)
    return min(max(float(low), -most), 0.0), max(min(float(high), most), 0.0)


def _with_one_more(share: Float[np.ndarray, " t"], independent: int) -> Float[np.ndarray, " t"]:
    """The share of misleading trials once one of them is added."""
    return (share * independent + 1) / (independent + 1)


def tippett(ratios: Float[np.ndarray, " n"], true: Bool[np.ndarray, " n"]) -> dict[str, list[float]]:
    """The curves of a Tippett plot: common logarithms of finite ratios, of which each share is larger.

    Returns:
        `share` from 1 to 0, and for each of them the ratio that this share exceeds, `true` and `false`.
    """
    shares = np.linspace(1, 0, POINTS)
    kinds = {"true": ratios[true], "false": ratios[~true]}
    found = {name: np.quantile(of / math.log(10), 1 - shares).tolist() for name, of in kinds.items()}
    return {"share": shares.tolist(), **found}
