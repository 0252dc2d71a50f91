"""The vote of an attribution network as an ONNX graph: uint8 images in, a verdict out.

Views, network, vote, margin and p-values are those of `ganfp_jax.data.views`, `models`, `attribution.voting`,
`attribution.verdict` and `attribution.typicality`; all arithmetic is float32.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from ganfp_jax import models
from ganfp_jax.data.views import pixels_of, single_view
from ganfp_jax.interop.onnx_graph.builder import Graph
from ganfp_jax.interop.onnx_graph.networks import NETWORKS
from ganfp_jax.interop.weights import Weights, digest
from ganfp_jax.run.errors import UserError

IMAGES = "images"
OUTPUTS = {
    "predicted": (TensorProto.INT64, "N", "place in classes of the class that the rule chose, 0 to K - 1"),
    "probabilities": (TensorProto.FLOAT, "NK", "of each class by the vote, 0 to 1; rows sum to 1"),
    "margin": (TensorProto.FLOAT, "N", "probability of that class less the highest of another one, -1 to 1"),
    "distance": (TensorProto.FLOAT, "N", "of the fingerprint from the nearest class's, 0 to 2"),
    "typicality": (TensorProto.FLOAT, "NK", "how typical the image is of each class, a p-value; 1 where not learned"),
    "unknown": (TensorProto.BOOL, "N", "whether the image is typical of no class; where it is, say 'unknown'"),
    "decided": (TensorProto.BOOL, "N", "whether that class is the verdict; where it is not, say 'unsure'"),
    "votes": (TensorProto.INT64, "NK", "how many views chose each class, 0 to V"),
    "logits": (TensorProto.FLOAT, "NVK", "of each class in each view, any number"),
}
"""Name of each output -> its type, its axes and what it says, of N images, V views and K classes."""


def vote_graph(
    weights: Weights,
    views: Sequence[str],
    rule: str,
    calibration: Mapping[str, Any] | None = None,
    thresholds: Sequence[float] = (),
    typical: Mapping[str, Any] | None = None,
) -> bytes:
    """Writes the vote of an attribution network as one ONNX model; the same arguments give the same bytes.

    Args:
        weights: of an attribution network with one logit a source.
        views: canonical names, as `ganfp_jax.data.views.resolve_views` returns them.
        rule: one of `ganfp_jax.attribution.voting.RULES`.
        calibration: `Calibration.to_dict` of this very vote, which the file tells; None where it has none.
        thresholds: the margin that a verdict needs, by the class that it names; where there are none, every one stands.
        typical: `Typical.to_dict` of the p-values of its verdicts; None where it has none, and none is "unknown".

    Raises:
        UserError: there is no ONNX form of this network, or of the score of its p-values.
    """
    network = models.create(**weights.model)
    write = NETWORKS.get(type(network))
    if write is None:
        raise UserError(f"there is no ONNX form of the network {weights.model['name']}; export it as stablehlo")
    graph, side, classes = Graph(), weights.model["resolution"], weights.about["classes"]
    sizes: dict[str, str | int] = {"N": "n", "V": len(views), "K": len(classes)}
    fingerprints, said = write(graph, _seen(graph, views, side), network, weights.variables)
    graph.add("Reshape", said, [-1, len(views), len(classes)], name="logits")
    _count(graph, rule, len(classes))
    fixed, biases = map(np.asarray, network.model_fingerprints(weights.variables["params"]))
    _measure(graph, fingerprints, fixed.reshape(-1, len(classes)), biases, views)
    needed = np.array(thresholds or [-2] * len(classes), np.float32)  # no margin is below -1
    sure = graph.add("GreaterOrEqual", "margin", graph.add("Gather", needed, "predicted"))
    if typical is None:
        _decide_by_margin(graph, sure)
    else:
        _decide(graph, sure, _typicality(graph, typical), len(classes))
    images = helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, ("n", side, side, 3), "RGB, 0 to 255")
    outputs = [
        helper.make_tensor_value_info(name, kind, [sizes[axis] for axis in axes], meaning)
        for name, (kind, axes, meaning) in OUTPUTS.items()
    ]
    facts = {
        "classes": classes,
        "views": list(views),
        "rule": rule,
        "calibration": calibration,
        "model": weights.model,
        "digest": digest(weights.variables),
        "origin": weights.origin,
    }
    texts = {key: json.dumps(value) for key, value in facts.items()}
    return graph.model("vote", [images], outputs, texts).SerializeToString(deterministic=True)


def _seen(graph: Graph, views: Sequence[str], side: int) -> str:
    """All views of all images, an image's side by side, in [-1, 1]: (N V, R, R, 3)."""
    flat = graph.add("Reshape", IMAGES, [0, side * side, 3])
    grey = graph.add("Cast", flat, to=TensorProto.FLOAT)
    signed = graph.add("Sub", graph.add("Div", grey, np.float32(127.5)), np.float32(1))
    made = [pixels_of(view, side) for view in views]
    terms = max(len(places) for places, _ in made)
    places, shares = (np.stack([_filled(part, terms) for part in parts], 1) for parts in zip(*made, strict=True))
    total = ""
    for place, share in zip(places, shares, strict=True):
        term = graph.add("Gather", signed, place, axis=1)  # (N, V, R R, 3)
        term = term if (share == 1).all() else graph.add("Mul", term, share[..., None])
        total = graph.add("Add", total, term) if total else term
    return graph.add("Reshape", total, [-1, side, side, 3])


