"""Distances of codes against closed forms and plain double sums; the three-sample test against simulation."""

import itertools
import math

import numpy as np
import pytest
from scipy import linalg

from ganfp_jax.metrics.distances import (
    compare_mmd,
    frechet_distance,
    kernel_distance,
    polynomial_kernel,
    squared_mmd,
    three_sample_test,
)
from ganfp_jax.run.errors import UserError


def codes(seed, n=200, d=6, shift=0.0):
    return (np.random.RandomState(seed).randn(n, d) + shift).astype(np.float32)


def test_frechet_distance_is_that_of_the_matrix_root():
    mix = np.random.RandomState(5).randn(6, 6)
    a, b = codes(0) @ mix, codes(1, n=150, shift=0.5)
    root = linalg.sqrtm(np.cov(a, rowvar=False) @ np.cov(b, rowvar=False))
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(
        np.cov(a, rowvar=False) + np.cov(b, rowvar=False) - 2 * root.real
    )
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-5)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-5)


def test_frechet_distance_of_a_shift_and_a_stretch():
    a = codes(0)
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-6)
    assert frechet_distance(a, a + np.float32(2)) == pytest.approx(6 * 4, rel=1e-5)
    # tr(A + 9 A - 2 * 3 A) = 4 tr(A) once the means are equal
    centred = a - a.mean(0)
    assert frechet_distance(centred, 3 * centred) == pytest.approx(4 * np.var(a, axis=0, ddof=1).sum(), rel=1e-5)


def test_frechet_distance_of_fewer_codes_than_dimensions():
    a, b = codes(0, n=10, d=40), codes(1, n=12, d=40)
    assert 0 < frechet_distance(a, b) < 200
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-4)
    with pytest.raises(UserError, match="two or more"):
        frechet_distance(a[:1], b)


def test_squared_mmd_is_the_double_sum():
    x, y = codes(0, n=7).astype(np.float64), codes(1, n=5, shift=0.3).astype(np.float64)

    def k(a, b):
        return (a @ b / 6 + 1) ** 3

    expected = (
        np.mean([k(a, b) for a, b in itertools.permutations(x, 2)])
        + np.mean([k(a, b) for a, b in itertools.permutations(y, 2)])
        - 2 * np.mean([k(a, b) for a in x for b in y])
    )
    kernels = (polynomial_kernel(*pair) for pair in ((x, x), (y, y), (x, y)))
    assert squared_mmd(*kernels) == pytest.approx(expected, rel=1e-10)


def test_kernel_distance():
    near = kernel_distance(codes(0), codes(1), subsets=20, subset_size=50)
    assert abs(near.value) < 5 * near.standard_error
    far = kernel_distance(codes(0), codes(1, shift=0.5), subsets=20, subset_size=50)
    assert far.value > 10 * far.standard_error
    assert far == kernel_distance(codes(0), codes(1, shift=0.5), subsets=20, subset_size=50)
    assert far != kernel_distance(codes(0), codes(1, shift=0.5), subsets=20, subset_size=50, seed=1)
    with pytest.raises(UserError, match="200 and 200 codes in subsets of 1000"):
        kernel_distance(codes(0), codes(1))
    with pytest.raises(UserError, match="both must be 2 or more"):
        kernel_distance(codes(0), codes(1), subsets=1)


def test_variance_is_the_sum_over_different_indices():
    """The three moments by explicit sums over pairs, triples and quadruples of different indices."""
    x, y, z = (codes(seed, n=7, d=3).astype(np.float64) for seed in range(3))

    def k(a, b):
        return (a @ b / 3 + 1) ** 3

    def g(i, j):
        towards_y = k(y[i], y[j]) - k(x[i], y[j]) - k(x[j], y[i])
        return towards_y - (k(z[i], z[j]) - k(x[i], z[j]) - k(x[j], z[i]))

    n = 7
    same = np.mean([g(i, j) ** 2 for i, j in itertools.permutations(range(n), 2)])
    shared = np.mean([g(i, j) * g(i, k) for i, j, k in itertools.permutations(range(n), 3)])
    none = np.mean([g(i, j) * g(k, m) for i, j, k, m in itertools.permutations(range(n), 4)])
    expected = 4 * (n - 2) / (n * (n - 1)) * (shared - none) + 2 / (n * (n - 1)) * (same - none)
    assert compare_mmd(x, y, z).variance == pytest.approx(expected, rel=1e-8)


def draws(repeats, shift_y, shift_z, n=100):
    rng = np.random.RandomState(0)
    for _ in range(repeats):
        x, y, z = rng.randn(3, n, 4)
        yield x, y + shift_y, z + shift_z


@pytest.mark.parametrize(("shift_y", "shift_z"), [(0.0, 0.0), (0.5, 0.5), (0.3, 0.8)])
def test_variance_is_that_of_repeated_draws(shift_y, shift_z):
    results = np.array([compare_mmd(*sets) for sets in draws(400, shift_y, shift_z)])
    assert np.mean(results[:, 1]) == pytest.approx(np.var(results[:, 0], ddof=1), rel=0.25)


def test_p_is_uniform_where_both_are_equally_far():
    p = np.array([three_sample_test(*sets) for sets in draws(300, 0.7, 0.7)])
    assert np.mean(p) == pytest.approx(0.5, abs=0.05)
    for level in (0.1, 0.3, 0.7, 0.9):
        assert np.mean(p < level) == pytest.approx(level, abs=0.08)


def test_p_tells_the_closer_set():
    x, near, far = codes(0), codes(1, shift=0.1), codes(2, shift=1.0)
    assert three_sample_test(x, near, far) < 1e-4
    assert three_sample_test(x, far, near) > 1 - 1e-4
    assert three_sample_test(x, near, near) == 0.5


def test_p_is_phi_of_t_with_a_floor_of_the_variance():
    x, y, z = (codes(seed, n=50) for seed in range(3))
    difference, variance = compare_mmd(x, y, z)
    assert variance > 1e-5
    assert three_sample_test(x, y, z) == pytest.approx(0.5 * (1 + math.erf(difference / math.sqrt(2 * variance))))
    tiny = [np.float32(0.01) * s for s in (x, y, z)]
    difference, variance = compare_mmd(*tiny)
    assert variance < 1e-5
    assert three_sample_test(*tiny) == pytest.approx(0.5 * (1 + math.erf(difference / math.sqrt(2e-5))))


def test_three_sets_must_be_equally_large():
    with pytest.raises(UserError, match="50, 49 and 50 codes"):
        three_sample_test(codes(0, n=50), codes(1, n=49), codes(2, n=50))
    with pytest.raises(UserError, match="4 or more"):
        three_sample_test(*(codes(0, n=3),) * 3)
