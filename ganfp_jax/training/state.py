"""The states of trainings: all that a resumed run needs besides its config."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import PyTree


class NetworkState(struct.PyTreeNode):
    """One network and its optimiser.

    `stats` holds the collections that are kept but not trained: `batch_stats`, `spectral_stats` or none.
    """

    params: PyTree
    stats: PyTree  # name of the collection -> its arrays
    opt_state: PyTree


class GanState(struct.PyTreeNode):
    """A generator and its critic.

    `ema_params` is the running average of the generator's parameters, of which the generator's `stats` are then.
    `plateau` is the memory of a learning-rate rule (`training.plateau.PlateauState`). Either is {} where there is none.
    """

    step: PyTree  # an int32 scalar
    generator: NetworkState
    critic: NetworkState
    ema_params: PyTree
    plateau: PyTree


class AttributionState(struct.PyTreeNode):
    """The attribution network."""

    step: PyTree  # an int32 scalar
    network: NetworkState


class FingerprintState(struct.PyTreeNode):
    """The image-sized fingerprint network, its critic, and the running average of its parameters."""

    step: PyTree  # an int32 scalar
    network: NetworkState
    critic: NetworkState
    ema_params: PyTree


def init_network(
    module: nn.Module, optimizer: optax.GradientTransformation, key: jax.Array, example: jax.Array
) -> NetworkState:
    """New parameters of `module` for inputs shaped like `example`, and the optimiser's first state."""
    stats = dict(module.init(key, example))
    params = stats.pop("params")
    return NetworkState(params, stats, optimizer.init(params))


def init_gan(generator: NetworkState, critic: NetworkState, *, keep_ema: bool, plateau: PyTree) -> GanState:
    """A GAN at step 0."""
    return GanState(jnp.int32(0), generator, critic, _copy(generator.params) if keep_ema else {}, plateau)


def init_fingerprint(network: NetworkState, critic: NetworkState) -> FingerprintState:
    """The image-sized fingerprint network at step 0; the running average starts at the first parameters."""
    return FingerprintState(jnp.int32(0), network, critic, _copy(network.params))


def _copy(params: PyTree) -> PyTree:
    # A donated state must not hold the same buffer twice.
    return jax.tree.map(jnp.copy, params)
