"""Inception features with the user's weights, which are read from a local file and never downloaded.

The weights are those of pytorch-fid's `pt_inception-2015-12-05-6726825d.pth`. Convert them once to plain arrays, on any
machine with PyTorch:

    state = {k: v.contiguous() for k, v in torch.load("pt_inception-2015-12-05-6726825d.pth").items()}
    safetensors.torch.save_file(state, "inception.safetensors")

or `numpy.savez("inception.npz", **{k: v.numpy() for k, v in state.items()})` for the second line.
"""

import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Float32, UInt8

from ganfp_jax.models.inception import FEATURES, Inception
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.reading import open_regular

Features = Callable[..., Float32[np.ndarray, "n 2048"]]  # (images, tick)

# (collection, name) of a Flax variable -> end of its published name.
_PUBLISHED = {
    ("params", "weight"): "conv.weight",
    ("params", "scale"): "bn.weight",
    ("params", "offset"): "bn.bias",
    ("batch_stats", "mean"): "bn.running_mean",
    ("batch_stats", "var"): "bn.running_var",
}
# The features do not need the classifier's layers and PyTorch's counters.
_IGNORED = re.compile(r"fc\..*|AuxLogits\..*|.*\.num_batches_tracked")


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a `.safetensors` or `.npz` file, by name.

    Raises:
        UserError: the file is missing, or cannot be read as the format of its suffix.
    """
    if not path.is_file():
        raise UserError(f"no Inception weights at {path}; give a .safetensors or .npz file")
    try:
        if path.suffix == ".safetensors":
            from safetensors.numpy import load_file

            return load_file(path)
        if path.suffix == ".npz":
            with open_regular(path) as stored, np.load(stored, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
    except (ValueError, KeyError, OSError, zipfile.BadZipFile, _safetensors_error()) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} cannot be read as {path.suffix}: {reason}; convert the weights again") from error
    raise UserError(
        f"{path} is neither .safetensors nor .npz; ganfp_jax/metrics/inception.py shows how to convert PyTorch's file"
    )


def _safetensors_error() -> type[Exception]:
    from safetensors import SafetensorError

    return SafetensorError


def inception_variables(state: Mapping[str, np.ndarray], origin: object) -> dict[str, Any]:
    """The variables of `models.inception.Inception`, converted from PyTorch's names and axes.

    Args:
        state: arrays by published name; the classifier (`fc.*`, `AuxLogits.*`) and counters are ignored.
        origin: name of the source of the arrays, for the error.

    Raises:
        UserError: arrays are missing, unknown or of another shape.
    """
    example = jax.ShapeDtypeStruct((1, 299, 299, 3), np.uint8)
    expected = flatten_dict(jax.eval_shape(Inception().init, jax.random.key(0), example))
    paths = {".".join((*path[1:-1], _PUBLISHED[path[0], path[-1]])): path for path in expected}
    arrays = {name: _channels_last(np.asarray(state[name], np.float32)) for name in paths if name in state}
    faults = {
        "missing": [name for name in paths if name not in state],
        "surplus": [name for name in state if name not in paths and not _IGNORED.fullmatch(name)],
        "of another shape": [name for name, array in arrays.items() if array.shape != expected[paths[name]].shape],
    }
    if any(faults.values()):
        summary = ", ".join(f"{len(names)} {what} ({names[0]} first)" for what, names in faults.items() if names)
        raise UserError(f"{origin} does not hold the FID Inception network; arrays {summary}: convert it as documented")
    return unflatten_dict({paths[name]: array for name, array in arrays.items()})


def _channels_last(array: np.ndarray) -> np.ndarray:
    """Transpose kernels from OIHW to HWIO; vectors stay."""
    return np.ascontiguousarray(array.transpose(2, 3, 1, 0)) if array.ndim == 4 else array


def make_features(path: Path, *, batch_size: int = 32) -> Features:
    """features(images, tick): Inception features of images of any size, 0 to 255, with the weights in the file `path`.

    It calls `tick` with the number of images after each batch.

    Args:
        path: file of weights.
        batch_size: images in one compiled call.

    Raises:
        UserError: as `read_weights` and `inception_variables`.
    """
    variables = jax.device_put(inception_variables(read_weights(path), path))
    apply = jax.jit(Inception().apply)

    def features(
        images: UInt8[np.ndarray, "n h w 3"], tick: Callable[[int], object] = lambda n: None
    ) -> Float32[np.ndarray, "n 2048"]:
        rows = np.empty((len(images), FEATURES), np.float32)
        for first in range(0, len(images), batch_size):
            batch = images[first : first + batch_size]
            rows[first : first + batch_size] = np.asarray(apply(variables, batch))
            tick(len(batch))
        return rows

    return features
