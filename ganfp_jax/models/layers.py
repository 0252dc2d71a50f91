"""Layers that the networks share: channels last, parameters in float32, arithmetic in the layer's `dtype`."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, ScalarLike

from ganfp_jax.models.cpu import convolution

ROOT2 = math.sqrt(2.0)
LEAK = 0.2  # the negative slope of `leaky_relu`
Padding = Literal["zero", "reflect"]


def leaky_relu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return max(0.2 x, x), the only activation of ProGAN and of the attribution network."""
    return nn.leaky_relu(x, LEAK)


def lerp(a: Float[Array, "..."], b: Float[Array, "..."], t: ScalarLike) -> Float[Array, "..."]:
    """Return a + (b - a) t in the dtype of `a`: exactly `a` at t = 0."""
    return a + (b - a) * jnp.asarray(t, a.dtype)


def by_channel(values: Float[Array, " c"], x: Float[Array, "... c"]) -> Float[Array, "... c"]:
    """Reshape one value per channel to the number of dimensions of `x`."""
    return values.reshape(*(1,) * (x.ndim - 1), -1)


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
    """Blur both axes with the 5-tap binomial kernel (1 4 6 4 1)/16 and reflect padding; keep every second pixel."""
    return _binomial_blur(x, stride=2)


def gaussian_upsample(x: Float[Array, "n h w c"]) -> Float[Array, "n H W c"]:
    """Insert a zero after every pixel on both axes, blur as `gaussian_downsample` does, and multiply by 4."""
    n, h, w, c = x.shape
    spread = jnp.zeros((n, h, 2, w, 2, c), x.dtype).at[:, :, 0, :, 0].set(x)
    return 4 * _binomial_blur(spread.reshape(n, 2 * h, 2 * w, c), stride=1)


def _binomial_blur(x: Float[Array, "n h w c"], stride: int) -> Float[Array, "n H W c"]:
    # Weighted sums of shifted images: XLA's grouped convolution is far slower on a CPU.
    x = reflect_pad(x, 2)
    for axis in (1, 2):
        length = x.shape[axis] - 4
        a, b, c, d, e = (jax.lax.slice_in_dim(x, k, k + length, stride, axis) for k in range(5))
        x = (a + 4 * b + 6 * c + 4 * d + e) / 16
    return x


def reflect_pad(x: Float[Array, "n h w c"], width: int) -> Float[Array, "n H W c"]:
    """Pad height and width by mirroring about the outermost pixel, which is not repeated."""
    return jnp.pad(x, ((0, 0), (width, width), (width, width), (0, 0)), mode="reflect")


