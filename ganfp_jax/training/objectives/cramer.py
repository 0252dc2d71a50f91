"""The energy distance of CramerGAN (Bellemare et al. 2017, arXiv 1705.10743), as trained by Binkowski et al. 2018.

Sample i of the real batch is paired with sample i of two independent generated batches. All losses are per pair.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ganfp_jax.training.objectives.objective import Objective

Features = Float[Array, "n f"]
Loss = Float[Array, " n"]


def make() -> Objective:
    """The objective; it has no settings."""
    return Objective(critic_loss, generator_loss, witness, reads_features=True, num_fakes=2, generator_sees_real=True)


def length(features: Features) -> Loss:
    """Return sqrt(sum of squares + 1e-5), which is smooth at 0."""
    return jnp.sqrt(jnp.sum(features**2, axis=-1) + 1e-5)


def critic(a: Features, b: Features) -> Loss:
    """Return f(a, b) = |a - b| - |a|, how much nearer `a` is to the origin than to `b`."""
    return length(a - b) - length(a)


def critic_loss(real: Features, fake: Features, other: Features) -> Loss:
    """Return f(other, fake) - f(real, fake), without the gradient penalty."""
    return critic(other, fake) - critic(real, fake)


def generator_loss(real: Features, fake: Features, other: Features) -> Loss:
    """Return |fake - real| + |other - real| - |fake - other|, the energy distance up to a constant."""
    return length(fake - real) + length(other - real) - length(fake - other)


def witness(mixed: Features, real: Features, fake: Features, other: Features) -> Loss:
    """Return f(mixed, fake)."""
    del real, other
    return critic(mixed, fake)
