import base64
import io

import numpy as np
import pytest
from PIL import Image

from ganfp_jax.report.grid import BACKGROUND, data_uri, image_grid


def numbered(count: int, size: int = 4) -> np.ndarray:
    """Images that are each of one colour, their own index."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, size, size, 3)).copy()


def test_images_stand_in_reading_order():
    picture = image_grid(numbered(5), columns=3, gap=1)
    assert picture.shape == (2 * 4 + 1, 3 * 4 + 2, 3)
    np.testing.assert_array_equal(picture[::5, ::5, 0], [[0, 1, 2], [3, 4, BACKGROUND]])
    assert (picture[4] == BACKGROUND).all()
    assert (picture[:, 4] == BACKGROUND).all()


def test_grid_enlarges_by_repeating_pixels():
    images = np.random.default_rng(0).integers(0, 256, (1, 3, 5, 3), dtype=np.uint8)
    picture = image_grid(images, columns=1, scale=3)
    assert picture.shape == (9, 15, 3)
    np.testing.assert_array_equal(picture[1::3, 1::3], images[0])
    np.testing.assert_array_equal(picture[::3, 2::3], images[0])


def test_without_a_gap_nothing_is_grey():
    assert set(np.unique(image_grid(numbered(4), columns=2, gap=0))) == {0, 1, 2, 3}


def test_grid_of_fewer_images_than_columns():
    assert image_grid(numbered(2), columns=8).shape == (4, 9, 3)


@pytest.mark.parametrize("sizes", [{"columns": 0}, {"columns": 1, "scale": 0}, {"columns": 1, "gap": -1}], ids=str)
def test_bad_sizes(sizes):
    with pytest.raises(ValueError, match="bad sizes"):
        image_grid(numbered(1), **sizes)


def test_no_image():
    with pytest.raises(ValueError, match="at least one image"):
        image_grid(numbered(0), columns=1)


def test_png_and_data_uri_are_lossless():
    picture = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    scheme, _, body = data_uri(buffer.getvalue()).partition(",")
    assert scheme == "data:image/png;base64"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(body)))), picture)
