"""The penalties in critics' losses: gradient penalties and the L2 penalty on the critic's layers."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ganfp_jax.run.errors import UserError

Norm = Literal["sample", "height"]


@dataclasses.dataclass(frozen=True)
class CriticPenalty:
    """The penalties of a critic.

    Attributes:
        weight, target: weight and target of `gradient_penalty`; weight 0 is none.
        norm, epsilon: kind and epsilon of `gradient_norm`.
        layers: weight of `layer_penalty`, on the real and the generated batch.

    Raises:
        UserError: the norm is unknown, or the target is not positive.
    """

    weight: float = 0.0
    target: float = 1.0
    norm: Norm = "sample"
    epsilon: float = 0.0
    layers: float = 0.0

    def __post_init__(self) -> None:
        if self.norm not in ("sample", "height"):
            raise UserError(f"config.objective.penalty.norm {self.norm!r} is unknown; choose sample or height")
        if self.target <= 0:
            raise UserError(f"config.objective.penalty.target is {self.target:g}; give a length above 0")


def interpolate(
    real: Float[Array, "n h w c"], fake: Float[Array, "n h w c"], mix: Float[Array, "n 1 1 1"]
) -> Float[Array, "n h w c"]:
    """Return real + (fake - real) mix, with one `mix` from U(0, 1) per sample."""
    return real + (fake - real) * mix


def gradient_norm(
    witness: Callable[[Array], Array], images: Float[Array, "n h w c"], norm: Norm = "sample", epsilon: float = 0.0
) -> Float[Array, "n ..."]:
    """Return the norms of each sample's gradient d sum(witness(images)) / d images.

    Args:
        witness: images (N, H, W, C) -> (N,).
        images: points at which the gradients are taken.
        norm: "sample" takes one norm (N,) over height, width and channels, as WGAN-GP means it. "height" takes one norm
            (N, W, C) per image column and channel, as the published CramerGAN and MMDGAN do.
        epsilon: constant added under the root (CramerGAN, MMDGAN: 1e-5). At 0, as published for ProGAN, the derivative
            of a norm that is exactly 0 is NaN.
    """
    gradients = jax.grad(lambda x: witness(x).sum())(images)
    axes = (1, 2, 3) if norm == "sample" else 1
    return jnp.sqrt(jnp.sum(gradients**2, axis=axes) + epsilon)


def gradient_penalty(
    norms: Float[Array, "*shape"], weight: float = 10.0, target: float = 1.0
) -> Float[Array, "*shape"]:
    """Return weight / target^2 (norm - target)^2 for every norm; the loss adds their mean."""
    return (weight / target**2) * (norms - target) ** 2


def layer_penalty(layers: Sequence[Float[Array, "n ..."]]) -> Float[Array, ""]:
    """Return the sum over a critic's layers of their mean square, MMDGAN's penalty on the critic for one batch."""
    return sum((jnp.mean(layer.astype(jnp.float32) ** 2) for layer in layers), jnp.float32(0))
