"""Latent vectors: random draws for training steps, draws by seed for all images that are kept, and walks."""

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Array, Float, Float32, Float64

from ganfp_jax.run.errors import UserError

DISTRIBUTIONS = ("normal", "uniform")
MODES = ("linear", "spherical")

_EDGE = 2.0**-25  # keeps the quantiles of -1 and 1 finite; a float32 below 1 does not resolve it


def make_latents(*, size: int, distribution: str) -> Callable[[jax.Array, int], Float[Array, "n d"]]:
    """latents(key, n) -> random latents: "normal" N(0, 1) (ProGAN, SNGAN) or "uniform" U(-1, 1) (CramerGAN, MMDGAN).

    Raises:
        UserError: the distribution is unknown.
    """
    _check(distribution)

    def latents(key: jax.Array, n: int) -> Float[Array, "n d"]:
        if distribution == "uniform":
            return jax.random.uniform(key, (n, size), minval=-1.0)
        return jax.random.normal(key, (n, size))

    return latents


def draw_latents(rng: np.random.RandomState, n: int, *, size: int, distribution: str) -> Float32[np.ndarray, "n d"]:
    """The next `n` latents of NumPy's legacy generator, whose stream does not depend on the sizes of the draws.

    ProGAN's published images come from `RandomState(seed).randn`. The published sampling of the other families has no
    seed; here it follows the same rule.

    Raises:
        UserError: the distribution is unknown.
    """
    _check(distribution)
    values = rng.uniform(-1, 1, (n, size)) if distribution == "uniform" else rng.randn(n, size)
    return values.astype(np.float32)


def walk(
    anchors: Float32[np.ndarray, "k d"], positions: Float64[np.ndarray, " n"], *, mode: str, distribution: str
) -> Float32[np.ndarray, "n d"]:
    """Points of the closed walk through all anchors and back to the first.

    Equally spaced `positions` give the frames of a video. They can be asked for in chunks, so memory does not grow with
    the length of the walk.

    "linear" is the straight line. Halfway between two independent latents its points are about 0.7 times as long as the
    latents of the training. "spherical" is `slerp`, which keeps the length (White 2016, "Sampling generative
    networks"). Uniform latents would then leave the cube [-1, 1]^d: halfway about one coordinate in twelve does, and
    clipping would pile those up on the faces. So their coordinates are mapped by the normal quantile function, the walk
    is spherical there, and its points are mapped back. They stay inside the cube and have the distribution of the
    latents at every position, as Agustsson et al. (ICLR 2019) ask of a walk.

    Args:
        anchors: k latents of a generator.
        positions: i is exactly anchor i; i + t, 0 <= t < 1, lies between anchor i and the next; k is anchor 0 again.
        mode: "linear" or "spherical".
        distribution: distribution of the anchors, "normal" or "uniform" (as in `draw_latents`).

    Raises:
        UserError: the mode or the distribution is unknown.
    """
    _check(distribution)
    if mode not in MODES:
        raise UserError(f"unknown config.mode {mode!r} of the walk; choose from {', '.join(MODES)}")
    leg = np.floor(positions).astype(int)
    t = positions - leg
    start, end = (anchors[i % len(anchors)].astype(np.float64) for i in (leg, leg + 1))
    if mode == "linear":
        points = _lerp(start, end, t)
    elif distribution == "uniform":
        from scipy.special import ndtr  # SciPy is slow to import

        points = 2 * ndtr(slerp(_to_normal(start), _to_normal(end), t)) - 1
    else:
        points = slerp(start, end, t)
    return np.where(t[:, None] == 0, start, points).astype(np.float32)


def slerp(
    start: Float64[np.ndarray, "n d"], end: Float64[np.ndarray, "n d"], t: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, "n d"]:
    """Spherical interpolation of each row: the direction turns at constant speed, the length changes linearly.

    The direction is Shoemake's (SIGGRAPH 1985). It is written with the angle's sine and cosine in the plane of the two
    vectors, which needs no division by the sine and so holds for parallel vectors. Between opposite vectors every half
    circle is shortest; this one turns towards the axis on which `start` is smallest. A zero vector has no direction and
    takes the other's.

    Args:
        start: the points at t = 0.
        end: the points at t = 1.
        t: share of the way, 0 to 1.
    """
    length_start, length_end = (np.linalg.norm(x, axis=1, keepdims=True) for x in (start, end))
    u = _unit(np.where(length_start > 0, start, end))  # (N, D)
    v = _unit(np.where(length_end > 0, end, start))
    cosine = (u * v).sum(1, keepdims=True)  # (N, 1)
    across = v - cosine * u
    sine = np.linalg.norm(across, axis=1, keepdims=True)
    axis = np.eye(u.shape[1])[np.abs(u).argmin(1)]
    # A sine below 1e-9 is rounding error, so `across` points anywhere; a float32 does not resolve 1e-9.
    w = _unit(np.where(sine > 1e-9, across, axis - (axis * u).sum(1, keepdims=True) * u))
    angle = t[:, None] * np.arctan2(sine, cosine)
    return _lerp(length_start, length_end, t) * (np.cos(angle) * u + np.sin(angle) * w)


def _lerp(
    start: Float64[np.ndarray, "n d"], end: Float64[np.ndarray, "n d"], t: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, "n d"]:
    return (1 - t[:, None]) * start + t[:, None] * end


def _unit(x: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, "n d"]:
    """Rows of length 1; zero rows stay zero."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(length > 0, length, 1)


def _to_normal(x: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, "n d"]:
    """Map uniform coordinates in -1 to 1 to standard normal ones; the faces of the cube map to finite values."""
    from scipy.special import ndtri

    return ndtri(np.clip((x + 1) / 2, _EDGE, 1 - _EDGE))


def _check(distribution: str) -> None:
    if distribution not in DISTRIBUTIONS:
        raise UserError(f"unknown latents.distribution {distribution!r}; choose from {', '.join(DISTRIBUTIONS)}")
