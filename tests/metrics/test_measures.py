"""Metrics together, against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, recall_score, roc_auc_score

from ganfp_jax.metrics import measures

CLASSES = ("real", "ProGAN", "SNGAN")


def drawn(seed=0, n=200):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 3, n)
    scores = rng.random((n, 3)) + np.eye(3)[targets] / 3
    return targets, scores, rng.integers(0, 3, n).astype(float)


def test_closed_set_is_scikit_learns():
    targets, scores, weights = drawn()
    predicted = scores.argmax(1)
    found = measures.closed_set(targets, predicted, CLASSES)(weights)
    assert found["accuracy"] == pytest.approx(np.average(predicted == targets, weights=weights))
    expected = balanced_accuracy_score(targets, predicted, sample_weight=weights)
    assert found["balanced_accuracy"] == pytest.approx(expected)
    recalls = recall_score(targets, predicted, average=None, sample_weight=weights)
    assert list(found["per_class"].values()) == pytest.approx(recalls.tolist())


def test_an_answer_that_is_no_class_is_wrong_and_a_class_without_images_has_no_accuracy():
    found = measures.closed_set(np.array([0, 0, 1]), np.array([0, 3, 1]), CLASSES)(np.ones(3))
    assert found == {
        "accuracy": pytest.approx(2 / 3), "balanced_accuracy": 0.75,
        "per_class": {"real": 0.5, "ProGAN": 1.0, "SNGAN": None},
    }  # fmt: skip


def test_one_against_the_rest_is_scikit_learns_macro_average():
    targets, scores, weights = drawn()
    found = measures.one_vs_rest(scores, targets, CLASSES)(weights)
    each = np.eye(3)[targets]
    assert found["auroc"] == pytest.approx(roc_auc_score(each, scores, average="macro", sample_weight=weights))
    expected = average_precision_score(each, scores, average="macro", sample_weight=weights)
    assert found["average_precision"] == pytest.approx(expected)
    assert found["per_class"]["SNGAN"]["auroc"] == pytest.approx(
        roc_auc_score(targets == 2, scores[:, 2], sample_weight=weights)
    )


def test_detection_counts_at_its_rates():
    rng = np.random.default_rng(1)
    negative = np.arange(400) < 200
    score = rng.normal(2.0 * ~negative, 1)
    found = measures.detection(score, ~negative, None)(np.ones(400))
    assert found["auroc"] == pytest.approx(roc_auc_score(~negative, score))
    assert found["cllr"] is None
    threshold = np.sort(score[negative])[-10]  # of 200 negatives 10 may be accepted, and no more
    assert found["tpr_at_fpr_5"] == pytest.approx((score[~negative] > np.sort(score[negative])[-11]).mean())
    assert found["tpr_at_fpr_5"] >= (score[~negative] >= threshold).mean()


def test_a_measure_of_some_images_takes_the_weights_of_all():
    targets, scores, weights = drawn()
    chosen = np.arange(200) % 3 == 0
    few = measures.closed_set(targets[chosen], scores.argmax(1)[chosen], CLASSES)
    assert measures.of(chosen, few)(weights) == few(weights[chosen])


def test_intervals_draw_whole_groups_and_are_none_of_a_point():
    right = np.repeat([True, False, True, True], 5)

    def shares(weights):
        return {"all": {"right": float(weights @ right / weights.sum())}, "certain": 1.0, "missing": None}

    settings = {"repeats": 200, "seed": 0}
    by_image = measures.with_intervals(shares, np.arange(20), **settings)
    by_group = measures.with_intervals(shares, np.repeat(np.arange(4), 5), **settings)
    assert by_image["all"]["right"]["value"] == by_group["all"]["right"]["value"] == 0.75
    (low, high), (lowest, highest) = by_image["all"]["right"]["ci95"], by_group["all"]["right"]["ci95"]
    assert lowest < low < 0.75 < high <= highest == 1.0
    assert by_group["certain"] == {"value": 1.0, "ci95": None}
    assert by_group["missing"] == {"value": None, "ci95": None}
    apart = measures.with_intervals(shares, np.repeat(np.arange(4), 5), np.repeat([0, 1, 0, 0], 5), **settings)
    assert apart["all"]["right"]["ci95"] is None  # the group that is wrong is alone in its stratum
