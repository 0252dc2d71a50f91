"""ProGAN: the progressively growing generator and critic (Karras et al. 2018, arXiv 1710.10196).

Both networks compute at the size they have grown to. `level` counts the doublings that are missing (0 is the full
size), and `fade` in [0, 1) is the share of the next smaller size that is still blended in; the published level of
detail is `lod = level + fade`. Parameters have the paths of the published variables. The parameters of all sizes exist
from the start.
"""

import math
from typing import Any, ClassVar

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, ScalarLike

from ganfp_jax.models.layers import (
    LEAK,
    ROOT2,
    EqualizedConv,
    EqualizedDense,
    Padding,
    box_downsample,
    leaky_relu,
    lerp,
    minibatch_stddev,
    pixel_norm,
    upsample,
)
from ganfp_jax.models.network import Count, Network


def num_features(side: int, fmap_base: int, fmap_decay: float, fmap_max: int) -> int:
    """Return the number of feature maps at a side of 2**(s+1): fmap_base / 2**(s * fmap_decay), from 1 to fmap_max."""
    stage = math.log2(side) - 1
    return min(max(int(fmap_base / 2.0 ** (stage * fmap_decay)), 1), fmap_max)


def enlarge(images: Float[Array, "n h w c"], level: int) -> Float[Array, "n H W c"]:
    """Enlarge to the full size by nearest neighbour, as the published generator does with smaller images."""
    return upsample(images, 2**level) if level else images


def _blends(level: int, top: int, fade: ScalarLike) -> bool:
    """Whether the next smaller size is blended in; a Python 0 as `fade` excludes it at trace time."""
    if not 0 <= level <= top:
        raise ValueError(f"level {level} is not in 0..{top}")
    return level < top and not (isinstance(fade, int | float) and fade == 0)


class Generator(Network):
    """Latents to images; the output is linear, and its nominal range is [-1, 1].

    Attributes:
        resolution: side of the full-size images, a power of two >= 4.
        latent_size: length of a latent, drawn from N(0, I).
        fmap_base: overall number of feature maps; see `num_features`.
        fmap_decay: how fast the number of feature maps falls with the size.
        fmap_max: upper bound of the number of feature maps.
        num_channels: channels of the images.
        padding: padding of every convolution, "zero" (published) or "reflect"; see `layers.Conv`.
        dtype: dtype of the arithmetic; parameters and images are float32.
    """

    smallest: ClassVar[int] = 4
    latent_size: Count = 512
    fmap_base: Count = 8192
    fmap_decay: float = 1.0
    fmap_max: Count = 512
    num_channels: int = 3
    padding: Padding = "zero"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, latents: Float[Array, "n d"], level: int = 0, fade: ScalarLike = 0.0) -> Float[Array, "n h w c"]:
        """Return images of side `resolution >> level` (static); `fade` may be traced and is ignored at 4x4."""
        top = int(math.log2(self.resolution)) - 2  # the level of 4x4
        blends = _blends(level, top, fade)
        x = latents.astype(self.dtype)
        maps = {}  # level -> its feature maps
        for current in range(top, -1 if self.is_initializing() else level - 1, -1):
            side = self.resolution >> current
            features = num_features(side, self.fmap_base, self.fmap_decay, self.fmap_max)
            block = _FirstSynthesis if current == top else _Synthesis
            x = maps[current] = block(features, self.padding, self.dtype, name=f"{side}x{side}")(x)

        heads = sorted(maps) if self.is_initializing() else [level, level + 1][: 1 + blends]
        rgb = {
            head: EqualizedConv(self.num_channels, 1, 1.0, dtype=self.dtype, name=f"ToRGB_lod{head}")(maps[head])
            for head in heads
        }
        images = lerp(rgb[level], upsample(rgb[level + 1]), fade) if blends else rgb[level]
        return images.astype(jnp.float32)


class _FirstSynthesis(nn.Module):
    features: int
    padding: Padding
    dtype: Any

    @nn.compact
    def __call__(self, latents: Float[Array, "n d"]) -> Float[Array, "n 4 4 c"]:
        shape = (4, 4, self.features)
        x = EqualizedDense(shape, ROOT2 / 4, dtype=self.dtype, name="Dense")(pixel_norm(latents))
        x = pixel_norm(leaky_relu(x))
        conv = EqualizedConv(self.features, padding=self.padding, negative_slope=LEAK, dtype=self.dtype, name="Conv")
        return pixel_norm(conv(x))


