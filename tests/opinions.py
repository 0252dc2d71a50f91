"""A small network that was never trained and yet tells pictures apart, surely or less so, and such pictures."""

import functools

import numpy as np
import small_weights

from ganfp_jax import models
from ganfp_jax.attribution.attributor import Attributor

SIDE = 16


def pictures(count, seed=0):
    """Noise of many strengths around many colours."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(1, 120, (count, 1, 1, 1)) * rng.standard_normal((count, SIDE, SIDE, 3))
    return (rng.integers(0, 256, (count, 1, 1, 3)) + noise).clip(0, 255).astype(np.uint8)


def attributor_of(weights):
    classes, side = weights.about["classes"], weights.model["resolution"]
    return Attributor(models.create(**weights.model), weights.variables, classes, side)


@functools.cache
def weights():
    """Its last layer is scaled and shifted so that `pictures` get every class, with margins from 0 to 1."""
    network = small_weights.network()
    products = attributor_of(network).fingerprints(pictures(200, seed=1)).interactions  # (N, K)
    scale = 3 / products.std(0).mean()
    last = network.variables["params"]["4x4"]["Dense2"]
    last["weight"] = (last["weight"] * scale).astype(np.float32)
    last["bias"] = (-products.mean(0) * scale).astype(np.float32)
    return network
