"""Known against unknown images: the direction of the scores, what is drawn as a whole, what is called what."""

import numpy as np
import opinions
import pytest

from ganfp_jax.attribution import verdict
from ganfp_jax.attribution.open_set import Known, against, called, curve_points, scores_of
from ganfp_jax.attribution.typicality import Typical, learn
from ganfp_jax.attribution.verdict import attributions
from ganfp_jax.metrics.ranking import Curve, area


def vote_on(count, seed=0):
    return opinions.attributor_of(opinions.weights()).vote(opinions.pictures(count, seed), "mirror")


def known(count=60, **scores):
    targets = np.arange(count) % 3
    return Known(scores, np.arange(count) % 4 > 0, targets, np.arange(count))


def test_every_score_is_high_for_known_images():
    vote = vote_on(12)
    found = scores_of(vote)
    np.testing.assert_allclose(found["margin"], verdict.margins(vote.probabilities, vote.predicted))
    np.testing.assert_allclose(found["distance"], -vote.distance)
    np.testing.assert_allclose(found["strangeness"], -(1 - vote.probabilities.max(1) + vote.distance), rtol=1e-6)
    assert "novelty" not in found  # the network never learned what nobody's images are like
    learned = vote._replace(nobody=np.linspace(0, 1, 12))
    novelty = 1 - vote.probabilities.max(1) * np.linspace(1, 0, 12)
    np.testing.assert_allclose(scores_of(learned)["novelty"], -novelty, rtol=1e-6)


def test_p_values_are_a_score_where_verdicts_rest_on_them():
    vote = vote_on(12)
    strange = verdict.strangeness(vote)
    sources = tuple(learn(f"{k}", strange[:, k], np.arange(12)) for k in range(3))
    found = scores_of(vote, [Typical("strangeness", 0.2, sources)])
    assert found["typicality"] == pytest.approx(
        np.stack([s.p_values(strange[:, k]) for k, s in enumerate(sources)]).max(0)
    )


def test_generators_are_drawn_as_a_whole_and_images_of_one_alone():
    rng = np.random.default_rng(0)
    here = known(score=rng.normal(0, 1, 60))
    two = np.repeat([-3.0, 3.0], 20)  # of one generator all are found, of the other none
    apart, together = (
        against(here, {"score": two}, names, repeats=200)["score"]["auroc"]
        for names in (np.repeat(["a", "b"], 20).tolist(), [f"{i}" for i in range(40)])
    )
    assert apart["value"] == together["value"] == pytest.approx(0.5, abs=0.01)
    assert apart["ci95"][0] < 0.05 and apart["ci95"][1] > 0.95
    assert together["ci95"][0] > 0.3 and together["ci95"][1] < 0.7
    alone = against(here, {"score": two}, ["a"] * 40, repeats=200)["score"]["auroc"]
    assert alone["value"] == together["value"]
    np.testing.assert_allclose(alone["ci95"], together["ci95"], atol=0.01)


def test_curves_have_the_areas_of_the_metrics():
    rng = np.random.default_rng(1)
    here, there = known(900, score=rng.normal(1, 1, 900)), {"score": rng.normal(0, 1, 900)}
    points = curve_points(here, there)["score"]
    numbers = against(here, there, list(map(str, range(900))), repeats=2)["score"]
    assert len(points["fpr"]) == 200
    fpr, tpr, ccr = (np.array(points[key]) for key in ("fpr", "tpr", "ccr"))
    assert area(Curve(fpr, tpr)) == pytest.approx(numbers["auroc"]["value"], abs=0.003)
    assert area(Curve(fpr, ccr)) == pytest.approx(numbers["oscr"]["value"], abs=0.003)


def test_every_verdict_is_counted():
    vote, classes = vote_on(9), ("a", "b", "c")
    rules = [verdict.Rule("margin", 2.0, verdict.UNSURE)]
    tiles = np.arange(9)
    verdicts = attributions(vote, rules, classes, ["identity", "mirror"], [""] * 9, tiles)
    assert called(verdicts, classes) == {"a": 0, "b": 0, "c": 0, "unsure": 8, "unknown": 0, "nothing to see": 1}