def _filled(part: np.ndarray, terms: int) -> np.ndarray:
    return np.pad(part, ((0, terms - len(part)), (0, 0)))


def _count(graph: Graph, rule: str, num_classes: int) -> None:
    """Adds `votes`, `probabilities`, `predicted` and `margin`, as `voting.count_votes` and `verdict.margins` do."""
    chosen = _one_hot(graph, graph.add("ArgMax", "logits", axis=2, keepdims=1), num_classes)  # (N, V, K)
    graph.add("ReduceSum", graph.add("Cast", chosen, to=TensorProto.INT64), [1], keepdims=0, name="votes")
    score = _scores(graph, rule)
    graph.add("ArgMax", score, axis=1, keepdims=0, name="predicted")
    leader = _one_hot(graph, graph.add("ArgMax", score, axis=1, keepdims=1), num_classes)  # (N, K)
    zero = np.float32(0)
    own = graph.add("ReduceMax", graph.add("Where", leader, "probabilities", zero), axes=(1,), keepdims=0)
    others = graph.add("ReduceMax", graph.add("Where", leader, zero, "probabilities"), axes=(1,), keepdims=0)
    graph.add("Sub", own, others, name="margin")


def _measure(graph: Graph, fingerprints: str, models: np.ndarray, biases: np.ndarray, views: Sequence[str]) -> None:
    """Adds `distance`, as `models.fingerprints.nearest_distance` measures it in the view that stands for the image.

    Args:
        fingerprints: of all views of all images, (N V, F).
        models: of the classes, (F, K); their products with a fingerprint are its logits less `biases` (K,).
        views: V names.
    """
    place = np.int64(single_view(views))
    every = graph.add("Reshape", fingerprints, [-1, len(views), len(models)])
    length = graph.add("ReduceL2", graph.add("Gather", every, place, axis=1), axes=(1,), keepdims=1)
    lengths = graph.add("Mul", length, np.linalg.norm(models, axis=0, keepdims=True))  # (N, K)
    products = graph.add("Sub", graph.add("Gather", "logits", place, axis=1), biases)
    cosines = graph.add("Div", products, graph.add("Max", lengths, np.finfo(np.float32).tiny))
    graph.add("Sub", np.float32(1), graph.add("ReduceMax", cosines, axes=(1,), keepdims=0), name="distance")


def _decide_by_margin(graph: Graph, sure: str) -> None:
    """Adds `typicality`, `unknown` and `decided` of a vote without p-values."""
    graph.add("Expand", np.float32(1), graph.add("Shape", "probabilities"), name="typicality")
    graph.add("Not", graph.add("Equal", "predicted", "predicted"), name="unknown")  # nowhere
    graph.add("Identity", sure, name="decided")


