"""An attribution network with its vote and its calibration as one ONNX file, which onnxruntime runs."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.data.views import check_size, resolve_views
from ganfp_jax.interop.weights import Weights
from ganfp_jax.jobs.export_weights.checks import check_same, noise, refuse_map
from ganfp_jax.jobs.export_weights.output import summary, write
from ganfp_jax.run.errors import UserError

NAME = "vote.onnx"
TOLERANCE = 1e-5  # between the logits of the file and of this package, of the largest
INSTALL = "pip install 'ganfp_jax[onnx]'"
USAGE = """\
import json, numpy as np, onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession("{name}", providers=["CPUExecutionProvider"])
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
side = session.get_inputs()[0].shape[1]
photo = Image.open("photo.png").convert("RGB")
left, top = (photo.width - side) // 2, (photo.height - side) // 2
centre = np.asarray(photo.crop((left, top, left + side, top + side)))  # pixel for pixel: resizing damages the traces
outputs = ["predicted", "probabilities", "decided", "unknown"]
predicted, probabilities, decided, unknown = session.run(outputs, {{"images": centre[None]}})
print("unknown" if unknown[0] else classes[predicted[0]] if decided[0] else "unsure", probabilities[0])
"""
"""How to ask such a file about the middle of a picture, where Python has onnxruntime, numpy and Pillow."""


def export_to(path: Path, weights: Weights, config: Mapping[str, Any]) -> None:
    """Writes the file, after onnxruntime has answered with it as the network does.

    Raises:
        UserError: the packages are not installed, the network has no ONNX form, onnxruntime answers otherwise, or the
            file cannot be written.
    """
    try:
        from ganfp_jax.interop.onnx_graph.vote import OUTPUTS, vote_graph
    except ModuleNotFoundError as missing:
        raise UserError(f"config.format=onnx needs the package {missing.name}; {INSTALL}") from missing
    refuse_map(weights)
    if "dtype" in weights.model:
        weights = dataclasses.replace(weights, model=weights.model | {"dtype": "float32"})
    attributor = Attributor.of(weights, config["checkpoint"])
    views, rule = resolve_views(config["views"]), config["rule"]
    check_size(views, attributor.resolution)
    calibration = attributor.calibration_for(views, rule)
    typical = None if calibration is None else calibration.typical
    decides: dict[str, Any] = {}
    if calibration is not None:
        decides = {"calibration": calibration.to_dict(), "thresholds": calibration.thresholds(attributor.classes)}
    data = vote_graph(weights, views, rule, **decides, typical=None if typical is None else typical.to_dict())
    print(_compare(data, weights, attributor, config))
    write(path, data)
    unsure = calibration.where_unsure if calibration else "nowhere: this vote is not calibrated"
    unknown = f"where no p-value is above {typical.unknown_rate:g}" if typical else "nowhere: without p-values"
    facts = [("vote", f"{rule} of {', '.join(views)}"), ("unsure", unsure), ("unknown", unknown)]
    print(summary(weights, path, *facts, ("outputs", ", ".join(OUTPUTS))))
    print(f"\nuse it where Python has onnxruntime, or in any other program with it:\n\n{USAGE.format(name=path.name)}")


def _compare(data: bytes, weights: Weights, attributor: Attributor, config: Mapping[str, Any]) -> str:
    try:
        import onnxruntime
    except ModuleNotFoundError as missing:
        raise UserError(f"config.format=onnx needs onnxruntime to check what it wrote; {INSTALL}") from missing
    images = noise(weights, 2)
    here = attributor.vote(images, config["views"], config["rule"], len(images))
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (there,) = session.run(["logits"], {"images": images})  # (N, V, K)
    return check_same(there.swapaxes(0, 1), here.view_logits, TOLERANCE, config["checkpoint"], "onnxruntime")
