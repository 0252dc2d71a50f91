"""Logistic regression on local statistics as a network: `ganfp_jax.baselines.local` in JAX."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from ganfp_jax.data import triples
from ganfp_jax.data.values import YCBCR
from ganfp_jax.models.regression import LOG_FLOOR, PixelRegression, dct_basis

BLOCK = 16  # pixels, as in `ganfp_jax.baselines.local`


class BlockSpectrumRegression(PixelRegression):
    """Logistic regression on mean and standard deviation of the log spectra of the blocks of Y, Cb and Cr."""

    def features(self, x: Float[Array, "n h w 3"]) -> Float[Array, "n f"]:
        """The statistics of all blocks."""
        return _of_blocks(x)

    @nn.nowrap
    def num_features(self) -> int:
        """The number of statistics."""
        return 6 * min(BLOCK, self.resolution) ** 2


class CooccurrenceRegression(PixelRegression):
    """Logistic regression on how often each triple of differences of Y occurs; no gradient passes its counts."""

    def features(self, x: Float[Array, "n h w 3"]) -> Float[Array, "n f"]:
        """The square roots of the shares of the triples."""
        return _of_triples(x)

    @nn.nowrap
    def num_features(self) -> int:
        """The number of bins."""
        return triples.KINDS * triples.BINS


class LocalRegression(PixelRegression):
    """Logistic regression on the statistics of the blocks and on those of the triples."""

    def features(self, x: Float[Array, "n h w 3"]) -> Float[Array, "n f"]:
        """Both statistics, side by side."""
        return jnp.concatenate([_of_blocks(x), _of_triples(x)], axis=1)

    @nn.nowrap
    def num_features(self) -> int:
        """The number of statistics."""
        return 6 * min(BLOCK, self.resolution) ** 2 + triples.KINDS * triples.BINS


def _of_blocks(x: Float[Array, "n h w 3"]) -> Float[Array, "n f"]:
    count, side, resolution = len(x), min(BLOCK, x.shape[1]), x.shape[1]
    channels = jnp.einsum("nhwc,kc->nkhw", (x + 1) * 127.5, jnp.array(YCBCR, x.dtype), precision="highest")
    blocks = channels.reshape(count, 3, resolution // side, side, resolution // side, side)
    basis = dct_basis(side)
    spectrum = jnp.einsum("uy,nkrycx,vx->nkrcuv", basis, blocks, basis, precision="highest")
    logs = jnp.log(jnp.abs(spectrum) + LOG_FLOOR)
    variance = logs.var(axis=(2, 3))
    spread = jnp.where(variance > 0, jnp.sqrt(jnp.where(variance > 0, variance, 1)), 0)  # with a finite gradient
    return jnp.stack([logs.mean(axis=(2, 3)), spread], axis=1).reshape(count, -1)


def _of_triples(x: Float[Array, "n h w 3"]) -> Float[Array, "n f"]:
    kinds = [codes.reshape(len(x), -1) for codes in triples.triples(triples.luma(jnp.rint((x + 1) * 127.5)))]
    places = jnp.concatenate(
        [codes.astype(jnp.int32) + kind * triples.BINS for kind, codes in enumerate(kinds)], axis=1
    )
    counts = jax.vmap(lambda row: jnp.bincount(row, length=triples.KINDS * triples.BINS))(places)
    totals = np.array([max(1, codes.shape[1]) for codes in kinds], np.float32).repeat(triples.BINS)
    return jnp.sqrt(counts / totals[None])
