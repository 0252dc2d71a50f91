"""Boxes show what was looked at, at every size of the picture."""

import numpy as np
import pytest

from ganfp_jax.report.boxes import DARK, DIMMED, LIGHT, boxed, covered


@pytest.mark.parametrize("shape", [(400, 600), (800, 1200)])
def test_the_rest_is_dimmed_and_the_box_has_an_outline(shape):
    picture = np.full((*shape, 3), 200, np.uint8)
    drawn = boxed(picture, (4000, 6000), np.array([[1000, 1500, 2000, 3000]]))
    assert drawn.shape == picture.shape
    top, left = shape[0] // 4, shape[1] // 4
    assert tuple(drawn[top, left + 5]) == DARK and tuple(drawn[top + 1, left + 5]) == LIGHT
    assert (drawn[top + 5, left + 5] == 200).all()
    assert (drawn[top - 1, left] == int((1 - DIMMED) * 200)).all()
    assert (picture == 200).all()  # it is not drawn upon


def test_a_small_picture_is_enlarged_and_tiny_boxes_do_no_harm():
    assert boxed(np.zeros((30, 40, 3), np.uint8), (30, 40), np.array([[0, 0, 30, 40]])).shape == (360, 480, 3)
    boxes = np.array([[0, 0, 1, 1], [4999, 4999, 5000, 5000]])
    assert boxed(np.zeros((500, 500, 3), np.uint8), (5000, 5000), boxes).shape == (500, 500, 3)


def test_a_picture_without_boxes_stays_as_it_is():
    picture = np.full((500, 600, 3), 200, np.uint8)
    assert (boxed(picture, (500, 600), np.zeros((0, 4), int)) == picture).all()


def test_covered_knows_whether_all_was_seen():
    halves = np.array([[0, 0, 10, 10], [0, 10, 10, 20]])
    assert covered((10, 20), (10, 20), halves).all()
    assert covered((10, 20), (10, 20), halves[:1]).mean() == 0.5
    assert not covered((10, 20), (10, 20), halves[:0]).any()
