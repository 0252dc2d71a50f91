"""A graph of ONNX in the making, node by node."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, checker, helper, numpy_helper

Value = str | np.ndarray | np.generic | Sequence[int]
"""What a node takes: the output of another node by its name, or numbers, which become a constant of the file."""

# Both of 2022. Readers take older ones, so a graph is written in the oldest that has what it needs.
OPSET = 17
IR_VERSION = 8


class Graph:
    """The nodes and constants of a graph, in the order in which they are computed."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def add(self, kind: str, *inputs: Value, name: str = "", **attributes: Any) -> str:
        """Adds a node of one output; returns the output's name.

        Args:
            kind: an operator of ONNX.
            inputs: what it takes; integers in a list are int64.
            name: of node and output; by default the operator and a number.
            attributes: of the operator.
        """
        name = name or f"{kind}_{len(self._nodes)}"
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        self._nodes.append(helper.make_node(kind, names, [name], name, **attributes))
        return name

    def model(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any], facts: Mapping[str, str]) -> ModelProto:
        """Returns the finished graph as a checked model; the same graph has the same bytes.

        Args:
            name: of the graph.
            inputs, outputs: described by `onnx.helper.make_tensor_value_info`.
            facts: of the model, which onnxruntime has in `custom_metadata_map`.
        """
        graph = helper.make_graph(self._nodes, name, inputs, outputs, self._constants)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, producer_name="ganfp_jax", opset_imports=opsets, ir_version=IR_VERSION)
        helper.set_model_props(model, dict(facts))
        checker.check_model(model, full_check=True)
        return model

    def _constant(self, values: np.ndarray | np.generic | Sequence[int]) -> str:
        name = f"constant_{len(self._constants)}"
        array = np.asarray(values) if isinstance(values, np.ndarray | np.generic) else np.array(values, np.int64)
        self._constants.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name