def pixel_norm(x: Float[Array, "... c"]) -> Float[Array, "... c"]:
    """Divide every pixel's vector by its root mean square, with an epsilon of 1e-8 (ProGAN section 4.2)."""
    mean_square = jnp.mean(jnp.square(x.astype(jnp.float32)), axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(mean_square + 1e-8).astype(x.dtype)


def minibatch_stddev(x: Float[Array, "n h w c"], group_size: int = 4) -> Float[Array, "n h w c_plus_1"]:
    """Append one map with the mean standard deviation over a group of samples (ProGAN section 3).

    A group has G = min(group_size, n) members. As in the published implementation they are n / G samples apart: sample
    i belongs to group i mod (n / G). The statistics are float32.

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
    x: Float[Array, "n h w i"],
    kernel: Float[Array, "kh kw i o"],
    padding: Literal["SAME", "VALID", "REFLECT"],
    *,
    stride: int = 1,
    scale: float = 1.0,
    bias: Float[Array, " o"] | None = None,
    negative_slope: float = 1.0,
    pool: bool = False,
) -> Float[Array, "n H W o"]:
    """Cross-correlate with an HWIO kernel in the dtype of `x`, then apply bias, activation and pooling.

    Args:
        x: images or maps.
        kernel: weights; "REFLECT" needs odd sides.
        padding: TensorFlow's "SAME" or "VALID", or "REFLECT": "SAME" at stride 1 with `reflect_pad` in place of zeros.
        stride: step of the kernel.
        scale: factor on the kernel.
        bias: one value per output channel; None adds nothing.
        negative_slope: slope of the leaky ReLU, above 0; 1 is no activation, 0.2 is `leaky_relu`.
        pool: whether `box_downsample` follows.
    """
    if convolution.suits(x, kernel):
        geometry = convolution.make_geometry(x.shape[1], kernel.shape[0], padding, stride)
        epilogue = convolution.Epilogue(scale, negative_slope, pool)
        if bias is None and epilogue == convolution.Epilogue():
            return convolution.convolve(x, kernel, geometry)
        bias = jnp.zeros(kernel.shape[-1]) if bias is None else bias
        return convolution.convolve_with_epilogue(x, kernel, bias, epilogue, geometry)
    kernel = (scale * kernel).astype(x.dtype)
    if padding == "REFLECT":
        x, padding = reflect_pad(x, kernel.shape[0] // 2), "VALID"
    y = jax.lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    if bias is not None:
        y += by_channel(bias.astype(x.dtype), y)
    y = y if negative_slope == 1 else nn.leaky_relu(y, negative_slope)
    return box_downsample(y) if pool else y


def upconvolve(x: Float[Array, "n h w i"], kernel: Float[Array, "k k i o"], pads: tuple[int, int]) -> Array:
    """Transposed convolution of stride 2: insert zeros between the pixels, pad by `pads`, then cross-correlate.

    Returns:
        Maps (N, H, W, O) in the dtype of `x`, with H = 2 h + sum(pads) - k.
    """
    kernel, side = kernel.astype(x.dtype), kernel.shape[0]
    if convolution.suits(x, kernel):
        geometry = convolution.Geometry(side, 2 * x.shape[1] + sum(pads) - side, x.shape[1], 2, side - 1 - pads[0])
        return convolution.input_gradient(x, kernel[::-1, ::-1].swapaxes(2, 3), geometry)
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), [pads] * 2, lhs_dilation=(2, 2), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _padding_of(padding: Padding, kernel_size: int) -> Literal["SAME", "REFLECT"]:
    return "REFLECT" if padding == "reflect" and kernel_size > 1 else "SAME"


class EqualizedConv(nn.Module):
    """Convolution with equalised learning rate (ProGAN section 4.1): weights start as N(0, 1) and are scaled in use.

    Attributes:
        features: number of output channels.
        kernel_size: side of the square kernel.
        gain: the weights in use are `gain / sqrt(fan_in)` times the stored ones.
        padding: "zero" or "reflect"; the output has the size of the input.
        negative_slope: slope of the leaky ReLU that follows; 1 is no activation, 0.2 is `leaky_relu`.
        pool: whether `box_downsample` follows.
        dtype: dtype of the arithmetic and of the result.
    """

    features: int
    kernel_size: int = 3
    gain: float = ROOT2
    padding: Padding = "zero"
    negative_slope: float = 1.0
    pool: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n H W o"]:
        """Convolve, then apply bias, activation and pooling."""
        k, fan_in = self.kernel_size, self.kernel_size**2 * x.shape[-1]
        weight = self.param("weight", nn.initializers.normal(1.0), (k, k, x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x, padding, scale = x.astype(self.dtype), _padding_of(self.padding, k), self.gain / math.sqrt(fan_in)
        return convolve(x, weight, padding, scale=scale, bias=bias, negative_slope=self.negative_slope, pool=self.pool)


class EqualizedDense(nn.Module):
    """Dense layer with equalised learning rate; see `EqualizedConv`.

    Attributes:
        shape: shape of one sample's output, such as (512,) or (4, 4, 512); the bias spans its last axis.
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
        # The gain is applied to x, which is smaller than the weights.
        y = (x.astype(self.dtype) * (self.gain / math.sqrt(fan_in))) @ weight.astype(self.dtype)
        y = y.reshape(n, *self.shape)
        return y + by_channel(bias.astype(self.dtype), y)


def glorot(scale: float = 1.0) -> Callable:
    """Return an initialiser that draws U(-s, s) with s = scale * sqrt(6 / (fan_in + fan_out))."""
    return nn.initializers.variance_scaling(scale**2, "fan_avg", "uniform")


class Conv(nn.Module):
    """Convolution that keeps the size or divides it by `stride`; the bias starts at zero.

    Attributes:
        features: number of output channels.
        kernel_size: side of the square kernel.
        kernel_init: initialiser of the weights.
        stride: step of the kernel. The padding is TensorFlow's "SAME": at stride 2 a 5x5 kernel sees one padded pixel
            before an even-sized image and two after it.
        padding: "zero", or "reflect" at stride 1. Zeros tell a generator where its image ends, and it may paint a
            frame there; reflect padding does not.
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
        bias = self.param("bias", nn.initializers.zeros, (self.features,)) if self.use_bias else None
        return convolve(x.astype(self.dtype), weight, _padding_of(self.padding, k), stride=self.stride, bias=bias)


class Dense(nn.Module):
    """Dense layer; the bias starts at zero.

    Attributes:
        shape: shape of one sample's output, such as (256,) or (4, 4, 1024); there is one bias per value.
        kernel_init: initialiser of the weights.
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
        y = x.astype(self.dtype) @ weight.astype(self.dtype)
        y += by_channel(bias.astype(self.dtype), y)
        return y.reshape(len(x), *self.shape)
