"""Metrics against published values and against their definitions."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ganfp_jax.metrics.groups import units_of
from ganfp_jax.metrics.statistics import (
    accuracy_block,
    area,
    auroc,
    basic_interval,
    bootstrap_weights,
    equal_error_rate,
    holm,
    mcnemar_p,
    mean_interval,
    percentile_interval,
    proportion,
    roc,
    wilson_interval,
)

CLASSES = ("real", "ProGAN", "SNGAN")


# --- Wilson's interval


@pytest.mark.parametrize(
    ("correct", "total", "interval"),
    [  # Newcombe 1998, Statistics in Medicine 17, table I, method 3
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0000, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_wilson_matches_published_values(correct, total, interval):
    assert wilson_interval(correct, total) == pytest.approx(interval, abs=5e-5)


def test_wilson_at_the_ends():
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 7)[0] == 0.0
    assert wilson_interval(7, 7)[1] == 1.0


@given(total=st.integers(1, 10**6), data=st.data(), confidence=st.sampled_from([0.5, 0.9, 0.95, 0.999]))
@settings(max_examples=100, deadline=None)
def test_wilson_properties(total, data, confidence):
    correct = data.draw(st.integers(0, total))
    low, high = wilson_interval(correct, total, confidence)
    assert 0 <= low <= correct / total <= high <= 1
    mirrored = wilson_interval(total - correct, total, confidence)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-9)
    assert high - low < np.subtract(*wilson_interval(correct, total, 0.9999)[::-1])


@pytest.mark.parametrize("arguments", [(-1, 5), (6, 5), (1, 5, 0.0), (1, 5, 1.0)])
def test_wilson_refuses_the_impossible(arguments):
    with pytest.raises(ValueError, match=r"impossible|between 0 and 1"):
        wilson_interval(*arguments)


# --- McNemar's test


@pytest.mark.parametrize(
    ("repaired", "broken", "p"),
    [
        (0, 0, 1.0),
        (5, 5, 1.0),
        (1, 0, 1.0),
        (0, 5, 0.0625),
        (0, 6, 0.03125),
        (2, 10, 0.03857421875),
        (3, 4, 1.0),
    ],
)
def test_mcnemar_known_values(repaired, broken, p):
    assert mcnemar_p(repaired, broken) == pytest.approx(p, rel=1e-12)
    assert mcnemar_p(broken, repaired) == pytest.approx(p, rel=1e-12)


@given(repaired=st.integers(0, 500), broken=st.integers(0, 500))
@example(8, 422)
@example(119, 11)
@settings(max_examples=20, deadline=None)
def test_mcnemar_is_the_exact_binomial_test(repaired, broken):
    from scipy.stats import binomtest

    expected = binomtest(repaired, max(repaired + broken, 1)).pvalue
    assert mcnemar_p(repaired, broken) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_of_very_many_changes_is_quick_and_no_overflow():
    assert mcnemar_p(25_000, 25_000) == 1.0
    assert mcnemar_p(0, 5_000) == 0.0


def test_mcnemar_refuses_negative_counts():
    with pytest.raises(ValueError, match="negative"):
        mcnemar_p(-1, 3)


# --- Holm's correction


@pytest.mark.parametrize(
    ("p_values", "corrected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # R: p.adjust(p, "holm")
        ([0.01, 0.02, 0.03, 0.04, 0.05], [0.05, 0.08, 0.09, 0.09, 0.09]),
        ([0.5, 0.6, 1.0], [1.0, 1.0, 1.0]),
        ([0.02, 0.02], [0.04, 0.04]),
        ([0.7], [0.7]),
        ([], []),
    ],
)
def test_holm_known_values(p_values, corrected):
    assert holm(p_values) == pytest.approx(corrected)


@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=60)
def test_holm_properties(p_values):
    corrected = holm(p_values)
    assert all(p <= c <= min(1, len(p_values) * p) + 1e-12 for p, c in zip(p_values, corrected, strict=True))
    in_order = [corrected[i] for i in np.argsort(p_values, kind="stable")]
    assert in_order == sorted(in_order)
    # Step by step, as it is defined: the hypotheses that are rejected at 5 %.
    rejected = 0
    for i, p in enumerate(sorted(p_values)):
        if p * (len(p_values) - i) > 0.05:
            break
        rejected += 1
    assert sum(c <= 0.05 for c in corrected) == rejected


def test_holm_refuses_what_is_no_p_value():
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, 1.5])
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([float("nan")])


# --- areas under ROC curves, and bootstrap intervals


@given(
    scores=st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=40),
    positive=st.integers(0, 2**40 - 1),
    weights=st.lists(st.integers(0, 3), min_size=40, max_size=40),
)
@settings(max_examples=60)
def test_auroc_is_that_of_scikit_learn(scores, positive, weights):
    from sklearn.metrics import roc_auc_score

    scores, n = np.array(scores), len(scores)
    positive = np.array([bool(positive >> i & 1) for i in range(n)])
    weights = np.array(weights[:n], float)
    if weights[positive].sum() and weights[~positive].sum():
        expected = roc_auc_score(positive, scores, sample_weight=weights)
        assert auroc(scores, positive)(weights) == pytest.approx(expected)
    else:
        assert auroc(scores, positive)(weights) is None


@pytest.mark.parametrize(
    ("scores", "positive", "area"),
    [
        ([0.1, 0.2, 0.3], [False, False, True], 1.0),
        ([0.1, 0.2, 0.3], [True, False, False], 0.0),
        ([0.0, 0.0, 0.0, 0.0], [True, False, True, False], 0.5),
        ([0.0, 0.0], [True, True], None),
    ],
)
def test_auroc_by_hand(scores, positive, area):
    assert auroc(np.array(scores), np.array(positive))(None) == area


def test_a_bootstrap_draws_whole_groups():
    groups = np.array([7, 7, 7, 2, 5])
    draws = np.stack(list(bootstrap_weights(groups, 200, np.random.RandomState(0))))
    np.testing.assert_array_equal(draws[:, 0], draws[:, 1])
    np.testing.assert_array_equal(draws[:, 0], draws[:, 2])
    assert np.all(draws[:, 0] + draws[:, 3] + draws[:, 4] == 3)  # three groups, three draws
    assert draws.mean(0) == pytest.approx([1] * 5, abs=0.2)
    np.testing.assert_array_equal(draws, np.stack(list(bootstrap_weights(groups, 200, np.random.RandomState(0)))))


def test_percentile_interval():
    assert percentile_interval([float(i) for i in range(101)]) == pytest.approx([2.5, 97.5])
    assert percentile_interval([1.0] * 95 + [None] * 5) == [1.0, 1.0]
    assert percentile_interval([1.0] * 80 + [None] * 20) is None
    assert percentile_interval([]) is None


def test_mean_interval():
    # Mean 3, standard error sqrt(2.5 / 5), Student's t with 4 degrees of freedom 2.776.
    assert mean_interval([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx([1.0367, 4.9633], abs=1e-4)
    assert mean_interval([0.9, 1.0], within=(0.0, 1.0)) == pytest.approx([0.3147, 1.0], abs=1e-4)
    assert mean_interval(np.ones(20)) is None
    assert mean_interval([1.0]) is None
    with pytest.raises(ValueError, match="between 0 and 1"):
        mean_interval([1.0, 2.0], confidence=1.0)


# --- accuracy


def test_accuracy_block_by_hand():
    block = accuracy_block(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 2, 1, 0, 2]), CLASSES)
    assert block["accuracy"] == pytest.approx(4 / 6)
    assert (block["correct"], block["total"]) == (4, 6)
    assert block["ci95"] == list(wilson_interval(4, 6))
    assert block["confusion"] == [[2, 0, 1], [1, 1, 0], [0, 0, 1]]
    assert block["classes"] == list(CLASSES)
    assert list(block["per_class"]) == list(CLASSES)
    assert block["per_class"]["real"] == proportion(2, 3)
    assert block["per_class"]["SNGAN"]["accuracy"] == 1.0


def test_a_class_without_images_has_no_accuracy():
    block = accuracy_block(np.array([0, 0]), np.array([0, 2]), CLASSES)
    assert block["per_class"]["ProGAN"] == {"accuracy": None, "correct": 0, "total": 0, "ci95": [0.0, 1.0]}
    assert accuracy_block(np.zeros(0, int), np.zeros(0, int), CLASSES)["accuracy"] is None


def test_accuracy_block_refuses_what_does_not_fit():
    for targets, predicted in (([0, 3], [0, 0]), ([0, 0], [-1, 0])):
        with pytest.raises(ValueError, match=r"class indices outside 0\.\.2"):
            accuracy_block(np.array(targets), np.array(predicted), CLASSES)
    with pytest.raises(ValueError, match="must differ"):
        accuracy_block(np.array([0]), np.array([0]), ("real", "real"))


@given(data=st.data(), n=st.integers(0, 60))
@settings(max_examples=50, deadline=None)
def test_accuracy_block_adds_up(data, n):
    labels = st.lists(st.integers(0, 2), min_size=n, max_size=n)
    targets, predicted = (np.array(data.draw(labels), np.int32) for _ in range(2))
    block = accuracy_block(targets, predicted, CLASSES)
    assert block["correct"] == np.sum(targets == predicted) == np.trace(block["confusion"])
    assert block["total"] == n == np.sum(block["confusion"])
    assert block["correct"] == sum(c["correct"] for c in block["per_class"].values())
    np.testing.assert_array_equal(np.sum(block["confusion"], 0), np.bincount(predicted, minlength=3))


# --- ROC curves


def test_area_and_rates_are_those_of_scikit_learn():
    from sklearn.metrics import roc_auc_score, roc_curve

    rng = np.random.default_rng(0)
    scores = np.sort(rng.integers(0, 12, 200))[::-1]  # many ties
    same, weights = rng.random(200) < 0.4, rng.integers(0, 4, 200).astype(float)
    ends = np.append(np.flatnonzero(np.diff(scores)), 199)
    far, tpr = roc(same * weights, ~same * weights, ends)
    theirs = roc_curve(same, scores, sample_weight=weights, drop_intermediate=False)
    np.testing.assert_allclose([far, tpr], theirs[:2], atol=1e-12)
    assert area(far, tpr) == pytest.approx(roc_auc_score(same, scores, sample_weight=weights))


@pytest.mark.parametrize(
    ("same", "rate"),
    [
        ([1, 1, 0, 0], 0.0),  # falling score
        ([0, 0, 1, 1], 1.0),
        ([1, 0, 1, 0], 0.5),
        ([1, 1, 0, 1, 0, 0], 1 / 3),
        ([1, 1, 1, 0, 1, 0], 0.25),  # FAR = FRR at a quarter, half way along the step from (0, 3/4) to (1/2, 3/4)
    ],
)
def test_equal_error_rate_by_hand(same, rate):
    same = np.array(same, float)
    assert equal_error_rate(*roc(same, 1 - same, np.arange(len(same)))) == pytest.approx(rate)


def test_equal_error_rate_of_ties_and_of_nothing():
    assert equal_error_rate(*roc(np.array([1.0, 0]), np.array([0, 1.0]), np.array([1]))) == 0.5
    assert np.isnan(equal_error_rate(*roc(np.zeros(2), np.ones(2), np.arange(2))))


def test_bootstrap_keeps_classes_and_groups_whole():
    labels = np.array([0, 0, 0, 0, 1, 1, 1])
    groups = np.array([5, 5, 6, 6, -1, -1, -1])
    for seed in range(20):
        units = units_of(labels, groups)
        (counts,) = bootstrap_weights(units, 1, np.random.default_rng(seed), strata=labels)
        assert counts[:4].sum() == 4
        assert counts[4:].sum() == 3
        assert counts[0] == counts[1]
        assert counts[2] == counts[3]


def test_basic_interval():
    values = np.linspace(0.4, 0.6, 101)
    low, high = basic_interval(values, 0.5, smallest=1e-3)
    assert (low, high) == pytest.approx((0.405, 0.595), abs=1e-3)
    # skewed upwards: the reflected interval reaches farther down
    low, high = basic_interval(1 - (1 - values) ** 3, 0.875, smallest=1e-3)
    assert 0 < low < 0.875 < high < 1
    assert basic_interval([1.0] * 50, 1.0, smallest=1e-3) == pytest.approx([0.999, 1.0])
    assert basic_interval([np.nan, 0.5, 0.6], 0.5, smallest=1e-3) is None
    assert basic_interval([], 0.5, smallest=1e-3) is None
    with pytest.raises(ValueError, match="confidence"):
        basic_interval(values, 0.5, smallest=1e-3, confidence=1.0)
