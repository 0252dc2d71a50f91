"""The Inception-v3 of the Frechet Inception Distance (Heusel et al. 2017): images to 2,048 features.

The network is the TensorFlow graph of December 2015, with the structure and names of its PyTorch port pytorch-fid. It
differs from the usual Inception-v3 in two ways: average pooling leaves padding out of the mean, and the last block uses
max pooling. It is for inference only; `ganfp_jax.metrics.inception` reads the weights.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, UInt8

from ganfp_jax.models.layers import by_channel, convolve

SIDE = 299  # pixels
FEATURES = 2048

# A convolution within a block: suffix of its name, output channels, height and width of the kernel.
ConvSpec = tuple[str, int, int, int]


class Inception(nn.Module):
    """Images to the spatial means of the last feature maps ("pool_3"). Collections: params, batch_stats."""

    @nn.compact
    def __call__(self, images: UInt8[Array, "n h w 3"]) -> Float[Array, "n 2048"]:
        """Return the non-negative features of images of any size, 0 to 255."""
        x = _resize(images.astype(jnp.float32) / 255) * 2 - 1  # (N, 299, 299, 3)
        x = _ConvNorm(32, (3, 3), 2, "VALID", name="Conv2d_1a_3x3")(x)
        x = _ConvNorm(32, (3, 3), 1, "VALID", name="Conv2d_2a_3x3")(x)
        x = _max_pool(_ConvNorm(64, (3, 3), name="Conv2d_2b_3x3")(x))  # (N, 73, 73, 64)
        x = _ConvNorm(80, (1, 1), name="Conv2d_3b_1x1")(x)
        x = _max_pool(_ConvNorm(192, (3, 3), 1, "VALID", name="Conv2d_4a_3x3")(x))  # (N, 35, 35, 192)
        x = _Block35(32, name="Mixed_5b")(x)
        x = _Block35(64, name="Mixed_5c")(x)
        x = _Block35(64, name="Mixed_5d")(x)
        x = _Reduce17(name="Mixed_6a")(x)  # (N, 17, 17, 768)
        x = _Block17(128, name="Mixed_6b")(x)
        x = _Block17(160, name="Mixed_6c")(x)
        x = _Block17(160, name="Mixed_6d")(x)
        x = _Block17(192, name="Mixed_6e")(x)
        x = _Reduce8(name="Mixed_7a")(x)  # (N, 8, 8, 1280)
        x = _Block8(pool="mean", name="Mixed_7b")(x)
        x = _Block8(pool="max", name="Mixed_7c")(x)  # (N, 8, 8, 2048)
        return x.mean((1, 2))


def _resize(x: Float[Array, "n h w 3"]) -> Float[Array, "n 299 299 3"]:
    """Resize bilinearly between pixel centres, without antialiasing, as pytorch-fid does and the 2015 graph not."""
    return jax.image.resize(x, (len(x), SIDE, SIDE, 3), "bilinear", antialias=False)


def _max_pool(x: Float[Array, "n h w c"]) -> Float[Array, "n H W c"]:
    return nn.max_pool(x, (3, 3), (2, 2))


def _mean_pool(x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    return nn.avg_pool(x, (3, 3), (1, 1), "SAME", count_include_pad=False)


class _ConvNorm(nn.Module):
    """A convolution without bias, batch norm with the stored statistics, and a ReLU."""

    features: int
    kernel_size: tuple[int, int]
    stride: int = 1
    padding: str = "SAME"

    epsilon = 1e-3

    @nn.compact
    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n H W o"]:
        shape = (self.features,)
        weight = self.param("weight", nn.initializers.he_normal(), (*self.kernel_size, x.shape[-1], self.features))
        scale = self.param("scale", nn.initializers.ones, shape)
        offset = self.param("offset", nn.initializers.zeros, shape)
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape).value
        var = self.variable("batch_stats", "var", jnp.ones, shape).value
        y = convolve(x, weight, "SAME" if self.padding == "SAME" else "VALID", stride=self.stride)
        gain = jax.lax.rsqrt(var + self.epsilon) * scale
        return jax.nn.relu((y - by_channel(mean, y)) * by_channel(gain, y) + by_channel(offset, y))


class _Branches(nn.Module):
    """The base of the blocks: chains of convolutions with the published names."""

    def chain(self, x: Float[Array, "n h w i"], branch: str, *convs: ConvSpec) -> Float[Array, "n h w o"]:
        for suffix, features, height, width in convs:
            x = _ConvNorm(features, (height, width), name=branch + suffix)(x)
        return x

    def halve(self, x: Float[Array, "n h w i"], name: str, features: int) -> Float[Array, "n H W o"]:
        return _ConvNorm(features, (3, 3), 2, "VALID", name=name)(x)


class _Block35(_Branches):
    pool_features: int

    @nn.compact
    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h w o"]:
        branches = [
            self.chain(x, "branch1x1", ("", 64, 1, 1)),
            self.chain(x, "branch5x5", ("_1", 48, 1, 1), ("_2", 64, 5, 5)),
            self.chain(x, "branch3x3dbl", ("_1", 64, 1, 1), ("_2", 96, 3, 3), ("_3", 96, 3, 3)),
            self.chain(_mean_pool(x), "branch_pool", ("", self.pool_features, 1, 1)),
        ]
        return jnp.concatenate(branches, axis=-1)


class _Reduce17(_Branches):
    @nn.compact
    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n H W o"]:
        double = self.chain(x, "branch3x3dbl", ("_1", 64, 1, 1), ("_2", 96, 3, 3))
        branches = [self.halve(x, "branch3x3", 384), self.halve(double, "branch3x3dbl_3", 96), _max_pool(x)]
        return jnp.concatenate(branches, axis=-1)


class _Block17(_Branches):
    narrow: int

    @nn.compact
    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h w o"]:
        c = self.narrow
        double = (("_1", c, 1, 1), ("_2", c, 7, 1), ("_3", c, 1, 7), ("_4", c, 7, 1), ("_5", 192, 1, 7))
        branches = [
            self.chain(x, "branch1x1", ("", 192, 1, 1)),
            self.chain(x, "branch7x7", ("_1", c, 1, 1), ("_2", c, 1, 7), ("_3", 192, 7, 1)),
            self.chain(x, "branch7x7dbl", *double),
            self.chain(_mean_pool(x), "branch_pool", ("", 192, 1, 1)),
        ]
        return jnp.concatenate(branches, axis=-1)


class _Reduce8(_Branches):
    @nn.compact
    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n H W o"]:
        three = self.chain(x, "branch3x3", ("_1", 192, 1, 1))
        seven = self.chain(x, "branch7x7x3", ("_1", 192, 1, 1), ("_2", 192, 1, 7), ("_3", 192, 7, 1))
        branches = [self.halve(three, "branch3x3_2", 320), self.halve(seven, "branch7x7x3_4", 192), _max_pool(x)]
        return jnp.concatenate(branches, axis=-1)


class _Block8(_Branches):
    pool: str

    @nn.compact
    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h w o"]:
        three = self.chain(x, "branch3x3", ("_1", 384, 1, 1))
        double = self.chain(x, "branch3x3dbl", ("_1", 448, 1, 1), ("_2", 384, 3, 3))
        pooled = _mean_pool(x) if self.pool == "mean" else nn.max_pool(x, (3, 3), (1, 1), "SAME")
        branches = [
            self.chain(x, "branch1x1", ("", 320, 1, 1)),
            self.chain(three, "branch3x3", ("_2a", 384, 1, 3)),
            self.chain(three, "branch3x3", ("_2b", 384, 3, 1)),
            self.chain(double, "branch3x3dbl", ("_3a", 384, 1, 3)),
            self.chain(double, "branch3x3dbl", ("_3b", 384, 3, 1)),
            self.chain(pooled, "branch_pool", ("", 192, 1, 1)),
        ]
        return jnp.concatenate(branches, axis=-1)
