"""P-values by source: what they are, what they promise of new photographs, and that they keep it."""

import json

import numpy as np
import pytest

from ganfp_jax.attribution import promises
from ganfp_jax.attribution.typicality import STEPS, Known, Typical, check_unknown_rate, learn, needed, without_own
from ganfp_jax.run.errors import UserError

RATE = 0.05


def strange(scores):
    return np.array(scores, np.float32)


def alone(count):
    """Scores of so many photographs of one image."""
    return strange(range(count)), np.arange(count)


def test_a_photograph_counts_as_one_however_many_images_it_has():
    known = learn("real", strange([0.1, 0.5, 0.3]), np.array([7, 7, 3]))
    assert (known.photographs, known.images, known.smallest) == (2, 3, 1 / 3)
    # half of a and all of b; half of a; none; all
    found = known.p_values(strange([0.3, 0.4, 0.6, 0.0]))
    np.testing.assert_allclose(found, np.array([1 + 1.5, 1 + 0.5, 1, 1 + 2]) / 3)


def test_of_one_image_a_photograph_it_is_the_rank():
    rng = np.random.default_rng(0)
    scores, new = (rng.random(count).astype(np.float32) for count in (99, 50))
    found = learn("real", scores, np.arange(99)).p_values(new)
    np.testing.assert_allclose(found, [(1 + (scores >= one).sum()) / 100 for one in new])


def test_an_image_without_a_score_is_as_strange_as_can_be():
    known = learn("real", strange([0.1, 0.2]), np.arange(2))
    assert known.p_values(strange([np.nan])) == [known.smallest]


def test_many_scores_take_few_steps_and_p_values_are_never_too_small():
    rng = np.random.default_rng(1)
    scores, photographs = rng.normal(size=5000).astype(np.float32), rng.integers(0, 900, 5000)
    known = learn("real", scores, photographs)
    assert len(known.scores) == len(known.at_least) == STEPS
    exact = np.array([np.mean([(scores[of] >= one).mean() for of in groups(photographs)]) for one in scores[:300]])
    exact = (1 + known.photographs * exact) / (known.photographs + 1)
    over = known.p_values(scores[:300]) - exact
    assert over.min() >= -1e-9 and 0 < over.max() <= 1.5 / STEPS


def groups(photographs):
    return [np.flatnonzero(photographs == number) for number in np.unique(photographs)]


def test_the_images_themselves_are_judged_without_their_photograph():
    rng = np.random.default_rng(2)
    scores, photographs = rng.integers(0, 9, 40).astype(np.float32), rng.integers(0, 6, 40)
    found = without_own(scores, photographs)
    for i, number in enumerate(photographs):
        others = photographs != number
        assert found[i] == pytest.approx(
            learn("real", scores[others], photographs[others]).p_values(scores[i : i + 1])[0]
        )
    assert without_own(strange([]), np.arange(0)).shape == (0,)


def test_needed():
    assert [needed(rate) for rate in (0.05, 0.01, 0.1, 0.03, 0.5)] == [19, 99, 9, 33, 1]
    assert learn("real", *alone(19)).smallest <= 0.05 < learn("real", *alone(18)).smallest


# --- the promise


CLUSTERS = {  # source -> images of each photograph, and the share of the scores' variance that is between photographs
    "real": ([12] * 25, 0.8),
    "restored": ([1, 30] * 20, 0.5),
    "generated": ([1] * 200, 1.0),
}


def draw(rng, sizes, between):
    """Scores of so many images of each new photograph, and their photographs."""
    photographs = np.repeat(np.arange(len(sizes)), sizes)
    scores = np.sqrt(between) * rng.normal(size=len(sizes))[photographs]
    return (scores + np.sqrt(1 - between) * rng.normal(size=len(photographs))).astype(np.float32), photographs


def one_a_photograph(scores, photographs):
    return learn("", scores, photographs)


def one_an_image(scores, photographs):
    return learn("", scores, np.arange(len(scores)))


def mean_of_a_photograph(scores, photographs):
    means = np.bincount(photographs, scores) / np.bincount(photographs)
    return learn("", means, np.arange(len(means)))


def denied(learned, sizes, between, calibrations=300):
    """The share of images of new photographs that are denied their source: the mean over calibrations, its error."""
    rng = np.random.default_rng(3)
    rates = []
    for _ in range(calibrations):
        known = learned(*draw(rng, sizes, between))
        rates.append((known.p_values(draw(rng, [1] * 2000, between)[0]) <= RATE).mean())
    return np.mean(rates), np.std(rates) / np.sqrt(calibrations)


@pytest.mark.parametrize("source", CLUSTERS)
def test_the_promise_is_kept_for_each_source_in_the_mean_over_calibrations(source):
    rate, error = denied(one_a_photograph, *CLUSTERS[source])
    assert error < 0.004
    assert rate <= RATE + 2 * error
    assert rate > 0.4 * RATE  # nor is it kept by denying nothing


@pytest.mark.parametrize(
    ("learned", "source"),
    [(one_an_image, "real"), (one_an_image, "restored"), (mean_of_a_photograph, "restored")],
)
def test_images_that_count_as_one_each_and_means_break_it(learned, source):
    rate, error = denied(learned, *CLUSTERS[source])
    assert rate > RATE + 3 * error


