"""Ranking metrics against scikit-learn and against values by hand."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from ganfp_jax.metrics.ranking import Ranking, area, average_precision, curve, hits_at


def drawn(seed, n=300):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 40, n) / 10  # with ties
    return scores, rng.random(n) < 0.3 + scores / 10, rng.integers(0, 4, n).astype(float)


@pytest.mark.parametrize("seed", range(3))
def test_areas_are_those_of_scikit_learn_with_ties_and_weights(seed):
    scores, positive, weights = drawn(seed)
    ranking = Ranking(scores)
    for times in (np.ones(len(scores)), weights):
        roc = curve(ranking, positive, ~positive, times)
        assert area(roc) == pytest.approx(roc_auc_score(positive, scores, sample_weight=times))
        expected = average_precision_score(positive, scores, sample_weight=times)
        assert average_precision(ranking, positive, times) == pytest.approx(expected)


def test_open_set_by_hand():
    # Falling: known right, known wrong, unknown, known right, unknown (at once with a known right).
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.5])
    unknown = np.array([0, 0, 1, 0, 1, 0], bool)
    right = np.array([1, 0, 0, 1, 0, 1], bool)
    points = curve(Ranking(scores), right, unknown, np.ones(6))
    assert points.false_positives.tolist() == [0, 0, 0, 0.5, 0.5, 1]
    assert points.hits.tolist() == [0, 0.25, 0.25, 0.25, 0.5, 0.75]
    assert area(points) == pytest.approx(0.5 * 0.25 + 0.5 * (0.5 + 0.75) / 2)
    assert [hits_at(points, rate) for rate in (0.0, 0.49, 0.5, 1.0)] == [0.25, 0.25, 0.5, 0.75]


def test_oscr_of_answers_that_are_all_right_is_auroc_and_none_right_is_zero():
    scores, unknown, _ = drawn(7)
    every, ranking = np.ones(len(scores)), Ranking(scores)
    assert area(curve(ranking, ~unknown, unknown, every)) == pytest.approx(roc_auc_score(~unknown, scores))
    assert area(curve(ranking, np.zeros_like(unknown), unknown, every)) == 0


def test_a_kind_that_is_missing_has_no_value():
    ranking, none, every = Ranking(np.array([1.0, 2.0])), np.zeros(2, bool), np.ones(2)
    for negatives in (none, ~none):
        assert curve(ranking, ~negatives, negatives, every) is None
    assert area(None) is hits_at(None, 0.1) is average_precision(ranking, none, every) is None


def test_a_rate_that_is_a_sum_of_weights_is_reached():
    """3/10 as a quotient of sums may lie just above 0.3."""
    negatives = np.arange(20) % 2 == 0
    points = curve(Ranking(-np.arange(20.0)), ~negatives, negatives, np.full(20, 0.1))
    assert hits_at(points, 0.3) == pytest.approx(0.3)
