"""Thresholds, leads and groups of points whose distributions are known."""

import numpy as np
import pytest

from ganfp_jax.attribution import prototypes
from ganfp_jax.attribution.prototypes import Traces

TRACES = 12
FAR = 8.0  # deviations between two sources


def points(place, count, seed, deviation=1.0):
    """Points around a place on the first axes; the later axes vary more and tell nothing."""
    rng = np.random.default_rng(seed)
    rest = rng.standard_normal((count, TRACES)) * np.linspace(deviation, 3, TRACES)
    return (rest + np.pad(np.asarray(place, float), (0, TRACES - len(place)))[None]).astype(np.float32)


def traces(place, pictures, seed, rows=2):
    """Pictures of two rows each, which differ little."""
    rng = np.random.default_rng(seed)
    means = points(place, pictures, seed).repeat(rows, 0)
    values = (means + 0.1 * rng.standard_normal(means.shape)).astype(np.float32)
    return Traces(values, np.zeros(len(values), np.float32), np.arange(pictures).repeat(rows))


@pytest.fixture(scope="module")
def known():
    return [traces((0, 0), 200, 1), traces((FAR, 0), 200, 2)]


@pytest.fixture(scope="module")
def space(known):
    return prototypes.learn_space([of.means for of in known])


def groups(known):
    return [np.arange(len(of.means)) for of in known]


def test_means_are_of_pictures():
    of = Traces(np.array([[1.0], [3.0], [5.0]]), np.zeros(3), np.array([0, 0, 1]))
    np.testing.assert_allclose(of.means, [[2.0], [5.0]])


def test_in_the_axes_a_source_varies_by_one(space):
    new = (points((0, 0), 4000, 9) - space.center) @ space.axes
    assert np.abs(np.cov(new.T) - np.eye(space.axes.shape[1])).max() < 0.35  # the covariance is shrunk


def test_a_threshold_gives_away_no_more_than_its_rate(known, space):
    new = np.array([np.pad([3.0, 3.0], (0, TRACES - 2)), np.pad([0.0, FAR], (0, TRACES - 2))])
    thresholds = prototypes.choose_thresholds(known, groups(known), new, 0.05)
    assert thresholds[0] > thresholds[1]  # the first is nearer to the known ones
    for k, place in enumerate(((0, 0), (FAR, 0))):
        given = (prototypes.lead_of(points(place, 4000, 20 + k), space, new) > thresholds).mean(0)
        assert (given < 0.1).all()
    assert (prototypes.lead_of(points((0, FAR), 400, 30), space, new)[:, 1] > thresholds[1]).mean() > 0.98


def test_slack_counts(known):
    new = np.pad([0.0, FAR], (0, TRACES - 2))[None]
    plain = prototypes.choose_thresholds(known, groups(known), new, 0.05)
    doubtful = [of._replace(slack=of.slack + np.float32(0.5)) for of in known]
    np.testing.assert_allclose(prototypes.choose_thresholds(doubtful, groups(known), new, 0.05), plain + 0.5, rtol=1e-5)


def test_images_are_found_by_the_others(known, space):
    new = traces((0, FAR), 10, 5)
    threshold = float(prototypes.choose_thresholds(known, groups(known), new.means.mean(0)[None], 0.01)[0])
    assert prototypes.found_again(new, space, threshold).all()
    stranger = traces((0, FAR), 9, 5)
    values = np.concatenate([stranger.values, points((0, 0), 2, 6)])
    mixed = Traces(values, np.zeros(len(values), np.float32), np.append(stranger.pictures, [9, 9]))
    assert not prototypes.found_again(mixed, space, threshold)[-1]


def test_two_sources_fall_into_two_groups_and_one_does_not(known, space):
    means = [of.means for of in known]
    one = points((0, FAR), 20, 7)
    assert prototypes.two_groups(one, means, space) is None
    apart = prototypes.two_groups(np.concatenate([one[:12], points((2 * FAR, FAR), 8, 8)]), means, space)
    assert apart is not None and apart.tolist() == [False] * 12 + [True] * 8
    # one that varies more than the known ones do is one all the same
    wide = points((0, FAR), 20, 7) * np.where(np.arange(TRACES) == 4, 4, 1)
    assert prototypes.two_groups(wide.astype(np.float32), means, space) is None
