"""The residual generator that CramerGAN and MMDGAN share (Binkowski et al. 2018, arXiv 1801.01401).

The published network makes 128x128 images. It has four residual blocks between a dense layer and a transposed
convolution; other sizes have fewer or more blocks. Parameters have the published variables' names.

That last layer paints dots: an even and an odd pixel of its output are sums over different weights of its kernel, so
they may differ however smooth the image is (Odena et al. 2016, "Deconvolution and checkerboard artifacts").
"""

import math
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from ganfp_jax.models.layers import ROOT2, Conv, Dense, Padding, by_channel, glorot, reflect_pad, upconvolve, upsample
from ganfp_jax.models.network import Count, Network, check_bottom_width
from ganfp_jax.models.normalization import BatchNorm, Statistics

Upsampling = Literal["transposed", "nearest", "bilinear"]
EPSILON = 1.001e-5  # epsilon of batch normalisation, to which TensorFlow raises the published 1e-5
LAST_WEIGHTS = nn.initializers.normal(0.02)  # of the last layer


class Generator(Network):
    """Latents to images in [0, 1]. Collections: params, and batch_stats with running statistics.

    Attributes:
        resolution: side of the images, a power of two >= 16.
        latent_size: length of a latent, drawn from U(-1, 1).
        ch: feature maps at half the full size; each halving of the side doubles them.
        bottom_width: side of the smallest maps; `resolution / bottom_width` must be a power of two of at least 4.
        max_multiplier: upper bound of feature maps / ch.
        statistics: statistics of batch normalisation. "batch" (published) always normalises by the batch, so an image
            depends on its neighbours. "running" normalises by running averages outside training, so an image depends on
            its latent alone.
        padding: padding of every convolution, "zero" (published) or "reflect"; see `layers.Conv`.
        upsampling: how the last layer doubles the side: by a "transposed" convolution (published), or by enlarging with
            "nearest" neighbours or "bilinear" interpolation before a convolution. The parameters' shapes are the same.
        dtype: dtype of the arithmetic; parameters, statistics and images are float32.
    """

    smallest: ClassVar[int] = 16
    latent_size: Count = 100
    ch: Count = 64
    bottom_width: Count = 4
    max_multiplier: Count = 16
    statistics: Statistics = "batch"
    padding: Padding = "zero"
    upsampling: Upsampling = "transposed"
    dtype: Any = jnp.float32

    @nn.nowrap
    def check(self) -> None:
        """Raises `UserError` unless at least two doublings lead from the bottom width to the resolution."""
        check_bottom_width(self.bottom_width, self.resolution, doublings=2)

    @nn.nowrap
    def normalizes_by_batch(self) -> bool:
        """Whether the trained network still normalises by the batch, as published."""
        return self.statistics == "batch"

    @nn.compact
    def __call__(self, latents: Float[Array, "n d"], train: bool = False) -> Float[Array, "n h w 3"]:
        """Return images; `train` normalises by the batch and updates the running statistics where they are mutable."""
        blocks = int(math.log2(self.resolution // self.bottom_width)) - 1  # g_h5 makes the last doubling
        first, *widths = [self.ch * min(self.max_multiplier, 2 ** (blocks - i)) for i in range(blocks + 1)]
        x = Dense(
            (self.bottom_width, self.bottom_width, first), nn.initializers.normal(0.01), self.dtype, name="g_h0_lin"
        )(latents)
        for i, width in enumerate(widths, start=1):
            x = _UpBlock(width, self.statistics, self.padding, self.dtype, name=f"g_res{i}")(x, train)
        norm = BatchNorm(statistics=self.statistics, epsilon=EPSILON, dtype=self.dtype, name="g_h4")
        x = jax.nn.relu(norm(x, None, train))
        x = self._last(x)
        return jax.nn.sigmoid(x.astype(jnp.float32))

    def _last(self, x: Float[Array, "n h w i"]) -> Float[Array, "n H W 3"]:
        if self.upsampling == "transposed":
            return _TransposedConv(3, self.padding, self.dtype, name="g_h5")(x)
        n, h, w, i = x.shape
        x = upsample(x) if self.upsampling == "nearest" else jax.image.resize(x, (n, 2 * h, 2 * w, i), "bilinear")
        return Conv(3, 5, LAST_WEIGHTS, padding=self.padding, dtype=self.dtype, name="g_h5")(x)


class _UpBlock(nn.Module):
    features: int
    statistics: Statistics
    padding: Padding
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "n h w i"], train: bool) -> Float[Array, "n H W o"]:
        norm: dict[str, Any] = {"statistics": self.statistics, "epsilon": EPSILON, "dtype": self.dtype}
        conv: dict[str, Any] = {"kernel_init": glorot(ROOT2), "padding": self.padding, "dtype": self.dtype}
        y = jax.nn.relu(BatchNorm(**norm, name="BN1")(x, None, train))
        y = Conv(self.features, use_bias=False, **conv, name="Conv1")(upsample(y))  # BN2 would subtract a bias
        y = jax.nn.relu(BatchNorm(**norm, name="BN2")(y, None, train))
        y = Conv(self.features, **conv, name="Conv2")(y)
        # A 1x1 convolution commutes with nearest-neighbour upsampling and is four times cheaper before it.
        return y + upsample(Conv(self.features, 1, dtype=self.dtype, name="Shortcut")(x))


class _TransposedConv(nn.Module):
    """A 5x5 transposed convolution of stride 2."""

    features: int
    padding: Padding
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n H W o"]:
        weight = self.param("weight", LAST_WEIGHTS, (5, 5, x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x, pads = x.astype(self.dtype), (3, 2)  # the published "SAME" alignment
        if self.padding == "reflect":
            x, pads = reflect_pad(x, 1), (1, 0)  # one padded pixel becomes two
        y = upconvolve(x, weight, pads)
        return y + by_channel(bias.astype(self.dtype), y)
