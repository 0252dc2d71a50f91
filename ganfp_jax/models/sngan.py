"""SNGAN: residual generator with batch norm, residual critic with spectral norm (Miyato et al. 2018, arXiv 1802.05957).

The published networks are for 128x128 images; other sizes have fewer or more blocks. Parameters have the published
links' names (`block2`, `c_sc`, `l7`, ...), which count the blocks.
"""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from ganfp_jax.models.layers import ROOT2, Conv, Dense, Padding, box_downsample, glorot, upsample
from ganfp_jax.models.network import Count, Network, check_bottom_width
from ganfp_jax.models.normalization import BatchNorm, SpectralConv, SpectralDense, SpectralEmbed


class Generator(Network):
    """Latents to images in [-1, 1]. Collections: params, batch_stats.

    Attributes:
        resolution: side of the images, a power of two >= 16.
        latent_size: length of a latent, drawn from N(0, I).
        ch: feature maps at the full size; each halving of the side doubles them.
        bottom_width: side of the smallest maps; `resolution / bottom_width` must be a power of two.
        num_classes: 0 for plain batch norm, else batch norm with scale and offset per class.
        max_multiplier: upper bound of feature maps / ch.
        padding: padding of every convolution, "zero" (published) or "reflect"; see `layers.Conv`.
        dtype: dtype of the arithmetic; parameters, statistics and images are float32.
    """

    smallest: ClassVar[int] = 16
    latent_size: Count = 128
    ch: Count = 64
    bottom_width: Count = 4
    num_classes: int = 1
    max_multiplier: Count = 16
    padding: Padding = "zero"
    dtype: Any = jnp.float32

    @nn.nowrap
    def check(self) -> None:
        """Raises `UserError` unless doublings lead from the bottom width to the resolution."""
        check_bottom_width(self.bottom_width, self.resolution, doublings=1)

    @nn.compact
    def __call__(
        self, latents: Float[Array, "n d"], labels: Int[Array, " n"] | None = None, train: bool = False
    ) -> Float[Array, "n h w 3"]:
        """Return images; `train` normalises by the batch and updates the running statistics where they are mutable.

        Raises:
            ValueError: there are several classes but no labels.
        """
        if labels is None and self.num_classes > 1 and not self.is_initializing():
            raise ValueError(f"a generator with {self.num_classes} classes needs labels")
        if labels is None:
            labels = jnp.zeros(len(latents), jnp.int32)
        blocks = int(math.log2(self.resolution // self.bottom_width))
        widths = [self.ch * min(self.max_multiplier, 2 ** (blocks - 1 - i)) for i in range(blocks)]
        x = Dense((self.bottom_width, self.bottom_width, widths[0]), dtype=self.dtype, name="l1")(latents)
        for i, width in enumerate(widths):
            x = _UpBlock(width, self.num_classes, self.padding, self.dtype, name=f"block{i + 2}")(x, labels, train)
        x = BatchNorm(dtype=self.dtype, name=f"b{blocks + 2}")(x, None, train)
        x = Conv(3, padding=self.padding, dtype=self.dtype, name=f"l{blocks + 2}")(jax.nn.relu(x))
        return jnp.tanh(x.astype(jnp.float32))


class _UpBlock(nn.Module):
    features: int
    num_classes: int
    padding: Padding
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "n h w i"], labels: Int[Array, " n"], train: bool) -> Float[Array, "n H W o"]:
        conv = {"kernel_init": glorot(ROOT2), "padding": self.padding, "dtype": self.dtype}
        y = jax.nn.relu(BatchNorm(self.num_classes, dtype=self.dtype, name="b1")(x, labels, train))
        y = Conv(self.features, **conv, name="c1")(upsample(y))
        y = jax.nn.relu(BatchNorm(self.num_classes, dtype=self.dtype, name="b2")(y, labels, train))
        y = Conv(self.features, **conv, name="c2")(y)
        # A 1x1 convolution commutes with nearest-neighbour upsampling and is four times cheaper before it.
        return y + upsample(Conv(self.features, 1, dtype=self.dtype, name="c_sc")(x))


