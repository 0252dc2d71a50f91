"""From the image-sized fingerprint network's config to its program (see configs/fingerprint.py)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree, UInt8

from ganfp_jax import models
from ganfp_jax.data.values import to_signed
from ganfp_jax.models.pixels import to_stored
from ganfp_jax.run.compiler import PLAIN_CONVOLUTIONS
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import compiles
from ganfp_jax.training.fingerprint_step import BATCHES, make_fingerprint_step
from ganfp_jax.training.labelled_images import LabelledImages, decode_some_test, decode_training, open_training
from ganfp_jax.training.objectives import fingerprint
from ganfp_jax.training.optimizers import make_adam
from ganfp_jax.training.program import Phase, Program
from ganfp_jax.training.state import FingerprintState, init_fingerprint, init_network


def fingerprint_program(config: dict[str, Any], workdir: Path) -> Program:
    """The program that trains the autoencoder and its critic on a labelled folder or its `train/`.

    Raises:
        UserError: a network or setting is unknown, or the folder is missing, incomplete or unreadable.
    """
    _check(config)
    folder, resolution = open_training(config), config["resolution"]
    network = models.create(**config["model"], resolution=resolution, num_classes=len(folder.classes))
    critic = models.create(**config["critic"], resolution=resolution)
    optimizer = make_adam(**config["optimizer"], num_steps=config["num_steps"])
    step = make_fingerprint_step(
        network=network,
        critic=critic,
        optimizer=optimizer,
        weights=fingerprint.LossWeights(**config["objective"]),
        ema_decay=config["ema_decay"],
        augment=config["augment"],
    )
    train = decode_training(config, folder, workdir)
    test = decode_some_test(config, folder.classes)

    def init(key: jax.Array) -> FingerprintState:
        network_key, critic_key = jax.random.split(key)
        image = jnp.zeros((1, resolution, resolution, 3))
        return init_fingerprint(
            init_network(network, optimizer, network_key, image), init_network(critic, optimizer, critic_key, image)
        )

    return Program(
        init=init,
        phases=[
            Phase(
                first=0,
                last=config["num_steps"],
                step=step,
                batch_size=config["batch_size"],
                batches=lambda: train.batches(BATCHES * config["batch_size"], config["seed"], config["immunise"]),
                sample=_make_sample(network, train, config["num_samples"]),
                sample_columns=config["num_samples"],
                evaluate=_make_evaluate(network, test, config["batch_size"]) if test else None,
            )
        ],
        metadata={"classes": list(folder.classes), "resolution": resolution},
        dead_after=config["dead_after"],
        cpu_options=PLAIN_CONVOLUTIONS,
    )


def _check(config: dict[str, Any]) -> None:
    """Raises UserError for settings that can be refused before any image is read."""
    for key in ("num_steps", "batch_size", "num_samples"):
        if config[key] < 1:
            raise UserError(f"config.{key} is {config[key]}; give 1 or more")
    if not 0 <= config["ema_decay"] < 1:
        raise UserError(f"config.ema_decay is {config['ema_decay']}; give 0 or more, below 1")
    group = config["critic"]["minibatch_stddev_group"]
    if config["batch_size"] > group > 0 and config["batch_size"] % group:
        raise UserError(
            f"config.batch_size is {config['batch_size']}; give a multiple of critic.minibatch_stddev_group, {group}"
        )


def _make_evaluate(network: Any, test: LabelledImages, batch_size: int) -> Callable[[PyTree], dict[str, float]]:
    """State -> accuracy and reconstruction error of the averaged network on test images."""

    @compiles
    @jax.jit
    def measure(params: PyTree, images: Array, labels: Array) -> tuple[Array, Array]:
        x = to_signed(images)
        outputs = network.apply({"params": params}, x)
        return outputs.logits.argmax(-1) == labels, jnp.abs(outputs.fingerprints).mean((1, 2, 3))

    # Copies of the last image fill the last batch, so that only one shape is compiled.
    padded = np.arange(-(-len(test.images) // batch_size) * batch_size).clip(max=len(test.images) - 1)

    def evaluate(state: PyTree) -> dict[str, float]:
        batches = padded.reshape(-1, batch_size)
        measured = [measure(state.ema_params, test.images[rows], test.labels[rows]) for rows in batches]
        correct, errors = (np.concatenate(parts)[: len(test.images)] for parts in zip(*measured, strict=True))
        return {"accuracy": float(correct.mean()), "reconstruction_error": float(errors.mean())}

    return evaluate


def _make_sample(network: Any, train: LabelledImages, count: int) -> Callable[[PyTree], UInt8[np.ndarray, "n h w 3"]]:
    """State -> `count` training images, the classes in turn, then their reconstructions, then their fingerprints.

    Fingerprints run from -1, black, to 1, white; 0 is a middle grey, and values beyond are clipped.
    """
    turns = np.empty_like(train.labels)
    for label in np.unique(train.labels):
        members = np.flatnonzero(train.labels == label)
        turns[members] = np.arange(len(members))
    images = train.images[np.lexsort((train.labels, turns))[:count]]

    @compiles
    @jax.jit
    def rows(params: PyTree, images: Array) -> Array:
        x = to_signed(images)
        outputs = network.apply({"params": params}, x)
        return to_stored(jnp.concatenate([x, outputs.reconstructions, outputs.fingerprints]), "signed")

    return lambda state: np.asarray(rows(state.ema_params, images))
