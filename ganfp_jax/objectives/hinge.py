"""The hinge objective, as SNGAN trains (Miyato et al. 2018, section 4).

Everything is per sample; the loss to minimise is the mean over the batch.
"""

import jax
from jaxtyping import Array, Float

GRADIENT_PENALTY = False


def critic_loss(real_scores: Float[Array, " n"], fake_scores: Float[Array, " n"]) -> Float[Array, " n"]:
    """Return max(0, 1 - D(real)) + max(0, 1 + D(fake))."""
    return jax.nn.relu(1.0 - real_scores) + jax.nn.relu(1.0 + fake_scores)


def generator_loss(fake_scores: Float[Array, " n"]) -> Float[Array, " n"]:
    """Return -D(fake)."""
    return -fake_scores
