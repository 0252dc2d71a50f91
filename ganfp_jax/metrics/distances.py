"""Distances between two sets of feature vectors ("codes"), and a test which of two sets is closer to a third.

The arithmetic is float64 on the host, since the results are small differences of large sums.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ganfp_jax.run.errors import UserError

MIN_VARIANCE = 1e-5  # least variance of the three-sample test's difference of two MMDs, as published


def frechet_distance(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> float:
    """Squared Frechet (2-Wasserstein) distance of the Gaussians fitted to two sets: FID on Inception codes.

    It is |mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)) with the unbiased covariances A and B (Heusel et al. 2017,
    arXiv 1706.08500). The trace of the root is the sum of the roots of the eigenvalues of A^(1/2) B A^(1/2). That
    matrix is symmetric, so unlike a general matrix root the sum stays real and finite where a covariance is singular,
    as it is with fewer samples than dimensions. The distance is biased upwards by a term that falls with the number of
    samples, so only distances of equally large sets can be compared.

    Raises:
        UserError: a set has fewer than two vectors.
    """
    if min(len(a), len(b)) < 2:
        raise UserError(f"Frechet distance of {len(a)} and {len(b)} codes: a covariance needs two or more")
    a, b = a.astype(np.float64), b.astype(np.float64)
    difference = a.mean(0) - b.mean(0)
    cov_a, cov_b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    roots = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0))
    # Rounding can make the distance of equal sets negative.
    return max(0.0, float(difference @ difference + np.trace(cov_a) + np.trace(cov_b) - 2 * roots.sum()))


def polynomial_kernel(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "n m"]:
    """Return ((a.b)/d + 1)^3, the kernel of KID."""
    return (a @ b.T / a.shape[1] + 1) ** 3


def squared_mmd(xx: Float[np.ndarray, "n n"], yy: Float[np.ndarray, "m m"], xy: Float[np.ndarray, "n m"]) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy from kernel matrices (Gretton et al. 2012, lemma 6)."""
    return _mean_off_diagonal(xx) + _mean_off_diagonal(yy) - 2 * float(xy.mean())


def _mean_off_diagonal(kernel: Float[np.ndarray, "n n"]) -> float:
    n = len(kernel)
    return float(kernel.sum() - np.trace(kernel)) / (n * (n - 1))


class KernelDistance(NamedTuple):
    """A mean over subsets and its standard error."""

    value: float
    standard_error: float


def kernel_distance(
    a: Float[np.ndarray, "n d"],
    b: Float[np.ndarray, "m d"],
    *,
    subsets: int = 10,
    subset_size: int = 1000,
    seed: int = 0,
) -> KernelDistance:
    """Mean over random subsets of the squared MMD with the polynomial kernel: KID on Inception codes.

    Source: Binkowski et al. 2018, arXiv 1801.01401. It is unbiased for all sizes, so it may be negative; the sizes
    change only its variance. The standard error is that of the mean of independent subsets. These subsets are drawn
    from the same codes, so with few codes it is too small.

    Args:
        a: codes of the first set.
        b: codes of the second set.
        subsets: number of subsets.
        subset_size: codes of each set in a subset, drawn without replacement.
        seed: seed of the draws.

    Raises:
        UserError: a set is smaller than a subset, or the sizes make no estimate.
    """
    if subsets < 2 or subset_size < 2:
        raise UserError(f"kernel distance of {subsets} subsets of {subset_size}: both must be 2 or more")
    if min(len(a), len(b)) < subset_size:
        raise UserError(
            f"kernel distance of {len(a)} and {len(b)} codes in subsets of {subset_size}: "
            "lower the subset size or give more images"
        )
    rng = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        x, y = (codes[rng.choice(len(codes), subset_size, replace=False)].astype(np.float64) for codes in (a, b))
        values.append(squared_mmd(polynomial_kernel(x, x), polynomial_kernel(y, y), polynomial_kernel(x, y)))
    return KernelDistance(float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(subsets)))


class Comparison(NamedTuple):
    """MMD^2(X, Y) - MMD^2(X, Z) and the estimated variance of that difference."""

    difference: float
    variance: float


def compare_mmd(x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"], z: Float[np.ndarray, "k d"]) -> Comparison:
    """Compare the distances of Y and Z from X by squared MMD with the polynomial kernel.

    The difference is the mean over i != j of the symmetric function
    g(i, j) = k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i) - k(z_i, z_j) + k(x_i, z_j) + k(x_j, z_i)
    of the triples (x_i, y_i, z_i), up to terms that vanish with n; the kernel of X with itself cancels. So its variance
    is that of a U-statistic of order two,
    4 (n-2) / (n (n-1)) zeta1 + 2 / (n (n-1)) zeta2 with zeta1 = Var E[g(1, 2) | 1] and zeta2 = Var g(1, 2).
    Sums of g over different indices estimate the moments E[g(1,2) g(1,3)], E[g(1,2)^2] and E[g(1,2) g(3,4)] without
    bias (Bounliphone et al. 2016, arXiv 1511.04581, and the appendix of Sutherland et al. 2017).

    Raises:
        UserError: the sets have different sizes, or fewer than four codes.
    """
    n = len(x)
    if len({len(x), len(y), len(z)}) > 1 or n < 4:
        raise UserError(f"three-sample test of {len(x)}, {len(y)} and {len(z)} codes: give equally many, 4 or more")
    x, y, z = (codes.astype(np.float64) for codes in (x, y, z))
    xy, xz, yy, zz = (polynomial_kernel(*pair) for pair in ((x, y), (x, z), (y, y), (z, z)))
    difference = _mean_off_diagonal(yy) - 2 * xy.mean() - _mean_off_diagonal(zz) + 2 * xz.mean()
    g = yy - xy - xy.T - zz + xz + xz.T
    np.fill_diagonal(g, 0.0)
    rows = g.sum(1)
    total, squares, row_squares = rows.sum(), float(np.square(g).sum()), float(np.square(rows).sum())
    pairs = n * (n - 1)
    same_pair = squares / pairs
    one_shared = (row_squares - squares) / (pairs * (n - 2))
    none_shared = (total**2 - 4 * row_squares + 2 * squares) / (pairs * (n - 2) * (n - 3))
    zeta1, zeta2 = one_shared - none_shared, same_pair - none_shared
    return Comparison(float(difference), float((4 * (n - 2) * zeta1 + 2 * zeta2) / pairs))


def three_sample_test(x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"], z: Float[np.ndarray, "k d"]) -> float:
    """p value of "Y is no closer to X than Z is": small where Y is clearly closer, near 1 where it is clearly farther.

    p = Phi(t) with t = (MMD^2(X, Y) - MMD^2(X, Z)) / sqrt(max(variance, 1e-5)), as in the learning-rate rule of MMD GAN
    (Binkowski et al. 2018), where X is real, Y new and Z old.

    Raises:
        UserError: as `compare_mmd`.
    """
    difference, variance = compare_mmd(x, y, z)
    return 0.5 * math.erfc(-difference / math.sqrt(2 * max(variance, MIN_VARIANCE)))
