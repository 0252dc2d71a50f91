"""Adam with the learning-rate schedules of the published trainings."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from ganfp_jax.run.errors import UserError


def constant(learning_rate: float, num_steps: int) -> optax.Schedule:
    """A constant rate (ProGAN within a resolution, CramerGAN, MMDGAN, the published classifier)."""
    del num_steps
    return optax.constant_schedule(learning_rate)


def linear_decay(learning_rate: float, num_steps: int, decay_from: float = 0.8) -> optax.Schedule:
    """A constant rate, then a linear decay to 0 from `decay_from` of the steps on (SNGAN: 120,000 of 150,000)."""
    start = int(decay_from * num_steps)
    return optax.linear_schedule(learning_rate, 0.0, num_steps - start, transition_begin=start)


def cosine(learning_rate: float, num_steps: int, warmup: float = 0.05) -> optax.Schedule:
    """A linear warm-up over the first `warmup` of the steps, then half a cosine to 0."""
    return optax.warmup_cosine_decay_schedule(0.0, learning_rate, max(int(warmup * num_steps), 1), max(num_steps, 2))


SCHEDULES = {"constant": constant, "linear_decay": linear_decay, "cosine": cosine}


def make_adam(
    *,
    learning_rate: float,
    num_steps: int,
    schedule: str = "constant",
    schedule_args: dict[str, Any] | None = None,
    beta1: float,
    beta2: float,
    epsilon: float = 1e-8,
    updates_per_step: int = 1,
    clip_norm: float = 0.0,
    weight_decay: float = 0.0,
) -> optax.GradientTransformation:
    """Adam whose rate follows a named schedule over training steps.

    The published trainings add epsilon before bias correction, `m / (sqrt(v) + eps)`, as TensorFlow 1 and Chainer do;
    optax adds it after. With epsilon = 1e-8 the updates differ by less than float32 resolves.

    Args:
        clip_norm: upper bound of the norm of each variable's gradient (CramerGAN, MMDGAN: 1); 0 is none.
        weight_decay: decoupled weight decay (AdamW, Loshchilov and Hutter 2019) of weights, not of biases; 0 is none.
        updates_per_step: updates by this optimiser in one training step (5 for the critic of a 5:1 training).

    Raises:
        UserError: the schedule is unknown.
    """
    if schedule not in SCHEDULES:
        raise UserError(f"unknown learning-rate schedule {schedule!r}; choose from {', '.join(SCHEDULES)}")
    rate = SCHEDULES[schedule](learning_rate, num_steps, **(schedule_args or {}))
    adam: optax.GradientTransformation
    settings: dict[str, Any] = {"b1": beta1, "b2": beta2, "eps": epsilon}
    if weight_decay:
        settings |= {"weight_decay": weight_decay, "mask": lambda params: jax.tree.map(lambda p: p.ndim > 1, params)}
    make = optax.adamw if weight_decay else optax.adam
    adam = make(lambda count: rate(count // updates_per_step), **settings)
    return optax.chain(clip_each(clip_norm), adam) if clip_norm else adam


def clip_each(norm: float) -> optax.GradientTransformation:
    """Scale each variable's gradient down to a norm of at most `norm`."""

    def clip(gradient: Array) -> Array:
        return gradient * jnp.minimum(1.0, norm / jnp.maximum(jnp.linalg.norm(gradient.ravel()), 1e-30))

    return optax.stateless(lambda gradients, params: jax.tree.map(clip, gradients))
