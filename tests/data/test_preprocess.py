"""Fitting to a size and the image pyramid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ganfp_jax.data.decode import Refused
from ganfp_jax.data.preprocess import RESIZES, box_downscale, decode_and_fit, fit
from ganfp_jax.run.errors import UserError


def noise(*shape):
    return np.random.RandomState(0).randint(0, 256, (*shape, 3), np.uint8)


@pytest.mark.parametrize("resize", RESIZES)
def test_an_image_of_the_size_is_left_alone(resize):
    image = noise(8, 8)
    fitted, note = fit(image, 8, resize)
    assert note == ""
    np.testing.assert_array_equal(fitted, image)


def test_crop_takes_the_centre_rounded_down():
    image = noise(11, 20)
    fitted, note = fit(image, 8, "crop")
    assert note == "cropped from 20x11"
    np.testing.assert_array_equal(fitted, image[1:9, 6:14])


@pytest.mark.parametrize("shape", [(7, 20), (20, 7), (7, 7)])
def test_crop_refuses_smaller_images(shape):
    with pytest.raises(Refused, match=f"^is {shape[1]}x{shape[0]}, smaller than 8x8; resize=area would enlarge it$"):
        fit(noise(*shape), 8, "crop")


def test_area_is_the_mean_over_areas_of_the_centre_square():
    image = noise(16, 21)
    fitted, note = fit(image, 8, "area")
    assert note == "cropped and reduced from 21x16"
    exact = image[:, 2:18].reshape(8, 2, 8, 2, 3).mean((1, 3))
    assert np.abs(fitted - exact).max() <= 1  # Pillow rounds after each of its two passes
    assert fit(noise(16, 16), 8, "area")[1] == "reduced from 16x16"
    assert fit(noise(4, 4), 8, "area")[1] == "enlarged from 4x4"
    assert fit(noise(8, 9), 8, "area")[1] == "cropped from 9x8"


def test_refuse_refuses_other_sizes():
    with pytest.raises(Refused, match=r"^is 9x8, not 8x8$"):
        fit(noise(8, 9), 8, "refuse")


def test_celeba_is_the_published_window():
    image = noise(218, 178)
    fitted, note = fit(image, 128, "celeba")
    assert note == "cropped from 178x218"
    np.testing.assert_array_equal(fitted, image[57:185, 25:153])
    np.testing.assert_array_equal(fit(image, 64, "celeba")[0], image[89:153, 57:121])
    with pytest.raises(Refused, match=r"^is 178x217, not the 178x218 of aligned CelebA$"):
        fit(noise(217, 178), 128, "celeba")
    with pytest.raises(Refused, match="a window of 180x180 around"):
        fit(image, 180, "celeba")


def test_lsun_is_the_centre_square_resized_with_antialiasing():
    image = noise(41, 30)
    fitted, note = fit(image, 16, "lsun")
    assert note == "cropped and reduced from 30x41"
    square = Image.fromarray(image[5:35])
    np.testing.assert_array_equal(fitted, np.asarray(square.resize((16, 16), Image.Resampling.LANCZOS)))


def test_unknown_resize_lists_the_choices():
    with pytest.raises(UserError, match="'stretch': choose one of crop, area, refuse, celeba, lsun"):
        fit(noise(8, 8), 8, "stretch")
    with pytest.raises(UserError, match="choose one of"):
        decode_and_fit([], 8, "stretch")


@settings(max_examples=25, deadline=None)
@given(level=st.integers(0, 3), seed=st.integers(0, 99))
def test_box_downscale_is_the_published_pyramid(level, seed):
    images = np.random.RandomState(seed).randint(0, 256, (2, 8, 16, 3), np.uint8)
    floats = images.astype(np.float32)
    for _ in range(level):  # level by level, un-quantised
        floats = (floats[:, ::2, ::2] + floats[:, 1::2, ::2] + floats[:, ::2, 1::2] + floats[:, 1::2, 1::2]) * 0.25
    expected = np.rint(floats).clip(0, 255).astype(np.uint8)
    np.testing.assert_array_equal(box_downscale(images, 2**level), expected)


def test_box_downscale_rounds_half_to_even():
    assert box_downscale(np.array([[[0] * 3, [1] * 3], [[1] * 3, [0] * 3]], np.uint8), 2).tolist() == [[[0, 0, 0]]]
    assert box_downscale(np.array([[[1] * 3, [2] * 3], [[1] * 3, [2] * 3]], np.uint8), 2).tolist() == [[[2, 2, 2]]]
    assert (box_downscale(np.full((256, 256, 3), 255, np.uint8), 256) == 255).all()


def test_box_downscale_needs_a_factor_that_divides():
    for factor in (3, 0, -2):
        with pytest.raises(ValueError, match="does not divide"):
            box_downscale(noise(8, 8), factor)


def test_decode_and_fit_keeps_the_order(tmp_path):
    paths = []
    for index in range(150):  # more than one task
        paths.append(tmp_path / f"{index:03d}.png")
        size = (12, 10) if index % 7 == 3 else (8, 8)
        Image.new("RGB", size, (index, 0, 0)).save(paths[-1])
    paths[20].write_bytes(b"broken")
    paths[149].unlink()
    fitted = decode_and_fit(paths, 8)
    assert fitted.images.shape == (148, 8, 8, 3)
    np.testing.assert_array_equal(fitted.images[:, 0, 0, 0], fitted.kept)
    assert fitted.refused == {20: "not an image", 149: "no such file"}
    assert list(fitted.refused) == [20, 149]
    assert set(fitted.notes.values()) == {"cropped from 12x10"}
    assert list(fitted.notes) == [index for index in range(150) if index % 7 == 3]
    assert decode_and_fit([], 8).images.shape == (0, 8, 8, 3)


def test_box_downscale_in_parts_is_the_same():
    images = np.random.RandomState(0).randint(0, 256, (2500, 4, 4, 3)).astype(np.uint8)
    one_by_one = np.stack([box_downscale(image, 2) for image in images])
    np.testing.assert_array_equal(box_downscale(images, 2), one_by_one)
    assert box_downscale(images, 1) is images
