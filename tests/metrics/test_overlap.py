"""How well a region was found."""

import numpy as np
import pytest

from ganfp_jax.metrics.overlap import iou


def test_iou_is_the_intersection_over_the_union():
    truth, found = np.zeros((2, 10, 10), bool)
    truth[:4, :5], found[2:6, :5] = True, True
    assert iou(found, truth) == pytest.approx(10 / 30)
    assert iou(truth, truth) == iou(truth & False, truth & False) == 1.0
    assert iou(truth & False, truth) == 0.0
