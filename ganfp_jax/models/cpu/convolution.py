"""Convolutions on the CPU and their gradients of any order, by the kernels of convolution.cc.

They are faster than XLA's (see experiments/benchmark). A convolution, its gradient with respect to the image and its
gradient with respect to the kernel are each linear in two arguments, and the gradients of each are the other two. So
three functions, each other's gradients, are all that a gradient penalty needs. They share a `Geometry`.
"""

import contextlib
import contextvars
import functools
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ganfp_jax.models.cpu import library

SIDES = (3, 5)
_xla = contextvars.ContextVar("xla", default=False)


class Geometry(NamedTuple):
    """How a kernel moves over an image.

    Attributes:
        side: side of the square kernel.
        size: side of the square image.
        out: side of the result.
        stride: step of the kernel.
        pad: padding above and to the left of the image; `out` determines the padding below and to the right.
        reflect: whether the padding mirrors the image about its outermost pixels, at stride 1; otherwise it is zeros.
    """

    side: int
    size: int
    out: int
    stride: int = 1
    pad: int = 0
    reflect: bool = False


class Epilogue(NamedTuple):
    """What follows a convolution in the same pass over the memory.

    Attributes:
        scale: factor on the kernel.
        negative_slope: slope of the leaky ReLU after the bias, above 0; 1 is no activation.
        pool: whether the mean over blocks of 2x2 pixels follows; the convolution's sides are then even.
    """

    scale: float = 1.0
    negative_slope: float = 1.0
    pool: bool = False


def suits(x: Float[Array, "n h w i"], kernel: Float[Array, "kh kw i o"]) -> bool:
    """Whether these kernels can do it: float32, square images, kernels of 3x3 or 5x5, and the CPU as the only device.

    They cannot do images smaller than the kernel. With several devices XLA would gather all images on each of them,
    since it does not know how to split a foreign function.
    """
    return (
        x.dtype == kernel.dtype == jnp.float32
        and x.shape[1] == x.shape[2] >= kernel.shape[0]
        and kernel.shape[0] == kernel.shape[1]
        and kernel.shape[0] in SIDES
        and jax.default_backend() == "cpu"
        and jax.device_count() == 1
        and not _xla.get()
        and library.available()
    )


@contextlib.contextmanager
def use_xla_convolutions() -> Iterator[None]:
    """Code traced in this context uses XLA's convolutions, whose operations XLA can count."""
    token = _xla.set(True)
    try:
        yield
    finally:
        _xla.reset(token)


def make_geometry(size: int, side: int, padding: Literal["SAME", "VALID", "REFLECT"], stride: int = 1) -> Geometry:
    """The geometry of TensorFlow's "SAME" or "VALID", or of "REFLECT": "SAME" at stride 1 with reflect padding."""
    if padding == "VALID":
        return Geometry(side, size, (size - side) // stride + 1, stride)
    out = -(-size // stride)
    return Geometry(side, size, out, stride, max(0, (out - 1) * stride + side - size) // 2, padding == "REFLECT")


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(
    x: Float[Array, "n h w i"], kernel: Float[Array, "k k i o"], geometry: Geometry
) -> Float[Array, "n H W o"]:
    """Cross-correlate images and a kernel."""
    return _forward(x, kernel, jnp.zeros(0), Epilogue(), geometry)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def convolve_with_epilogue(
    x: Float[Array, "n h w i"],
    kernel: Float[Array, "k k i o"],
    bias: Float[Array, " o"],
    epilogue: Epilogue,
    geometry: Geometry,
) -> Float[Array, "n H W o"]:
    """Scale the kernel, cross-correlate, add the bias, then apply activation and pooling, in one pass."""
    return _forward(x, kernel, bias, epilogue, geometry)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def input_gradient(
    g: Float[Array, "n H W o"], kernel: Float[Array, "k k i o"], geometry: Geometry
) -> Float[Array, "n h w i"]:
    """The gradient of sum(g * convolve(x, kernel)) with respect to x: a transposed convolution."""
    shape = (len(g), geometry.size, geometry.size, kernel.shape[2])
    return _call("InputGradient", shape)(g, kernel, **_attributes(geometry))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def filter_gradient(
    x: Float[Array, "n h w i"], g: Float[Array, "n H W o"], geometry: Geometry
) -> Float[Array, "k k i o"]:
    """The gradient of sum(g * convolve(x, kernel)) with respect to the kernel."""
    shape = (geometry.side, geometry.side, x.shape[-1], g.shape[-1])
    return _call("FilterGradient", shape)(x, g, **_attributes(geometry))


def _forward(x: Array, kernel: Array, bias: Array, epilogue: Epilogue, geometry: Geometry) -> Array:
    side = geometry.out // 2 if epilogue.pool else geometry.out
    numbers = {
        "scale": np.float32(epilogue.scale),
        "slope": np.float32(epilogue.negative_slope),
        "halve": epilogue.pool,
    }
    shape = (len(x), side, side, kernel.shape[-1])
    return _call("Convolution", shape)(x, kernel, bias, **_attributes(geometry), **numbers)


def _call(name: str, shape: tuple[int, ...]) -> Any:
    result = jax.ShapeDtypeStruct(shape, jnp.float32)
    return jax.ffi.ffi_call(f"ganfp_{name}", result, vmap_method="sequential")


def _attributes(geometry: Geometry) -> dict[str, Any]:
    return {"stride": np.int64(geometry.stride), "pad": np.int64(geometry.pad), "reflect": geometry.reflect}


def _epilogue_forward(x: Array, kernel: Array, bias: Array, epilogue: Epilogue, geometry: Geometry) -> Any:
    # The backward pass needs the signs before pooling.
    y = convolve_with_epilogue(x, kernel, bias, epilogue._replace(pool=False), geometry)
    n, side, channels = len(y), geometry.out // 2, y.shape[-1]
    pooled = y.reshape(n, side, 2, side, 2, channels).mean((2, 4)) if epilogue.pool else y
    return pooled, (x, kernel, y)


def _epilogue_backward(epilogue: Epilogue, geometry: Geometry, saved: Any, g: Array) -> tuple[Array, Array, Array]:
    x, kernel, y = saved
    if epilogue.pool:
        n, side, _, channels = g.shape
        g = jnp.broadcast_to(g[:, :, None, :, None] / 4, (n, side, 2, side, 2, channels)).reshape(y.shape)
    if epilogue.negative_slope != 1:
        g = jnp.where(
            y >= 0, g, epilogue.negative_slope * g
        )  # y has the sign of the pre-activation, since the slope is above 0
    scaled = epilogue.scale * g
    return input_gradient(scaled, kernel, geometry), filter_gradient(x, scaled, geometry), g.sum((0, 1, 2))


convolve_with_epilogue.defvjp(_epilogue_forward, _epilogue_backward)
convolve.defvjp(
    lambda x, kernel, geometry: (convolve(x, kernel, geometry), (x, kernel)),
    lambda geometry, saved, g: (input_gradient(g, saved[1], geometry), filter_gradient(saved[0], g, geometry)),
)
input_gradient.defvjp(
    lambda g, kernel, geometry: (input_gradient(g, kernel, geometry), (g, kernel)),
    lambda geometry, saved, x: (convolve(x, saved[1], geometry), filter_gradient(x, saved[0], geometry)),
)
filter_gradient.defvjp(
    lambda x, g, geometry: (filter_gradient(x, g, geometry), (x, g)),
    lambda geometry, saved, k: (input_gradient(saved[1], k, geometry), convolve(saved[0], k, geometry)),
)
