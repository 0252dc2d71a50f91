"""The image-sized fingerprint network: which trace did its source leave in each pixel? (Yu, Davis, Fritz 2019.)

An autoencoder learns to reconstruct images without the traces of their source. The residual, image minus
reconstruction, is the image's fingerprint. Its inner products with one fingerprint per source are the logits, without
a bias. `Discriminator` is the critic to which the reconstructions have to look real (spec section 6).
"""

import math
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from ganfp_jax.models.layers import LEAK, EqualizedConv, minibatch_stddev, upsample
from ganfp_jax.models.network import Count, Network
from ganfp_jax.models.visnet import Head, Level, count_fmaps
from ganfp_jax.run.errors import UserError


class Outputs(NamedTuple):
    """The float32 outputs of an `Autoencoder`."""

    reconstructions: Float[Array, "n r r 3"]
    """Reconstructed images in (-1, 1)."""
    fingerprints: Float[Array, "n r r 3"]
    """Images minus reconstructions, in (-2, 2)."""
    logits: Float[Array, "n k"]
    """Inner products of the image fingerprints with each source's fingerprint."""


class Autoencoder(Network):
    """Images in [-1, 1] to reconstructions, fingerprints and logits, by 3x3 convolutions with reflect padding.

    Attributes:
        resolution: side R of the images, a power of two >= 8.
        num_classes: number of sources K.
        fmap_base: overall number of feature maps; stage s has min(fmap_base / 2**(s fmap_decay), fmap_max).
        fmap_decay: how fast the number of feature maps falls with the size.
        fmap_max: upper bound of the number of feature maps.
        latent_res: side of the bottleneck, a power of two from 4 to R / 2.
        dtype: dtype of the arithmetic; parameters, outputs and inner products are float32.
    """

    smallest: ClassVar[int] = 8
    num_classes: int
    fmap_base: Count = 1024
    fmap_decay: float = 1.0
    fmap_max: Count = 512
    latent_res: int = 4
    dtype: Any = jnp.float32

    @nn.nowrap
    def check(self) -> None:
        """Raises `UserError` unless halvings lead from the resolution to the bottleneck."""
        sides = [self.resolution >> k for k in range(1, self.resolution.bit_length() - 2)]
        if self.latent_res not in sides:
            raise UserError(f"latent_res {self.latent_res} is none of {sides}")

    @nn.compact
    def __call__(self, images: Float[Array, "n h w c"]) -> Outputs:
        """Return reconstructions (N, R, R, 3), fingerprints (N, R, R, 3) and logits (N, K)."""
        _check_side(images, self.resolution, "autoencoder")
        x, side = images.astype(self.dtype), self.resolution
        while side > self.latent_res:
            x = Level(self._fmaps(side), self._fmaps(side // 2), self.dtype, name=f"E_{side}x{side}")(x)
            side //= 2
        for scope in ("E", "G"):
            x = _Convs(self._fmaps(side), False, self.dtype, name=f"{scope}_{side}x{side}")(x)
        while side < self.resolution:
            side *= 2
            last = side == self.resolution
            x = _Convs(self._fmaps(side), last, self.dtype, name=f"G_{side}x{side}")(upsample(x))
        reconstructions = jnp.tanh(x.astype(jnp.float32))
        fingerprints = images - reconstructions
        logits = _InnerProducts(self.num_classes, name="Conv_fingerprints")(fingerprints)
        return Outputs(reconstructions, fingerprints, logits)

    def features(self, images: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        """Return image fingerprints (N, R, R, 3): images minus reconstructions."""
        return self(images).fingerprints

    def fingerprints_and_logits(
        self, images: Float[Array, "n h w c"]
    ) -> tuple[Float[Array, "n h w c"], Float[Array, "n k"]]:
        """Return image fingerprints (N, R, R, 3) and logits (N, K)."""
        outputs = self(images)
        return outputs.fingerprints, outputs.logits

    @nn.nowrap
    def model_fingerprints(self, params: dict[str, Any]) -> tuple[Any, Any]:
        """Return the model fingerprints, (R, R, 3, K), and the bias, K zeros.

        Logit k is the inner product of an image's fingerprint and source k's, plus bias k. The published pictures of
        model fingerprints show the stored weights, which lack the factor 1 / sqrt(3 R^2).

        Args:
            params: this network's parameters as JAX or NumPy arrays.
        """
        weight = params["Conv_fingerprints"]["weight"]
        return weight * _scale(weight.shape), np.zeros(weight.shape[-1], np.float32)

    def _fmaps(self, side: int) -> int:
        return count_fmaps(side, self.fmap_base, self.fmap_decay, self.fmap_max)


class _Convs(nn.Module):
    features: int
    to_rgb: bool
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h w o"]:
        for name in ("Conv0", "Conv1"):
            x = EqualizedConv(self.features, padding="reflect", negative_slope=LEAK, dtype=self.dtype, name=name)(x)
        if self.to_rgb:
            x = EqualizedConv(3, padding="reflect", dtype=self.dtype, name="Conv_toRGB")(x)
        return x


class _InnerProducts(nn.Module):
    """A convolution without bias, whose kernels have the size of the images and so one position."""

    num_classes: int

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n k"]:
        shape = (*x.shape[1:], self.num_classes)
        weight = self.param("weight", nn.initializers.normal(1.0), shape)
        return jnp.tensordot(x, weight * _scale(shape), 3)


def _scale(shape: tuple[int, ...]) -> float:
    """The factor of equalised learning rates at gain 1, for a kernel (R, R, 3, K)."""
    return 1 / math.sqrt(math.prod(shape[:-1]))


class Discriminator(Network):
    """Images in [-1, 1] to one unbounded score each, by the classifier's levels and a minibatch standard deviation.

    Attributes:
        resolution, fmap_base, fmap_decay, fmap_max, dtype: as in `Autoencoder`.
        minibatch_stddev_group: samples per group of the minibatch standard deviation; the batch size must be smaller
            or a multiple of it.
    """

    smallest: ClassVar[int] = 8
    fmap_base: Count = 1024
    fmap_decay: float = 1.0
    fmap_max: Count = 512
    minibatch_stddev_group: Count = 4
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: Float[Array, "n h w c"]) -> Float[Array, " n"]:
        """Return scores (N,)."""
        _check_side(images, self.resolution, "discriminator")
        x, side = images.astype(self.dtype), self.resolution
        while side > 4:
            x = Level(self._fmaps(side), self._fmaps(side // 2), self.dtype, name=f"{side}x{side}")(x)
            side //= 2
        x = minibatch_stddev(x, self.minibatch_stddev_group)
        _, scores = Head(self._fmaps(4), self._fmaps(2), 1, "dense", self.dtype, name="4x4")(x)  # (N, 1)
        return scores[:, 0]

    def _fmaps(self, side: int) -> int:
        return count_fmaps(side, self.fmap_base, self.fmap_decay, self.fmap_max)


def _check_side(images: Float[Array, "n h w c"], side: int, what: str) -> None:
    if images.shape[1:3] != (side, side):
        raise ValueError(f"images are {images.shape[1:3]}, the {what} is for side {side}")
