"""The hinge objective of SNGAN (Miyato et al. 2018, section 4). All losses are per sample."""

import jax
from jaxtyping import Array, Float

from ganfp_jax.training.objectives.objective import Objective
from ganfp_jax.training.objectives.wgan_gp import generator_loss, witness

Scores = Float[Array, " n"]


def make() -> Objective:
    """The objective; it has no settings. The generator's loss is WGAN's."""
    return Objective(critic_loss, generator_loss, witness)


def critic_loss(real: Scores, fake: Scores) -> Scores:
    """Return max(0, 1 - D(real)) + max(0, 1 + D(fake))."""
    return jax.nn.relu(1.0 - real) + jax.nn.relu(1.0 + fake)
