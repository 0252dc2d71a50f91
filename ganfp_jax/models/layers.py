"""Layers the networks share: channels last, parameters in float32, arithmetic in the layer's `dtype`."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int, ScalarLike

ROOT2 = math.sqrt(2.0)
Padding = Literal["zero", "reflect"]
Statistics = Literal["running", "batch"]


def leaky_relu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return max(0.2 x, x), the only activation of ProGAN and of the attribution network."""
    return nn.leaky_relu(x, 0.2)


def lerp(a: Float[Array, "..."], b: Float[Array, "..."], t: ScalarLike) -> Float[Array, "..."]:
    """Return a + (b - a) t in the dtype of `a`: exactly `a` at t = 0."""
    return a + (b - a) * jnp.asarray(t, a.dtype)


def upsample(x: Float[Array, "n h w c"], factor: int = 2) -> Float[Array, "n H W c"]:
    """Enlarge by nearest neighbour: every pixel becomes a block of `factor` x `factor`."""
    n, h, w, c = x.shape
    blocks = jnp.broadcast_to(x[:, :, None, :, None, :], (n, h, factor, w, factor, c))
    return blocks.reshape(n, h * factor, w * factor, c)


def box_downsample(x: Float[Array, "n h w c"], factor: int = 2) -> Float[Array, "n H W c"]:
    """Average blocks of `factor` x `factor` pixels; both sides must be multiples of `factor`."""
    n, h, w, c = x.shape
    return x.reshape(n, h // factor, factor, w // factor, factor, c).mean((2, 4))


def gaussian_downsample(x: Float[Array, "n h w c"]) -> Float[Array, "n H W c"]:
    """Blur with the 5-tap binomial kernel (1 4 6 4 1)/16 on both axes, reflected borders, and keep every 2nd pixel."""
    taps = jnp.array([1, 4, 6, 4, 1], x.dtype) / 16
    channels = x.shape[-1]
    kernel = jnp.tile(jnp.outer(taps, taps)[:, :, None, None], (1, 1, 1, channels))  # (5, 5, 1, C): one per channel
    return convolve(reflect_pad(x, 2), kernel, "VALID", stride=2, groups=channels)


def reflect_pad(x: Float[Array, "n h w c"], width: int) -> Float[Array, "n H W c"]:
    """Pad height and width by mirroring about the outermost pixel, which is not repeated."""
    return jnp.pad(x, ((0, 0), (width, width), (width, width), (0, 0)), mode="reflect")


def pixel_norm(x: Float[Array, "... c"]) -> Float[Array, "... c"]:
    """Divide every pixel's vector by its root mean square (ProGAN section 4.2), epsilon 1e-8."""
    mean_square = jnp.mean(jnp.square(x.astype(jnp.float32)), axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(mean_square + 1e-8).astype(x.dtype)


def minibatch_stddev(x: Float[Array, "n h w c"], group_size: int = 4) -> Float[Array, "n h w c_plus_1"]:
    """Append one map with the mean standard deviation over a group of samples (ProGAN section 3).

    The G = min(group_size, n) members of a group are n / G samples apart, as in the published implementation:
    sample i belongs to group i mod (n / G). Statistics are taken in float32.

    Raises:
        ValueError: n is not a multiple of G.
    """
    n, h, w, c = x.shape
    group = min(group_size, n)
    if n % group:
        raise ValueError(f"minibatch_stddev: a batch of {n} does not divide into groups of {group}")
    members = x.astype(jnp.float32).reshape(group, n // group, h, w, c)
    stddev = jnp.sqrt(jnp.var(members, axis=0) + 1e-8).mean((1, 2, 3))  # (n / G,)
    stddev = jnp.tile(stddev, group).astype(x.dtype)  # (n,)
    return jnp.concatenate([x, jnp.broadcast_to(stddev[:, None, None, None], (n, h, w, 1))], axis=-1)


def convolve(
    x: Float[Array, "n h w c"],
    kernel: Float[Array, "kh kw i o"],
    padding: Literal["SAME", "VALID"],
    *,
    stride: int = 1,
    groups: int = 1,
) -> Float[Array, "n H W o"]:
    """Cross-correlate with an HWIO kernel, in the dtype of `x`."""
    return jax.lax.conv_general_dilated(
        x,
        kernel.astype(x.dtype),
        (stride, stride),
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


class EqualizedConv(nn.Module):
    """Convolution with equalised learning rate (ProGAN section 4.1): weights are stored N(0, 1), scaled when used.

    Attributes:
        features: number of output channels.
        kernel_size: side of the square kernel.
        gain: the weights in use are `gain / sqrt(fan_in)` times the stored ones.
        padding: "zero" or "reflect"; the size stays the same.
        dtype: dtype of the arithmetic and of the result.
    """

    features: int
    kernel_size: int = 3
    gain: float = ROOT2
    padding: Padding = "zero"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w o"]:
        """Convolve and add the bias."""
        k, fan_in = self.kernel_size, self.kernel_size**2 * x.shape[-1]
        weight = self.param("weight", nn.initializers.normal(1.0), (k, k, x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x, weight = x.astype(self.dtype), weight * (self.gain / math.sqrt(fan_in))
        if self.padding == "reflect" and k > 1:
            y = convolve(reflect_pad(x, k // 2), weight, "VALID")
        else:
            y = convolve(x, weight, "SAME")
        return y + bias.astype(self.dtype)


class EqualizedDense(nn.Module):
    """Dense layer with equalised learning rate; see `EqualizedConv`.

    Attributes:
        shape: shape of one sample's output, such as (512,) or (4, 4, 512); the bias has one value per last
            axis.
        gain: the weights in use are `gain / sqrt(fan_in)` times the stored ones.
        dtype: dtype of the arithmetic and of the result.
    """

    shape: Sequence[int]
    gain: float = ROOT2
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n i"]) -> Float[Array, "n ..."]:
        """Multiply, reshape, add the bias."""
        n, fan_in = x.shape
        weight = self.param("weight", nn.initializers.normal(1.0), (fan_in, math.prod(self.shape)))
        bias = self.param("bias", nn.initializers.zeros, (self.shape[-1],))
        y = x.astype(self.dtype) @ (weight * (self.gain / math.sqrt(fan_in))).astype(self.dtype)
        return y.reshape(n, *self.shape) + bias.astype(self.dtype)


def glorot(scale: float = 1.0) -> Callable:
    """Return an initialiser that draws U(-s, s) with s = scale * sqrt(6 / (fan_in + fan_out))."""
    return nn.initializers.variance_scaling(scale**2, "fan_avg", "uniform")


class Conv(nn.Module):
    """Convolution that keeps the size (or divides it by `stride`), with zero bias at first.

    Attributes:
        features: number of output channels.
        kernel_size: side of the square kernel.
        kernel_init: how the first weights are drawn.
        stride: step of the kernel; the padding is TensorFlow's "SAME", so 5x5 kernels at stride 2 see one pixel of it
            before even-sized images and two behind.
        padding: "zero", or "reflect" at stride 1: no value is invented beyond the border, so that a generator cannot
            tell from zeros where its image ends and paint a frame there.
        use_bias: whether a bias is added.
        dtype: dtype of the arithmetic and of the result.
    """

    features: int
    kernel_size: int = 3
    kernel_init: Callable = glorot()
    stride: int = 1
    padding: Padding = "zero"
    use_bias: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n H W o"]:
        """Convolve and add the bias."""
        k = self.kernel_size
        weight = self.param("weight", self.kernel_init, (k, k, x.shape[-1], self.features))
        x = x.astype(self.dtype)
        if self.padding == "reflect" and k > 1:
            y = convolve(reflect_pad(x, k // 2), weight, "VALID", stride=self.stride)
        else:
            y = convolve(x, weight, "SAME", stride=self.stride)
        if not self.use_bias:
            return y
        return y + self.param("bias", nn.initializers.zeros, (self.features,)).astype(self.dtype)


class Dense(nn.Module):
    """Dense layer, with zero bias at first.

    Attributes:
        shape: shape of one sample's output, such as (256,) or (4, 4, 1024); there is one bias per value.
        kernel_init: how the first weights are drawn.
        dtype: dtype of the arithmetic and of the result.
    """

    shape: Sequence[int]
    kernel_init: Callable = glorot()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n i"]) -> Float[Array, "n ..."]:
        """Multiply, add the bias, reshape."""
        size = math.prod(self.shape)
        weight = self.param("weight", self.kernel_init, (x.shape[-1], size))
        bias = self.param("bias", nn.initializers.zeros, (size,))
        y = x.astype(self.dtype) @ weight.astype(self.dtype) + bias.astype(self.dtype)
        return y.reshape(len(x), *self.shape)


def spectral_normalize(
    matrix: Float[Array, "i o"], u: Float[Array, " o"]
) -> tuple[Float[Array, "i o"], Float[Array, " o"]]:
    """Divide a weight matrix by its largest singular value, estimated by one power iteration (Miyato et al. 2018).

    Args:
        matrix: the weights, outputs last.
        u: the stored estimate of the singular vector on the output side.

    Returns:
        The divided matrix, through whose divisor gradients flow, and the new `u`, which is a constant to
        them.
    """
    constant = jax.lax.stop_gradient(matrix)
    v = _unit(constant @ u)
    u = _unit(v @ constant)
    return matrix / (v @ matrix @ u), u


def _unit(x: Float[Array, " n"]) -> Float[Array, " n"]:
    return x / (jnp.linalg.norm(x) + 1e-12)


class _Spectral(nn.Module):
    """What spectrally normalised layers share: the estimate `u` in the collection "spectral_stats"."""

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
    """Spectrally normalised, zero-padded convolution; attributes as `Conv`, the
    initial weights Glorot-uniform times `scale`."""

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
        return convolve(x.astype(self.dtype), weight, "SAME") + bias.astype(self.dtype)


class SpectralDense(_Spectral):
    """Spectrally normalised dense layer with Glorot-uniform weights, always computed in float32."""

    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "n i"], train: bool) -> Float[Array, "n o"]:
        """Multiply and add the bias; `train` as in `SpectralConv`."""
        weight = self.param("weight", glorot(), (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return x.astype(jnp.float32) @ self.normalize(weight, train) + bias


class SpectralEmbed(_Spectral):
    """Spectrally normalised table of one float32 vector per class, Glorot-uniform, shape (num_classes, features)."""

    num_classes: int
    features: int

    @nn.compact
    def __call__(self, labels: Int[Array, " n"], train: bool) -> Float[Array, "n c"]:
        """Look the classes' vectors up; `train` as in `SpectralConv`."""
        weight = self.param("weight", glorot(), (self.num_classes, self.features))
        return self.normalize(weight.T, train).T[labels]  # the published u has one value per class


class BatchNorm(nn.Module):
    """Batch normalisation over batch, height and width, with one scale and offset per class if there are classes.

    Training uses the batch's mean and biased variance; the stored variance is the unbiased one. They live in
    the collection "batch_stats" as `mean` and `var` and are updated where it is mutable.

    Attributes:
        num_classes: 0 for plain batch normalisation, else scale and offset have the shape (num_classes, C).
        statistics: "running" uses the stored statistics outside training; "batch" always uses the batch's and stores
            none, so that every output depends on its neighbours in the batch.
        decay: share of the old statistics that an update keeps (Chainer's default).
        epsilon: added to the variance (Chainer's default).
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
        x = x.astype(jnp.float32)
        if self.statistics == "running":
            mean, var = self._running(x, train)
        else:
            mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        y = (x - mean) * jax.lax.rsqrt(var + self.epsilon) * scale + offset
        return y.astype(self.dtype)

    def _running(self, x: Float[Array, "n h w c"], train: bool) -> tuple[Float[Array, " c"], Float[Array, " c"]]:
        """The mean and variance to normalise with; in training the batch's, which also go into the stored ones."""
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