class _Synthesis(nn.Module):
    features: int
    padding: Padding
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n H W o"]:
        # The published up-convolution is fused; with its kernel rotated (interop.layouts) this equals it.
        conv = EqualizedConv(
            self.features, padding=self.padding, negative_slope=LEAK, dtype=self.dtype, name="Conv0_up"
        )
        x = pixel_norm(conv(upsample(x)))
        conv = EqualizedConv(self.features, padding=self.padding, negative_slope=LEAK, dtype=self.dtype, name="Conv1")
        return pixel_norm(conv(x))


class Discriminator(Network):
    """Images in [-1, 1] to one unbounded score each.

    The published critic takes full-size images and downsamples them first. A pixel here is `4**level` equal pixels
    there, each with `4**-level` of its gradient. So the published gradient norm is the norm here divided by `2**level`,
    and a gradient penalty has to do that division.

    Attributes:
        resolution, fmap_base, fmap_decay, fmap_max, dtype: as in `Generator`.
        minibatch_stddev_group: samples per group of the minibatch standard deviation; the batch size must be smaller
            or a multiple of it.
    """

    smallest: ClassVar[int] = 4
    fmap_base: Count = 8192
    fmap_decay: float = 1.0
    fmap_max: Count = 512
    minibatch_stddev_group: Count = 4
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: Float[Array, "n h w c"], level: int = 0, fade: ScalarLike = 0.0) -> Float[Array, " n"]:
        """Score images of side `resolution >> level` (static); `fade` may be traced and is ignored at 4x4."""
        top = int(math.log2(self.resolution)) - 2  # the level of 4x4
        blends = _blends(level, top, fade)
        if images.shape[1:3] != (self.resolution >> level,) * 2:
            raise ValueError(f"images are {images.shape[1:3]}, level {level} wants side {self.resolution >> level}")
        heads = [level, level + 1][: 1 + blends]
        if self.is_initializing():  # the parameters of all sizes exist from the start
            images, level, heads = enlarge(images, level), 0, list(range(top + 1))

        rgb = {}
        for head in heads:
            features = self._features(self.resolution >> head)
            from_rgb = EqualizedConv(features, 1, dtype=self.dtype, name=f"FromRGB_lod{head}")
            rgb[head] = leaky_relu(from_rgb(box_downsample(images, 2 ** (head - level))))
        x = rgb[level]
        for current in range(level, top):
            side = self.resolution >> current
            x = _Analysis(self._features(side), self._features(side // 2), self.dtype, name=f"{side}x{side}")(x)
            if blends and current == level:
                x = lerp(x, rgb[level + 1], fade)
        x = minibatch_stddev(x, self.minibatch_stddev_group)
        return _LastAnalysis(self._features(4), self._features(2), self.dtype, name="4x4")(x)

    def _features(self, side: int) -> int:
        return num_features(side, self.fmap_base, self.fmap_decay, self.fmap_max)


class _Analysis(nn.Module):
    features: int
    out_features: int
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n H W o"]:
        x = EqualizedConv(self.features, negative_slope=LEAK, dtype=self.dtype, name="Conv0")(x)
        x = EqualizedConv(self.out_features, dtype=self.dtype, name="Conv1_down")(x)
        return leaky_relu(box_downsample(x))


class _LastAnalysis(nn.Module):
    features: int
    dense_features: int
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "n 4 4 c"]) -> Float[Array, " n"]:
        x = EqualizedConv(self.features, negative_slope=LEAK, dtype=self.dtype, name="Conv")(x)
        x = x.reshape(len(x), -1)  # (N, 16 C)
        x = leaky_relu(EqualizedDense((self.dense_features,), dtype=self.dtype, name="Dense0")(x))
        scores = EqualizedDense((1,), 1.0, dtype=self.dtype, name="Dense1")(x)
        return scores[:, 0].astype(jnp.float32)
