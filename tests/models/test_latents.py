"""Latents: anchors, the walk between them, the arc (the draws are held by the golden tests and end-to-end ones)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from ganfp_jax.models.latents import MODES, draw_latents, slerp, walk
from ganfp_jax.run.errors import UserError

DISTRIBUTIONS = ("normal", "uniform")


def anchors(count, size=64, distribution="normal", seed=0):
    return draw_latents(np.random.RandomState(seed), count, size=size, distribution=distribution)


def vectors(size):
    return hnp.arrays(np.float64, (1, size), elements=st.floats(-4, 4, width=32))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_anchors_are_met_exactly_and_the_walk_is_closed(mode, distribution):
    z = anchors(3, distribution=distribution)
    points = walk(z, np.arange(5.0), mode=mode, distribution=distribution)
    np.testing.assert_array_equal(points, z[[0, 1, 2, 0, 1]])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_walk_does_not_depend_on_how_it_is_cut(mode, distribution):
    z = anchors(3, distribution=distribution)
    positions = np.arange(25) / 8
    whole = walk(z, positions, mode=mode, distribution=distribution)
    pieces = [walk(z, part, mode=mode, distribution=distribution) for part in np.split(positions, [1, 7, 20])]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_walk_has_no_jumps(mode, distribution):
    z = anchors(4, distribution=distribution)
    points = walk(z, np.linspace(0, 4, 401), mode=mode, distribution=distribution)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert steps.max() < 0.05 * np.linalg.norm(z, axis=1).max()


def test_linear_is_the_straight_line():
    z = anchors(2)
    points = walk(z, np.array([0.25, 0.5]), mode="linear", distribution="normal")
    np.testing.assert_allclose(points, [0.75 * z[0] + 0.25 * z[1], 0.5 * (z[0] + z[1])], rtol=1e-6, atol=1e-6)


def test_the_straight_line_is_too_short_in_the_middle_and_the_arc_is_not():
    z = anchors(2, size=512)
    lengths = {mode: np.linalg.norm(walk(z, np.array([0.5]), mode=mode, distribution="normal")) for mode in MODES}
    usual = np.sqrt(512)
    assert lengths["linear"] < 0.8 * usual
    assert lengths["spherical"] == pytest.approx(usual, rel=0.1)


def test_a_known_quarter_circle():
    start, end = np.array([[2.0, 0, 0]]), np.array([[0.0, 4, 0]])
    middle = slerp(start, end, np.array([0.5]))
    np.testing.assert_allclose(middle, [[3 * np.sqrt(0.5), 3 * np.sqrt(0.5), 0]], atol=1e-12)


@given(vectors(5), vectors(5), st.floats(0, 1))
def test_lengths_change_linearly_whatever_the_angle(start, end, t):
    got = slerp(start, end, np.array([t]))
    expected = (1 - t) * np.linalg.norm(start) + t * np.linalg.norm(end)
    assert np.linalg.norm(got) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(vectors(5), vectors(5))
def test_the_direction_turns_at_constant_speed_by_the_whole_angle(start, end):
    if min(np.linalg.norm(start), np.linalg.norm(end)) < 1e-3:
        return  # no direction to speak of
    t = np.linspace(0, 1, 9)
    points = slerp(start.repeat(9, 0), end.repeat(9, 0), t)
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)

    def angle(a, b):  # accurate for small and for large angles alike (Kahan)
        return 2 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1))

    whole = angle(start[0] / np.linalg.norm(start), end[0] / np.linalg.norm(end))
    np.testing.assert_allclose(angle(unit[:-1], unit[1:]), whole / 8, atol=1e-7)


@given(vectors(4), vectors(4), st.floats(0, 1))
def test_the_ends_are_met_and_backwards_is_the_same_way(start, end, t):
    np.testing.assert_allclose(slerp(start, end, np.zeros(1)), start, atol=1e-7)
    np.testing.assert_allclose(slerp(start, end, np.ones(1)), end, atol=1e-7)
    product = np.linalg.norm(start) * np.linalg.norm(end)
    if product > 1e-6 and (start * end).sum() / product > -0.999:  # between opposite ones the way is a choice
        there, back = slerp(start, end, np.array([t])), slerp(end, start, np.array([1 - t]))
        np.testing.assert_allclose(there, back, atol=1e-6)


@pytest.mark.parametrize("factor", [1.0, 2.5, 1 + 1e-12])
def test_parallel_anchors_go_straight(factor):
    z = anchors(1).astype(np.float64)
    np.testing.assert_allclose(slerp(z, factor * z, np.array([0.5])), (1 + factor) / 2 * z, rtol=1e-9)


@pytest.mark.parametrize("noise", [0.0, 1e-14, 1e-6])
def test_opposite_anchors_go_round_and_not_through_zero(noise):
    z = anchors(1).astype(np.float64)
    end = -z + noise * np.random.RandomState(1).randn(*z.shape)
    t = np.linspace(0, 1, 11)
    points = slerp(z.repeat(11, 0), end.repeat(11, 0), t)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), np.linalg.norm(z), rtol=1e-6)
    np.testing.assert_allclose((points @ z[0]) / (z**2).sum(), np.cos(np.pi * t), atol=1e-5)


def test_zero_vectors_have_no_direction_of_their_own():
    zero, z = np.zeros((1, 3)), np.array([[0.0, 3, 4]])
    np.testing.assert_allclose(slerp(zero, z, np.array([0.5])), z / 2)
    np.testing.assert_allclose(slerp(z, zero, np.array([0.5])), z / 2)
    np.testing.assert_array_equal(slerp(zero, zero, np.array([0.5])), zero)


@settings(max_examples=40)
@given(
    hnp.arrays(np.float32, (3, 8), elements=st.floats(-1, 1, width=32)),
    st.lists(st.floats(0, 3), min_size=1, max_size=5),
    st.sampled_from(MODES),
)
def test_walks_of_uniform_latents_stay_in_the_cube(z, positions, mode):
    points = walk(z, np.array(positions), mode=mode, distribution="uniform")
    assert np.isfinite(points).all()
    assert np.abs(points).max() <= 1


def test_spherical_walks_of_uniform_latents_are_uniform_on_the_way():
    """Ours is; a straight line heaps coordinates in the middle, and a plain slerp leaves the cube."""
    z = anchors(2, size=20_000, distribution="uniform")
    middle = walk(z, np.array([0.5]), mode="spherical", distribution="uniform")[0]
    straight = walk(z, np.array([0.5]), mode="linear", distribution="uniform")[0]
    uniform = stats.uniform(-1, 2).cdf
    assert stats.kstest(middle, uniform).statistic < 0.015
    assert stats.kstest(straight, uniform).statistic > 0.1
    plain = slerp(z[:1].astype(np.float64), z[1:].astype(np.float64), np.array([0.5]))
    assert (np.abs(plain) > 1).mean() == pytest.approx((2 - np.sqrt(2)) ** 2 / 4, abs=0.01)  # one in twelve


def test_latents_refuse_unknown_words():
    with pytest.raises(UserError, match="choose from linear, spherical"):
        walk(anchors(2), np.zeros(1), mode="cubic", distribution="normal")
    with pytest.raises(UserError, match="choose from normal, uniform"):
        walk(anchors(2), np.zeros(1), mode="linear", distribution="cauchy")
