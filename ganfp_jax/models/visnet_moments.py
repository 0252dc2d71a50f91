"""An attribution network that sees local statistics: VisNet's idea with fixed high-pass filters and pooled moments.

What an upscaler or restorer leaves is a matter of a few neighbouring pixels and is spread over the whole picture. So
nothing here says where something is. Two branches look at an image of any size, and of each only the mean and the
standard deviation over the image are kept:

- 3x3 convolutions on the residuals of fixed high-pass filters, whose scale does not depend on the content. The first
  two stay at full size, since the traces of the finest pixels would not survive a halving. Every stage is pooled.
- the logarithm of the DCT of 16x16 blocks, as it is (a linear model on it is a strong baseline) and after a layer that
  sees a block's frequencies together.

The last layers are those of `models.visnet`: the pooled moments become an image fingerprint, whose inner products with
the model fingerprints are the logits.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from ganfp_jax.models.layers import convolve, leaky_relu
from ganfp_jax.models.network import Count, Network
from ganfp_jax.models.normalization import BatchNorm
from ganfp_jax.models.regression import LOG_FLOOR, dct_basis
from ganfp_jax.models.spectrum import to_ycc
from ganfp_jax.models.visnet import Level
from ganfp_jax.run.errors import UserError

BLOCK = 16  # pixels, the side of a block of the DCT
STRIDE = 8  # pixels from one block to the next
DEVIATION_FLOOR = 1e-4  # added to variances, since the square root has no slope at 0


class MomentsClassifier(Network):
    """Images in [-1, 1] to logits, one per source. The images may have any size of at least 16x16.

    Attributes:
        resolution: side of the images of the training; it bounds nothing.
        num_classes: number of sources K.
        fmaps: feature maps of the first stage; each of the following stages has twice as many.
        num_stages: pairs of 3x3 convolutions; the maps are halved between two stages. 0 leaves the branch out.
        block_features: features of the layer that sees a block's DCT; 0 leaves that branch out.
        num_features: length of a fingerprint.
        dtype: dtype of the convolutions; parameters, moments, features and logits are float32.
    """

    smallest: ClassVar[int] = BLOCK
    num_classes: int
    fmaps: Count = 24
    num_stages: int = 3
    block_features: int = 192
    num_features: Count = 512
    dtype: Any = jnp.float32

    @nn.nowrap
    def check(self) -> None:
        """Raises `UserError` without any branch."""
        if min(self.num_stages, self.block_features) < 0 or not (self.num_stages or self.block_features):
            raise UserError("num_stages and block_features are 0; give 1 or more for one of them")

    def __call__(self, images: Float[Array, "n h w 3"], train: bool = False) -> Float[Array, "n k"]:
        """Return logits; `train` normalises by the batch and stores its statistics where they are mutable."""
        return self.fingerprints_and_logits(images, train)[1]

    @nn.compact
    def fingerprints_and_logits(
        self, images: Float[Array, "n h w 3"], train: bool = False
    ) -> tuple[Float[Array, "n f"], Float[Array, "n k"]]:
        """Return image fingerprints (N, F) and logits (N, K) from one pass."""
        ycc = to_ycc(images)
        pooled = []
        if self.num_stages:
            pooled.append(Residuals(self.fmaps, self.num_stages, self.dtype, name="Residuals")(ycc))
        if self.block_features:
            pooled.append(Blocks(self.block_features, name="Blocks")(ycc, train))
        x = _normalized(jnp.concatenate(pooled, axis=-1), train, "Norm")
        features = leaky_relu(nn.Dense(self.num_features, name="Dense1")(x))
        return features, nn.Dense(self.num_classes, name="Dense2")(features)

    @nn.nowrap
    def model_fingerprints(self, params: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return (W, b): the model fingerprints W (F, K), one column per source, and the biases b (K,)."""
        return params["Dense2"]["kernel"], params["Dense2"]["bias"]


