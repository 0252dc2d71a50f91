"""Groups of points whose sources are known."""

import numpy as np
import pytest

from ganfp_jax.attribution.clusters import ALONE, cluster
from ganfp_jax.attribution.trials import Scorer

SPACE = Scorer(np.full(8, 5.0), np.eye(8), np.full(8, 4.0))


def drawn(counts):
    """Points of sources that lie far apart, each in a direction of its own, as traces."""
    rng = np.random.default_rng(0)
    parts = [5 + 30 * (np.eye(8)[k] - 1 / 8) + rng.normal(size=(count, 8)) for k, count in enumerate(counts)]
    return np.concatenate(parts)


def test_each_source_is_a_group_the_largest_first():
    found = cluster(SPACE, drawn([6, 12, 9]))
    assert found.number == 3
    assert found.labels.tolist() == [2] * 6 + [0] * 12 + [1] * 9
    assert (found.silhouettes > 0.5).all()


def test_what_is_like_no_other_is_alone():
    found = cluster(SPACE, drawn([8, 1, 4]), smallest=5)
    assert found.labels.tolist() == [0] * 8 + [ALONE] * 5
    assert np.isnan(found.distances[8:]).all() and np.isnan(found.silhouettes).all()
    assert cluster(SPACE, drawn([8, 1, 4]), smallest=4).number == 2


def test_the_first_member_is_the_most_central():
    traces = drawn([9])
    found = cluster(SPACE, traces)
    members = found.members(0)
    assert sorted(members.tolist()) == list(range(9))
    assert found.distances[members].tolist() == sorted(found.distances)


def test_a_threshold_of_none_and_of_all():
    traces = drawn([6, 6])
    assert cluster(SPACE, traces, threshold=0.0).number == 0
    assert cluster(SPACE, traces, threshold=2.0).number == 1


@pytest.mark.parametrize("count", [1, 2])
def test_few_points_make_no_group(count):
    assert cluster(SPACE, drawn([count])).labels.tolist() == [ALONE] * count