def _decide(graph: Graph, sure: str, like: str, num_classes: int) -> None:
    """Adds `unknown` and `decided`, as `verdict.decide` does.

    Args:
        sure: whether the margin is enough, (N).
        like: which classes each image is typical of, (N, K).
    """
    number = graph.add("ReduceSum", graph.add("Cast", like, to=TensorProto.INT64), [1], keepdims=0)
    graph.add("Equal", number, np.int64(0), name="unknown")
    voted = _one_hot(graph, graph.add("Unsqueeze", "predicted", [1]), num_classes)
    mine = graph.add("Cast", graph.add("And", like, voted), to=TensorProto.INT64)
    alone = graph.add("Equal", graph.add("Mul", number, graph.add("ReduceSum", mine, [1], keepdims=0)), np.int64(1))
    graph.add("And", sure, alone, name="decided")


def _typicality(graph: Graph, typical: Mapping[str, Any]) -> str:
    """Adds `typicality`, as `attribution.typicality` has it; returns which classes each image is typical of, (N, K)."""
    if typical["score"] not in SCORES:
        raise UserError(f"there is no ONNX form of the score {typical['score']}; export the network as stablehlo")
    strange = SCORES[typical["score"]](graph)
    known = typical["known"]
    most = max(len(source["scores"]) for source in known)
    # A class gets as many steps as the one with the most; no score but NaN is beyond the further ones.
    steps = np.stack([_filled_up(source["scores"], most, np.inf) for source in known])
    at_least = np.stack([_filled_up(source["at_least"], most + 1, 0) for source in known])
    p_values = (1 + at_least) / np.array([[source["photographs"] + 1] for source in known])
    below = graph.add("LessOrEqual", graph.add("Unsqueeze", strange, [2]), steps.astype(np.float32))  # (N, K, steps)
    count = graph.add("ReduceSum", graph.add("Cast", below, to=TensorProto.INT64), [2], keepdims=0)
    ends = most + (most + 1) * np.arange(len(known))
    places = graph.add("Sub", ends, count)  # in the table of all classes, of the first step that is not below
    graph.add("Gather", p_values.astype(np.float32).ravel(), places, name="typicality")
    return graph.add("Gather", (p_values > typical["unknown_rate"]).ravel(), places)


def _strangeness(graph: Graph) -> str:
    return graph.add("Add", graph.add("Sub", np.float32(1), "probabilities"), graph.add("Unsqueeze", "distance", [1]))


def _novelty(graph: Graph) -> str:
    every = graph.add("Sigmoid", graph.add("ReduceLogSumExp", "logits", axes=(2,), keepdims=0))  # (N, V)
    somebody = graph.add("ReduceMean", every, axes=(1,), keepdims=1)
    return graph.add("Sub", np.float32(1), graph.add("Mul", "probabilities", somebody))


SCORES = {"strangeness": _strangeness, "novelty": _novelty}
"""Those of `attribution.verdict` that p-values may have, each by what adds it to a graph: (N, K)."""


def _filled_up(values: Sequence[float], count: int, value: float) -> np.ndarray:
    return np.pad(np.array(values, np.float64), (0, count - len(values)), constant_values=value)


def _scores(graph: Graph, rule: str) -> str:
    """Adds `probabilities` and returns what the chosen class has most of."""
    if rule == "mean_logit":
        mean = graph.add("ReduceMean", "logits", axes=(1,), keepdims=0)
        graph.add("Softmax", mean, axis=1, name="probabilities")
        return mean
    shares = graph.add("Softmax", "logits", axis=2)
    graph.add("ReduceMean", shares, axes=(1,), keepdims=0, name="probabilities")
    if rule == "mean_probability":
        return "probabilities"
    most = graph.add("ReduceMax", "votes", axes=(1,), keepdims=1)
    return graph.add("Where", graph.add("Equal", "votes", most), "probabilities", np.float32(-1))


def _one_hot(graph: Graph, places: str, num_classes: int) -> str:
    return graph.add("Equal", places, np.arange(num_classes))