class Residuals(nn.Module):
    """VisNet's levels on high-pass residuals; the moments of every level's maps."""

    fmaps: int
    num_stages: int
    dtype: Any

    @nn.compact
    def __call__(self, ycc: Float[Array, "n h w 3"]) -> Float[Array, "n f"]:
        """Return the means and deviations of the maps of all stages."""
        x = high_pass(ycc).astype(self.dtype)  # differences of a grey level would not survive bfloat16
        pooled = []
        for stage in range(self.num_stages):
            x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]  # the levels halve
            x = Level(self.fmaps << stage, self.fmaps << stage, self.dtype, name=f"Stage{stage}")(x)
            pooled.append(moments(x))
        return jnp.concatenate(pooled, axis=-1)


class Blocks(nn.Module):
    """The moments of the log-DCT of all blocks, and of features of each block."""

    features: int

    @nn.compact
    def __call__(self, ycc: Float[Array, "n h w 3"], train: bool) -> Float[Array, "n f"]:
        """Return the means and deviations."""
        spectra = block_log_dct(ycc)  # (N, R, C, 768)
        x = BatchNorm(name="Norm")(spectra, None, train)
        x = leaky_relu(nn.Dense(self.features, name="Dense")(x))
        return jnp.concatenate([moments(spectra), moments(x)], axis=-1)


def high_pass(ycc: Float[Array, "n h w 3"]) -> Float[Array, "n h w 24"]:
    """The residuals of eight fixed filters, on each channel: first to third differences and two of steganalysis.

    A residual r in grey levels becomes r / (1 + |r| / 4): traces are of a few levels, edges of a hundred.

    Source: the linear filters of Fridrich and Kodovsky, "Rich Models for Steganalysis of Digital Images" (2012).
    """
    residuals = convolve(ycc, jnp.asarray(filters()), "REFLECT")
    return residuals / (1 + jnp.abs(residuals) / 4)


def filters() -> Float[np.ndarray, "5 5 3 24"]:
    """Kernels (5, 5, I, O); output 8 d + f is filter f on channel d."""
    first, second = [1.0, -1.0], [0.5, -1.0, 0.5]
    square = np.array([[-1, 2, -1], [2, -4, 2], [-1, 2, -1]]) / 4
    large = np.array(
        [[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2], [-1, 2, -2, 2, -1]]
    )
    kernels = np.zeros((8, 5, 5))
    kernels[0, 2, 2:4], kernels[1, 2:4, 2] = first, first
    kernels[2, 2, 1:4], kernels[3, 1:4, 2] = second, second
    kernels[4, [1, 2, 3], [1, 2, 3]] = kernels[5, [3, 2, 1], [1, 2, 3]] = second
    kernels[6, 1:4, 1:4], kernels[7] = square, large / 12
    weights = np.zeros((5, 5, 3, 24), np.float32)
    for channel in range(3):
        weights[:, :, channel, 8 * channel : 8 * channel + 8] = kernels.transpose(1, 2, 0)
    return weights


def block_log_dct(ycc: Float[Array, "n h w 3"]) -> Float[Array, "n r c 768"]:
    """log(|DCT-II| + floor), orthonormal, of blocks of 16x16 pixels that begin every 8 pixels."""
    basis = dct_basis(BLOCK)
    blocks = _windows(_windows(ycc, 1), 3)  # (N, R, 16, C, 16, 3)
    spectra = jnp.einsum("uh,nrhcwd,vw->nrcuvd", basis, blocks, basis)
    return jnp.log(jnp.abs(spectra) + LOG_FLOOR).reshape(*spectra.shape[:3], -1)


def _windows(x: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """Split an axis into windows of 16 that begin every 8: (..., H, ...) -> (..., R, 16, ...)."""
    count = (x.shape[axis] - BLOCK) // STRIDE + 1
    index = STRIDE * np.arange(count)[:, None] + np.arange(BLOCK)
    return jnp.take(x, index, axis=axis)


def moments(x: Float[Array, "n h w c"]) -> Float[Array, "n c_times_2"]:
    """The mean and the standard deviation of each map."""
    x = x.astype(jnp.float32)
    mean = x.mean((1, 2))
    return jnp.concatenate([mean, jnp.sqrt(x.var((1, 2)) + DEVIATION_FLOOR)], axis=-1)


def _normalized(x: Float[Array, "n f"], train: bool, name: str) -> Float[Array, "n f"]:
    return BatchNorm(name=name)(x[:, None, None], None, train)[:, 0, 0]