def test_an_unlucky_calibration_is_as_bad_as_is_said():
    """One in twenty of 41 photographs denies more than is said; the rates are known, since the scores are uniform."""
    rng, said = np.random.default_rng(4), learn("real", *alone(41)).highest_rate(RATE)
    assert 0.1 < said < 0.12
    worst = 0
    for _ in range(1000):
        known = learn("real", rng.random(41).astype(np.float32), np.arange(41))
        worst += (known.p_values(np.linspace(0, 1, 1001)) <= RATE).mean() > said
    assert 0.03 < worst / 1000 < 0.07
    assert learn("real", *alone(18)).highest_rate(RATE) == 0  # p-values are never so small


# --- JSON


TYPICAL = Typical(
    "strangeness",
    RATE,
    (
        learn("real", strange([0.1, 0.5, 0.3]), np.array([7, 7, 3])),
        learn("ProGAN", strange(np.linspace(0, 1, 30)), np.arange(30)),
        learn("SNGAN", strange([]), np.arange(0)),
    ),
)


def test_it_survives_json():
    found = Typical.from_dict(json.loads(json.dumps(TYPICAL.to_dict())))
    assert found == TYPICAL
    scores = strange(np.random.default_rng(5).random((20, 3)))
    np.testing.assert_array_equal(found.p_values(scores), TYPICAL.p_values(scores))
    assert (found.p_values(scores)[:, 2] == 1).all()  # nothing is known of it: nothing can be ruled out


@pytest.mark.parametrize(
    "damage",
    [
        {"source": 3},
        {"photographs": 2.0},
        {"photographs": True},
        {"photographs": 4},
        {"photographs": 0},
        {"images": -1},
        {"images": 10**40},
        {"scores": None},
        {"scores": [0.3, 0.1]},
        {"scores": [0.1, 0.1]},
        {"scores": [0.1, float("nan")]},
        {"scores": [0.1, 10**400]},
        {"scores": ["0.1", "0.3"]},
        {"scores": [[0.1], [0.3]]},
        {"scores": []},
        {"at_least": [0.5]},
        {"at_least": [0.5, 1.0]},
        {"at_least": [3.0, 1.0]},
        {"at_least": [1.0, -1.0]},
        {"at_least": [float("inf"), 1.0]},
        {"scores": [float(i) for i in range(STEPS + 1)], "at_least": [1.0] * (STEPS + 1)},
        {"surplus": 1},
    ],
)
def test_damaged_steps_are_refused(damage):
    sound = {"source": "real", "photographs": 2, "images": 3, "scores": [0.1, 0.3], "at_least": [2.0, 1.5]}
    assert Known.from_dict(sound).to_dict() == sound
    with pytest.raises((TypeError, KeyError, ValueError, OverflowError)):
        Known.from_dict(sound | damage)


@pytest.mark.parametrize(
    "damage",
    [
        {"known": None},
        {"known": 3},
        {"known": [1]},
        {"unknown_rate": 0.0},
        {"unknown_rate": "0.1"},
        {"score": 1},
        {"x": 1},
    ],
)
def test_damaged_p_values_are_refused(damage):
    with pytest.raises((TypeError, KeyError, ValueError)):
        Typical.from_dict(TYPICAL.to_dict() | damage)


# --- in words


def learned(**photographs):
    """P-values from so many photographs of each source; of "real", three images each."""
    known = (
        learn(name, strange(np.arange(3 * count)), np.repeat(np.arange(count), 3))
        if name == "real"
        else learn(name, *alone(count))
        for name, count in photographs.items()
    )
    return Typical("strangeness", RATE, tuple(known))


def test_the_promise_names_the_sources_worst_first():
    typical = learned(ProGAN=1000, real=41)
    assert not typical.too_few
    words = promises.promised(typical)
    assert (
        "no source has a p-value above 0.05" in words and "denied at most 5% of its images of new photographs" in words
    )
    assert words.endswith("(fewest first) 41 photographs of real and 1,000 images of ProGAN.")
    words = promises.not_promised(typical)
    assert "a rate below 2.38% for real, since of 41 photographs of real the smallest p-value is 1/42" in words
    assert "one in twenty by so few, real is denied more than 11.1%" in words
    rows = [line.split() for line in promises.table(typical).splitlines()]
    assert [row[:4] for row in rows[-2:]] == [["real", "123", "41", "0.0238"], ["ProGAN", "1,000", "1,000", "0.0010"]]
    assert len(promises.paragraphs(typical)) == 3


def test_too_few_photographs_are_said_with_the_rate_that_they_allow():
    typical = learned(ProGAN=18, real=3, SNGAN=19)
    (words,) = promises.paragraphs(typical)
    assert "a rate of 5% takes 19 independent photographs of each source" in words
    assert "there are 3 photographs of real and 18 images of ProGAN; 0.25 is the lowest config.unknown_rate" in words
    assert "0 images of SNGAN; calibrate with some" in promises.too_few(learned(ProGAN=100, SNGAN=0))
    assert promises.paragraphs(None) == []


def test_other_sources_are_named_too():
    assert promises.about_sources(("real", "ProGAN"), None).endswith(
        "knows real and ProGAN. There are other sources: their images get one of these names all the same."
    )
    assert "unknown where they are unlike all of these" in promises.about_sources(("real", "ProGAN"), learned(real=41))


def test_a_rate_that_is_none():
    for rate in (-0.1, 1.0, float("nan")):
        with pytest.raises(UserError, match=r"config\.unknown_rate is"):
            check_unknown_rate(rate)
    check_unknown_rate(0.0)
