"""Conversions of stored values, 0 to 255, for networks and methods; they take arrays of NumPy and of JAX."""

from typing import Any

import numpy as np

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma of ITU-R BT.601."""


def to_signed(values: Any) -> Any:
    """Returns x / 127.5 - 1, from 0..255 to [-1, 1], as a float32 array of the same library."""
    return values.astype(np.float32) / 127.5 - 1
