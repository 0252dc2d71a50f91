"""From a GAN's config to its program: networks, stages, steps (see configs/progan.py and its neighbours)."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree, UInt8

from ganfp_jax import models
from ganfp_jax.data import preprocess
from ganfp_jax.data.batches import BatchByStep, make_batches
from ganfp_jax.data.names import check_names
from ganfp_jax.data.on_disk import ImagesOnDisk
from ganfp_jax.data.real import real_images
from ganfp_jax.metrics.inception import FEATURES
from ganfp_jax.metrics.swd import PUBLISHED
from ganfp_jax.models import pixels
from ganfp_jax.models.latents import make_latents
from ganfp_jax.models.network import Network
from ganfp_jax.run import processes
from ganfp_jax.run.errors import UserError
from ganfp_jax.training import checkpoint_choice, gan_watch, growing
from ganfp_jax.training.gan_step import make_gan_step, real_batches
from ganfp_jax.training.objectives import OBJECTIVES
from ganfp_jax.training.objectives.objective import Objective
from ganfp_jax.training.objectives.penalties import CriticPenalty
from ganfp_jax.training.optimizers import make_adam
from ganfp_jax.training.plateau import init_plateau
from ganfp_jax.training.program import Phase, Program
from ganfp_jax.training.state import GanState, NetworkState, init_gan, init_network


@dataclasses.dataclass(frozen=True)
class Gan:
    """The parts that all stages of one training share."""

    config: dict[str, Any]
    generator: Network
    critic: Network
    objective: Objective
    penalty: CriticPenalty
    real: UInt8[np.ndarray, "n h w 3"] | ImagesOnDisk


def gan_program(config: dict[str, Any], workdir: Path) -> Program:
    """The program that trains a generator against a critic on real images without labels.

    Raises:
        UserError: a network, objective or source is unknown, images cannot be read, or the schedule is impossible.
    """
    _check(config)
    gan = Gan(
        config=config,
        generator=models.create(**config["generator"], resolution=config["resolution"]),
        critic=models.create(**config["critic"], resolution=config["resolution"]),
        objective=_objective(config["objective"]),
        penalty=CriticPenalty(**config["objective"]["penalty"]),
        real=real_images(config["data"], resolution=config["resolution"], workdir=workdir).images,
    )
    _check_answers(gan)
    if len(gan.real) < config["eval_images"] and processes.first():
        few = f"there are {len(gan.real)} real images: all are measured"
        print(f"config.eval_images is {config['eval_images']}, but {few}")
    return Program(
        init=_make_init(gan),
        phases=[_make_phase(gan, stage) for stage in _stages(config)],
        metadata={"source_name": config["source_name"]},
        dead_after=config["dead_after"],
    )


def _check(config: dict[str, Any]) -> None:
    """Raises UserError for settings that can be refused before any image is read."""
    pixels.check(pixels=config["step"]["pixels"])
    check_names([config["source_name"]], "config.source_name")
    checkpoint_choice.check(config)
    if checkpoint_choice.is_best(config) and config["resolution"] < PUBLISHED.smallest:
        raise UserError(
            f"config.checkpoint_choice is 'best_swd', whose distance needs images of {PUBLISHED.smallest} pixels or "
            f"more, and config.resolution is {config['resolution']}; choose last"
        )
    if not 0 <= config["step"]["ema_decay"] < 1:
        raise UserError(f"config.step.ema_decay is {config['step']['ema_decay']}; give 0 or more, below 1")
    numbers = {"num_samples": config["num_samples"], "step.critic_steps": config["step"]["critic_steps"]}
    if "growing" not in config:
        numbers |= {"num_steps": config["num_steps"], "batch_size": config["batch_size"]}
    for key, number in numbers.items():
        if number < 1:
            raise UserError(f"config.{key} is {number}; give 1 or more")
    if config["generator"]["latent_size"] != config["latents"]["size"]:
        raise UserError(
            f"config.generator.latent_size is {config['generator']['latent_size']} and config.latents.size "
            f"{config['latents']['size']}; give both the same"
        )


def _check_answers(gan: Gan) -> None:
    """Raises UserError unless the critic's answers, scores (n,) or features (n, f), are what the objective reads."""
    image = jax.ShapeDtypeStruct((4, *gan.real.shape[1:]), np.float32)
    answers, _ = jax.eval_shape(gan.critic.init_with_output, jax.random.key(0), image)
    if (answers.ndim == 2) != gan.objective.reads_features:
        kinds = ("scores", "features")
        raise UserError(
            f"the objective {gan.config['objective']['name']} reads {kinds[gan.objective.reads_features]}, the critic "
            f"{gan.config['critic']['name']} answers with {kinds[answers.ndim == 2]}; choose others"
        )


def _objective(settings: dict[str, Any]) -> Objective:
    if settings["name"] not in OBJECTIVES:
        raise UserError(f"unknown objective {settings['name']!r}; choose from {', '.join(OBJECTIVES)}")
    try:
        return OBJECTIVES[settings["name"]](**settings["args"])
    except TypeError as error:
        raise UserError(f"config.objective.args does not fit the objective {settings['name']}: {error}") from error


