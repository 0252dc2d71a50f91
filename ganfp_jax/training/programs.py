"""From a config to a program: what the loop runs for a GAN or for the attribution network."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree, UInt8

from ganfp_jax import models
from ganfp_jax.data import labelled, preprocess, sources
from ganfp_jax.data.batches import BatchByStep, make_batches
from ganfp_jax.errors import UserError
from ganfp_jax.latents import draw_latents, make_latents
from ganfp_jax.objectives import OBJECTIVES
from ganfp_jax.training import attribution_step, gan_step, growing
from ganfp_jax.training.optimizers import make_adam
from ganfp_jax.training.state import AttributionState, NetworkState, init_gan, init_network

Step = Callable[[PyTree, dict[str, Array], jax.Array], tuple[PyTree, dict[str, Array]]]


@dataclasses.dataclass(frozen=True)
class Phase:
    """Steps [first, last) that share one compiled step.

    `reset` is called on the state at each step of `reset_at`; `sample` draws the same few images from any state.
    """

    first: int
    last: int
    step: Step
    batch_size: int
    batches: BatchByStep
    reset_at: Sequence[int] = ()
    reset: Callable[[PyTree], PyTree] | None = None
    sample: Callable[[PyTree], UInt8[Array, "n h w 3"]] | None = None


@dataclasses.dataclass(frozen=True)
class Program:
    """A whole training: how the state is born, the phases in order, what is saved beside the state."""

    init: Callable[[jax.Array], PyTree]
    phases: Sequence[Phase]
    metadata: dict[str, Any]
    evaluate: Callable[[PyTree], dict[str, float]] | None = None

    @property
    def num_steps(self) -> int:
        """Steps of the whole training."""
        return self.phases[-1].last


def gan_program(config: dict[str, Any], workdir: Path) -> Program:
    """A generator against a critic, on real images without labels (see configs/progan.py, configs/sngan.py)."""
    resolution = config["resolution"]
    generator = models.create(**config["generator"], resolution=resolution)
    critic = models.create(**config["critic"], resolution=resolution)
    if config["objective"]["name"] not in OBJECTIVES:
        raise UserError(f"unknown objective {config['objective']['name']!r}; choose from {', '.join(OBJECTIVES)}")
    data = config["data"]
    if data["source"] not in data:
        raise UserError(f"config.data.source is {data['source']!r}; choose from {', '.join(data.keys() - {'source'})}")
    real = sources.load(data["source"], resolution=resolution, **data[data["source"]])
    _tell_rejected(real.rejected, workdir)
    step_args = config["step"]
    # The grid's latents are the first ones of generation with seed 0, so the two can be compared.
    sample_latents = jnp.asarray(draw_latents(np.random.RandomState(0), config["num_samples"], **config["latents"]))

    if "growing" in config:
        growing_args = dict(config["growing"])
        repeats = growing_args.pop("repeats")
        stages = growing.plan_stages(resolution=resolution, **growing_args)
    else:
        stages = [
            growing.Stage(0, config["batch_size"], config["optimizer"]["learning_rate"], 0, 0, config["num_steps"])
        ]

    def make_phase(stage: growing.Stage) -> Phase:
        optimizer_args = config["optimizer"] | {"learning_rate": stage.learning_rate, "num_steps": stage.last}
        generator_optimizer = make_adam(**optimizer_args)
        critic_optimizer = make_adam(**optimizer_args, updates_per_step=step_args["critic_steps"])
        if "growing" in config:
            fade = growing.make_fade(stage, repeats)
            call = lambda step: {"level": stage.level, "fade": fade(step)}  # noqa: E731
        else:
            call = lambda step: {"train": True}  # noqa: E731

        @jax.jit
        def sample(state: PyTree) -> UInt8[Array, "n h w 3"]:
            args = call(state.step) if "growing" in config else {}
            draw = gan_step.make_sampler(generator, args)
            return draw(state.ema_params or state.generator.params, state.generator.stats, sample_latents)

        def reset(state: PyTree) -> PyTree:
            def fresh(network: NetworkState) -> NetworkState:
                return network.replace(opt_state=jax.tree.map(jnp.zeros_like, network.opt_state))

            return state.replace(generator=fresh(state.generator), critic=fresh(state.critic))

        step = gan_step.make_gan_step(
            generator=generator,
            critic=critic,
            call=call,
            objective=OBJECTIVES[config["objective"]["name"]],
            objective_args=config["objective"]["args"],
            penalty_args=config["objective"]["penalty"],
            level=stage.level,
            generator_optimizer=generator_optimizer,
            critic_optimizer=critic_optimizer,
            latents=make_latents(**config["latents"]),
            **step_args,
        )
        batch_size = stage.batch_size * step_args["critic_steps"]
        dataset = make_batches(
            {"image": preprocess.box_downscale(real.images, 2**stage.level)},
            batch_size=batch_size,
            seed=config["seed"],
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
        resets = (stage.first, stage.fade_until) if "growing" in config else ()
        return Phase(stage.first, stage.last, step, stage.batch_size, dataset, resets, reset, sample)

    phases = [make_phase(stage) for stage in stages]

    def init(key: jax.Array) -> PyTree:
        generator_key, critic_key = jax.random.split(key)
        # Adam's state has one shape whatever the stage, so the first stage's optimisers serve to make it.
        optimizer = make_adam(**config["optimizer"] | {"learning_rate": stages[0].learning_rate, "num_steps": 1})
        image = jnp.zeros((1, resolution, resolution, 3))
        return init_gan(
            init_network(generator, optimizer, generator_key, jnp.zeros((1, config["latents"]["size"]))),
            init_network(critic, optimizer, critic_key, image),
            keep_ema=step_args["ema_decay"] > 0,
        )

    return Program(init, phases, {"source_name": config["source_name"]})


def attribution_program(config: dict[str, Any], workdir: Path) -> Program:
    """The attribution network on a labelled folder (see configs/attribution.py)."""
    data = config["data"]
    if not data["root"]:
        raise UserError(
            "config.data.root is empty; give a labelled folder: --config.data.root=DIR (one folder a source)"
        )
    folder = labelled.open_labelled(Path(data["root"]), split="train", classes=config["classes"] or None)
    resolution = config["resolution"]
    network = models.create(**config["model"], resolution=resolution, num_classes=len(folder.classes))
    optimizer = make_adam(**config["optimizer"], num_steps=config["num_steps"])
    train = labelled.decode_all(folder, resolution, resize=data["resize"])
    _tell_rejected(train.rejected, workdir)
    if missing := [name for k, name in enumerate(folder.classes) if k not in folder.labels[train.kept]]:
        name, reason = train.rejected[0]
        raise UserError(f"{folder.root / missing[0]} has no usable image, such as {name}: {reason}; see data.resize")
    dataset = make_batches(
        {"image": train.images, "label": folder.labels[train.kept]},
        batch_size=config["batch_size"],
        seed=config["seed"],
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )

    def init(key: jax.Array) -> PyTree:
        image = jnp.zeros((1, resolution, resolution, 3))
        return AttributionState(jnp.int32(0), init_network(network, optimizer, key, image))

    step = attribution_step.make_attribution_step(network, optimizer, config["augment"])
    phase = Phase(0, config["num_steps"], step, config["batch_size"], dataset)
    metadata = {"classes": list(folder.classes), "resolution": resolution}
    return Program(init, [phase], metadata, _make_evaluate(config, network, folder.classes))


def _tell_rejected(rejected: Sequence[tuple[str, str]], workdir: Path) -> None:
    """Says how many files could not be used, and lists them in the run folder."""
    if rejected:
        labelled.write_rejected(workdir / "rejected.csv", rejected)
        print(f"{len(rejected)} files could not be used: {workdir / 'rejected.csv'}")


def _make_evaluate(
    config: dict[str, Any], network: Any, classes: Sequence[str]
) -> Callable[[PyTree], dict[str, float]] | None:
    """Accuracy on some images of `<root>/test`, where there is one. To watch only: nothing is chosen by it."""
    root = Path(config["data"]["root"])
    if not (root / "test").is_dir() or not config["eval_images"]:
        return None
    folder = labelled.open_labelled(root, split="test", classes=classes)
    shown = np.random.RandomState(0).permutation(len(folder.labels))[: config["eval_images"]]
    test = labelled.decode_all(folder, config["resolution"], resize=config["data"]["resize"], indices=shown)
    targets = folder.labels[test.kept]

    @jax.jit
    def correct(params: PyTree, images: Array, labels: Array) -> Array:
        return (network.apply({"params": params}, images / 127.5 - 1).argmax(-1) == labels).mean()

    return lambda state: {"accuracy": float(correct(state.network.params, test.images, targets))}


PROGRAMS = {"gan": gan_program, "attribution": attribution_program}
