"""Names in figures: never a box for a character that no font has."""

import warnings

import numpy as np
import pytest
from page_results import fingerprint_results

from ganfp_jax.report import figures, glyphs
from ganfp_jax.report.fingerprint_figures import FIGURES, draw_confusion, draw_embedding, draw_profiles

NAMES = ["real", "生成器", "مولد", "\U0001f98a GAN"]


@pytest.fixture
def no_fonts(monkeypatch):
    """A machine with matplotlib's own font alone."""
    for cached in (glyphs.families, glyphs._characters):
        cached.cache_clear()
    monkeypatch.setattr(glyphs, "FALLBACKS", ())
    yield
    for cached in (glyphs.families, glyphs._characters):
        cached.cache_clear()


def test_a_character_without_a_glyph_is_escaped(no_fonts):
    assert glyphs.families() == ("DejaVu Sans",)
    assert glyphs.drawable("生 GAN é Ω") == "\\u751f GAN é Ω"
    assert glyphs.drawable("\U0001fae8") == "\\U0001fae8"
    assert glyphs.drawable("plain") == "plain"


def test_every_family_that_is_used_is_there():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(ord(character) in glyphs._characters() for character in "aé")
    assert len(set(glyphs.families())) == len(glyphs.families())


@pytest.mark.parametrize("name", FIGURES)
def test_figures_have_no_missing_glyph(no_fonts, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.png(FIGURES[name], fingerprint_results(NAMES, image_sized=True))


def test_a_drawing_keeps_the_names_for_the_readers_fonts(no_fonts):
    results = fingerprint_results(["real", "生成器", "<b>生"], image_sized=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = figures.drawing(draw_embedding, results) + figures.drawing(draw_profiles, results)
    assert "\\u" not in drawn
    assert drawn.count("生成器") >= 2 and drawn.count("&lt;b&gt;生") >= 2


def test_long_names_below_a_matrix_are_turned():
    results = fingerprint_results(["real", "a name of some length"])
    figure = draw_confusion(results)
    labels = figure.axes[0].get_xticklabels()
    assert {label.get_rotation() for label in labels} == {45}
    assert np.isclose(figure.axes[0].get_ylim(), (1.5, -0.5)).all()  # the first source on top
