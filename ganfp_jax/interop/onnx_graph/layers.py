"""The layers of `ganfp_jax.models.layers` in ONNX. Maps are (N, C, H, W) here, as ONNX has them."""

import math
from collections.abc import Mapping

import numpy as np

from ganfp_jax.data.values import YCBCR
from ganfp_jax.interop.onnx_graph.builder import Graph
from ganfp_jax.models.layers import LEAK, ROOT2
from ganfp_jax.models.normalization import BatchNorm
from ganfp_jax.models.regression import LOG_FLOOR, dct_basis

Layer = Mapping[str, np.ndarray]
"""The weights of one layer by name."""

_BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16


def convolution(graph: Graph, x: str, layer: Layer, *, gain: float = ROOT2, slope: float = LEAK) -> str:
    """`EqualizedConv` with reflect padding; a slope of 1 is no activation."""
    weight = _scaled(layer["weight"], gain).transpose(3, 2, 0, 1)  # from (H, W, I, O)
    x = reflect_pad(graph, x, weight.shape[2] // 2)
    return leaky_relu(graph, graph.add("Conv", x, weight, layer["bias"]), slope)


def dense(graph: Graph, x: str, layer: Layer, *, gain: float = ROOT2, slope: float = LEAK) -> str:
    """`EqualizedDense`; a slope of 1 is no activation."""
    return leaky_relu(graph, graph.add("Gemm", x, _scaled(layer["weight"], gain), layer["bias"]), slope)


def level(graph: Graph, x: str, layers: Mapping[str, Layer]) -> str:
    """`visnet.Level`: two convolutions, then the mean over blocks of 2x2 pixels."""
    return box_downsample(graph, convolution(graph, convolution(graph, x, layers["Conv0"]), layers["Conv1"]))


def leaky_relu(graph: Graph, x: str, slope: float = LEAK) -> str:
    """max(slope x, x)."""
    return x if slope == 1 else graph.add("LeakyRelu", x, alpha=slope)


def reflect_pad(graph: Graph, x: str, width: int) -> str:
    """Height and width mirrored about the outermost pixel, which is not repeated."""
    return graph.add("Pad", x, [0, 0, width, width] * 2, mode="reflect") if width else x


def box_downsample(graph: Graph, x: str) -> str:
    """The mean over blocks of 2x2 pixels."""
    return graph.add("AveragePool", x, kernel_shape=(2, 2), strides=(2, 2))


def upsample(graph: Graph, x: str, channels: int) -> str:
    """Every pixel as a block of 2x2."""
    return graph.add("ConvTranspose", x, np.ones((channels, 1, 2, 2), np.float32), group=channels, strides=(2, 2))


def gaussian_downsample(graph: Graph, x: str) -> str:
    """A binomial blur of images with three channels; every second pixel."""
    return _blur(graph, x, 1.0, stride=2)


def gaussian_upsample(graph: Graph, x: str) -> str:
    """A zero after every pixel of images with three channels, a binomial blur, times 4."""
    one = np.ones((3, 1, 1, 1), np.float32)
    spread = graph.add("ConvTranspose", x, one, group=3, strides=(2, 2), output_padding=(1, 1))
    return _blur(graph, spread, 4.0, stride=1)


def batch_norm(graph: Graph, x: str, params: Layer, stats: Layer) -> str:
    """`BatchNorm` by the stored statistics, on the last axis."""
    factor = params["scale"] / np.sqrt(stats["var"] + np.float32(BatchNorm.epsilon))
    return graph.add("Add", graph.add("Mul", graph.add("Sub", x, stats["mean"]), factor), params["offset"])


def ycc_maps(graph: Graph, images: str) -> str:
    """Images (N, R, R, 3) in [-1, 1] as Y, Cb and Cr in grey levels, without their offsets: (N, 3, R, R)."""
    ycc = graph.add("MatMul", images, np.float32(127.5) * np.array(YCBCR, np.float32).T)
    return graph.add("Transpose", ycc, perm=(0, 3, 1, 2))


def log_dct(graph: Graph, x: str, side: int) -> str:
    """The logarithm of the spectrum of squares on the last two axes, as `regression.SpectrumRegression` has it."""
    return log_size(graph, dct_size(graph, x, side))


def dct_size(graph: Graph, x: str, side: int) -> str:
    """The absolute values of the spectrum of squares on the last two axes."""
    basis = np.asarray(dct_basis(side))
    return graph.add("Abs", graph.add("MatMul", graph.add("MatMul", basis, x), basis.T))


def log_size(graph: Graph, size: str) -> str:
    """The logarithm of the absolute values of a spectrum."""
    return graph.add("Log", graph.add("Add", size, np.float32(LOG_FLOOR)))


def _blur(graph: Graph, x: str, factor: float, stride: int) -> str:
    kernel = np.tile(np.float32(factor) * np.outer(_BINOMIAL, _BINOMIAL), (3, 1, 1, 1))
    return graph.add("Conv", reflect_pad(graph, x, 2), kernel, group=3, strides=(stride, stride))


def _scaled(weight: np.ndarray, gain: float) -> np.ndarray:
    return np.float32(gain / math.sqrt(math.prod(weight.shape[:-1]))) * weight
