"""What gradient penalties are made of: points between real and fake images, and gradient norms there."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def interpolate(
    real: Float[Array, "n h w c"], fake: Float[Array, "n h w c"], mix: Float[Array, "n 1 1 1"]
) -> Float[Array, "n h w c"]:
    """Return real + (fake - real) mix, with one `mix` from U(0, 1) per sample."""
    return real + (fake - real) * mix


def gradient_norm(critic: Callable[[Array], Array], images: Float[Array, "n h w c"]) -> Float[Array, " n"]:
    """Return the length of each sample's gradient d sum(critic(images)) / d images, over height, width and channels.

    As published there is no epsilon under the root, so the derivative of a norm that is exactly 0 is NaN.

    Args:
        critic: images (N, H, W, C) -> scores (N,).
        images: where the gradients are taken.
    """
    gradients = jax.grad(lambda x: critic(x).sum())(images)
    return jnp.sqrt(jnp.sum(gradients**2, axis=(1, 2, 3)))