class Discriminator(Network):
    """Images in [-1, 1] to one unbounded score each. Collections: params, spectral_stats.

    Every call divides each weight by its largest singular value, which one power iteration estimates from the stored
    vectors `spectral_stats`. `train` stores the new vectors where the collection is mutable; a call without it stores
    none. (Chainer's test mode stores the vectors of dense layers but not those of convolutions.)

    Attributes:
        resolution: side of the images, a power of two >= 16.
        ch: feature maps after the first block; each halving of the side doubles them.
        bottom_width: side of the smallest maps, as in `Generator`.
        num_classes: number of class vectors, which score the labels if there are any; 0 for none.
        max_multiplier: upper bound of feature maps / ch.
        dtype: dtype of the convolutions; parameters, singular vectors and scores are float32.
    """

    smallest: ClassVar[int] = 16
    ch: Count = 64
    bottom_width: Count = 4
    num_classes: int = 1
    max_multiplier: Count = 16
    dtype: Any = jnp.float32

    @nn.nowrap
    def check(self) -> None:
        """Raises `UserError` unless doublings lead from the bottom width to the resolution."""
        check_bottom_width(self.bottom_width, self.resolution, doublings=1)

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w 3"], labels: Int[Array, " n"] | None = None, train: bool = False
    ) -> Float[Array, " n"]:
        """Score images; with labels, add the projection on the class vectors.

        Raises:
            ValueError: there are labels but no classes, or the images have another size.
        """
        if labels is not None and not self.num_classes:
            raise ValueError("labels given to a critic that has no classes")
        if images.shape[1:3] != (self.resolution, self.resolution):
            raise ValueError(f"images are {images.shape[1:3]}, the critic is for side {self.resolution}")
        downs = int(math.log2(self.resolution // self.bottom_width))
        widths = [self.ch * min(self.max_multiplier, 2**i) for i in range(downs)]
        x = _FirstDownBlock(widths[0], self.dtype, name="block1")(images, train)
        for i, width in enumerate(widths[1:], start=2):
            x = _DownBlock(width, True, self.dtype, name=f"block{i}")(x, train)
        x = _DownBlock(widths[-1], False, self.dtype, name=f"block{downs + 1}")(x, train)
        x = jax.nn.relu(x.astype(jnp.float32)).sum((1, 2))  # (N, C)
        scores = SpectralDense(1, name=f"l{downs + 2}")(x, train)[:, 0]
        if labels is None and self.num_classes and self.is_initializing():
            labels = jnp.zeros(
                len(images), jnp.int32
            )  # the published critic has class vectors even where it is given no labels
        if labels is not None:
            scores += (SpectralEmbed(self.num_classes, widths[-1], name="l_y")(labels, train) * x).sum(-1)
        return scores


class _FirstDownBlock(nn.Module):
    features: int
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "n h w i"], train: bool) -> Float[Array, "n H W o"]:
        y = SpectralConv(self.features, scale=ROOT2, dtype=self.dtype, name="c1")(x, train)
        y = SpectralConv(self.features, scale=ROOT2, dtype=self.dtype, name="c2")(jax.nn.relu(y), train)
        shortcut = SpectralConv(self.features, 1, dtype=self.dtype, name="c_sc")(box_downsample(x), train)
        return box_downsample(y) + shortcut


class _DownBlock(nn.Module):
    features: int
    down: bool
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "n h w i"], train: bool) -> Float[Array, "n H W o"]:
        hidden = x.shape[-1]
        y = SpectralConv(hidden, scale=ROOT2, dtype=self.dtype, name="c1")(jax.nn.relu(x), train)
        y = SpectralConv(self.features, scale=ROOT2, dtype=self.dtype, name="c2")(jax.nn.relu(y), train)
        if not self.down:
            return y + x
        # Averaging commutes with the 1x1 convolution, which is four times cheaper after it.
        return box_downsample(y) + SpectralConv(self.features, 1, dtype=self.dtype, name="c_sc")(
            box_downsample(x), train
        )
