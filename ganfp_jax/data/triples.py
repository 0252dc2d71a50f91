"""Triples of quantised differences of neighbouring pixels, as steganalysis counts them; for arrays of NumPy and of JAX.

Fridrich and Kodovsky, "Rich Models for Steganalysis of Digital Images" (2012), count those of four neighbours. Three
have fewer bins, which the pixels of a small crop fill better.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

ORDERS = (1, 2, 3)
"""Orders of the differences; the largest of their weights are 1, 2 and 3."""
STEP = 1.0
"""Step of the quantisation, times the largest weight."""
TRUNCATION = 2
"""Quantised differences beyond it count as it."""
LEVELS = 2 * TRUNCATION + 1
BINS = LEVELS**3
KINDS = 4 * len(ORDERS)
"""Kinds of triples: differences in rows and in columns, of each order, three in a row and three in a column."""


def luma(images: Any) -> Any:
    """Y of JFIF as whole numbers 0 to 255, halves rounded up, of whole numbers (n, h, w, 3)."""
    images = images.astype(np.int32)
    return (299 * images[..., 0] + 587 * images[..., 1] + 114 * images[..., 2] + 500) // 1000


def triples(values: Any) -> Iterator[Any]:
    """Yields the codes, 0 to `BINS` - 1, of the triples of each kind in whole numbers (n, h, w), as uint8."""
    for axis in (1, 2):
        differences = values
        for order in ORDERS:
            differences = _from(differences, axis, 1) - _until(differences, axis, 1)
            quantised = (differences * np.float32(1 / (order * STEP))).round().clip(-TRUNCATION, TRUNCATION)
            levels = (quantised + TRUNCATION).astype(np.uint8)
            for along in (2, 1):
                first, last = _until(levels, along, 2), _from(levels, along, 2)
                second = _from(_until(levels, along, 1), along, 1)
                yield LEVELS * (LEVELS * first + second) + last


def _from(values: Any, axis: int, start: int) -> Any:
    return values[:, start:] if axis == 1 else values[:, :, start:]


def _until(values: Any, axis: int, before_end: int) -> Any:
    return values[:, :-before_end] if axis == 1 else values[:, :, :-before_end]
