"""Where a network looks at a picture: everywhere, at the edges too, but not at flat places."""

import numpy as np
import pytest

from ganfp_jax.data import tiles
from ganfp_jax.data.tiles import Tiling
from ganfp_jax.run.errors import UserError

RNG = np.random.default_rng(0)
SIDE = 32


def noise(*size):
    return RNG.integers(40, 200, (*size, 3), np.uint8)


def canvas(*size, colour=(200, 180, 90)):
    return np.full((*size, 3), colour, np.uint8)


def find(image, most=64, least=10.0):
    return tiles.find(image, SIDE, Tiling(most, least))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 32), (64, 96), (100, 131), (32, 500)])
def test_find_covers_every_pixel_with_the_fewest_tiles(height, width):
    corners = find(noise(height, width), most=1000)
    assert tiles.share(corners, SIDE, height, width) == 1
    assert len(corners) == -(-height // SIDE) * -(-width // SIDE)
    assert corners.min() == 0 and corners.max(0).tolist() == [height - SIDE, width - SIDE]
    assert corners.tolist() == sorted(corners.tolist())


def test_find_begins_where_the_blocks_of_jpeg_do_but_at_the_far_edges():
    corners = find(noise(131, 110), most=1000)
    assert set(corners[:, 0]) == {0, 32, 64, 96, 99} and set(corners[:, 1]) == {0, 32, 64, 78}


def test_find_sees_an_image_on_a_canvas_exactly_wherever_it_lies():
    for corner in [(0, 0), (0, 69), (41, 0), (41, 69), (17, 30), (1, 68), (9, 9)]:
        picture = canvas(73, 101)
        picture[corner[0] : corner[0] + SIDE, corner[1] : corner[1] + SIDE] = noise(SIDE, SIDE)
        assert find(picture).tolist() == [list(corner)]


def test_find_sees_several_images_on_a_large_canvas_and_one_that_is_small():
    picture = canvas(700, 900)
    for top, left in [(0, 868), (333, 101), (500, 700)]:
        picture[top : top + SIDE, left : left + SIDE] = noise(SIDE, SIDE)
    picture[680:690, 5:25] = noise(10, 20)  # its tile has it in the middle, as far as the edge allows
    assert find(picture).tolist() == [[0, 868], [333, 101], [500, 700], [668, 0]]


def test_find_leaves_out_what_is_flat_or_clipped():
    assert len(find(canvas(100, 100))) == 0
    assert len(find(canvas(100, 100) + RNG.integers(0, 3, (100, 100, 3)).astype(np.uint8))) == 0
    black_and_white = np.repeat(255 * RNG.integers(0, 2, (100, 100, 1)), 3, -1).astype(np.uint8)
    assert len(find(black_and_white)) == 0
    half = noise(64, 64)
    half[:, 32:] = 90
    assert find(half).tolist() == [[0, 0], [32, 0]]


def test_find_takes_faint_tiles_only_where_there_are_no_others():
    picture = canvas(64, 64)
    picture[:, :32] += RNG.integers(0, 12, (64, 32, 3)).astype(np.uint8)
    assert find(picture).tolist() == [[0, 0], [32, 0]]
    picture[:32, 32:] = noise(32, 32)
    assert find(picture).tolist() == [[0, 32]]
    assert find(picture, least=2.0).tolist() == [[0, 0], [0, 32], [32, 0]]


def test_find_chooses_evenly_and_always_alike():
    picture = noise(16 * SIDE, 32 * SIDE)
    corners = find(picture, most=32)
    assert len(corners) == 32 == len({tuple(corner) for corner in corners})
    quarters = {(top // (8 * SIDE), left // (8 * SIDE)) for top, left in corners}
    assert len(quarters) == 8  # of 2 x 4
    np.testing.assert_array_equal(corners, find(picture, most=32))
    assert len(find(picture, most=1)) == 1


def test_find_goes_where_the_content_is():
    picture = canvas(40 * SIDE, 40 * SIDE)
    picture[-5 * SIDE :, -SIDE:] = noise(5 * SIDE, SIDE)  # 5 of 1600 places
    assert find(picture, most=8).tolist() == [[top * SIDE, 39 * SIDE] for top in range(35, 40)]


def test_find_prefers_the_clearer_half():
    picture = canvas(20 * SIDE, 20 * SIDE) + RNG.integers(0, 50, (640, 640, 3)).astype(np.uint8)
    strong = np.zeros((20, 20), bool)
    strong[:, ::2] = True
    pixels = strong.repeat(SIDE, 0).repeat(SIDE, 1)
    picture[pixels] = noise(640, 640)[pixels]
    corners = find(picture, most=25, least=5.0) // SIDE
    assert strong[corners[:, 0], corners[:, 1]].mean() > 0.9


def test_textures_are_deviations_times_what_is_not_clipped():
    image = noise(80, 90)
    image[:, :40] = 255 * RNG.integers(0, 2, (80, 40, 1))
    luma, tops, lefts = tiles.luma_of(image), np.array([0, 7, 48]), np.array([0, 20, 58])
    found = tiles.textures(luma, tops, lefts, SIDE)
    for row, top in enumerate(tops):
        for column, left in enumerate(lefts):
            part = luma[top : top + SIDE, left : left + SIDE].astype(float)
            expected = part.std() * ((part > 0) & (part < 255)).mean()
            assert found[row, column] == pytest.approx(expected, abs=1e-3)


def test_cut_is_pixel_for_pixel():
    image = noise(70, 50)
    corners = np.array([[0, 0], [38, 18], [5, 7]])
    for tile, (top, left) in zip(tiles.cut(image, corners, SIDE), corners, strict=True):
        np.testing.assert_array_equal(tile, image[top : top + SIDE, left : left + SIDE])


@pytest.mark.parametrize("wrong", [Tiling(-1, 10.0), Tiling(1, -1.0), Tiling(1, float("nan"))])
def test_check_refuses_impossible_numbers(wrong):
    with pytest.raises(UserError, match=r"config\.(tiles|min_luma_std) is .*; give"):
        wrong.check()
