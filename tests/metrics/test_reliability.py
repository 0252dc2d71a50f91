"""Calibration error and cost of likelihood ratios against values by hand."""

import math

import numpy as np
import pytest

from ganfp_jax.metrics.reliability import (
    FLOOR,
    cllr,
    expected_calibration_error,
    least_cllr,
    log_likelihood_ratio,
)


def test_calibration_error_by_hand():
    confidence = np.array([0.55, 0.6, 0.95, 1.0, 0.0])
    right = np.array([1, 0, 1, 1, 0], bool)
    # Ten bins: (0.5, 0.6] has confidence 1.15 for 1 right, (0.9, 1] has 1.95 for 2, [0, 0.1] has 0 for 0.
    assert expected_calibration_error(confidence, right, np.ones(5), 10) == pytest.approx((0.15 + 0.05) / 5)
    twice = np.array([0.0, 2, 1, 1, 1])
    assert expected_calibration_error(confidence, right, twice, 10) == pytest.approx((1.2 + 0.05) / 5)
    assert expected_calibration_error(confidence, right, np.zeros(5), 10) is None


def test_cost_of_likelihood_ratios_by_hand():
    true, every = np.array([1, 1, 0], bool), np.ones(3)
    assert cllr(np.zeros(3), true, every) == pytest.approx(1)
    ratios = np.log(np.array([3.0, 1.0, 1 / 7]))
    expected = ((math.log2(4 / 3) + 1) / 2 + math.log2(8 / 7)) / 2
    assert cllr(ratios, true, every) == pytest.approx(expected)
    assert cllr(ratios, true, np.array([2.0, 0, 5])) == pytest.approx((math.log2(4 / 3) + math.log2(8 / 7)) / 2)
    assert cllr(-ratios, true, every) > 1
    assert cllr(ratios, np.ones(3, bool), every) is None


def test_ratios_leave_the_prior_out():
    assert log_likelihood_ratio(np.array([0.8]), 0.8) == pytest.approx([0])
    assert log_likelihood_ratio(np.array([0.8]), 0.5) == pytest.approx([math.log(4)])
    largest = math.log((1 - FLOOR) / FLOOR)
    assert log_likelihood_ratio(np.array([0.0, 1.0]), 0.5) == pytest.approx([-largest, largest])


def test_the_least_cost():
    true = np.array([0, 0, 1, 1], bool)
    assert least_cllr(np.array([1.0, 2, 3, 4]), true) == pytest.approx(0)
    assert least_cllr(np.ones(4), true) == pytest.approx(1)
    # 1 | 0 and 1 pooled | 0 of (0, 1, 0, 1): the pool has the ratio 1, the ends are certain.
    assert least_cllr(np.array([1.0, 2, 3, 4]), np.array([0, 1, 0, 1], bool)) == pytest.approx(0.5)
    assert least_cllr(np.ones(4), np.ones(4, bool)) is None
    rng = np.random.default_rng(0)
    true = rng.random(500) < 0.2
    ratios = rng.normal(2 * true - 1.0, 1) * 3
    assert least_cllr(ratios, true) <= cllr(ratios, true, np.ones(500))
    assert least_cllr(ratios, true) == pytest.approx(least_cllr(np.exp(ratios / 5), true))
