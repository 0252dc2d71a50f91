"""Networks in PyTorch's files: from their tensors to the published names that `interop.layouts` takes."""

import math
import re
from collections.abc import Mapping

import numpy as np

from ganfp_jax.interop.layouts import MOST_LAYERS
from ganfp_jax.run.errors import UserError

Tensors = Mapping[str, np.ndarray]

_GAIN = math.sqrt(2.0)  # of all layers but the last, in the equalised learning rate
_CONV = re.compile(r"convs\.(\d+)\.weight")
_DENSE = ("dense1", "dense2")
_STRANGERS = {
    "fc.weight": "POSE's network, which sees the DCT of 128x128 pixels",
    "classification_head.1.weight": "DNA-Det's network",
}


def visnet(tensors: Tensors) -> dict[str, np.ndarray]:
    """Returns the variables of an attribution classifier by their published names.

    The file's network has 3x3 convolutions `convs.0`, `convs.1`, ..., two a side and one at 4x4, then `dense1` and
    `dense2`, as `experiments/benchmark/torch_visnet.py` has it: the scales of the equalised learning rate are
    multiplied in, and here divided out.

    Raises:
        UserError: the tensors are of another network; it names POSE's and DNA-Det's.
    """
    count = sum(map(bool, map(_CONV.fullmatch, tensors)))
    layers = [*(f"convs.{number}" for number in range(count)), *_DENSE]
    wanted = {f"{layer}.{part}" for layer in layers for part in ("weight", "bias")}
    if wanted != set(tensors) or count % 2 == 0 or count > MOST_LAYERS:
        raise UserError(f"it holds {_what(tensors)}; a VisNet has convs.0, convs.1, ..., dense1 and dense2")
    found: dict[str, np.ndarray] = {}
    for layer, scope in zip(layers, _scopes(count // 2), strict=True):
        weight = np.asarray(tensors[f"{layer}.weight"], np.float32)
        if weight.ndim != (2 if layer in _DENSE else 4) or (layer not in _DENSE and weight.shape[2:] != (3, 3)):
            raise UserError(f"{layer}.weight has the shape {weight.shape}, as no VisNet has; is it another network?")
        gain = 1.0 if layer == "dense2" else _GAIN
        turned = weight.T if layer in _DENSE else weight.transpose(2, 3, 1, 0)
        found[f"{scope}/weight"] = turned * np.float32(math.sqrt(weight[0].size) / gain)
        found[f"{scope}/bias"] = np.asarray(tensors[f"{layer}.bias"], np.float32)
    return found


def _scopes(levels: int) -> list[str]:
    """Returns the published names of the layers of a network that halves its images so often."""
    sides = [4 << level for level in range(levels, 0, -1)]
    convs = [f"{side}x{side}/{conv}" for side in sides for conv in ("Conv0", "Conv1")]
    return [*convs, "4x4/Conv0", "4x4/Dense1", "4x4/Dense2"]


def _what(tensors: Tensors) -> str:
    """Names a network that is known but not built here, else its first tensors."""
    if "main.0.main.0.weight" in tensors:
        stranger = next((what for name, what in _STRANGERS.items() if name in tensors), "")
        if stranger:
            return f"{stranger}, which is not built here (interop.torch_file.read_torch gives its tensors)"
    return ", ".join(list(tensors)[:3]) or "nothing"
