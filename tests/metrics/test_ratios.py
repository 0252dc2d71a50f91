"""Calibration, bounds and curves of likelihood ratios against values by hand."""

import math

import numpy as np
import pytest

from ganfp_jax.metrics.ratios import elub, fit_pav, tippett

MANY = 10**6


def test_scores_of_known_pairs_say_what_a_score_is_worth():
    scores = np.array([1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0])
    true = np.array([False, False, False, True, False, True, True, True])
    pav = fit_pav(scores, true)
    # 1 of 4 true ones has a score of 1, and so have 3 of 4 false ones
    np.testing.assert_allclose(pav(np.array([1.0, 2.0])), np.log([1 / 3, 2]))
    assert pav(np.array([3.0, 9.0])).tolist() == [math.inf, math.inf]
    assert math.log(1 / 3) < pav(np.array([1.5]))[0] < math.log(2)


def test_ratios_never_fall_with_the_score():
    rng = np.random.default_rng(0)
    scores = rng.standard_normal(400)
    pav = fit_pav(scores, scores + rng.standard_normal(400) > 0)
    ratios = pav(np.sort(scores))
    assert (np.diff(ratios[np.isfinite(ratios)]) >= 0).all() and len(np.unique(ratios)) > 5


def test_more_kinds_of_one_weigh_no_more():
    scores, true = (
        np.repeat([1.0, 2.0, 1.0, 2.0], [1, 3, 30, 10]),
        np.repeat([True, True, False, False], [1, 3, 30, 10]),
    )
    np.testing.assert_allclose(fit_pav(scores, true)(np.array([2.0])), np.log(3))


@pytest.mark.parametrize("independent", [9, 99])
def test_perfect_trials_support_no_more_than_their_number(independent):
    ratios, true = np.repeat([math.inf, -math.inf], 1000), np.repeat([True, False], 1000)
    low, high = elub(ratios, true, independent)
    # with one of N + 1 misled, a threshold t costs 1 / (N + 1) + t / (N + 1), which is 1 where t is N
    assert high == pytest.approx(math.log(independent), abs=0.03) and low == pytest.approx(-high, abs=0.03)


def test_trials_without_evidence_support_nothing():
    assert elub(np.zeros(200), np.arange(200) < 100, 100) == (0.0, 0.0)


def test_ratios_that_exaggerate_are_bounded():
    # of each kind, 10 in 100 have a ratio of a million for the other: no threshold above 9 is worth it
    ratios, true = np.full(200, math.log(1e6)), np.arange(200) < 100
    ratios[~true] *= -1
    ratios[[*range(10), *range(100, 110)]] *= -1
    low, high = elub(ratios, true, MANY)
    assert high == pytest.approx(math.log(9), abs=0.03) and low == pytest.approx(-math.log(9), abs=0.03)


def test_curves_say_how_many_ratios_are_larger():
    curves = tippett(np.log([10.0, 100.0, 1000.0, 0.1, 0.1, 0.1]), np.arange(6) < 3)
    assert curves["share"][0] == 1 and curves["share"][-1] == 0
    assert (curves["true"][0], curves["true"][-1]) == pytest.approx((1, 3))
    assert curves["true"][len(curves["share"]) // 2] == pytest.approx(2)
    np.testing.assert_allclose(curves["false"], -1)
