"""One GAN training step as a pure function of (state, batch, key), for every family.

A step is a generator update and `critic_steps` critic updates, in the family's published order:
ProGAN updates its critic first, SNGAN its generator.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree, UInt8

from ganfp_jax.objectives import penalties
from ganfp_jax.training.state import GanState, NetworkState
from ganfp_jax.views import random_view

Metrics = dict[str, Array]


def to_unit_range(images: UInt8[Array, "n h w c"], key: jax.Array, dither: bool) -> Float[Array, "n h w c"]:
    """Stored values to [-1, 1]: x / 127.5 - 1, or with `dither` SNGAN's x / 128 - 1 + U[0, 1/128)."""
    x = images.astype(jnp.float32)
    if dither:
        return x / 128 - 1 + jax.random.uniform(key, x.shape, maxval=1 / 128)
    return x / 127.5 - 1


def fade_real(images: Float[Array, "n h w c"], fade: Float[Array, ""]) -> Float[Array, "n h w c"]:
    """Real images mixed with their own half-resolution version, as the fading generator's are."""
    n, h, w, c = images.shape
    halved = images.reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4), keepdims=True)
    smooth = jnp.broadcast_to(halved, (n, h // 2, 2, w // 2, 2, c)).reshape(images.shape)
    return images + (smooth - images) * fade


def make_gan_step(
    *,
    generator: nn.Module,
    critic: nn.Module,
    call: Callable[[Array], dict[str, Any]],
    objective: ModuleType,
    objective_args: Mapping[str, float],
    penalty_args: Mapping[str, float],
    level: int,
    generator_optimizer: optax.GradientTransformation,
    critic_optimizer: optax.GradientTransformation,
    latents: Callable[[jax.Array, int], Float[Array, "n d"]],
    critic_steps: int,
    generator_first: bool,
    ema_decay: float,
    dither: bool,
    augment: str,
) -> Callable[[GanState, dict[str, Array], jax.Array], tuple[GanState, Metrics]]:
    """The step of one stage of training.

    Args:
        call: step -> the keyword arguments of both networks' calls (ProGAN's level and fade, SNGAN's train).
        objective: a module of `ganfp_jax.objectives`.
        penalty_args: weight and target of the gradient penalty, where the objective has one.
        level: halvings of the full resolution at which the networks run. The published critic always reads full-size
          images; with `4**level` equal pixels in the place of one, their gradient is shorter by `2**level`.
        ema_decay: of the generator's running average; 0 keeps none.
        augment: random views of the real images: "none", "mirror" or "d4".

    Returns:
        step(state, batch, key) -> (state, metrics). `batch["image"]` is uint8 (critic_steps * n, H, W, 3).
    """

    def run(module: nn.Module, params: PyTree, stats: Mapping[str, PyTree], x: Array, args: dict) -> tuple[Array, Any]:
        # The critic loop is unrolled: inside lax.scan a convolution is 30 times slower on the CPU back end.
        y, updated = module.apply({"params": params, **stats}, x, **args, mutable=list(stats))
        return y, {**stats, **updated}

    def apply_update(
        network: NetworkState,
        optimizer: optax.GradientTransformation,
        grads: PyTree,
        stats: Mapping[str, PyTree],
    ) -> NetworkState:
        updates, opt_state = optimizer.update(grads, network.opt_state, network.params)
        return NetworkState(optax.apply_updates(network.params, updates), stats, opt_state)

    def critic_update(state: GanState, real: Array, key: jax.Array, args: dict) -> tuple[GanState, Metrics]:
        latent_key, mix_key = jax.random.split(key)
        z = latents(latent_key, len(real))
        fake, generator_stats = run(generator, state.generator.params, state.generator.stats, z, args)

        def loss_fn(params: PyTree) -> tuple[Array, tuple[Any, Metrics]]:
            real_scores, stats = run(critic, params, state.critic.stats, real, args)
            fake_scores, stats = run(critic, params, stats, fake, args)
            losses = objective.critic_loss(real_scores, fake_scores, **objective_args)
            metrics = {"real_score": real_scores.mean(), "fake_score": fake_scores.mean()}
            if objective.GRADIENT_PENALTY:
                mix = jax.random.uniform(mix_key, (len(real), 1, 1, 1))
                mixed = penalties.interpolate(real, fake, mix)
                norms = penalties.gradient_norm(lambda x: run(critic, params, stats, x, args)[0], mixed) / 2**level
                losses = losses + objective.gradient_penalty(norms, **penalty_args)
                metrics["gradient_norm"] = norms.mean()
            return losses.mean(), (stats, metrics)

        (loss, (stats, metrics)), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.critic.params)
        metrics |= {"critic_loss": loss, "critic_grad_norm": optax.tree.norm(grads)}
        state = state.replace(
            generator=state.generator.replace(stats=generator_stats),
            critic=apply_update(state.critic, critic_optimizer, grads, stats),
        )
        return state, metrics

    def generator_update(state: GanState, n: int, key: jax.Array, args: dict) -> tuple[GanState, Metrics]:
        z = latents(key, n)

        def loss_fn(params: PyTree) -> tuple[Array, tuple[Any, Any]]:
            fake, stats = run(generator, params, state.generator.stats, z, args)
            scores, critic_stats = run(critic, state.critic.params, state.critic.stats, fake, args)
            return objective.generator_loss(scores).mean(), (stats, critic_stats)

        (loss, (stats, critic_stats)), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.generator.params)
        state = state.replace(
            generator=apply_update(state.generator, generator_optimizer, grads, stats),
            critic=state.critic.replace(stats=critic_stats),
        )
        return state, {"generator_loss": loss, "generator_grad_norm": optax.tree.norm(grads)}

    def step(state: GanState, batch: dict[str, Array], key: jax.Array) -> tuple[GanState, Metrics]:
        dither_key, view_key, generator_key, *critic_keys = jax.random.split(key, 3 + critic_steps)
        args = call(state.step)
        real = to_unit_range(random_view(batch["image"], view_key, augment), dither_key, dither)
        if "fade" in args:
            real = fade_real(real, args["fade"])
        # One batch for each critic update, cut so that every device keeps its own images.
        batches = real.reshape(-1, critic_steps, *real.shape[1:]).swapaxes(0, 1)
        n = batches.shape[1]
        metrics: Metrics = {}
        if generator_first:
            state, metrics = generator_update(state, n, generator_key, args)
        for images, critic_key in zip(batches, critic_keys, strict=True):
            state, critic_metrics = critic_update(state, images, critic_key, args)
            metrics |= critic_metrics
        if ema_decay:
            # Before the generator's update, as published: the average lags it by one step.
            ema = optax.incremental_update(state.generator.params, state.ema_params, 1 - ema_decay)
            state = state.replace(ema_params=ema)
        if not generator_first:
            state, generator_metrics = generator_update(state, n, generator_key, args)
            metrics |= generator_metrics
        return state.replace(step=state.step + 1), metrics

    return step


def make_sampler(
    generator: nn.Module, args: dict[str, Any]
) -> Callable[[PyTree, Mapping, Array], UInt8[Array, "n h w 3"]]:
    """sample(params, stats, latents (N, D)) -> uint8 images: 127.5 x + 127.5, rounded half to even, clipped."""

    def sample(params: PyTree, stats: Mapping[str, PyTree], latents: Array) -> UInt8[Array, "n h w 3"]:
        images: Any = generator.apply({"params": params, **stats}, latents, **args)
        return jnp.clip(jnp.rint(127.5 * images + 127.5), 0, 255).astype(jnp.uint8)

    return sample
