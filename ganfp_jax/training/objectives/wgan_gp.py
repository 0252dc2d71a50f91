"""WGAN with gradient penalty and drift, the objective of ProGAN (Gulrajani et al. 2017; Karras et al. 2018, A.1).

All losses are per sample; the gradient penalty is in `penalties`.
"""

import functools

from jaxtyping import Array, Float

from ganfp_jax.training.objectives.objective import Objective

Scores = Float[Array, " n"]


def make(drift: float = 0.001) -> Objective:
    """The objective with its drift bound."""
    return Objective(functools.partial(critic_loss, drift=drift), generator_loss, witness)


def critic_loss(real: Scores, fake: Scores, drift: float = 0.001) -> Scores:
    """Return D(fake) - D(real) + drift D(real)^2, without the gradient penalty."""
    return fake - real + drift * real**2


def generator_loss(fake: Scores) -> Scores:
    """Return -D(fake)."""
    return -fake


def witness(mixed: Scores, real: Scores, fake: Scores) -> Scores:
    """Return D(mixed)."""
    del real, fake
    return mixed
