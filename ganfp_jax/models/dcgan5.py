"""The critic of CramerGAN and MMDGAN: DCGAN's strided convolutions and a feature vector (Binkowski et al. 2018).

The published network takes 128x128 images and has five convolutions. Other sizes have as many as lead down to the
bottom width. Parameters have the published variables' names.
"""

import math
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from ganfp_jax.models.layers import LEAK, Conv, Dense, leaky_relu
from ganfp_jax.models.network import Count, Network, check_bottom_width

FirstWeights = Literal["published", "scaled"]
# Initialisers of the convolutions and of the last layer. A leaky ReLU passes (1 + LEAK^2) / 2 of the variance.
FIRST_WEIGHTS = {
    "published": (nn.initializers.truncated_normal(0.02), nn.initializers.normal(0.01)),
    "scaled": (
        nn.initializers.variance_scaling(2 / (1 + LEAK**2), "fan_in", "normal"),
        nn.initializers.variance_scaling(1.0, "fan_in", "normal"),
    ),
}


class Critic(Network):
    """Images in [0, 1] to one unbounded feature vector each. Collections: params; layers, where it is mutable.

    There is no normalisation, so no layer mixes samples, and a gradient penalty holds for each sample on its own.

    Attributes:
        resolution: side of the images, a power of two >= 16.
        num_features: length of a feature vector (published: 256 in CramerGAN, 16 in MMDGAN).
        ch: feature maps after the first convolution; each halving of the side doubles them.
        bottom_width: side of the smallest maps; `resolution / bottom_width` must be a power of two of at least 2.
        max_multiplier: upper bound of feature maps / ch.
        first_weights: initialiser of the weights. "published" has standard deviations of 0.02 and, in the last layer,
            0.01, which fit the published width. "scaled" keeps the signal's variance at every width (He et al. 2015,
            arXiv 1502.01852): the features of a narrow critic would else be so near 0 that a penalty on its layers
            can drive them to 0, where the gradient vanishes.
        dtype: dtype of the convolutions; parameters and features are float32.
    """

    smallest: ClassVar[int] = 16
    num_features: Count
    ch: Count = 64
    bottom_width: Count = 4
    max_multiplier: Count = 16
    first_weights: FirstWeights = "published"
    dtype: Any = jnp.float32

    @nn.nowrap
    def check(self) -> None:
        """Raises `UserError` unless doublings lead from the bottom width to the resolution."""
        check_bottom_width(self.bottom_width, self.resolution, doublings=1)

    @nn.compact
    def __call__(self, images: Float[Array, "n h w 3"], train: bool = False) -> Float[Array, "n f"]:
        """Return the features; the collection "layers", which an L2 penalty reads, receives every layer's output.

        Raises:
            ValueError: the images have another size.
        """
        del train  # critics that keep statistics need it
        if images.shape[1:3] != (self.resolution, self.resolution):
            raise ValueError(f"images are {images.shape[1:3]}, the critic is for side {self.resolution}")
        x = images
        convs = int(math.log2(self.resolution // self.bottom_width))
        conv_init, dense_init = FIRST_WEIGHTS[self.first_weights]
        for i in range(convs):
            features = self.ch * min(self.max_multiplier, 2**i)
            conv = Conv(features, 5, conv_init, stride=2, dtype=self.dtype, name=f"d_h{i}_conv")
            x = leaky_relu(conv(x))
            self._sow(f"h{i}", x)
        x = x.reshape(len(x), -1)  # (N, H W C)
        # The published name after five convolutions is d_h6_lin: it skips a number.
        dense = Dense((self.num_features,), dense_init, self.dtype, name=f"d_h{convs + 1}_lin")
        x = dense(x).astype(jnp.float32)
        self._sow("hF", x)
        return x

    def _sow(self, name: str, x: Array) -> None:
        if not self.is_initializing():  # `init` must return no collection that training would keep
            self.sow("layers", name, x)
