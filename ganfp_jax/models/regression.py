"""Logistic regression as a network: an affine map of the pixels, or of the logarithm of their DCT spectrum.

The same as `ganfp_jax.baselines.linear`, in JAX: what a baseline has learned can then be asked wherever a network is,
over any views. Its image fingerprint is the vector of features and a source's the column of weights. Features are not
centred, so the cosine distances between the two are near 1 and tell less than a network's.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from ganfp_jax.models.network import Network

LOG_FLOOR = 0.1  # grey levels, as for `ganfp_jax.baselines.linear.log_dct`


class PixelRegression(Network):
    """Logistic regression on pixels in [-1, 1]."""

    num_classes: int

    def setup(self) -> None:
        """One affine map: weights (F, K) and bias (K,)."""
        size = 3 * self.resolution**2
        self.weights = self.param("weights", nn.initializers.zeros, (size, self.num_classes))
        self.bias = self.param("bias", nn.initializers.zeros, (self.num_classes,))

    def __call__(self, x: Float[Array, "n h w 3"]) -> Float[Array, "n k"]:
        """Images in [-1, 1] to logits."""
        return self.fingerprints_and_logits(x)[1]

    def fingerprints_and_logits(self, x: Float[Array, "n h w 3"]) -> tuple[Float[Array, "n f"], Float[Array, "n k"]]:
        """Images in [-1, 1] to features and logits."""
        features = self.features(x).reshape(x.shape[0], -1)  # (N, F)
        return features, jnp.matmul(features, self.weights, precision="highest") + self.bias

    def features(self, x: Float[Array, "n h w 3"]) -> Float[Array, "n h w 3"]:
        """What is weighed: here the pixels themselves."""
        return x

    @nn.nowrap
    def model_fingerprints(self, params: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return (W, b): every source's weights, a column of W (F, K) each, and its bias, b (K,)."""
        return params["weights"], params["bias"]


class SpectrumRegression(PixelRegression):
    """Logistic regression on log(|DCT-II| + floor) of every channel, orthonormal, of grey levels 0 to 255."""

    def features(self, x: Float[Array, "n h w 3"]) -> Float[Array, "n h w 3"]:
        """The logarithm of the spectrum, frequencies in the place of the pixels."""
        basis = _dct_basis(self.resolution)
        spectrum = jnp.einsum("uh,nhwc,vw->nuvc", basis, (x + 1) * 127.5, basis, precision="highest")
        return jnp.log(jnp.abs(spectrum) + LOG_FLOOR)


def _dct_basis(side: int) -> Float[Array, "frequency place"]:
    """The orthonormal DCT-II as a matrix."""
    frequency, place = jnp.arange(side)[:, None], jnp.arange(side)
    turns = frequency * (2 * place + 1) % (4 * side)  # cosines of large numbers are less exact
    scale = jnp.where(frequency == 0, math.sqrt(1 / side), math.sqrt(2 / side))
    return scale * jnp.cos(turns * (math.pi / (2 * side)))
