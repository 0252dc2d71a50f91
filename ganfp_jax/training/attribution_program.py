"""From the attribution network's config to its program (see configs/attribution.py)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from ganfp_jax import models
from ganfp_jax.data import labelled
from ganfp_jax.data.batches import BatchByStep, make_batches
from ganfp_jax.errors import UserError
from ganfp_jax.training.attribution_step import make_attribution_step
from ganfp_jax.training.optimizers import make_adam
from ganfp_jax.training.program import Phase, Program
from ganfp_jax.training.state import AttributionState, init_network


def attribution_program(config: dict[str, Any], workdir: Path) -> Program:
    """The classifier on a labelled folder, or on its `train/`.

    Raises:
        UserError: an unknown network or setting; a folder that is missing, incomplete or unreadable.
    """
    root, resolution = config["data"]["root"], config["resolution"]
    if not root:
        raise UserError("config.data.root is empty; give a folder of sources: --config.data.root=DIR")
    folder = labelled.open_labelled(root, split="train", classes=config["classes"] or None)
    network = models.create(**config["model"], resolution=resolution, num_classes=len(folder.classes))
    optimizer = make_adam(**config["optimizer"], num_steps=config["num_steps"])
    train = labelled.decode_all(folder, resolution, resize=config["data"]["resize"])
    labelled.tell_rejected(train.rejected, workdir)
    labels = folder.labels[train.kept]
    if missing := [name for k, name in enumerate(folder.classes) if k not in labels]:
        name, reason = train.rejected[0]
        raise UserError(f"{folder.root / missing[0]} has no usable image, such as {name}: {reason}; see data.resize")

    def batches() -> BatchByStep:
        return make_batches(
            {"image": train.images, "label": labels},
            batch_size=config["batch_size"],
            seed=config["seed"],
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )

    def init(key: jax.Array) -> AttributionState:
        image = jnp.zeros((1, resolution, resolution, 3))
        return AttributionState(jnp.int32(0), init_network(network, optimizer, key, image))

    step = make_attribution_step(network, optimizer, config["augment"])
    return Program(
        init=init,
        phases=[
            Phase(
                first=0,
                last=config["num_steps"],
                step=step,
                batch_size=config["batch_size"],
                batches=batches,
                evaluate=_make_evaluate(config, network, folder.classes),
            )
        ],
        metadata={"classes": list(folder.classes), "resolution": resolution},
    )


def _make_evaluate(
    config: dict[str, Any], network: Any, classes: Sequence[str]
) -> Callable[[PyTree], dict[str, float]] | None:
    """Accuracy on some images of `<root>/test`, where there is one. To watch only: nothing is chosen by it."""
    root = Path(config["data"]["root"])
    if not (root / "test").is_dir() or not config["eval_images"]:
        return None
    folder = labelled.open_labelled(root, split="test", classes=classes)
    shown = np.random.RandomState(0).permutation(len(folder))[: config["eval_images"]]
    test = labelled.decode_all(folder, config["resolution"], resize=config["data"]["resize"], indices=shown)
    targets = folder.labels[test.kept]

    @jax.jit
    def accuracy(params: PyTree, images: Array, labels: Array) -> Array:
        return (network.apply({"params": params}, images / 127.5 - 1).argmax(-1) == labels).mean()

    return lambda state: {"accuracy": float(accuracy(state.network.params, test.images, targets))}
