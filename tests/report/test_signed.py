import numpy as np
import pytest

from ganfp_jax.report.signed import signed_picture, vector_as_rows


def test_colour_has_zero_at_mid_grey():
    values = np.array([-3.0, -2, -1, 0, 1, 2, 3])[:, None, None] * np.ones((7, 1, 3))
    assert signed_picture(values, 2)[:, 0, 0].tolist() == [0, 0, 64, 128, 191, 255, 255]


def test_one_channel_is_blue_below_and_red_above_zero():
    picture = signed_picture(np.linspace(-1, 1, 21)[None], 1)[0].astype(int)
    red, green, blue = picture.T
    assert (blue[:10] > red[:10]).all()
    assert (red[11:] > blue[11:]).all()
    assert picture[10].tolist() == [242, 242, 242]
    # Stronger is darker on both sides, so that strength is seen without hue.
    assert (np.diff(green[:11]) > 0).all()
    assert (np.diff(green[10:]) < 0).all()


@pytest.mark.parametrize("limit", [0, -1.0, float("nan")])
def test_limit_is_positive(limit):
    with pytest.raises(ValueError, match="is not positive"):
        signed_picture(np.zeros((4, 4)), limit)


@pytest.mark.parametrize(("length", "shape"), [(512, (16, 32)), (128, (8, 16)), (16, (4, 4)), (5, (2, 4)), (1, (1, 1))])
def test_vector_as_rows(length, shape):
    rows = vector_as_rows(np.arange(1.0, length + 1))
    assert rows.shape == shape
    assert rows.ravel()[:length].tolist() == list(range(1, length + 1))
    assert not rows.ravel()[length:].any()
