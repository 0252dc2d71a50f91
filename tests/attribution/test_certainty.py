"""The rule behind "unsure": what it promises, that it keeps it, and that it says where it cannot."""

import dataclasses
import json

import numpy as np
import pytest
from scipy.stats import binom

from ganfp_jax.attribution.certainty import Calibration, choose_sparing, choose_threshold, upper_bound, where_unsure
from ganfp_jax.attribution.typicality import Known, Typical
from ganfp_jax.attribution.verdict import margins
from ganfp_jax.run.errors import UserError

CLASSES = ("real", "ProGAN")
CALIBRATION = Calibration(
    threshold=0.5,
    error_rate=0.01,
    confidence=0.95,
    views=("identity", "mirror"),
    rule="majority",
    images=400,
    decided=300,
    wrong=0,
    ci95=(0.0, 0.0126),
    upper=0.00994,
    per_class={name: {"images": 200, "decided": 150, "wrong": 0} for name in CLASSES},
    digest="0" * 64,
)

TYPICAL = Typical("strangeness", 0.05, (Known("real", 39, 400, (0.5,), (39.0,)),))


def test_margins():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], np.float32)
    np.testing.assert_allclose(margins(probabilities, np.array([0, 1])), [0.2, -0.2], atol=1e-6)
    assert margins(np.ones((1, 1), np.float32), np.array([0])) == 1


def test_the_upper_bound_is_exact():
    """At the bound, as few mistakes as were seen have the probability 5 %."""
    wrong, total = np.array([0, 1, 6, 50]), np.array([299, 500, 1253, 60])
    bounds = upper_bound(wrong, total)
    np.testing.assert_allclose(binom.cdf(wrong, total, bounds), 0.05, rtol=1e-6)
    assert bounds[0] < 0.01 < upper_bound(0, 298)
    assert upper_bound(7, 7) == 1


def ranked(total, *mistakes):
    """Scores of so many images from 1 down to 0, and which are wrong: those at these places, the surest first."""
    wrong = np.zeros(total, bool)
    wrong[list(mistakes)] = True
    return np.linspace(1, 0, total), wrong


def test_the_walk_ends_before_the_first_set_whose_bound_is_too_high():
    scores, wrong = ranked(2000, 700, 900, 1000, 1010, 1020, 1030, 1040)
    # 4 of 1021 may be 0.9 %, 5 of 1031 more than 1 %; thousands of right answers after them do not count
    last = 1030
    assert upper_bound(5, last) <= 0.02
    choice = choose_threshold(scores, wrong, 0.01)
    decided = scores >= choice.threshold
    assert (decided.sum(), (decided & wrong).sum()) == (choice.decided, choice.wrong)
    bounds = [upper_bound(wrong[:count].sum(), count) for count in range(628, 2001)]
    assert choice.decided == 628 + next(i for i, bound in enumerate(bounds) if bound > 0.01) - 1
    assert choice.upper == pytest.approx(bounds[choice.decided - 628])
    assert scores[choice.decided] < choice.threshold < scores[choice.decided - 1]


def test_thresholds_do_not_depend_on_the_order_of_the_images():
    scores, wrong = ranked(2000, 700, 900, 1000, 1010, 1020, 1030, 1040)
    shuffled = np.random.default_rng(0).permutation(2000)
    assert choose_threshold(scores[shuffled], wrong[shuffled], 0.01) == choose_threshold(scores, wrong, 0.01)


def test_a_network_without_mistakes_decides_all_it_has_seen():
    scores, wrong = ranked(299)
    choice = choose_threshold(scores, wrong, 0.01)
    assert (choice.threshold, choice.decided, choice.wrong) == (0, 299, 0)


def test_images_of_one_score_are_decided_together():
    scores = np.repeat([1.0, 0.5], 500)
    wrong = np.arange(1000) >= 990  # right as long as one goes on within the second half
    assert choose_threshold(scores, wrong, 0.02)[:3] == (0.5, 1000, 10)
    with pytest.raises(UserError, match=r"10 of the 1000 surest of 1000 images .* may be 0\.017"):
        choose_threshold(scores, wrong, 0.01)


