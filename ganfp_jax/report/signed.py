"""Signed values, such as fingerprints and their responses, as pictures in which zero is neutral."""

import math

import numpy as np
from jaxtyping import Float, UInt8

# Blue is negative, near white is zero, red is positive. These anchors of ColorBrewer's RdBu stay distinct for people
# with the usual colour deficiencies. Both ends are dark, so that the strength can be read without hue.
_ANCHORS = np.array(
    [(5, 48, 97), (33, 102, 172), (67, 147, 195), (146, 197, 222), (209, 229, 240), (242, 242, 242),
     (253, 219, 199), (244, 165, 130), (214, 96, 77), (178, 24, 43), (103, 0, 31)], float,
)  # fmt: skip


def signed_picture(
    values: Float[np.ndarray, "h w"] | Float[np.ndarray, "h w 3"], limit: float | int
) -> UInt8[np.ndarray, "h w 3"]:
    """Draws signed values as an 8-bit picture; values beyond `limit` on either side are clipped.

    Args:
        values: one channel is drawn in blue (negative), near white (zero) and red (positive); three channels are drawn
            in their own colours, with zero at mid grey: 127.5 + 127.5 value / limit.
        limit: the absolute value that is shown at full strength; positive.

    Raises:
        ValueError: the limit is not positive.
    """
    if not limit > 0:
        raise ValueError(f"signed_picture: limit {limit} is not positive")
    unit = np.clip(values.astype(float) / limit, -1, 1)
    if values.ndim == 3:
        return np.rint(127.5 + 127.5 * unit).astype(np.uint8)
    places = np.linspace(-1, 1, len(_ANCHORS))
    return np.rint(np.stack([np.interp(unit, places, channel) for channel in _ANCHORS.T], axis=-1)).astype(np.uint8)


def vector_as_rows(vector: Float[np.ndarray, " f"]) -> Float[np.ndarray, "rows columns"]:
    """Folds a feature vector into rows, about twice as wide as high: 512 values become 16 rows of 32.

    The rows have no meaning beyond the order of the vector. Places without a value are 0.
    """
    columns = 2 ** math.ceil(math.log2(max(len(vector), 1)) / 2)
    rows = -(-len(vector) // columns)
    return np.pad(vector, (0, rows * columns - len(vector))).reshape(rows, columns)
