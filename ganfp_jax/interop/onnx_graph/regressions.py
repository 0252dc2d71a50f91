"""The logistic regressions of `ganfp_jax.models` as parts of an ONNX graph."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from ganfp_jax.data import triples
from ganfp_jax.data.values import YCBCR
from ganfp_jax.interop.onnx_graph.builder import Graph
from ganfp_jax.interop.onnx_graph.layers import log_dct
from ganfp_jax.models.local_regression import BLOCK
from ganfp_jax.models.regression import PixelRegression

Features = Callable[[Graph, str, int], str]
"""(graph, images (N, R, R, 3) in [-1, 1], their side R) -> features (N, F)."""

_BINS = triples.KINDS * triples.BINS
_LUMA = np.array((299, 587, 114), np.int32)  # as `triples.luma`


def of(features: Features) -> Callable[[Graph, str, PixelRegression, Mapping[str, Any]], tuple[str, str]]:
    """Returns the writer of the regression on these features, which are its fingerprints."""

    def write(graph: Graph, images: str, network: PixelRegression, variables: Mapping[str, Any]) -> tuple[str, str]:
        params, seen = variables["params"], features(graph, images, network.resolution)
        return seen, graph.add("Gemm", seen, params["weights"], params["bias"])

    return write


def pixels(graph: Graph, images: str, side: int) -> str:
    """The features of `PixelRegression`."""
    del side
    return graph.add("Flatten", images)


def spectrum(graph: Graph, images: str, side: int) -> str:
    """The features of `SpectrumRegression`."""
    channels = graph.add("Transpose", _grey_levels(graph, images), perm=(0, 3, 1, 2))
    logs = log_dct(graph, channels, side)
    return graph.add("Flatten", graph.add("Transpose", logs, perm=(0, 2, 3, 1)))


def block_spectra(graph: Graph, images: str, side: int) -> str:
    """The features of `BlockSpectrumRegression`."""
    block = min(BLOCK, side)
    channels = graph.add("MatMul", _grey_levels(graph, images), np.array(YCBCR, np.float32).T)
    first = graph.add("Transpose", channels, perm=(0, 3, 1, 2))
    cut = graph.add("Reshape", first, [0, 3, side // block, block, side // block, block])
    logs = log_dct(graph, graph.add("Transpose", cut, perm=(0, 1, 2, 4, 3, 5)), block)  # (N, 3, rows, columns, ...)
    mean = graph.add("ReduceMean", logs, axes=(2, 3))
    deviations = graph.add("Sub", logs, mean)
    variance = graph.add("ReduceMean", graph.add("Mul", deviations, deviations), axes=(2, 3))
    return graph.add("Flatten", graph.add("Concat", mean, graph.add("Sqrt", variance), axis=1))


def cooccurrences(graph: Graph, images: str, side: int) -> str:
    """The features of `CooccurrenceRegression`."""
    kinds = [
        graph.add("Add", graph.add("Flatten", codes), np.float32(kind * triples.BINS))
        for kind, codes in enumerate(_triples(graph, _luma(graph, images)))
    ]
    places = graph.add("Cast", graph.add("Concat", *kinds, axis=1), to=TensorProto.INT64)
    counts = _count(graph, places)
    numbers = [codes.size for codes in triples.triples(np.zeros((1, side, side), np.int32))]
    totals = np.maximum(1, numbers).astype(np.float32).repeat(triples.BINS)
    return graph.add("Sqrt", graph.add("Div", counts, totals))


def local(graph: Graph, images: str, side: int) -> str:
    """The features of `LocalRegression`."""
    return graph.add("Concat", block_spectra(graph, images, side), cooccurrences(graph, images, side), axis=1)


def _grey_levels(graph: Graph, images: str) -> str:
    return graph.add("Mul", graph.add("Add", images, np.float32(1)), np.float32(127.5))


def _luma(graph: Graph, images: str) -> str:
    whole = graph.add("Cast", graph.add("Round", _grey_levels(graph, images)), to=TensorProto.INT32)
    thousandths = graph.add("ReduceSum", graph.add("Mul", whole, _LUMA), [3], keepdims=0)
    return graph.add("Div", graph.add("Add", thousandths, np.int32(500)), np.int32(1000))


def _triples(graph: Graph, values: str) -> Iterator[str]:
    """As `triples.triples`; the codes are whole floats."""
    for axis in (1, 2):
        differences = values
        for order in triples.ORDERS:
            differences = graph.add("Sub", _cut(graph, differences, axis, 1, 0), _cut(graph, differences, axis, 0, 1))
            levels = _quantised(graph, differences, order)
            for along in (2, 1):
                first, second, last = (_cut(graph, levels, along, place, 2 - place) for place in range(3))
                yield _code(graph, _code(graph, first, second), last)


def _quantised(graph: Graph, differences: str, order: int) -> str:
    steps = graph.add("Cast", differences, to=TensorProto.FLOAT)
    rounded = graph.add("Round", graph.add("Mul", steps, np.float32(1 / (order * triples.STEP))))
    limit = np.float32(triples.TRUNCATION)
    return graph.add("Add", graph.add("Clip", rounded, -limit, limit), limit)


def _code(graph: Graph, first: str, last: str) -> str:
    return graph.add("Add", graph.add("Mul", first, np.float32(triples.LEVELS)), last)


def _cut(graph: Graph, x: str, axis: int, start: int, before_end: int) -> str:
    """Leaves out so many values at the beginning and at the end of an axis."""
    end = -before_end if before_end else np.iinfo(np.int64).max
    return graph.add("Slice", x, [start], [end], [axis])


def _count(graph: Graph, places: str) -> str:
    """How often each place, 0 to `_BINS` - 1, stands in a row: (N, M) to (N, `_BINS`)."""
    shape = graph.add("Shape", places)
    ones = graph.add("ConstantOfShape", shape, value=helper.make_tensor("one", TensorProto.FLOAT, [1], [1]))
    rows = graph.add("Concat", graph.add("Slice", shape, [0], [1]), [_BINS], axis=0)
    zeros = graph.add("ConstantOfShape", rows)
    return graph.add("ScatterElements", zeros, places, ones, axis=1, reduction="add")
