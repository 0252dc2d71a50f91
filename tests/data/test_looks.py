"""What a network is shown of a picture, and in which words that is said."""

import threading

import numpy as np
import pytest

from ganfp_jax.data.decode import Picture, Refused, encode_png
from ganfp_jax.data.looks import decode_and_look, look, together
from ganfp_jax.data.preprocess import fit
from ganfp_jax.data.tiles import Tiling

TILING = Tiling(4, 10.0)
NOISE = np.random.default_rng(0).integers(0, 256, (40, 64, 3), np.uint8)


def test_look_at_an_image_of_the_size_is_the_image():
    image = NOISE[:16, :16]
    for tiling in (TILING, Tiling(0, 10.0), Tiling(1000, 0.0)):
        found = look(Picture(image, ("alpha dropped",)), 16, "crop", tiling)
        np.testing.assert_array_equal(found.tiles, image[None])
        assert (found.flat, found.counted, found.noted()) == (False, 1, "alpha dropped")


def test_look_at_a_larger_picture_says_what_share_was_seen():
    found = look(Picture(NOISE, ("turned upright",)), 16, "crop", TILING)
    assert found.noted("SNGAN in 1 of 4 tiles") == "4 tiles, 40.0% of 64x40; SNGAN in 1 of 4 tiles; turned upright"
    assert found.counted == len(found.tiles) == 4


@pytest.mark.parametrize(("resize", "tiles"), [("crop", 0), ("area", 4), ("lsun", 4)])
def test_look_without_tiles_is_at_one_fitted_image(resize, tiles):
    found = look(Picture(NOISE, ()), 16, resize, Tiling(tiles, 10.0))
    image, note = fit(NOISE, 16, resize)
    np.testing.assert_array_equal(found.tiles, image[None])
    assert found.noted() == note and not found.flat


@pytest.mark.parametrize("size", [(16, 16), (40, 64)])
@pytest.mark.parametrize("tiles", [0, 4])
def test_look_at_a_flat_picture_is_at_its_centre_and_counts_for_nothing(size, tiles):
    found = look(Picture(np.full((*size, 3), 77, np.uint8), ()), 16, "crop", Tiling(tiles, 10.0))
    assert found.flat and found.counted == 0 and found.tiles.shape == (1, 16, 16, 3)
    if size != (16, 16) and tiles:
        assert found.noted() == "all of 64x40 is flat"


@pytest.mark.parametrize(("resize", "tiles"), [("crop", 4), ("crop", 0), ("area", 4), ("lsun", 4)])
def test_the_boxes_are_around_what_was_looked_at(resize, tiles):
    found = look(Picture(NOISE, ()), 16, resize, Tiling(tiles, 10.0, windows=9))
    assert found.whole.size == (40, 64)
    np.testing.assert_array_equal(found.whole.thumbnail, NOISE)
    assert len(found.whole.boxes) == found.counted
    for (top, left, bottom, right), tile in zip(found.whole.boxes, found.tiles, strict=True):
        np.testing.assert_array_equal(fit(NOISE[top:bottom, left:right], 16, resize)[0], tile)
    assert look(Picture(NOISE, ()), 16, resize, Tiling(tiles, 10.0)).whole is None


def test_the_boxes_of_small_aligned_and_flat_pictures():
    tiling = Tiling(4, 10.0, windows=9)
    small = look(Picture(NOISE[:9, :12], ()), 16, "area", tiling)
    assert small.sweep is None and small.whole.boxes.tolist() == [[0, 1, 9, 10]] and small.whole.size == (9, 12)
    face = np.random.default_rng(1).integers(0, 256, (218, 178, 3), np.uint8)
    aligned = look(Picture(face, ()), 128, "celeba", tiling)
    top, left, bottom, right = aligned.whole.boxes[0]
    np.testing.assert_array_equal(face[top:bottom, left:right], aligned.tiles[0])
    assert look(Picture(np.full((40, 64, 3), 77, np.uint8), ()), 16, "crop", tiling).whole.boxes.shape == (0, 4)


def test_look_refuses_a_picture_smaller_than_a_tile():
    with pytest.raises(Refused, match="is 64x15, smaller than 16x16; resize=area would enlarge it"):
        look(Picture(NOISE[:15], ()), 16, "crop", TILING)


def test_decode_and_look_keeps_order_and_reasons(tmp_path):
    for name, image in {"a": NOISE, "b": NOISE[:9], "c": NOISE[:16, :16], "d": NOISE[:17]}.items():
        encode_png(tmp_path / f"{name}.png", image)
    (tmp_path / "e.png").write_text("no image")
    seen = []

    def change(position, picture):
        seen.append(position)
        return Picture(255 - picture.pixels, picture.remarks)

    looked = decode_and_look(sorted(tmp_path.iterdir()), 16, "crop", TILING, change=change, stop=threading.Event())
    assert looked.kept.tolist() == [0, 2, 3] and list(looked.refused) == [1, 4]
    assert looked.counts.tolist() == [4, 1, 4] and sorted(seen) == [0, 1, 2, 3]
    np.testing.assert_array_equal(looked.tiles[4], 255 - NOISE[:16, :16])


def test_together_holds_the_memory():
    assert together(128, 32, Tiling(0, 10.0)) == 128
    assert 3 * 128**2 * 64 * together(128, 128, Tiling(64, 10.0)) <= 64e6
    assert together(128, 8192, Tiling(64, 10.0)) == 1
