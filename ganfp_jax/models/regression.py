"""Logistic regression as a network: an affine map of the pixels, or of the logarithm of their DCT spectrum.

It is `ganfp_jax.baselines.linear` in JAX, so a trained baseline can take the place of a network and vote over views.
Its image fingerprint is the feature vector, and a source's fingerprint is its column of weights. The features are not
centred, so the cosine distances between the two are near 1 and say less than a network's.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from ganfp_jax.models.network import Network

LOG_FLOOR = 0.1  # grey levels, as in `ganfp_jax.baselines.linear.log_dct`


class PixelRegression(Network):
    """Logistic regression on pixels in [-1, 1]."""

    num_classes: int

    def setup(self) -> None:
        """Create the affine map: weights (F, K) and bias (K,)."""
        shape = (self.num_features(), self.num_classes)
        self.weights = self.param("weights", nn.initializers.zeros, shape)
        self.bias = self.param("bias", nn.initializers.zeros, (self.num_classes,))

    def __call__(self, x: Float[Array, "n h w 3"]) -> Float[Array, "n k"]:
        """Images in [-1, 1] to logits."""
        return self.fingerprints_and_logits(x)[1]

    def fingerprints_and_logits(self, x: Float[Array, "n h w 3"]) -> tuple[Float[Array, "n f"], Float[Array, "n k"]]:
        """Images in [-1, 1] to features and logits."""
        features = self.features(x).reshape(x.shape[0], -1)  # (N, F)
        return features, jnp.matmul(features, self.weights, precision="highest") + self.bias[None]

    def features(self, x: Float[Array, "n h w 3"]) -> Float[Array, "n ..."]:
        """The features of the affine map: here the pixels."""
        return x

    @nn.nowrap
    def num_features(self) -> int:
        """The number of features of an image."""
        return 3 * self.resolution**2

    @nn.nowrap
    def model_fingerprints(self, params: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return (W, b): the weights W (F, K), one column per source, and the biases b (K,)."""
        return params["weights"], params["bias"]


class SpectrumRegression(PixelRegression):
    """Logistic regression on log(|DCT-II| + floor), orthonormal, of every channel's grey levels 0 to 255."""

    def features(self, x: Float[Array, "n h w 3"]) -> Float[Array, "n h w 3"]:
        """The log spectrum, with frequencies on the axes of the pixels."""
        basis = dct_basis(self.resolution)
        spectrum = jnp.einsum("uh,nhwc,vw->nuvc", basis, (x + 1) * 127.5, basis, precision="highest")
        return jnp.log(jnp.abs(spectrum) + LOG_FLOOR)


def dct_basis(side: int) -> Float[Array, "frequency place"]:
    """The orthonormal DCT-II as a matrix."""
    frequency, place = jnp.arange(side)[:, None], jnp.arange(side)[None]
    turns = frequency * (2 * place + 1) % (4 * side)  # reduced, since float32 cosines of large angles are less exact
    scale = jnp.where(frequency == 0, math.sqrt(1 / side), math.sqrt(2 / side))
    return scale * jnp.cos(turns * (math.pi / (2 * side)))
