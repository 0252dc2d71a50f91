"""A network as a folder to share, as the Hugging Face hub keeps it: weights, settings and a model card.

`model.safetensors` is a file of `ganfp_jax.interop.weights`, which says all that is needed to use it. `config.json`
repeats its header for other programs, and README.md is for people; nothing is read from these two.
"""

import json
from pathlib import Path

from ganfp_jax.interop.weights import Weights, write_file
from ganfp_jax.run import atomic

MODEL = "model.safetensors"
CONFIG = "config.json"
CARD = "README.md"


def write_folder(folder: Path, weights: Weights, card: str) -> str:
    """Writes a network as a folder, or over the files of an older one.

    Args:
        folder: made if need be.
        weights: of the network, with its calibration if it has one.
        card: the text of its README.md.

    Returns:
        The digest of the weights.

    Raises:
        UserError: the weights are not those of their model, or the folder cannot be written to.
    """
    written = write_file(folder / MODEL, weights)
    settings = {field: getattr(weights, field) for field in ("kind", "model", "about", "origin")}
    described = {"library_name": "ganfp_jax", **settings, "digest": written}
    atomic.write_bytes(folder / CONFIG, f"{json.dumps(described, indent=1, sort_keys=True)}\n".encode())
    atomic.write_bytes(folder / CARD, card.encode())
    return written
