"""Rows of the GANs: one training iteration, and generation."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from configs import cramergan, mmdgan, progan, sngan
from experiments.benchmark.row import OURS, Cost, Options, Row, check_close, cost_of
from experiments.benchmark.vote import VARIANTS
from ganfp_jax import models
from ganfp_jax.models.latents import draw_latents, make_latents
from ganfp_jax.run.compiler import LOW_EFFORT, known
from ganfp_jax.training.gan_program import gan_program
from ganfp_jax.training.gan_step import make_sampler
from ganfp_jax.training.objectives import OBJECTIVES
from ganfp_jax.training.program import Phase

CONFIGS: dict[str, Any] = {"progan": progan, "sngan": sngan, "cramergan": cramergan, "mmdgan": mmdgan}


def iteration_row(family: str, size: int, options: Options) -> Row:
    """One iteration with all its critic updates, from uint8 in host memory to metrics there; ProGAN's at full size.

    The batch is the config's. The first iteration is compared, with the same random numbers on both sides.
    """
    config, images = _config(family, size, options.dtype), _images(family, size)
    batch_size = _batch_size(config)
    name = f"{family} iteration {size}x{size}, batch {batch_size}"
    key = jax.random.key(7)

    @functools.cache
    def trained() -> tuple[Any, Any]:
        phase, state = _last_phase(family, size, options.dtype)
        return phase.step, state

    def in_jax() -> Callable[[], dict[str, Any]]:
        function, state = trained()
        step = jax.jit(function, donate_argnums=0)
        state, first = step(jax.tree.map(jax.numpy.copy, state), {"image": images}, key)
        first = jax.device_get(first)

        def call() -> dict[str, Any]:
            nonlocal state
            state, metrics = step(state, {"image": images}, key)
            return {"first": first, "metrics": jax.device_get(metrics)}

        return call

    def in_torch(compile: bool) -> Callable[[], dict[str, Any]]:
        from experiments.benchmark.torch_gan import Draws, TorchGan

        _, state = trained()
        variables = [{"params": net.params, **net.stats} for net in (state.generator, state.critic)]
        generator, critic = jax.device_get(variables)
        gan = TorchGan(config, generator, critic, options.dtype, compile)
        first = gan.step(images, Draws(*_draws(config, key, batch_size, images.shape)))
        compared = {metric: float(value) for metric, value in first.items()}
        return lambda: {"first": compared, "metrics": {k: float(v) for k, v in gan.step(images).items()}}

    def check(answers: Any) -> None:
        first = {competitor: answer["first"] for competitor, answer in answers.items()}
        # After several updates rounding has grown: Adam's first steps follow the signs of all gradients, however small.
        check_close(name, first, max(options.tolerance, 1e-2 if size <= 32 else 5e-2))

    def cost() -> Cost:
        step, state = trained()
        return cost_of(step, state, {"image": images}, key)

    return Row(name, batch_size, _makers(in_jax, in_torch, options), check, cost)


def generation_row(family: str, size: int, batch: int, options: Options) -> Row:
    """`batch` images of a trained generator, from latents in host memory to uint8 there."""
    name = f"{family} generation {size}x{size}, batch {batch}"
    config = _config(family, size, options.dtype)
    latents = draw_latents(np.random.RandomState(0), batch, **config["latents"])

    @functools.cache
    def trained() -> tuple[Any, Any, Any]:
        generator = models.create(**config["generator"], resolution=size)
        sample = make_sampler(generator, {}, config["step"]["pixels"])
        state = _last_phase(family, size, options.dtype)[1]
        return sample, state.generator.params, state.generator.stats

    def in_jax() -> Callable[[], dict[str, Any]]:
        function, params, stats = trained()
        sample = jax.jit(function)
        return lambda: {"images": np.asarray(sample(params, stats, latents))}

    def in_torch(compile: bool) -> Callable[[], dict[str, Any]]:
        from experiments.benchmark.torch_gan import TorchGenerator

        _, params, stats = trained()
        variables = jax.device_get({"params": params, **stats})
        generator = TorchGenerator(config, variables, options.dtype, compile)
        return lambda: {"images": generator.draw(latents)}

    def check(answers: Any) -> None:
        check_close(name, answers, max(options.tolerance, 1.5 / 255))  # values on the edge round either way

    def cost() -> Cost:
        sample, params, stats = trained()
        return cost_of(sample, params, stats, latents)

    return Row(name, batch, _makers(in_jax, in_torch, options), check, cost)


def _makers(
    in_jax: Callable[[], Any], in_torch: Callable[..., Any], options: Options
) -> dict[str, Callable[[], Callable[[], Any]]]:
    makers: dict[str, Callable[[], Callable[[], Any]]] = {OURS: in_jax}
    if options.torch:
        makers["PyTorch"] = functools.partial(in_torch, compile=False)
        if options.compile:
            makers["PyTorch compiled"] = functools.partial(in_torch, compile=True)
    return makers


def _config(family: str, size: int, dtype: str) -> dict[str, Any]:
    """The config with images of that size, on the embedded photographs, at a rate that does not change."""
    config = CONFIGS[family].get_config(VARIANTS[size]).to_dict()
    config["data"] = progan.get_config("tiny").data.to_dict()
    config["generator"]["dtype"] = config["critic"]["dtype"] = dtype
    config["step"]["augment"] = "none"  # chance would be in the way of the comparison
    config["optimizer"] |= {"schedule": "constant", "schedule_args": {}}
    if "growing" in config:
        config["optimizer"]["learning_rate"] = config["growing"]["learning_rate"][str(size)]
    config["eval_images"] = 0
    return config


def _batch_size(config: dict[str, Any]) -> int:
    size = str(config["resolution"])
    return config["growing"]["batch_size"][size] if "growing" in config else config["batch_size"]


@functools.cache
def _last_phase(family: str, size: int, dtype: str) -> tuple[Phase, Any]:
    """The phase at full size, and a first state; what fades in has done so."""
    program = gan_program(_config(family, size, dtype), Path())
    phase = program.phases[-1]
    low = known(LOW_EFFORT) if jax.default_backend() == "cpu" else None
    state = jax.jit(program.init, compiler_options=low)(jax.random.key(0))
    return phase, state.replace(step=jax.numpy.int32(phase.last - 1))


def _images(family: str, size: int) -> np.ndarray:
    return np.array(_last_phase(family, size, "float32")[0].batches()[0]["image"])  # PyTorch wants to own it


def _draws(config: dict[str, Any], key: jax.Array, n: int, shape: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """The random numbers of `make_gan_step` with `key`: dither, the generator's latents, each critic update's draws."""
    latents = make_latents(**config["latents"])
    dither_key, _, generator_key, *critic_keys = jax.random.split(key, 3 + config["step"]["critic_steps"])

    def draw(key: jax.Array) -> list[np.ndarray]:
        fakes = OBJECTIVES[config["objective"]["name"]](**config["objective"]["args"]).num_fakes
        return [np.asarray(latents(latent_key, n)) for latent_key in jax.random.split(key, fakes)]

    dither = np.asarray(jax.random.uniform(dither_key, shape, maxval=1 / 128))
    critic = []
    for critic_key in critic_keys:
        latent_key, mix_key = jax.random.split(critic_key)
        critic.append((draw(latent_key), np.asarray(jax.random.uniform(mix_key, (n, 1, 1, 1)))))
    return dither, draw(generator_key), critic
