"""What an attribution network sees of an image's frequencies: a layer on the logarithm of its DCT.

Upsampling leaves its traces at fixed frequencies, and a linear model on the log-DCT of whole images is hard to beat
(`ganfp_jax.baselines.linear`). The spectrum here is that of Y, Cb and Cr, and the same for an image that is turned by
quarters or mirrored: those change signs of the DCT or exchange its axes, and a frequency is averaged with the one
across the diagonal.
"""

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from ganfp_jax.data.values import YCBCR
from ganfp_jax.models.layers import EqualizedDense, leaky_relu
from ganfp_jax.models.normalization import BatchNorm
from ganfp_jax.models.regression import LOG_FLOOR, dct_basis

MOST_FREQUENCIES = 1024  # on an axis; the layer's weights grow with their square


class Spectrum(nn.Module):
    """A dense layer on the normalised log-DCT of an image; all arithmetic is float32.

    Attributes:
        features: number of outputs.
    """

    features: int

    @nn.compact
    def __call__(self, images: Float[Array, "n r r 3"], train: bool) -> Float[Array, "n f"]:
        """Images in [-1, 1] to features; `train` normalises by the batch and updates the stored statistics."""
        x = BatchNorm(name="Norm")(log_spectrum(images)[:, None, None], None, train)[:, 0, 0]
        return leaky_relu(EqualizedDense((self.features,), name="Dense")(x))


def log_spectrum(images: Float[Array, "n r r 3"]) -> Float[Array, "n s"]:
    """log(|DCT-II| + floor) of the grey levels of Y, Cb and Cr, which no quarter turn and no mirroring changes.

    Returns:
        S = 3 R (R + 1) / 2 numbers an image: those of Y first, by `frequencies`.
    """
    basis = dct_basis(images.shape[1])
    spectra = jnp.abs(jnp.einsum("uh,nhwc,vw->ncuv", basis, to_ycc(images), basis, precision="highest"))
    spectra = (spectra + spectra.swapaxes(2, 3)) / 2
    logs = jnp.log(spectra + LOG_FLOOR).reshape(*spectra.shape[:2], -1)  # (N, 3, R R)
    return logs[..., frequencies(images.shape[1])].reshape(logs.shape[0], -1)


def frequencies(side: int) -> np.ndarray:
    """The places u R + v of the frequencies (u, v), u <= v, in an R x R spectrum with flat axes."""
    rows, columns = np.triu_indices(side)
    return rows * side + columns


def to_ycc(images: Float[Array, "n h w 3"]) -> Float[Array, "n h w 3"]:
    """Convert from [-1, 1] to Y, Cb and Cr in grey levels, without their offsets."""
    return jnp.einsum("nhwc,dc->nhwd", images, 127.5 * jnp.array(YCBCR, jnp.float32), precision="highest")
