"""Metrics of any tool with their intervals, and two tools on the same images."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ganfp_jax.attribution.scoring import NONE, compare, score
from ganfp_jax.attribution.tool_answers import ToolAnswers
from ganfp_jax.metrics.statistics import mcnemar_p, wilson_interval
from ganfp_jax.run.errors import UserError

CLASSES = ("real", "ProGAN", "SNGAN")
SETTINGS = {"repeats": 200, "seed": 0}


def answers(tool="a", n=300, seed=0, **changes):
    """Probabilities of three classes and an unknown source; about two thirds of the answers are right."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % 4
    scores = rng.random((n, 3)) + np.vstack([np.eye(3) * 0.6, np.zeros(3)])[targets]
    scores /= scores.sum(1, keepdims=True)
    names = [f"{i}.png" for i in range(n)]
    truths = [(*CLASSES, "unknown")[k] for k in targets]
    made = ToolAnswers(tool, names, truths, CLASSES, targets, scores.argmax(1), scores, scores.max(1), None, [])
    return made._replace(**changes)


def scored(given, **changes):
    return score(given, **{"real": "real", "bins": 15, **SETTINGS, **changes})


def test_shares_have_wilsons_interval_and_the_confusion_counts_all_images():
    given = answers(rejected=[("x", "line 2: it has no target")])
    found = scored(given)
    known = given.targets < 3
    right = int((given.predicted == given.targets)[known].sum())
    assert (found["correct"], found["total"], found["images"], found["rejected"]) == (right, 225, 300, 1)
    assert found["ci95"] == list(wilson_interval(right, 225))
    assert found["least_accuracy"] == right / 226
    assert found["classes"] == [*CLASSES, NONE]
    assert np.sum(found["confusion"], axis=1).tolist() == [75, 75, 75, 75]
    assert list(found["per_class"]) == list(CLASSES)
    assert found["groups"] is None
    json.dumps(found, allow_nan=False)


def test_sections_are_those_of_the_images_that_they_are_about():
    given = answers()
    found = scored(given)
    known, evidence = given.targets < 3, 1 - given.scores[:, 0]
    area = roc_auc_score(given.targets[known] != 0, evidence[known])
    assert found["detection"]["auroc"]["value"] == pytest.approx(area)
    assert found["open_set"]["auroc"]["value"] == pytest.approx(roc_auc_score(known, given.known))
    assert found["open_set"]["called_none"]["unknown"]["correct"] == 0
    low, high = found["detection"]["auroc"]["ci95"]
    assert low < area < high
    assert found["detection"]["cllr_min"] < found["detection"]["cllr"]["value"]
    assert 0 < found["open_set"]["oscr"]["value"] < found["accuracy"]
    assert 0 < found["scores"]["ece"]["value"] < 1


def test_even_probabilities_cost_one_bit_whatever_the_number_of_classes():
    even = answers(scores=np.full((300, 3), 1 / 3))
    assert scored(even)["detection"]["cllr"]["value"] == pytest.approx(1)


def test_sections_without_scores_without_unknown_images_without_real():
    bare = scored(answers(scores=None, known=None))
    assert bare["scores"] is bare["detection"] is bare["open_set"] is None
    closed = answers(targets=np.arange(300) % 3)
    found = scored(closed, real="photo")
    assert found["detection"] is found["open_set"] is None
    assert found["classes"] == list(CLASSES)
    logits = scored(closed._replace(scores=100 * closed.scores))
    assert logits["scores"]["ece"] is logits["detection"]["cllr"] is None
    assert logits["scores"]["auroc"]["value"] == pytest.approx(found["scores"]["auroc"]["value"])


def test_groups_widen_the_intervals_of_images_that_depend_on_each_other():
    """Ten photographs of thirty crops each, whose crops are all right or all wrong."""
    photographs = np.repeat(np.arange(10), 30)
    targets = np.zeros(300, int)
    predicted = np.where(photographs < 7, 0, 1)
    given = answers(targets=targets, predicted=predicted, scores=None, known=None)
    alone = scored(given)
    grouped = scored(given._replace(groups=[f"p{k}" for k in photographs]))
    assert alone["ci95"] == list(wilson_interval(210, 300))
    assert grouped["groups"] == {"real": 10, "ProGAN": 0, "SNGAN": 0}
    assert grouped["ci95"][0] < 0.5 < alone["ci95"][0]
    assert grouped["per_class"]["real"]["ci95"] == grouped["ci95"]
    apart = scored(given._replace(groups=[""] * 300))  # each image is a group of its own
    assert apart["ci95"] == pytest.approx(alone["ci95"], abs=0.01)


def test_an_interval_is_never_a_point():
    given = answers(targets=np.arange(300) % 3, predicted=np.arange(300) % 3)
    assert scored(given)["balanced_accuracy"] == {"value": 1.0, "ci95": None}
    assert scored(given)["ci95"] == list(wilson_interval(300, 300))


def test_a_group_may_have_images_of_several_classes():
    given = answers(groups=[f"photo {i // 4}" for i in range(300)])
    assert scored(given)["groups"] == dict.fromkeys(CLASSES, 75)


def test_two_tools_are_compared_on_the_images_that_they_share():
    a = answers("a")
    b = answers("b", predicted=np.where(np.arange(300) < 240, a.targets, a.predicted))
    part = slice(100, None)
    b = b._replace(**{key: getattr(b, key)[part] for key in ("names", "truths", "targets", "predicted", "scores")})
    (found,) = compare([a, b], **SETTINGS)
    both = a.targets[part] < 3
    wrong = (a.predicted[part] != a.targets[part]) & (b.predicted == b.targets) & both
    assert (found["first"], found["second"], found["shared"]) == ("a", "b", int(both.sum()))
    assert (found["wrong_to_right"], found["right_to_wrong"]) == (int(wrong.sum()), 0)
    assert found["mcnemar_p"] == found["holm_p"] == mcnemar_p(int(wrong.sum()), 0)
    gain = found["difference"]
    assert gain["value"] == pytest.approx(wrong.sum() / both.sum())
    assert gain["ci95"][0] < gain["value"] < gain["ci95"][1]
    three = compare([a, b, a._replace(tool="c")], **SETTINGS)
    assert [(pair["first"], pair["second"]) for pair in three] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert three[0]["holm_p"] == pytest.approx(min(1, 3 * three[0]["mcnemar_p"]))


def test_tools_that_cannot_be_compared_are_one_line():
    a, b = answers("a"), answers("b")
    with pytest.raises(UserError, match=r"a and b share no image .the first ones are '0.png' and 'x/0.png'.; write"):
        compare([a, b._replace(names=[f"x/{name}" for name in b.names])], **SETTINGS)
    with pytest.raises(UserError, match=r"a and b disagree on the source of 1 images .'0.png' is 'real' and 'SNGAN'."):
        compare([a, b._replace(truths=["SNGAN", *b.truths[1:]])], **SETTINGS)
    with pytest.raises(UserError, match="share no image of a source that both know"):
        compare([a, b._replace(targets=np.full(300, 3))], **SETTINGS)
