"""What an evaluation writes: the form of metrics.json."""

import json

import numpy as np
import pytest

from ganfp_jax.attribution.evaluation import count_decided, evaluation_metrics
from ganfp_jax.attribution.typicality import Known, Typical
from ganfp_jax.attribution.verdict import Rule
from ganfp_jax.attribution.voting import Vote, count_votes
from ganfp_jax.metrics.statistics import accuracy_block, wilson_interval

CLASSES = ("real", "ProGAN", "SNGAN")


def vote_of(view_predictions) -> Vote:
    """A majority vote of views that are all equally sure."""
    logits = 4.0 * np.eye(len(CLASSES), dtype=np.float32)[np.array(view_predictions)]
    return Vote(*(np.asarray(x) for x in count_votes(logits, "majority")))


def test_evaluation_metrics_by_hand():
    vote = vote_of([[1, 0, 2, 1], [0, 0, 2, 2], [0, 0, 2, 2]])
    targets = np.array([0, 0, 2, 1])
    metrics = evaluation_metrics(vote, targets, CLASSES, ("identity", "mirror", "rot180"), "majority", 12.5)
    assert set(metrics) == {
        *("accuracy", "correct", "total", "ci95", "per_class", "confusion", "classes", "views", "rule"),
        *("single_view", "vote_changes", "images_per_second"),
    }
    assert metrics["correct"] == 3  # the vote repairs image 0 and breaks image 3
    assert metrics["single_view"]["correct"] == 3
    assert metrics["single_view"]["view"] == "identity"
    assert set(metrics["single_view"]) == {"view", *accuracy_block(targets, targets, CLASSES)}
    assert metrics["vote_changes"] == {"wrong_to_right": 1, "right_to_wrong": 1, "mcnemar_p": 1.0}
    assert metrics["views"] == ["identity", "mirror", "rot180"]
    assert (metrics["rule"], metrics["images_per_second"]) == ("majority", 12.5)
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics


def test_the_single_view_is_identity_wherever_it_stands_else_the_first():
    vote = vote_of([[0, 0], [1, 1]])
    targets = np.array([1, 1])
    metrics = evaluation_metrics(vote, targets, CLASSES, ("mirror", "identity"), "majority", 1.0)
    assert (metrics["single_view"]["view"], metrics["single_view"]["correct"]) == ("identity", 2)
    metrics = evaluation_metrics(vote, targets, CLASSES, ("mirror", "rot90"), "majority", 1.0)
    assert (metrics["single_view"]["view"], metrics["single_view"]["correct"]) == ("mirror", 0)


def test_one_view_changes_nothing():
    vote = vote_of([[0, 1, 2, 0]])
    metrics = evaluation_metrics(vote, np.array([0, 1, 1, 1]), CLASSES, ("identity",), "majority", 1.0)
    assert metrics["vote_changes"] == {"wrong_to_right": 0, "right_to_wrong": 0, "mcnemar_p": 1.0}
    assert metrics["accuracy"] == metrics["single_view"]["accuracy"] == 0.5


def test_evaluation_metrics_refuses_what_does_not_belong_together():
    vote = vote_of([[0, 0], [1, 1]])
    with pytest.raises(ValueError, match="1 views and 2 targets, but the vote is of 2 views and 2 images"):
        evaluation_metrics(vote, np.array([1, 1]), CLASSES, ("identity",), "majority", 1.0)


def test_count_decided_by_hand():
    vote = vote_of([[1, 0, 2, 1]])._replace(distance=np.array([0.1, 0.9, 0.2, 0.3], np.float32))
    targets = np.array([1, 0, 0, 1])
    counts = count_decided(vote, targets, [Rule("distance", 0.5, "unknown")])
    assert counts == {"decided": 3, "wrong": 1, "ci95": list(wilson_interval(1, 3)), "undecided": 1}
    none = count_decided(vote, targets, [Rule("distance", 0.0, "unknown")])
    assert none == {"decided": 0, "wrong": 0, "ci95": [0.0, 1.0], "undecided": 4}


def test_count_decided_counts_the_unknown_where_there_can_be_any():
    vote = vote_of([[1, 0, 2, 1]])._replace(distance=np.array([0.1, 0.9, 0.2, 0.3], np.float32))
    below = vote.probabilities.max() * -1 + 1 + 0.5  # a strangeness that the far image alone is above
    typical = Typical("strangeness", 0.05, tuple(Known(name, 39, 39, (float(below),), (39.0,)) for name in "abc"))
    counts = count_decided(vote, np.array([1, 0, 0, 1]), [typical])
    assert (counts["decided"], counts["undecided"], counts["unknown"]) == (3, 1, 1)
