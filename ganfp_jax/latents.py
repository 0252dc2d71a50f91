"""Latent vectors: random ones in training steps, and reproducible ones, by seed, for everything that is kept."""

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Array, Float, Float32

from ganfp_jax.errors import UserError

DISTRIBUTIONS = ("normal", "uniform")


def make_latents(*, size: int, distribution: str) -> Callable[[jax.Array, int], Float[Array, "n d"]]:
    """latents(key, n) for training: "normal" N(0, 1) (ProGAN, SNGAN) or "uniform" U(-1, 1) (CramerGAN, MMDGAN).

    Raises:
        UserError: unknown distribution.
    """
    _check(distribution)

    def latents(key: jax.Array, n: int) -> Float[Array, "n d"]:
        if distribution == "uniform":
            return jax.random.uniform(key, (n, size), minval=-1.0)
        return jax.random.normal(key, (n, size))

    return latents


def draw_latents(rng: np.random.RandomState, n: int, *, size: int, distribution: str) -> Float32[np.ndarray, "n d"]:
    """The next `n` latents of NumPy's legacy generator, whose stream does not depend on how it is cut into draws.

    ProGAN's published images come from `RandomState(seed).randn`; the other families' published sampling cannot
    be seeded, and follows the same rule here.

    Raises:
        UserError: unknown distribution.
    """
    _check(distribution)
    values = rng.uniform(-1, 1, (n, size)) if distribution == "uniform" else rng.randn(n, size)
    return values.astype(np.float32)


def _check(distribution: str) -> None:
    if distribution not in DISTRIBUTIONS:
        raise UserError(f"unknown latents.distribution {distribution!r}; choose from {', '.join(DISTRIBUTIONS)}")