@pytest.mark.parametrize("confident", [(0, 1, 2), tuple(range(0, 2000, 20))])
def test_a_rate_that_is_not_reached_is_said(confident):
    with pytest.raises(UserError, match=r"no margin keeps the error rate at 0\.01: \d+ of the 628 surest of 2000"):
        choose_threshold(*ranked(2000, *confident), 0.01)


def test_few_images_without_a_mistake_among_the_surest():
    """Too few to forgive as many mistakes as usual: the walk begins with as many as there are images to forgive."""
    choice = choose_threshold(*ranked(400, 399), 0.01)
    assert (choice.decided, choice.wrong) == (399, 0)


def test_too_few_images_and_impossible_rates():
    with pytest.raises(UserError, match=r"298 images are too few .* takes 299 without a mistake"):
        choose_threshold(*ranked(298), 0.01)
    for rate in (0.0, 1.0, -0.1, 5.0):
        with pytest.raises(UserError, match=r"config\.error_rate is"):
            choose_threshold(*ranked(1000), rate)


def test_the_walk_can_begin_later():
    """Few mistakes among many images, but the surest of them are wrong."""
    scores, wrong = ranked(2000, 0, 1, 2)
    choice = choose_threshold(scores, wrong, 0.01, min_decided=0.5)
    assert (choice.decided, choice.wrong) == (2000, 3)
    with pytest.raises(UserError, match=r"50 of the 1000 surest of 2000"):
        choose_threshold(*ranked(2000, *range(0, 2000, 20)), 0.01, min_decided=0.5)
    with pytest.raises(UserError, match=r"config\.min_decided is 2"):
        choose_threshold(scores, wrong, 0.01, min_decided=2.0)


def test_the_promise_is_kept():
    """Where the true error rate above every threshold is known, it is above the stated one in 5 % of the trials."""
    rng = np.random.default_rng(0)
    broken, share = 0, []
    for _ in range(200):
        scores = rng.random(3000)
        wrong = rng.random(3000) < (1 - scores) / 5  # above t, (1 - t) / 10 are wrong
        try:
            choice = choose_threshold(scores, wrong, 0.03)
        except UserError:
            continue
        broken += (1 - choice.threshold) / 10 > 0.03
        share.append(choice.decided / 3000)
    assert broken <= 16  # 10 and two standard deviations; the plain rate breaks it in half of them
    assert len(share) > 150 and np.mean(share) > 0.15  # of the 0.3 that could be


def test_a_calibration_survives_json():
    assert Calibration.from_dict(json.loads(json.dumps(CALIBRATION.to_dict()))) == CALIBRATION
    assert "typicality" not in CALIBRATION.to_dict()  # as in older files
    learned = dataclasses.replace(CALIBRATION, typicality=TYPICAL)
    assert Calibration.from_dict(json.loads(json.dumps(learned.to_dict()))) == learned
    assert learned.rules(CLASSES) == (TYPICAL, *CALIBRATION.rules(CLASSES))
    few = dataclasses.replace(TYPICAL, unknown_rate=0.02)  # of 39 no p-value is so small
    assert dataclasses.replace(CALIBRATION, typicality=few).rules(CLASSES) == CALIBRATION.rules(CLASSES)


@pytest.mark.parametrize(
    "damage",
    [
        {"threshold": "low"},
        {"threshold": float("nan")},
        {"error_rate": 7},
        {"views": 3},
        {"views": [1]},
        {"ci95": None},
        {"decided": -1},
        {"decided": True},
        {"per_class": []},
        {"digest": None},
        {"surplus": 1},
        {"spared_threshold": 7.0},
        {"spared_threshold": "low"},
        {"typicality": None},
        {"typicality": []},
        {"typicality": TYPICAL.to_dict() | {"score": "margin"}},
        {"typicality": TYPICAL.to_dict() | {"score": "none such"}},
        {"typicality": TYPICAL.to_dict() | {"unknown_rate": 2.0}},
        {"typicality": TYPICAL.to_dict() | {"known": [{}]}},
    ],
)
def test_a_damaged_calibration_is_refused(damage):
    with pytest.raises(UserError, match="the calibration is damaged; calibrate"):
        Calibration.from_dict(CALIBRATION.to_dict() | damage)


def test_calibration_is_made_of_nothing_else():
    for value in (None, [], "x", {}, {"views": [], "ci95": []}):
        with pytest.raises(UserError, match="the calibration is damaged"):
            Calibration.from_dict(value)


