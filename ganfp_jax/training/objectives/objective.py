"""A GAN objective: the functions that a training step calls."""

import dataclasses
from collections.abc import Callable

from jaxtyping import Array, Float


@dataclasses.dataclass(frozen=True)
class Objective:
    """The losses of a GAN with their settings bound.

    A critic answers a batch with scores `(n,)` or features `(n, f)`. A loss is one number per sample, or one number
    where it is not a sum over samples; a step minimises its mean.

    Attributes:
        critic_loss: (real, *fakes) -> loss.
        generator_loss: (*fakes) -> loss, or (real, *fakes) if `generator_sees_real`.
        witness: (mixed, real, *fakes) -> (n,), the function whose gradient with respect to `mixed` images a gradient
            penalty holds at its target. All arguments are answers of the critic.
        reads_features: whether the critic answers with features rather than scores.
        num_fakes: number of independent batches of generated images that the losses take.
        generator_sees_real: whether the generator's loss also takes real images.
    """

    critic_loss: Callable[..., Float[Array, "*n"]]
    generator_loss: Callable[..., Float[Array, "*n"]]
    witness: Callable[..., Float[Array, " n"]]
    reads_features: bool = False
    num_fakes: int = 1
    generator_sees_real: bool = False
