"""Stored values, 0 to 255, as the numbers that networks and methods work with; NumPy's and JAX's arrays alike."""

from typing import Any

import numpy as np

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma of ITU-R BT.601."""


def to_signed(values: Any) -> Any:
    """x / 127.5 - 1: from 0..255 to [-1, 1], float32, an array of the same kind."""
    return values.astype(np.float32) / 127.5 - 1
