"""Normalisation of weights and activations: spectral norm and batch norm, with their stored statistics."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from ganfp_jax.models.layers import by_channel, convolve, glorot

Statistics = Literal["batch", "running"]


def spectral_normalize(
    matrix: Float[Array, "i o"], u: Float[Array, " o"]
) -> tuple[Float[Array, "i o"], Float[Array, " o"]]:
    """Divide a weight matrix by its largest singular value, estimated by one power iteration (Miyato et al. 2018).

    Args:
        matrix: the weights, with the output axis last.
        u: the stored estimate of the singular vector on the output side.

    Returns:
        The divided matrix and the new `u`. Gradients flow through the divisor; to them `u` is a constant.
    """
    constant = jax.lax.stop_gradient(matrix)
    v = _unit(constant @ u)
    u = _unit(v @ constant)
    return matrix / (v @ matrix @ u), u


def _unit(x: Float[Array, " n"]) -> Float[Array, " n"]:
    return x / (jnp.linalg.norm(x) + 1e-12)


class _Spectral(nn.Module):
    """The base of spectrally normalised layers: it keeps the estimate `u` in the collection "spectral_stats"."""

    def normalize(self, matrix: Float[Array, "i o"], train: bool) -> Float[Array, "i o"]:
        u = self.variable(
            "spectral_stats",
            "u",
            lambda: jax.random.normal(self.make_rng("params"), (matrix.shape[1],)),
        )
        normalized, new_u = spectral_normalize(matrix, u.value)
        if train and not self.is_initializing() and self.is_mutable_collection("spectral_stats"):
            u.value = new_u
        return normalized


class SpectralConv(_Spectral):
    """Spectrally normalised convolution with zero padding; the attributes are those of `Conv`.

    The weights start as Glorot-uniform times `scale`.
    """

    features: int
    kernel_size: int = 3
    scale: float = 1.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], train: bool) -> Float[Array, "n h w o"]:
        """Convolve and add the bias; `train` stores the new `u` where its collection is mutable."""
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        weight = self.param("weight", glorot(self.scale), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        weight = self.normalize(weight.reshape(-1, self.features), train).reshape(shape)
        return convolve(x.astype(self.dtype), weight, "SAME", bias=bias)


class SpectralDense(_Spectral):
    """Spectrally normalised dense layer in float32; its weights start as Glorot-uniform."""

    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "n i"], train: bool) -> Float[Array, "n o"]:
        """Multiply and add the bias; `train` as in `SpectralConv`."""
        weight = self.param("weight", glorot(), (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        y = x.astype(jnp.float32) @ self.normalize(weight, train)
        return y + by_channel(bias, y)


class SpectralEmbed(_Spectral):
    """Spectrally normalised float32 table (num_classes, features), one vector per class; it starts Glorot-uniform."""

    num_classes: int
    features: int

    @nn.compact
    def __call__(self, labels: Int[Array, " n"], train: bool) -> Float[Array, "n c"]:
        """Look up the vectors of the classes; `train` as in `SpectralConv`."""
        weight = self.param("weight", glorot(), (self.num_classes, self.features))
        return self.normalize(weight.T, train).T[labels]  # the published u has one value per class


class BatchNorm(nn.Module):
    """Batch normalisation over batch, height and width, with one scale and offset per class if there are classes.

    Training uses the batch's mean and biased variance. The stored statistics are `mean` and the unbiased `var` in the
    collection "batch_stats"; they are updated where it is mutable.

    Attributes:
        num_classes: 0 for plain batch normalisation, else scale and offset have the shape (num_classes, C).
        statistics: "running" uses the stored statistics outside training. "batch" always uses the batch's and stores
            none, so that every output depends on its neighbours in the batch.
        decay: share of the old statistics that an update keeps (Chainer's default).
        epsilon: constant added to the variance (Chainer's default).
        dtype: dtype of the result; statistics and arithmetic are float32.
    """

    num_classes: int = 0
    statistics: Statistics = "running"
    decay: float = 0.9
    epsilon: float = 2e-5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], labels: Int[Array, " n"] | None, train: bool
    ) -> Float[Array, "n h w c"]:
        """Normalise, then scale and shift (by class, if there are classes)."""
        channels = x.shape[-1]
        shape = (self.num_classes, channels) if self.num_classes else (channels,)
        scale = self.param("scale", nn.initializers.ones, shape)
        offset = self.param("offset", nn.initializers.zeros, shape)
        if self.num_classes:
            scale, offset = scale[labels][:, None, None, :], offset[labels][:, None, None, :]  # (N, 1, 1, C)
        else:
            scale, offset = by_channel(scale, x), by_channel(offset, x)
        x = x.astype(jnp.float32)
        if self.statistics == "running":
            mean, var = self._running(x, train)
        else:
            mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        y = (x - by_channel(mean, x)) * by_channel(jax.lax.rsqrt(var + self.epsilon), x) * scale + offset
        return y.astype(self.dtype)

    def _running(self, x: Float[Array, "n h w c"], train: bool) -> tuple[Float[Array, " c"], Float[Array, " c"]]:
        """The stored mean and variance; in training the batch's, which also update the stored ones."""
        channels = x.shape[-1]
        # Chainer starts the running variance of the class-conditional layer at 0 and of the plain one at 1.
        first_var = jnp.zeros if self.num_classes else jnp.ones
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,))
        running_var = self.variable("batch_stats", "var", first_var, (channels,))
        if not train:
            return running_mean.value, running_var.value
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        if not self.is_initializing() and self.is_mutable_collection("batch_stats"):
            count = x.size // channels
            unbiased = var * (count / max(count - 1, 1))
            running_mean.value = self.decay * running_mean.value + (1 - self.decay) * mean
            running_var.value = self.decay * running_var.value + (1 - self.decay) * unbiased
        return mean, var
