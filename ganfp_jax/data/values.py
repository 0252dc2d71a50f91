"""Conversions of stored values, 0 to 255, for networks and methods; they take arrays of NumPy and of JAX."""

from typing import Any

import numpy as np

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma of ITU-R BT.601."""
YCBCR = (LUMA, (-0.299 / 1.772, -0.587 / 1.772, 0.5), (0.5, -0.587 / 1.402, -0.114 / 1.402))
"""Weights of red, green and blue in Y, Cb and Cr of JFIF, without the constant 128 of the last two."""


def to_signed(values: Any) -> Any:
    """Returns x / 127.5 - 1, from 0..255 to [-1, 1], as a float32 array of the same library."""
    return values.astype(np.float32) / 127.5 - 1