def _stages(config: dict[str, Any]) -> list[growing.Stage]:
    if "growing" in config:
        schedule = {key: value for key, value in config["growing"].items() if key != "repeats"}
        return growing.plan_stages(resolution=config["resolution"], **schedule)
    rate, steps = config["optimizer"]["learning_rate"], config["num_steps"]
    return [growing.Stage(0, config["batch_size"], rate, first=0, fade_until=0, last=steps)]


def num_steps(config: dict[str, Any]) -> int:
    """The steps of the whole training, without reading any image.

    Raises:
        UserError: the schedule is impossible.
    """
    return _stages(config)[-1].last


def _make_phase(gan: Gan, stage: growing.Stage) -> Phase:
    config, step_args = gan.config, gan.config["step"]
    optimizer_args = config["optimizer"] | {"learning_rate": stage.learning_rate, "num_steps": stage.last}
    call = _make_call(config, stage)

    def smaller(images: UInt8[np.ndarray, "n h w 3"]) -> UInt8[np.ndarray, "n h_ w_ 3"]:
        return preprocess.box_downscale(images, 2**stage.level)

    def batches() -> BatchByStep:
        # Images in memory are downscaled once, which also saves memory.
        in_memory = isinstance(gan.real, np.ndarray)
        return make_batches(
            {"image": smaller(gan.real) if isinstance(gan.real, np.ndarray) else gan.real},
            batch_size=stage.batch_size * real_batches(gan.objective, step_args["critic_steps"]),
            seed=config["seed"],
            transform=None if in_memory else lambda batch, rng, part: {"image": smaller(batch["image"])},
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )

    step = make_gan_step(
        generator=gan.generator,
        critic=gan.critic,
        call=call,
        objective=gan.objective,
        penalty=gan.penalty,
        level=stage.level,
        generator_optimizer=make_adam(**optimizer_args),
        critic_optimizer=make_adam(**optimizer_args, updates_per_step=step_args["critic_steps"]),
        latents=make_latents(**config["latents"]),
        **step_args,
    )
    grows = "growing" in config
    draw = gan_watch.make_draw(gan.generator, config, call if grows else lambda step: {})
    return Phase(
        first=stage.first,
        last=stage.last,
        step=step,
        batch_size=stage.batch_size,
        batches=batches,
        reset_at=(stage.first, stage.fade_until) if grows else (),
        reset=_forget_moments,
        sample=lambda state: draw(state, config["num_samples"], 0),
        evaluate=gan_watch.make_evaluate(draw, gan.real, _num_watched(gan), stage.level),
        score=_score(gan, stage),
        score_from=stage.fade_until,
        adapt=gan_watch.make_adapt(draw, gan.real, config) if _has_plateau(config) else None,
        adapt_every=config["plateau"]["every"] if _has_plateau(config) else 0,
    )


def _num_watched(gan: Gan) -> int:
    """The number of images that an evaluation measures, which stands in the names of the distances."""
    return min(gan.config["eval_images"], len(gan.real)) if len(gan.real) > 1 else 0


def _score(gan: Gan, stage: growing.Stage) -> str:
    """The metric that chooses the checkpoint: at the full size alone, since distances of other sizes are others."""
    count = _num_watched(gan)
    measured = checkpoint_choice.is_best(gan.config) and stage.level == 0 and count
    return f"swd{count}_mean" if measured else ""


def _has_plateau(config: dict[str, Any]) -> bool:
    return "plateau" in config and config["plateau"]["every"] > 0


def _make_call(config: dict[str, Any], stage: growing.Stage) -> Callable[[Array], dict[str, Any]]:
    """Step -> the keyword arguments with which both networks are called in training."""
    if "growing" not in config:
        return lambda step: {"train": True}
    fade = growing.make_fade(stage, config["growing"]["repeats"])
    return lambda step: {"level": stage.level, "fade": fade(step)}


def _forget_moments(state: GanState) -> GanState:
    """Resets both optimisers, as the published training does whenever a fade-in begins or ends."""

    def fresh(network: NetworkState) -> NetworkState:
        return network.replace(opt_state=jax.tree.map(jnp.zeros_like, network.opt_state))

    return state.replace(generator=fresh(state.generator), critic=fresh(state.critic))


def _make_init(gan: Gan) -> Callable[[jax.Array], PyTree]:
    config = gan.config
    # The shape of Adam's state does not depend on its rate.
    optimizer = make_adam(**config["optimizer"] | {"learning_rate": 0.0, "num_steps": 1})
    size, resolution = config["latents"]["size"], config["resolution"]

    def init(key: jax.Array) -> PyTree:
        generator_key, critic_key = jax.random.split(key)
        plateau: PyTree = {}
        if _has_plateau(config):
            sizes = {name: config["plateau"][name] for name in ("memory", "num_codes")}
            plateau = init_plateau(FEATURES, **sizes)
        return init_gan(
            init_network(gan.generator, optimizer, generator_key, jnp.zeros((1, size))),
            init_network(gan.critic, optimizer, critic_key, jnp.zeros((1, resolution, resolution, 3))),
            keep_ema=config["step"]["ema_decay"] > 0,
            plateau=plateau,
        )

    return init
