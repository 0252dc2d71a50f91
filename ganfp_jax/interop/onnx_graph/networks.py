"""The attribution networks as parts of an ONNX graph: images (N, R, R, 3) in [-1, 1] to fingerprints and logits."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ganfp_jax.interop.onnx_graph import layers, moments, regressions
from ganfp_jax.interop.onnx_graph.builder import Graph
from ganfp_jax.models import fingerprint_net, local_regression, regression, spectrum, visnet, visnet_moments
from ganfp_jax.models.network import Network

Write = Callable[[Graph, str, Any, Mapping[str, Any]], tuple[str, str]]
"""(graph, images, network, its variables) -> fingerprints (N, F), logits (N, K); all three are names of values."""


def classifier(graph: Graph, images: str, network: visnet.Classifier, variables: Mapping[str, Any]) -> tuple[str, str]:
    """`visnet.Classifier` with one logit a source. Its parameters tell what it has at a side, its settings the rest."""
    params = variables["params"]
    x, side = _channels_first(graph, images), network.resolution
    last = next(name for name, part in params.items() if part.keys() & {"Dense2", "Conv2"})
    smallest = int(last.split("x")[0])
    while network.mode == "predownscale" and side > max(network.switching_res, smallest):
        x, side = layers.gaussian_downsample(graph, x), side // 2
    if network.input == "residual":
        blurred = layers.gaussian_upsample(graph, layers.gaussian_downsample(graph, x))
        x = graph.add("Sub", x, blurred)
    while side > smallest:
        part = params.get(f"{side}x{side}")
        x = layers.level(graph, x, part) if part else layers.box_downsample(graph, x)
        side //= 2
    return _head(graph, x, params[last], _spectrum(graph, images, network, variables))


def autoencoder(
    graph: Graph, images: str, network: fingerprint_net.Autoencoder, variables: Mapping[str, Any]
) -> tuple[str, str]:
    """`fingerprint_net.Autoencoder`."""
    params = variables["params"]
    image = x = _channels_first(graph, images)
    side = network.resolution
    while side > network.latent_res:
        x, side = layers.level(graph, x, params[f"E_{side}x{side}"]), side // 2
    x = _convolutions(graph, _convolutions(graph, x, params[f"E_{side}x{side}"]), params[f"G_{side}x{side}"])
    while side < network.resolution:
        channels = params[f"G_{side}x{side}"]["Conv1"]["bias"].size
        x, side = layers.upsample(graph, x, channels), 2 * side
        x = _convolutions(graph, x, params[f"G_{side}x{side}"])
    x = layers.convolution(graph, x, params[f"G_{side}x{side}"]["Conv_toRGB"], slope=1)
    trace = graph.add("Flatten", graph.add("Sub", image, graph.add("Tanh", x)))
    models = network.model_fingerprints(params)[0].transpose(2, 0, 1, 3)  # (3, R, R, K)
    return trace, graph.add("MatMul", trace, models.reshape(-1, models.shape[-1]))


NETWORKS: dict[type[Network], Write] = {
    visnet.Classifier: classifier,
    visnet_moments.MomentsClassifier: moments.classifier,
    fingerprint_net.Autoencoder: autoencoder,
    regression.PixelRegression: regressions.of(regressions.pixels),
    regression.SpectrumRegression: regressions.of(regressions.spectrum),
    local_regression.BlockSpectrumRegression: regressions.of(regressions.block_spectra),
    local_regression.CooccurrenceRegression: regressions.of(regressions.cooccurrences),
    local_regression.LocalRegression: regressions.of(regressions.local),
}


def _head(graph: Graph, x: str, params: Mapping[str, Any], beside: str) -> tuple[str, str]:
    """The last layers; `beside` are features of another branch, "" for none."""
    if "Dense2" in params:
        x = layers.convolution(graph, x, params["Conv0"])
        x = graph.add("Flatten", graph.add("Transpose", x, perm=(0, 2, 3, 1)))  # as the weights of Dense1 have it
        features = layers.dense(graph, x, params["Dense1"])
        features = graph.add("Concat", features, beside, axis=1) if beside else features
        return features, layers.dense(graph, features, params["Dense2"], gain=1, slope=1)
    x = graph.add("GlobalAveragePool", layers.convolution(graph, x, params["Conv1"]))
    logits = layers.convolution(graph, x, params["Conv2"], gain=1, slope=1)
    return graph.add("Flatten", x), graph.add("Flatten", logits)


def _spectrum(graph: Graph, images: str, network: visnet.Classifier, variables: Mapping[str, Any]) -> str:
    """`spectrum.Spectrum`; "" where the network has none."""
    if not network.spectral_features:
        return ""
    size = layers.dct_size(graph, layers.ycc_maps(graph, images), network.resolution)
    across = graph.add("Transpose", size, perm=(0, 1, 3, 2))
    logs = layers.log_size(graph, graph.add("Mul", graph.add("Add", size, across), np.float32(0.5)))
    flat = graph.add("Reshape", logs, [0, 3, network.resolution**2])
    kept = graph.add("Flatten", graph.add("Gather", flat, spectrum.frequencies(network.resolution), axis=2))
    params, stats = (variables[kind]["Spectrum"] for kind in ("params", "batch_stats"))
    return layers.dense(graph, layers.batch_norm(graph, kept, params["Norm"], stats["Norm"]), params["Dense"])


def _convolutions(graph: Graph, x: str, params: Mapping[str, Any]) -> str:
    return layers.convolution(graph, layers.convolution(graph, x, params["Conv0"]), params["Conv1"])


def _channels_first(graph: Graph, images: str) -> str:
    return graph.add("Transpose", images, perm=(0, 3, 1, 2))
