"""Reading the golden files: inputs, variables and outputs of the published networks, recorded from their own code."""

import functools
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

# The tiny networks run for milliseconds and would be compiled for seconds.
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


class Golden(NamedTuple):
    """One file's arrays by kind and name."""

    param: dict[str, np.ndarray]
    inputs: dict[str, jax.Array]
    out: dict[str, np.ndarray]
    meta: dict[str, object]


def load(name: str) -> Golden:
    kinds: dict[str, dict] = {"param": {}, "in": {}, "out": {}, "meta": {}}
    with np.load(Path(__file__).parent / "golden" / f"{name}.npz") as file:
        for key in file.files:
            kind, rest = key.split("/", 1)
            kinds[kind][rest] = file[key]
    inputs = {key: jnp.asarray(channels_last(key, value)) for key, value in kinds["in"].items()}
    meta = {key: value.item() for key, value in kinds["meta"].items()}
    return Golden(kinds["param"], inputs, kinds["out"], meta)


def channels_last(name: str, value: np.ndarray) -> np.ndarray:
    first = "nhwc" not in name and ("nchw" in name or "images" in name)
    return value.transpose(0, 2, 3, 1) if first else value


def norms(gradients: dict) -> dict[str, float]:
    """Length of every variable's gradient, by its path."""
    return {path: float(np.linalg.norm(np.ravel(g))) for path, g in flatten_dict(gradients["params"], sep="/").items()}


def assert_same_variables(network, variables: dict, *inputs) -> None:
    """The imported variables have exactly the names and shapes of the network's own."""
    own = jax.eval_shape(network.init, jax.random.key(0), *inputs)
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, own)


def initialize(network, key):
    """Return a network's first variables, for the example input that fits it."""
    side = network.resolution
    shape = (1, network.latent_size) if hasattr(network, "latent_size") else (1, side, side, 3)
    return initializer(network)(key, jnp.zeros(shape))


@functools.cache
def initializer(network):
    """Return the function that draws first variables, traced once for equal networks: drawing takes long to compile."""
    return jit(network.init)
