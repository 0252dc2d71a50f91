"""From the attribution network's config to its program (see configs/attribution.py)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ganfp_jax import models
from ganfp_jax.data import pseudo_unknown
from ganfp_jax.data.values import to_signed
from ganfp_jax.run.compiler import PLAIN_CONVOLUTIONS
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import compiles
from ganfp_jax.training.attribution_step import make_attribution_step
from ganfp_jax.training.labelled_images import decode_some_test, decode_training, open_training
from ganfp_jax.training.optimizers import make_adam
from ganfp_jax.training.program import Phase, Program
from ganfp_jax.training.state import AttributionState, NetworkState, init_network


def attribution_program(config: dict[str, Any], workdir: Path) -> Program:
    """The program that trains the classifier on a labelled folder or its `train/`.

    Raises:
        UserError: a network or setting is unknown, or the folder is missing, incomplete or unreadable.
    """
    unknown = config["pseudo_unknown"]
    pseudo_unknown.check(**unknown)
    check_logit_norm(config["logit_norm"], unknown["share"])
    folder, resolution = open_training(config), config["resolution"]
    network = models.create(**config["model"], resolution=resolution, num_classes=len(folder.classes))
    optimizer = make_adam(**config["optimizer"], num_steps=config["num_steps"])
    train = decode_training(config, folder, workdir)

    def init(key: jax.Array) -> AttributionState:
        image = jnp.zeros((1, resolution, resolution, 3))
        return AttributionState(jnp.int32(0), init_network(network, optimizer, key, image))

    step = make_attribution_step(
        network, optimizer, config["augment"], nobody=unknown["share"] > 0, logit_norm=config["logit_norm"]
    )
    return Program(
        init=init,
        phases=[
            Phase(
                first=0,
                last=config["num_steps"],
                step=step,
                batch_size=config["batch_size"],
                batches=lambda: train.batches(config["batch_size"], config["seed"], config["immunise"], unknown),
                evaluate=_make_evaluate(config, network, folder.classes),
            )
        ],
        metadata={"classes": list(folder.classes), "resolution": resolution},
        cpu_options=PLAIN_CONVOLUTIONS,
    )


def check_logit_norm(temperature: float, share: float) -> None:
    """Raises UserError for a temperature below 0, and for one beside a `share` of pseudo-unknowns."""
    if temperature < 0:
        raise UserError(f"config.logit_norm is {temperature}; give a temperature, such as 0.04, or 0 to go without")
    if temperature and share:
        raise UserError(
            "config.logit_norm needs logits of one length, and the class nobody of pseudo-unknowns has the logit 0; "
            "set config.pseudo_unknown.share=0 or config.logit_norm=0"
        )


def _make_evaluate(
    config: dict[str, Any], network: Any, classes: Sequence[str]
) -> Callable[[PyTree], dict[str, float]] | None:
    """State -> accuracy on some images of `<root>/test`; None where there is no test set."""
    test = decode_some_test(config, classes)
    if test is None:
        return None

    @compiles
    @jax.jit
    def accuracy(trained: NetworkState, images: Array, labels: Array) -> Array:
        variables = {"params": trained.params, **trained.stats}
        return (network.apply(variables, to_signed(images)).argmax(-1) == labels).mean()

    return lambda state: {"accuracy": float(accuracy(state.network, test.images, test.labels))}