def test_calibration_holds_for_its_vote_only():
    assert CALIBRATION.is_for(("mirror", "identity"), "majority")
    assert not CALIBRATION.is_for(("identity",), "majority")
    assert not CALIBRATION.is_for(("identity", "mirror"), "mean_logit")
    assert not dataclasses.replace(CALIBRATION, rule="mean_logit").is_for(CALIBRATION.views, "majority")
    of_one = dataclasses.replace(CALIBRATION, views=("rot90", "mirror"), typicality=TYPICAL)
    assert of_one.is_for(["rot90", "mirror"], "majority") and not of_one.is_for(["mirror", "rot90"], "majority")
    of_none = dataclasses.replace(of_one, typicality=dataclasses.replace(TYPICAL, score="novelty"))
    assert of_none.is_for(["mirror", "rot90"], "majority")


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        (0.31249, "where the margin is under 0.312"),
        (0.0004, "where the margin is under 0.0004"),
        (0.0, "only where the mean probability of another source is higher"),
        (-0.0833, "only where the mean probability of another source is higher by more than 0.0833"),
        (-1.0, "nowhere: every verdict stands"),
    ],
)
def test_where_unsure_calls_no_negative_margin_a_lead(threshold, words):
    assert where_unsure(threshold) == words


def test_a_spared_source_may_have_a_threshold_of_its_own():
    assert CALIBRATION.thresholds(CLASSES) == (CALIBRATION.threshold,) * len(CLASSES)
    assert CALIBRATION.where_unsure == where_unsure(CALIBRATION.threshold)
    found = dataclasses.replace(CALIBRATION, spared=CLASSES[0], spared_threshold=-1.0)
    again = Calibration.from_dict(json.loads(json.dumps(found.to_dict(), sort_keys=True)))  # as files have it
    assert again == found
    assert again.thresholds(CLASSES) == (-1.0, *CALIBRATION.thresholds(CLASSES[1:]))
    assert again.rules(CLASSES)[-1].threshold == again.thresholds(CLASSES)
    assert found.where_unsure.startswith(f"of {CLASSES[0]} nowhere: every verdict stands, of the others ")


def test_a_spared_source_has_no_wrong_decision():
    scores, wrong = ranked(1000, 300, 500, 900)
    named, spared = np.arange(1000) % 2 == 1, np.arange(1000) == 500  # which names another source
    own, other = choose_sparing(scores, wrong, named, spared, 0.05)
    assert scores[500] < other.threshold < scores[498]
    assert (other.decided, other.wrong) == (250, 1) and other.upper == pytest.approx(upper_bound(1, 250, 0.975))
    assert (own.decided, own.wrong, own.threshold) == (500, 0, 0)
    nothing = np.zeros(1000, bool)
    plain = choose_threshold(scores[~named], wrong[~named], 0.05, 0.975)
    assert choose_sparing(scores, wrong, named, nothing, 0.05) == (own, plain)
    with pytest.raises(UserError, match=r"has a score of 1, and 0 of the 500 answers that name another source a h"):
        choose_sparing(*ranked(1000, 0), named, ~nothing, 0.05)


def test_to_name_another_source_never_takes_less():
    scores, wrong = ranked(1000, *range(201, 601, 2))
    named = np.arange(1000) % 2 == 1
    own, other = choose_sparing(scores, wrong, named, np.zeros(1000, bool), 0.2)
    assert 0 < own.threshold < other.threshold < scores[200]
    assert choose_threshold(scores[~named], wrong[~named], 0.2).threshold < 0.01


def test_a_spared_source_keeps_its_promise():
    """The true rate above the threshold of 99 draws is over 3 % in at most 5 of 100 calibrations."""
    rng = np.random.default_rng(0)
    broken = []
    for _ in range(1000):
        scores = rng.uniform(size=99)  # of images of the source, all of them answered wrongly
        right = np.linspace(0.0, 1.2, 5000)  # those of images of other sources
        everything, spared = np.concatenate([scores, right, right]), np.arange(10099) < 99
        _, other = choose_sparing(everything, spared, np.arange(10099) >= 5099, spared, 0.5)
        broken.append(1 - other.threshold > 0.03)
    assert 0.02 < np.mean(broken) < 0.06
