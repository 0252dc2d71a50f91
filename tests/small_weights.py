"""Weights of small networks, drawn by NumPy: nothing is trained and nothing compiled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from configs import attribution, cramergan, fingerprint, progan, sngan
from ganfp_jax import models
from ganfp_jax.interop.weights import Weights
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import write_json
from ganfp_jax.training.checkpoint import Checkpoints

CLASSES = ["real", "ProGAN", "SNGAN"]
GENERATORS = {"progan": progan, "sngan": sngan, "cramergan": cramergan}
NETWORKS = {"attribution": attribution, "fingerprint": fingerprint}


def draw(model, seed=0):
    """Variables of `models.create(**model)`."""
    network = models.create(**model)
    side = model["resolution"]
    shape = (1, network.latent_size) if hasattr(network, "latent_size") else (1, side, side, 3)
    shapes = jax.eval_shape(network.init, jax.random.key(0), jax.ShapeDtypeStruct(shape, jnp.float32))
    rng = np.random.default_rng(seed)

    def numbers(path, leaf):
        drawn = rng.standard_normal(leaf.shape, np.float32)
        return 0.5 + np.abs(drawn) if path[-1].key == "var" else drawn

    return jax.tree_util.tree_map_with_path(numbers, dict(shapes))


def generator(name, statistics="running", seed=0):
    """Weights of the tiny generator of configs/NAME.py."""
    config = GENERATORS[name].get_config("tiny").to_dict()
    model = {**config["generator"], "resolution": config["resolution"]}
    if "statistics" in model:
        model["statistics"] = statistics
    about = {
        "source_name": config["source_name"],
        "latents": config["latents"],
        "pixels": config["step"]["pixels"],
        "batch_size": config["batch_size"] if model.get("statistics") == "batch" else None,
    }
    return Weights("generator", model, draw(model, seed), about, {"run_folder": name, "step": 8})


def network(name="attribution", seed=0, **settings):
    """Weights of the tiny attribution network of configs/NAME.py, for three classes."""
    config = NETWORKS[name].get_config("tiny").to_dict()
    model = {**config["model"], "resolution": config["resolution"], "num_classes": len(CLASSES), **settings}
    about = {"classes": CLASSES, "augment": config["augment"]}
    return Weights("attribution", model, draw(model, seed), about, {"run_folder": name, "step": 8})


def run_folder(workdir, config, saved, average=None, scored=None):
    """What a training leaves: its config and, for each step of `saved`, a checkpoint of these weights.

    `average` are the parameters of the running average, beside all of them, `scored` the scores by step.
    """
    workdir.mkdir()
    write_json(workdir / "config.json", config)
    checkpoints = Checkpoints(workdir, keep=len(saved))
    for step, weights in saved.items():
        stats = {name: tree for name, tree in weights.variables.items() if name != "params"}
        role = "generator" if weights.kind == "generator" else "network"
        state = {"step": np.int32(step), role: {"params": weights.variables["params"], "stats": stats}}
        if weights.kind == "generator":
            state["ema_params"] = average or {}
            metadata = {"source_name": weights.about["source_name"]}
        else:
            metadata = {"classes": weights.about["classes"]}
        checkpoints.save(step, state, metadata, (scored or {}).get(step))
    checkpoints.close()
    return workdir


def assert_same(found, expected):
    assert (found.kind, found.model, found.about) == (expected.kind, expected.model, expected.about)
    found, expected = (flatten_dict(weights.variables, sep="/") for weights in (found, expected))
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert (array.dtype, array.shape) == (np.float32, expected[name].shape)
        np.testing.assert_array_equal(array, expected[name])


def refusal(call, *arguments):
    with pytest.raises(UserError) as error:
        call(*arguments)
    message = str(error.value)
    assert "\n" not in message
    return message
