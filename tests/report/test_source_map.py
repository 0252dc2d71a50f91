"""A map can be read: every source has its mark, over the picture and in the legend."""

import numpy as np
import pytest

from ganfp_jax.report import figures
from ganfp_jax.report.source_map import NOTHING, draw, legend, overlay, pattern, swatch


def mapped(classes=("real", "ProGAN", "SNGAN"), size=(40, 60)):
    labels = np.array([[0, 1, -1], [0, 2, -1]])
    shares = {"real": 1 / 3, "": 1 / 3, "ProGAN": 1 / 6, "SNGAN": 1 / 6}
    return {
        "picture": np.full((*size, 3), 128, np.uint8),
        "labels": labels,
        "strengths": np.array([[0.9, 0.9, 0.0], [0.4, 0.9, 0.0]]),
        "row_edges": [0, size[0] // 2, size[0]],
        "column_edges": [0, size[1] // 3, 2 * size[1] // 3, size[1]],
        "classes": classes,
        "shares": shares,
    }


def test_overlay_gives_each_source_its_colour_and_the_surer_the_stronger():
    drawn = overlay(mapped())
    assert drawn.shape == (320, 480, 3)  # enlarged by 8
    sure, less, progan, sngan = (drawn[y, x].astype(int) for y, x in [(80, 80), (240, 80), (80, 240), (240, 240)])
    assert sure[2] - sure[0] > less[2] - less[0] > 0  # blue
    assert progan[0] > progan[2] and (progan != sngan).any()
    flat = drawn[:, 330:].reshape(-1, 3)
    assert len(np.unique(flat, axis=0)) == 2 and np.ptp(flat.astype(int), axis=1).max() < 20  # grey stripes


def test_legend_lists_what_was_found_and_its_share():
    entries = legend(mapped())
    assert [entry["name"] for entry in entries] == ["real", NOTHING, "ProGAN", "SNGAN"]
    assert [entry["source"] for entry in entries] == [0, -1, 1, 2]
    assert sum(float(entry["share"].removesuffix("%")) for entry in entries) == pytest.approx(100)


def test_marks_of_many_sources_differ():
    marks = {swatch(source).tobytes() for source in range(-1, 28)}
    assert len(marks) == 29
    assert pattern(6, 20, 20).all() and 0.3 < pattern(7, 20, 20).mean() < 0.7


@pytest.mark.parametrize("size", [(40, 60), (30, 200), (300, 90)])
def test_draw_makes_a_picture_of_every_shape(size):
    png = figures.png(draw, mapped(size=size))
    assert png.startswith(b"\x89PNG") and len(png) > 2000
