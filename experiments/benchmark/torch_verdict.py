"""The source of one image with PyTorch and ttach, as a script: `torch_verdict INPUT WEIGHTS IMAGE`."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import ttach
from PIL import Image
from safetensors import safe_open

from experiments.benchmark.torch_device import prepare
from experiments.benchmark.torch_visnet import VisNet


def nested(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """{"a/b": array} as {"a": {"b": array}}; Flax has this too, but importing it takes a second."""
    tree: dict[str, Any] = {}
    for name, array in arrays.items():
        *path, last = name.split("/")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[last] = array
    return tree


def main() -> None:
    """Loads, reads, votes and prints the class."""
    kind, weights, path = sys.argv[1:]
    device = prepare()
    with safe_open(weights, "np") as file:
        names = file.keys()  # the file is no mapping
        arrays = {name.removeprefix("params/"): file.get_tensor(name) for name in names}
        classes = json.loads(file.metadata()["ganfp_jax"])["about"]["classes"]
    network = VisNet(nested(arrays), kind).eval().to(device)  # type: ignore[arg-type]
    voting = ttach.ClassificationTTAWrapper(network, ttach.aliases.d4_transform(), merge_mode="mean")
    image = np.asarray(Image.open(Path(path)).convert("RGB"))
    with torch.inference_mode():
        signed = torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
        print(classes[int(voting(signed).argmax())])


if __name__ == "__main__":
    main()
