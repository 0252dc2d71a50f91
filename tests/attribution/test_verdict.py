"""From a vote to a verdict: scores, rules, and that the first rule that forbids a verdict has the word."""

import operator

import jax
import numpy as np

from ganfp_jax.attribution import verdict
from ganfp_jax.attribution.typicality import Known, Typical
from ganfp_jax.attribution.verdict import NOTHING, SCORES, UNKNOWN, UNSURE, Rule, Score, attributions, decide
from ganfp_jax.attribution.voting import count_votes

CLASSES = ("real", "ProGAN")


def vote(margins, distances):
    """One view of images with these margins for the first class, and these distances."""
    p = (1 + np.array(margins)) / 2
    logits = np.log(np.stack([p, 1 - p], -1))[None].astype(np.float32)
    counted = jax.tree.map(np.asarray, count_votes(logits, "majority"))
    return counted._replace(distance=np.array(distances, np.float32))


def test_scores_are_those_of_the_vote():
    given = vote([0.5, -0.25], [0.125, 1.5])
    np.testing.assert_allclose(SCORES["margin"].of(given), [0.5, 0.25], atol=1e-6)
    np.testing.assert_array_equal(SCORES["distance"].of(given), [0.125, 1.5])


def test_decide_gives_the_word_of_the_first_rule_that_forbids():
    given = vote([0.5, 0.5, 0.1, 0.1], [0.2, 0.9, 0.2, 0.9])
    unsure, unknown = Rule("margin", 0.3, UNSURE), Rule("distance", 0.5, "unknown")
    assert decide(given, ()) == [""] * 4
    assert decide(given, [unsure]) == ["", "", UNSURE, UNSURE]
    assert decide(given, [unknown, unsure]) == ["", "unknown", UNSURE, "unknown"]
    assert decide(given, [unsure, unknown]) == ["", "unknown", UNSURE, UNSURE]


def test_decide_lets_a_score_at_the_threshold_stand():
    given = vote([0.5], [0.25])
    margin = float(SCORES["margin"].of(given)[0])
    assert decide(given, [Rule("margin", margin, UNSURE), Rule("distance", 0.25, "unknown")]) == [""]


def test_a_further_score_and_verdict_is_one_entry_each(monkeypatch):
    confidence = Score(lambda vote: vote.probabilities.max(-1), operator.ge)
    monkeypatch.setitem(verdict.SCORES, "confidence", confidence)
    rules = [Rule("confidence", 0.8, "who knows")]
    said = attributions(vote([0.9, 0.2], [0, 0]), rules, CLASSES, ["identity"], ["", ""])
    assert [(one.verdict, one.predicted) for one in said] == [("real", "real"), ("who knows", "real")]


# of 39 photographs of each source, none is stranger than this: p-values above fall from 1 to 1/40
TYPICAL = Typical(
    "strangeness", 0.05, (Known("real", 39, 39, (0.6,), (39.0,)), Known("ProGAN", 39, 39, (1.0,), (39.0,)))
)


def test_strangeness_is_what_others_get_and_the_distance():
    np.testing.assert_allclose(
        SCORES["strangeness"].of(vote([0.5], [0.125])), [[0.25 + 0.125, 0.75 + 0.125]], atol=1e-6
    )


def test_novelty_is_what_others_and_nobody_get():
    given = vote([0.5], [0.125])._replace(nobody=np.array([0.2], np.float32))
    np.testing.assert_allclose(SCORES["novelty"].of(given), [[1 - 0.75 * 0.8, 1 - 0.25 * 0.8]], atol=1e-6)


def test_the_sources_that_an_image_is_typical_of_give_the_verdict():
    """real alone; real or ProGAN; none; ProGAN but not the voted real; real with a small lead; flat."""
    given = vote([0.98, 0.5, 0.9, 0.1, 0.06, 0.98], [0.1, 0.2, 1.5, 0.4, 0.1, 0.1])
    rules = [TYPICAL, Rule("margin", 0.5, UNSURE)]
    said = list(attributions(given, rules, CLASSES, ["identity"], [""] * 5 + ["flat"], np.array([1, 1, 1, 1, 1, 0])))
    assert [(one.verdict, one.sources, one.note) for one in said] == [
        ("real", ("real",), ""),
        (UNSURE, ("real", "ProGAN"), "could be real or ProGAN"),
        (UNKNOWN, (), "is like none of the known sources"),
        (UNSURE, ("ProGAN",), "is like ProGAN, not like real"),
        (UNSURE, ("real", "ProGAN"), "could be real or ProGAN"),
        (NOTHING, (), "flat"),
    ]
    assert [one.typicality for one in said] == [1, 1, 1 / 40, 1 / 40, 1, None]
    assert said[3].p_values == {"real": 1 / 40, "ProGAN": 1} and said[5].p_values == {}
    assert decide(given, rules, np.array([1, 1, 1, 1, 1, 0])) == ["", UNSURE, UNKNOWN, UNSURE, UNSURE, NOTHING]
    # a margin that is too small is unsure of the one source, too
    (alone,) = attributions(vote([0.98], [0.1]), [TYPICAL, Rule("margin", 0.99, UNSURE)], CLASSES, ["identity"], [""])
    assert (alone.verdict, alone.sources, alone.note) == (UNSURE, ("real",), "")


def test_without_p_values_nothing_is_said_of_them():
    (one,) = attributions(vote([0.5], [1.5]), [Rule("margin", 0.9, UNSURE)], CLASSES, ["identity"], ["turned"])
    assert (one.verdict, one.typicality, one.sources, one.note) == (UNSURE, None, (), "turned")
