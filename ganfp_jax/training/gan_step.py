"""One GAN training step as a pure function of (state, batch, key), for every family.

A step has one generator update and `critic_steps` critic updates, in the family's published order: ProGAN updates its
critic first, SNGAN its generator.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree, UInt8

from ganfp_jax.data.views import random_view
from ganfp_jax.models.pixels import Encoding, Range, to_network, to_stored
from ganfp_jax.training.objectives import penalties
from ganfp_jax.training.objectives.objective import Objective
from ganfp_jax.training.objectives.penalties import CriticPenalty
from ganfp_jax.training.state import GanState, NetworkState

Metrics = dict[str, Array]


def fade_real(images: Float[Array, "n h w c"], fade: Float[Array, ""]) -> Float[Array, "n h w c"]:
    """Blend real images with their half-resolution versions, as a fading generator blends its own."""
    n, h, w, c = images.shape
    halved = images.reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4), keepdims=True)
    smooth = jnp.broadcast_to(halved, (n, h // 2, 2, w // 2, 2, c)).reshape(images.shape)
    return images + (smooth - images) * fade


def make_gan_step(
    *,
    generator: nn.Module,
    critic: nn.Module,
    call: Callable[[Array], dict[str, Any]],
    objective: Objective,
    penalty: CriticPenalty,
    level: int,
    generator_optimizer: optax.GradientTransformation,
    critic_optimizer: optax.GradientTransformation,
    latents: Callable[[jax.Array, int], Float[Array, "n d"]],
    critic_steps: int,
    generator_first: bool,
    ema_decay: float,
    pixels: Range,
    augment: str,
) -> Callable[[GanState, dict[str, Array], jax.Array], tuple[GanState, Metrics]]:
    """The step of one stage of training.

    Args:
        call: step -> the keyword arguments of both networks' calls (ProGAN's level and fade, the others' train).
        penalty: penalties of the critic.
        level: halvings of the full resolution at which the networks run. The published critic always reads full-size
            images, with `4**level` equal pixels for each pixel here, so its gradient norm is smaller by `2**level`.
        ema_decay: decay of the generator's running average; 0 keeps none. Where it is kept, the generator's running
            statistics are those of the averaged weights, with which alone they are used: training normalises by the
            batch.
        pixels: range of the networks' images; see `ganfp_jax.models.pixels`.
        augment: random views of the real images: "none", "mirror" or "d4".

    Returns:
        step(state, batch, key) -> (state, metrics). `batch["image"]` is uint8 (k n, H, W, 3) for n samples an update;
        k is `real_batches(objective, critic_steps)`.
    """

    def run(module: nn.Module, params: PyTree, stats: Mapping[str, PyTree], x: Array, args: dict) -> tuple[Array, dict]:
        y, updated = module.apply({"params": params, **stats}, x, **args, mutable=list(stats))
        return y, {**stats, **updated}

    def run_all(
        module: nn.Module, params: PyTree, stats: Mapping[str, PyTree], inputs: Sequence[Array], args: dict
    ) -> tuple[list[Array], dict[str, PyTree]]:
        """Run one batch after the other, since every call updates running statistics and singular vectors."""
        outputs, stats = [], dict(stats)
        for x in inputs:
            y, stats = run(module, params, stats, x, args)
            outputs.append(y)
        return outputs, stats

    def draw(key: jax.Array, n: int) -> list[Array]:
        return [latents(latent_key, n) for latent_key in jax.random.split(key, objective.num_fakes)]

    def apply_update(
        network: NetworkState,
        optimizer: optax.GradientTransformation,
        grads: PyTree,
        stats: Mapping[str, PyTree],
        plateau: PyTree,
    ) -> NetworkState:
        updates, opt_state = optimizer.update(grads, network.opt_state, network.params)
        if plateau:  # scales the rate, since Adam's updates are proportional to it
            updates = jax.tree.map(lambda update: plateau.scale * update, updates)
        return NetworkState(optax.apply_updates(network.params, updates), stats, opt_state)

    def critic_update(state: GanState, real: Array, key: jax.Array, args: dict) -> tuple[GanState, Metrics]:
        latent_key, mix_key = jax.random.split(key)
        z = draw(latent_key, len(real))
        fakes, generator_stats = run_all(generator, state.generator.params, state.generator.stats, z, args)

        def loss_fn(params: PyTree) -> tuple[Array, tuple[Any, Metrics]]:
            # The layers are collected only for a penalty on them.
            stats = {**state.critic.stats} | ({"layers": {}} if penalty.layers else {})
            answers, stats = run_all(critic, params, stats, [real, *fakes], args)
            layers = stats.pop("layers", {})
            loss = objective.critic_loss(*answers).mean()
            metrics: Metrics = {}
            if not objective.reads_features:
                metrics = {"real_score": answers[0].mean(), "fake_score": answers[1].mean()}
            if penalty.weight:
                mixed = penalties.interpolate(real, fakes[0], jax.random.uniform(mix_key, (len(real), 1, 1, 1)))
                norms = penalties.gradient_norm(
                    lambda x: objective.witness(run(critic, params, stats, x, args)[0], *answers),
                    mixed,
                    penalty.norm,
                    penalty.epsilon,
                )
                norms = norms / 2**level
                loss += penalties.gradient_penalty(norms, penalty.weight, penalty.target).mean()
                metrics["gradient_norm"] = norms.mean()
            if penalty.layers:
                loss += penalty.layers * penalties.layer_penalty(jax.tree.leaves(layers))
            return loss, (stats, metrics)

        (loss, (stats, metrics)), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.critic.params)
        metrics |= {"critic_loss": loss, "critic_grad_norm": optax.tree.norm(grads)}
        state = state.replace(
            generator=state.generator.replace(stats=generator_stats),
            critic=apply_update(state.critic, critic_optimizer, grads, stats, state.plateau),
        )
        return state, metrics

    def generator_update(state: GanState, real: Array, key: jax.Array, args: dict) -> tuple[GanState, Metrics]:
        z = draw(key, len(real))
        seen = [real] if objective.generator_sees_real else []

        def loss_fn(params: PyTree) -> tuple[Array, tuple[Any, Any]]:
            fakes, stats = run_all(generator, params, state.generator.stats, z, args)
            answers, critic_stats = run_all(critic, state.critic.params, state.critic.stats, [*seen, *fakes], args)
            return objective.generator_loss(*answers).mean(), (stats, critic_stats)

        (loss, (stats, critic_stats)), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.generator.params)
        state = state.replace(
            generator=apply_update(state.generator, generator_optimizer, grads, stats, state.plateau),
            critic=state.critic.replace(stats=critic_stats),
        )
        return state, {"generator_loss": loss, "generator_grad_norm": optax.tree.norm(grads)}

    def step(state: GanState, batch: dict[str, Array], key: jax.Array) -> tuple[GanState, Metrics]:
        dither_key, view_key, generator_key, *critic_keys = jax.random.split(key, 3 + critic_steps)
        args = call(state.step)
        real = to_network(random_view(batch["image"], view_key, augment), dither_key, pixels)
        if "fade" in args:
            real = fade_real(real, args["fade"])
        # One batch for each update that reads real images, split so that no image changes its device.
        batches = real.reshape(-1, real_batches(objective, critic_steps), *real.shape[1:]).swapaxes(0, 1)
        metrics: Metrics = {}
        averaged_stats = state.generator.stats
        if generator_first:
            state, metrics = generator_update(state, batches[-1], generator_key, args)
        # Unrolled, since convolutions inside lax.scan are far slower on the CPU back end.
        for images, critic_key in zip(batches[:critic_steps], critic_keys, strict=True):
            state, critic_metrics = critic_update(state, images, critic_key, args)
            metrics |= critic_metrics
        if ema_decay:
            # As published, before the generator's update, so the average lags by one step.
            ema = optax.incremental_update(state.generator.params, state.ema_params, 1 - ema_decay)
            state = state.replace(ema_params=ema)
            if averaged_stats:
                z, *_ = draw(jax.random.fold_in(generator_key, 0), len(batches[-1]))
                _, averaged_stats = run(generator, ema, averaged_stats, z, args)
        if not generator_first:
            state, generator_metrics = generator_update(state, batches[-1], generator_key, args)
            metrics |= generator_metrics
        if ema_decay:
            state = state.replace(generator=state.generator.replace(stats=averaged_stats))
        if state.plateau:
            metrics["learning_rate_scale"] = state.plateau.scale
        return state.replace(step=state.step + 1), metrics

    return step


def real_batches(objective: Objective, critic_steps: int) -> int:
    """The batches of real images in one step: one per critic update, and one if the generator's loss takes it."""
    return critic_steps + objective.generator_sees_real


def make_sampler(
    generator: nn.Module, args: dict[str, Any], pixels: Range, encoding: Encoding = "plain"
) -> Callable[[PyTree, Mapping, Array], UInt8[Array, "n h w 3"]]:
    """sample(params, stats, latents (N, D)) -> uint8 images in an encoding of `ganfp_jax.models.pixels`."""

    def sample(params: PyTree, stats: Mapping[str, PyTree], latents: Array) -> UInt8[Array, "n h w 3"]:
        images: Any = generator.apply({"params": params, **stats}, latents, **args)
        return to_stored(images, pixels, encoding)

    return sample
