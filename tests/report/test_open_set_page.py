"""The part of a page on images of unknown sources."""

import numpy as np
import pytest
from html_page import Page
from page_results import minimal_results

from ganfp_jax.data.decode import png_bytes
from ganfp_jax.report import figures, open_set_figure, open_set_tables, pages

NUMBERS = {key: {"value": 0.75, "ci95": [0.7, 0.8]} for key in open_set_tables.SCORED}
WORDS = {"unsure": 0, "unknown": 0, "nothing to see": 0}


def block(called, generators=None, **more):
    return {"images": sum(called.values()), "generators": generators, "called": called | WORDS | more}


def section(kinds, classes=("real", "ProGAN")):
    known = block(dict.fromkeys(classes, 50))
    scores = {"margin": NUMBERS, "distance": NUMBERS | {"auroc": {"value": 0.5, "ci95": None}}}
    metrics = {"root": "elsewhere", "images": 40, "rejected": 2, "repeats": 1000, "known": known}
    metrics["kinds"] = {name: one | {"scores": scores} for name, one in kinds.items()}
    curve = {"fpr": [0.0, 0.5, 1.0], "tpr": [0.0, 0.8, 1.0], "ccr": [0.0, 0.7, 0.9]}
    picture = png_bytes(np.zeros((4, 4, 3), np.uint8))
    return {
        "metrics": metrics,
        "curves": {name: dict.fromkeys(scores, curve) for name in kinds},
        "samples": {name: {"picture": picture, "caption": "the first"} for name in kinds},
    }


def two_kinds():
    noise = block({"real": 5, "ProGAN": 10}) | {"images": 20}
    noise["called"] |= {"unknown": 5}
    return {"<noise>": noise, "seed": block({"real": 0, "ProGAN": 20}, generators=3)}


def test_what_was_measured_stands_on_the_page():
    text = pages.render("evaluation", minimal_results() | {"unknown": section(two_kinds())})
    page = Page(text)
    assert page.open == [] and "<noise>" not in text
    assert "40 images of sources that the network does not know, from elsewhere." in page.text
    assert "2 files could not be used (unknown/rejected.csv)" in page.text
    assert "Few generators: there are 3 of seed" in page.text
    assert "The images of <noise> count as independent" in page.text
    assert "<noise> 20 – 25.0% 50.0% 25.0%" in page.text  # real, ProGAN, unknown; no image is unsure
    assert "seed margin 75.0% (70.0–80.0)" in page.text and "seed distance 50.0% 75.0%" in page.text
    assert sum("viewBox" in attrs or "viewbox" in attrs for attrs in page.all("svg")) == 2


def test_without_unknown_images_the_page_says_so():
    assert (
        "No image was given; configs/evaluate.py takes them" in Page(pages.render("evaluation", minimal_results())).text
    )


def test_console_has_both_tables():
    text = open_set_tables.text(section(two_kinds())["metrics"])
    assert "CCR at FPR 5%" in text and "known sources" in text


def test_of_many_sources_those_are_shown_that_unknown_images_are_called():
    classes = [f"source {k:02d}" for k in range(20)]
    called = dict.fromkeys(classes, 0) | {"source 17": 30, "source 03": 6, "source 05": 4}
    shares = open_set_tables.named_most(section({"noise": block(called)}, classes)["metrics"], most=2)
    assert shares["noise"] == {"source 03": 0.15, "source 17": 0.75, "other sources": pytest.approx(0.1)}
    assert shares[open_set_tables.KNOWN]["other sources"] == pytest.approx(0.9)


def test_figures_have_a_bar_and_a_panel_for_each_kind():
    kinds = {f"kind {k}": block({"real": 5, "ProGAN": 15}) for k in range(11)}
    unknown = section(kinds)
    bars = open_set_figure.draw_called(unknown["metrics"]).axes[0]
    assert [label.get_text() for label in bars.get_yticklabels()] == ["known sources", *kinds]
    assert sum(bar.get_width() for bar in bars.patches) == pytest.approx(12)
    curves = open_set_figure.draw_curves(unknown)
    assert len(curves.axes) == open_set_figure.PANELS and "kind 8" in figures.drawing(
        open_set_figure.draw_curves, unknown
    )
