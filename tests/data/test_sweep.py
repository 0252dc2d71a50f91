"""Windows over all of a picture: how close, which of them, and from where."""

import numpy as np
import pytest

from ganfp_jax.data.sweep import sweep, thumbnail

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("size", "most"), [((32, 32), 9), ((64, 96), 1000), ((200, 500), 40), ((33, 3000), 30)])
def test_sweep_goes_over_all_of_a_picture_with_at_most_so_many_windows(size, most):
    image = RNG.integers(0, 256, (*size, 3), np.uint8)
    swept = sweep(image, 32, most, 10.0)
    assert 1 <= swept.seen.size <= most and swept.seen.all()
    for starts, length in zip((swept.tops, swept.lefts), size, strict=True):
        assert starts[0] == 0 and starts[-1] == length - 32
    if size == (64, 96):
        assert np.diff(swept.tops).max() == np.diff(swept.lefts).max() == 8
    corners = [(top, left) for top in swept.tops for left in swept.lefts]
    for window, (top, left) in zip(swept.windows, corners, strict=True):
        np.testing.assert_array_equal(window, image[top : top + 32, left : left + 32])


def test_sweep_leaves_out_flat_windows():
    image = np.full((64, 128, 3), 90, np.uint8)
    assert not sweep(image, 32, 99, 10.0).seen.any() and len(sweep(image, 32, 99, 10.0).windows) == 0
    image[:, :32] = RNG.integers(0, 256, (64, 32, 3))
    swept = sweep(image, 32, 99, 10.0)
    assert swept.seen[:, 0].all() and not swept.seen[:, swept.lefts >= 32].any()
    assert len(swept.windows) == swept.seen.sum()
    faint = image // 20  # nothing reaches the texture that is asked for, so what there is counts
    np.testing.assert_array_equal(sweep(faint, 32, 99, 10.0).seen[:, 0], True)


def test_thumbnail_keeps_proportions_and_small_pictures():
    assert thumbnail(np.zeros((300, 1200, 3), np.uint8), 400).shape == (100, 400, 3)
    assert thumbnail(np.zeros((1, 3000, 3), np.uint8), 300).shape == (1, 300, 3)
    small = RNG.integers(0, 256, (5, 7, 3), np.uint8)
    np.testing.assert_array_equal(thumbnail(small, 400), small)


def test_sweep_lies_on_an_image_on_a_canvas():
    picture = np.full((90, 200, 3), 90, np.uint8)
    picture[13:45, 101:133] = RNG.integers(0, 256, (32, 32, 3))
    swept = sweep(picture, 32, 99, 10.0)
    assert (swept.tops.tolist(), swept.lefts.tolist(), swept.size) == ([13], [101], (90, 200))
    np.testing.assert_array_equal(swept.windows[0], picture[13:45, 101:133])
