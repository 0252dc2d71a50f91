"""Image-to-image networks of ONNX files, run on the CPU by onnxruntime."""

import hashlib
import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped, UInt8

from ganfp_jax.generation.restorers.restorer import SCALES, Restorer
from ganfp_jax.run.errors import UserError, message

TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
RANGES = (1, 255)
"""The value of white in a network's input and output; one of bytes always has 255."""
PREPADDING = 16
TILE = 256
SIDES = (65, 66, 68, 72, 80, 96)
"""Sides that are tried in this order; that of the first which a network takes tells the multiple it needs."""

Batch = Shaped[np.ndarray, "1 _ _ _"]


def load(path: Path, *, white: int, threads: int) -> Restorer:
    """Loads a network with one input, a batch of RGB pictures, and one output of that kind.

    The layout, NCHW or NHWC, is read from the shapes: the axis of three channels says it. The scale is found by running
    the network.

    Args:
        path: the file.
        white: one of `RANGES`.
        threads: as many as onnxruntime may use.

    Raises:
        UserError: onnxruntime is not installed, or the file is missing, damaged or no such network.
    """
    if white not in RANGES:
        raise UserError(f"config.network.white is {white}; give {' or '.join(map(str, RANGES))}")
    session = _session(path, threads)
    channels_last, size, dtype = _input(session, path)
    name = session.get_inputs()[0].name
    white = 255 if dtype == np.uint8 else white

    def run(picture: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "H W 3"]:
        values = picture if dtype == np.uint8 else (picture * np.float32(white / 255)).astype(dtype)
        batch = values[None] if channels_last else np.moveaxis(values, -1, 0)[None]
        output = session.run(None, {name: np.ascontiguousarray(batch)})[0]
        image = output[0] if channels_last else np.moveaxis(output[0], 0, -1)
        return image.astype(np.float32) * np.float32(255 / white)

    scale, multiple = _tried(run, size, path)
    origin = {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "onnxruntime": importlib.metadata.version("onnxruntime"),
        "white": white,
    }
    tile = size - 2 * PREPADDING if size else TILE
    return Restorer(
        path.stem,
        origin,
        scale,
        run,
        tile=tile,
        prepadding=PREPADDING,
        multiple=multiple,
        local=False,
        fixed=bool(size),
    )


def _session(path: Path, threads: int) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise UserError("ONNX files run with the package onnxruntime: pip install 'ganfp_jax[restorers]'") from None
    if not path.is_file():
        raise UserError(f"{path} is no file: give an ONNX file, --config.generator=onnx:FILE")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4  # errors are raised, not printed
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's types of errors have no common class
        raise UserError(f"{path} is damaged, or no ONNX file that onnxruntime can run: {message(error)}") from None


def _input(session: Any, path: Path) -> tuple[bool, int, type]:
    """Returns whether channels are last, the side that is fixed (0 where none is), and the type of the input."""
    if len(session.get_inputs()) != 1 or len(session.get_outputs()) != 1:
        raise _other(path, "it has several inputs or outputs")
    put = session.get_inputs()[0]
    if put.type not in TYPES or len(put.shape) != 4:
        raise _other(path, f"its input is a {put.type} of {len(put.shape)} axes")
    shapes = put.shape, session.get_outputs()[0].shape
    channels = [axis for axis in (1, 3) if any(len(shape) == 4 and shape[axis] == 3 for shape in shapes)]
    if len(channels) != 1:
        raise _other(path, f"its shapes {' and '.join(str(shape) for shape in shapes)} do not say which axis is colour")
    sides = [side for side in (put.shape[2:] if channels == [1] else put.shape[1:3]) if isinstance(side, int)]
    if sides and (len(set(sides)) > 1 or sides[0] <= 2 * PREPADDING):
        raise _other(path, f"its input is {'x'.join(map(str, sides))}, not square or not over {2 * PREPADDING}")
    return channels == [3], sides[0] if sides else 0, TYPES[put.type]


def _tried(
    run: Callable[[UInt8[np.ndarray, "h w 3"]], Float32[np.ndarray, "H W 3"]], size: int, path: Path
) -> tuple[int, int]:
    """Returns the scale, and the multiple that a side must be."""
    fault = ""
    for side in (size,) if size else SIDES:
        try:
            height, width, channels = run(np.full((side, side, 3), 128, np.uint8)).shape
        except Exception as error:  # as above
            fault = message(error)
            continue
        if height == width and channels == 3 and height % side == 0 and height // side in SCALES:
            return height // side, size - 2 * PREPADDING if size else side - 64
        fault = f"it makes {width}x{height} with {channels} channels of {side}x{side}"
    raise _other(path, fault)


def _other(path: Path, why: str) -> UserError:
    scales = ", ".join(map(str, SCALES))
    return UserError(f"{path} is no network from RGB pictures to such, enlarged {scales} times: {why}")
