"""What a GAN objective is: the functions that a training step calls."""

import dataclasses
from collections.abc import Callable

from jaxtyping import Array, Float


@dataclasses.dataclass(frozen=True)
class Objective:
    """The losses of a GAN, their settings bound.

    A critic's answer for a batch is `(n,)` scores or `(n, f)` features. A loss is one number per sample, or a single
    number where it is not a sum over samples; what is minimised is its mean.

    Attributes:
        critic_loss: (real, *fakes) -> loss.
        generator_loss: (*fakes) -> loss, or (real, *fakes) if `generator_sees_real`.
        witness: (mixed, real, *fakes) -> (n,), the function of an image whose gradient a gradient penalty holds at
            its target: what the critic says of `mixed` images, given what it says of the others.
        reads_features: whether the critic answers with features; with scores if not.
        num_fakes: how many independent batches of generated images the losses want.
        generator_sees_real: whether the generator's loss wants real images too.
    """

    critic_loss: Callable[..., Float[Array, "*n"]]
    generator_loss: Callable[..., Float[Array, "*n"]]
    witness: Callable[..., Float[Array, " n"]]
    reads_features: bool = False
    num_fakes: int = 1
    generator_sees_real: bool = False
