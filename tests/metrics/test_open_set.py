"""Metrics of an open set, by hand and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from ganfp_jax.metrics import open_set
from ganfp_jax.metrics.open_set import balanced_accuracy, ccr_at_fpr, curves, fpr95

# Falling: known right, known wrong, unknown, known right, unknown, known right.
SCORE = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
UNKNOWN = np.array([0, 0, 1, 0, 1, 0], bool)
RIGHT = np.array([1, 0, 1, 1, 1, 1], bool)  # of unknown images it does not count


def drawn(seed, known=150, unknown=100):
    rng = np.random.default_rng(seed)
    is_unknown = np.arange(known + unknown) >= known
    score = np.round(rng.normal(1.5 * ~is_unknown, 1), 1)  # with ties
    return score, rng.random(known + unknown) < 0.8, is_unknown, rng.integers(0, 4, known + unknown).astype(float)


def test_by_hand():
    found = open_set.open_set(SCORE, RIGHT, UNKNOWN)(np.ones(6))
    assert found["auroc"] == (2 + 2 + 1 + 0) / 8  # pairs: 0.9 and 0.8 beat both, 0.6 one, 0.4 none
    assert found["oscr"] == 0.5 * 0.25 + 0.5 * 0.5
    assert found["fpr95"] == 1.0
    assert [found[f"ccr_at_fpr_{rate}"] for rate in (1, 5, 10)] == [0.25] * 3
    assert found["balanced_accuracy"] == (0.75 + 0) / 2
    at = curves(SCORE, RIGHT, UNKNOWN)(np.ones(6))
    # three of four known images score above 0.55, where one of two unknown ones does; two of them are right
    assert fpr95(at, 0.75) == 0.5
    assert balanced_accuracy(at, 0.75) == (0.5 + 0.5) / 2
    assert [ccr_at_fpr(at, rate) for rate in (0.49, 0.5, 1.0)] == [0.25, 0.5, 0.75]


@pytest.mark.parametrize("seed", range(3))
def test_rates_are_those_of_scikit_learn_with_ties_and_weights(seed):
    score, right, unknown, weights = drawn(seed)
    measure = open_set.open_set(score, right, unknown)
    for times in (np.ones(len(score)), weights):
        found = measure(times)
        assert found["auroc"] == pytest.approx(roc_auc_score(~unknown, score, sample_weight=times))
        fpr, tpr, thresholds = roc_curve(~unknown, score, sample_weight=times, drop_intermediate=False)
        first = np.argmax(tpr >= 0.95 * (1 - 1e-12))
        assert found["fpr95"] == pytest.approx(fpr[first])
        named = np.average((right & (score >= thresholds[first]))[~unknown], weights=times[~unknown])
        assert found["balanced_accuracy"] == pytest.approx((named + 1 - fpr[first]) / 2)
        expected = average_precision_score(unknown, -score, sample_weight=times)
        assert found["average_precision"] == pytest.approx(expected)


def test_ccr_and_oscr_count_right_names_only():
    score, right, unknown, _ = drawn(5)
    found = open_set.open_set(score, right, unknown)(np.ones(len(score)))
    assert found["oscr"] < min(found["auroc"], right[~unknown].mean())
    strongest = np.sort(score[unknown])[::-1]
    for rate in (1, 5, 10):  # of 100 unknown images as many may be accepted
        above = score > strongest[rate]
        assert found[f"ccr_at_fpr_{rate}"] == (right & above)[~unknown].mean()
    every = open_set.open_set(score, np.ones_like(right), unknown)(np.ones(len(score)))
    assert every["oscr"] == pytest.approx(every["auroc"])


def test_known_images_as_unknown_ones_are_at_chance():
    score = np.random.default_rng(0).permutation(2000).astype(float)
    found = open_set.open_set(score, np.ones(2000, bool), np.arange(2000) % 2 == 0)(np.ones(2000))
    assert found["auroc"] == pytest.approx(0.5, abs=0.03)
    assert found["fpr95"] == pytest.approx(0.95, abs=0.03)
    assert found["balanced_accuracy"] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("missing", ["known", "unknown"])
def test_without_one_kind_of_images_there_is_no_number(missing):
    unknown = np.full(4, missing == "known")
    found = open_set.open_set(np.arange(4.0), np.ones(4, bool), unknown)(np.ones(4))
    assert {name for name, value in found.items() if value is not None} <= {"average_precision"}
