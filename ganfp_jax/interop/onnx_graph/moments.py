"""`ganfp_jax.models.visnet_moments` as a part of an ONNX graph. Maps are (N, C, H, W), grids of blocks (N, R, C, F)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ganfp_jax.interop.onnx_graph import layers
from ganfp_jax.interop.onnx_graph.builder import Graph
from ganfp_jax.models.visnet_moments import BLOCK, DEVIATION_FLOOR, STRIDE, MomentsClassifier, filters


def classifier(graph: Graph, images: str, network: MomentsClassifier, variables: Mapping[str, Any]) -> tuple[str, str]:
    """The fingerprints and logits of `MomentsClassifier`, with the stored statistics of its training."""
    params, stats = variables["params"], variables["batch_stats"]
    maps = layers.ycc_maps(graph, images)
    pooled = []
    if network.num_stages:
        pooled += _residuals(graph, maps, [params["Residuals"][f"Stage{k}"] for k in range(network.num_stages)])
    if network.block_features:
        pooled += _blocks(graph, maps, network.resolution, params["Blocks"], stats["Blocks"])
    x = layers.batch_norm(graph, graph.add("Concat", *pooled, axis=1), params["Norm"], stats["Norm"])
    features = layers.leaky_relu(graph, _dense(graph, x, params["Dense1"]))
    return features, _dense(graph, features, params["Dense2"])


def _residuals(graph: Graph, maps: str, stages: list[Mapping[str, Any]]) -> list[str]:
    residuals = graph.add("Conv", layers.reflect_pad(graph, maps, 2), filters().transpose(3, 2, 0, 1))
    size = graph.add("Div", graph.add("Abs", residuals), np.float32(4))
    x = graph.add("Div", residuals, graph.add("Add", size, np.float32(1)))
    pooled = []
    for stage in stages:
        x = layers.level(graph, x, stage)
        pooled.append(_moments(graph, x, (2, 3)))
    return pooled


def _blocks(graph: Graph, maps: str, side: int, params: Mapping[str, Any], stats: Mapping[str, Any]) -> list[str]:
    count = (side - BLOCK) // STRIDE + 1
    index = STRIDE * np.arange(count)[:, None] + np.arange(BLOCK)
    rows = graph.add("Gather", maps, index, axis=2)  # (N, 3, R, 16, W)
    blocks = graph.add("Gather", rows, index, axis=4)  # (N, 3, R, 16, C, 16)
    spectra = layers.log_dct(graph, graph.add("Transpose", blocks, perm=(0, 1, 2, 4, 3, 5)), BLOCK)
    last = graph.add("Transpose", spectra, perm=(0, 2, 3, 4, 5, 1))
    grid = graph.add("Reshape", last, [0, count, count, 3 * BLOCK**2])
    x = _dense(graph, layers.batch_norm(graph, grid, params["Norm"], stats["Norm"]), params["Dense"])
    return [_moments(graph, grid, (1, 2)), _moments(graph, layers.leaky_relu(graph, x), (1, 2))]


def _moments(graph: Graph, x: str, axes: tuple[int, int]) -> str:
    """The mean and the standard deviation over the image: (N, 2 F)."""
    mean = graph.add("ReduceMean", x, axes=axes, keepdims=1)
    deviations = graph.add("Sub", x, mean)
    variance = graph.add("ReduceMean", graph.add("Mul", deviations, deviations), axes=axes, keepdims=1)
    spread = graph.add("Sqrt", graph.add("Add", variance, np.float32(DEVIATION_FLOOR)))
    return graph.add("Concat", graph.add("Flatten", mean), graph.add("Flatten", spread), axis=1)


def _dense(graph: Graph, x: str, params: Mapping[str, Any]) -> str:
    return graph.add("Add", graph.add("MatMul", x, params["kernel"]), params["bias"])
