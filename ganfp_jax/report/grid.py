"""Images side by side in one picture, and pictures inside a page."""

import base64
import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ganfp_jax.data.decode import png_bytes

BACKGROUND = 112  # a neutral grey that suits light and dark pages


def image_grid(
    images: UInt8[np.ndarray, "n h w 3"], columns: int, *, scale: int = 1, gap: int = 1
) -> UInt8[np.ndarray, "rows cols 3"]:
    """Makes one picture of all images, row by row, enlarged without smoothing.

    Args:
        images: at least one image; the order is left to right, then top to bottom.
        columns: most images in a row; fewer images make a narrower picture.
        scale: whole factor by which every pixel is repeated.
        gap: grey pixels between neighbours, counted after the enlargement; none at the outer border.

    Returns:
        The picture. Empty cells of the last row are grey.

    Raises:
        ValueError: there is no image, or a size is not positive.
    """
    if len(images) == 0:
        raise ValueError("image_grid needs at least one image")
    if columns < 1 or scale < 1 or gap < 0:
        raise ValueError(f"image_grid: bad sizes columns={columns}, scale={scale}, gap={gap}")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    cells = images.repeat(scale, axis=1).repeat(scale, axis=2)
    height, width = cells.shape[1:3]
    picture = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), BACKGROUND, np.uint8)
    for index, cell in enumerate(cells):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        picture[top : top + height, left : left + width] = cell
    return picture


def data_uri(content: bytes, kind: str = "png") -> str:
    """Returns the bytes of a picture's file as a `data:` address, so that a page contains the picture."""
    return f"data:image/{kind};base64," + base64.b64encode(content).decode("ascii")


def picture_uri(picture: UInt8[np.ndarray, "h w 3"], lossless: bool) -> str:
    """Returns a picture as a `data:` address, as PNG or, since a page holds many, as JPEG."""
    if lossless:
        return data_uri(png_bytes(picture))
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=88, subsampling=0)
    return data_uri(buffer.getvalue(), "jpeg")
