"""Stored values to a network's range and back: every value, every range, and how the published files were written."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganfp_jax.models import pixels
from ganfp_jax.models.pixels import RANGES, to_network, to_stored
from ganfp_jax.run.errors import UserError

KEY = jax.random.key(0)
EVERY_VALUE = jnp.arange(256, dtype=jnp.uint8).reshape(1, 16, 16, 1)


def stored(values, range_, encoding="plain"):
    images = jnp.asarray(values, jnp.float32).reshape(1, 1, -1, 1)
    return to_stored(images, range_, encoding).ravel().tolist()


def test_black_middle_and_white():
    x = jnp.array([0, 128, 255], jnp.uint8).reshape(1, 1, 3, 1)
    np.testing.assert_allclose(to_network(x, KEY, "signed").ravel(), [-1, 128 / 127.5 - 1, 1], atol=1e-6)
    np.testing.assert_allclose(to_network(x, KEY, "unit").ravel(), [0, 128 / 255, 1], atol=1e-6)
    dithered = to_network(x, KEY, "dithered").ravel()
    for value, low in zip(dithered, (-1, 0, 255 / 128 - 1), strict=True):
        assert low <= value < low + 1 / 128


def test_dither_is_uniform_below_one_step_of_the_values():
    x = jnp.full((4, 64, 64, 3), 100, jnp.uint8)
    noise = (np.asarray(to_network(x, KEY, "dithered")) + 1) * 128 - 100
    assert 0 <= noise.min() < 0.01 and 0.99 < noise.max() < 1
    # Ten equal bins of 49,152 draws: four standard deviations are 270.
    counts, _ = np.histogram(noise, bins=10, range=(0, 1))
    assert np.abs(counts - noise.size / 10).max() < 270
    assert not np.array_equal(to_network(x, KEY, "dithered"), to_network(x, jax.random.key(1), "dithered"))


@pytest.mark.parametrize("range_", ["signed", "unit"])
def test_plain_is_the_way_back_for_every_value(range_):
    np.testing.assert_array_equal(to_stored(to_network(EVERY_VALUE, KEY, range_), range_), EVERY_VALUE)


def test_the_way_back_of_dithered_values_is_one_value_off_at_most():
    """The published training reads x / 128 - 1 and its images are written by 127.5 x + 127.5: value v, dithered, comes
    back in [v - v / 256, v - v / 256 + 1), and so below the middle sometimes as v + 1 and above it as v - 1."""
    x = jnp.tile(EVERY_VALUE, (200, 1, 1, 1))
    back = np.asarray(to_stored(to_network(x, KEY, "dithered"), "dithered"), int)
    off = (back - np.asarray(x, int)).reshape(200, 256)
    assert set(np.unique(off)) == {-1, 0, 1}
    assert off[:, :100].min() == 0 and off[:, 156:].max() == 0
    # v + 1 where dither > 1/2 + v / 256, v - 1 where dither < v / 256 - 1/2: on average 1 / 8 - 1 / 8.
    assert np.abs(off).mean() == pytest.approx(0.25, abs=0.02)
    assert off.mean() == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("range_", RANGES)
def test_what_lies_outside_the_range_is_clipped(range_):
    assert stored([-9.0, 9.0], range_) == [0, 255]


@pytest.mark.parametrize("range_", RANGES)
def test_plain_takes_the_nearest_value(range_):
    offset, scale = (0.0, 255.0) if range_ == "unit" else (127.5, 127.5)
    wanted = np.array([9.75, 10.25, 200.25, 200.75, 0.25, 254.75])
    assert stored((wanted - offset) / scale, range_) == [10, 10, 200, 201, 0, 255]


def test_progans_published_files_are_the_plain_ones():
    images = jax.random.normal(KEY, (2, 8, 8, 3))
    np.testing.assert_array_equal(to_stored(images, "signed", "published"), to_stored(images, "signed"))


def test_sngans_published_files_are_cut_off():
    wanted = np.array([0.9, 1.1, 127.9, 254.9])
    assert stored((wanted - 127.5) / 127.5, "dithered", "published") == [0, 1, 127, 254]
    assert stored([-9.0, -1.0, 1.0, 9.0], "dithered", "published") == [0, 0, 255, 255]
    images = jax.random.uniform(KEY, (4, 32, 32, 3), minval=-1.0)
    darker = to_stored(images, "dithered").astype(int) - to_stored(images, "dithered", "published").astype(int)
    assert set(np.unique(darker)) == {0, 1}
    assert darker.mean() == pytest.approx(0.5, abs=0.03)


def test_cramers_and_mmds_published_files_are_stretched_image_by_image():
    dark, flat = np.linspace(0.2, 0.3, 12), np.linspace(0.0, 0.9, 12)
    images = jnp.asarray(np.stack([dark, flat]), jnp.float32).reshape(2, 2, 2, 3)
    out = np.asarray(to_stored(images, "unit", "published"))
    assert [(image.min(), image.max()) for image in out] == [(0, 255)] * 2  # over all three channels at once
    np.testing.assert_array_equal(out[0], out[1])  # both are a ramp, whatever its height was
    np.testing.assert_array_equal(out[0].ravel(), np.floor(np.arange(12) / 11 * 255 + 0.5))


def test_the_stretch_rounds_half_up():
    # 0, 255 and what is half way between two values: half to even would give 0, 2, 2, 4.
    assert stored([0, 0.5, 1.5, 2.5, 3.5, 255], "unit", "published") == [0, 1, 2, 3, 4, 255]


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_constant_image_is_not_divided_by_zero(level):
    with jax.debug_nans(True):  # which a cast to bytes would hide
        assert stored([level] * 4, "unit", "published") == [0] * 4


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"pixels": "sined"}, "config.step.pixels 'sined' is unknown; choose one of signed, dithered, unit"),
        ({"encoding": "png"}, "config.encoding 'png' is unknown; choose one of plain, published"),
        ({"pixels": "unit", "encoding": ""}, "config.encoding '' is unknown; choose one of plain, published"),
    ],
)
def test_unknown_names_are_refused_in_one_line(names, message):
    with pytest.raises(UserError) as error:
        pixels.check(**names)
    assert str(error.value) == message


def test_known_names_pass():
    for range_ in RANGES:
        for encoding in pixels.ENCODINGS:
            pixels.check(pixels=range_, encoding=encoding)
    pixels.check()
