"""Convolutions on the CPU and their gradients of any order, by the kernels of convolution.cc.

XLA's own take up to four times as long (see experiments/benchmark). A convolution, its gradient with respect to the
image and that with respect to the kernel are each linear in two arguments, and the gradients of any of them are
the other two: three functions that know each other as gradients are all that a gradient penalty needs. `Geometry`
says what they have in common.
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
        side: of the square kernel.
        size: of the image, which is square too.
        out: size of the result.
        stride: step of the kernel.
        pad: rows above and columns left of the image that the kernel sees; those behind follow from `out`.
        reflect: whether these mirror the image about its outermost pixels, with stride 1; otherwise they are zeros.
    """

    side: int
    size: int
    out: int
    stride: int = 1
    pad: int = 0
    reflect: bool = False


class Finish(NamedTuple):
    """What is done besides a convolution.

    Attributes:
        scale: of the kernel.
        slope: of negative values, after the bias was added; above 0.
        halve: whether the mean over blocks of 2x2 is taken then; both sides of the result are even.
    """

    scale: float = 1.0
    slope: float = 1.0
    halve: bool = False


def suits(x: Float[Array, "n h w i"], kernel: Float[Array, "kh kw i o"]) -> bool:
    """Whether the kernels do this: float32, square images, kernels of 3x3 or 5x5, and the CPU as the only device.

    Of several devices, XLA would bring all images to each for a function that it does not know. Images that a kernel
    overhangs are XLA's too.
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
def left_to_xla() -> Iterator[None]:
    """What is traced within has XLA's convolutions, whose operations XLA can count."""
    token = _xla.set(True)
    try:
        yield
    finally:
        _xla.reset(token)


def make_geometry(size: int, side: int, padding: Literal["SAME", "VALID", "REFLECT"], stride: int = 1) -> Geometry:
    """TensorFlow's "SAME" or "VALID"; or "REFLECT", which is "SAME" with a mirrored border and stride 1."""
    if padding == "VALID":
        return Geometry(side, size, (size - side) // stride + 1, stride)
    out = -(-size // stride)
    return Geometry(side, size, out, stride, max(0, (out - 1) * stride + side - size) // 2, padding == "REFLECT")


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(
    x: Float[Array, "n h w i"], kernel: Float[Array, "k k i o"], geometry: Geometry
) -> Float[Array, "n H W o"]:
    """Cross-correlate."""
    return _forward(x, kernel, jnp.zeros(0), Finish(), geometry)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def convolve_and_finish(
    x: Float[Array, "n h w i"],
    kernel: Float[Array, "k k i o"],
    bias: Float[Array, " o"],
    finish: Finish,
    geometry: Geometry,
) -> Float[Array, "n H W o"]:
    """Scale the kernel, cross-correlate, add the bias, bend, halve: one pass over the memory."""
    return _forward(x, kernel, bias, finish, geometry)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def input_gradient(
    g: Float[Array, "n H W o"], kernel: Float[Array, "k k i o"], geometry: Geometry
) -> Float[Array, "n h w i"]:
    """The gradient of sum(g * convolve(x, kernel)) with respect to x; also known as a transposed convolution."""
    shape = (len(g), geometry.size, geometry.size, kernel.shape[2])
    return _call("InputGradient", shape)(g, kernel, **_attributes(geometry))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def filter_gradient(
    x: Float[Array, "n h w i"], g: Float[Array, "n H W o"], geometry: Geometry
) -> Float[Array, "k k i o"]:
    """The gradient of sum(g * convolve(x, kernel)) with respect to the kernel."""
    shape = (geometry.side, geometry.side, x.shape[-1], g.shape[-1])
    return _call("FilterGradient", shape)(x, g, **_attributes(geometry))


def _forward(x: Array, kernel: Array, bias: Array, finish: Finish, geometry: Geometry) -> Array:
    side = geometry.out // 2 if finish.halve else geometry.out
    numbers = {"scale": np.float32(finish.scale), "slope": np.float32(finish.slope), "halve": finish.halve}
    shape = (len(x), side, side, kernel.shape[-1])
    return _call("Convolution", shape)(x, kernel, bias, **_attributes(geometry), **numbers)


def _call(name: str, shape: tuple[int, ...]) -> Any:
    result = jax.ShapeDtypeStruct(shape, jnp.float32)
    return jax.ffi.ffi_call(f"ganfp_{name}", result, vmap_method="sequential")


def _attributes(geometry: Geometry) -> dict[str, Any]:
    return {"stride": np.int64(geometry.stride), "pad": np.int64(geometry.pad), "reflect": geometry.reflect}


def _finish_forward(x: Array, kernel: Array, bias: Array, finish: Finish, geometry: Geometry) -> Any:
    y = convolve_and_finish(x, kernel, bias, finish._replace(halve=False), geometry)  # whose signs are needed
    n, side, channels = len(y), geometry.out // 2, y.shape[-1]
    halved = y.reshape(n, side, 2, side, 2, channels).mean((2, 4)) if finish.halve else y
    return halved, (x, kernel, y)


def _finish_backward(finish: Finish, geometry: Geometry, saved: Any, g: Array) -> tuple[Array, Array, Array]:
    x, kernel, y = saved
    if finish.halve:
        n, side, _, channels = g.shape
        g = jnp.broadcast_to(g[:, :, None, :, None] / 4, (n, side, 2, side, 2, channels)).reshape(y.shape)
    if finish.slope != 1:
        g = jnp.where(y >= 0, g, finish.slope * g)  # a slope above 0 keeps the sign
    scaled = finish.scale * g
    return input_gradient(scaled, kernel, geometry), filter_gradient(x, scaled, geometry), g.sum((0, 1, 2))


convolve_and_finish.defvjp(_finish_forward, _finish_backward)
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
