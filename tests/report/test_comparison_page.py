"""The page and the words of `compare`."""

import pytest
from html_page import Page
from page_results import comparison_results

from ganfp_jax.report import figures, pages
from ganfp_jax.report.comparison_page import sentence, text
from ganfp_jax.report.tippett_figure import draw_tippett


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (1.5, "about as probable where one generator made both as where two generators made them: no support"),
        (0.7, "no support for either"),
        (5, "5 times as probable where one generator made both as where two generators made them: weak support"),
        (0.05, "20 times as probable where two generators made them as where one generator made both: moderate"),
        (500, "moderately strong support"),
        (2e4, "very strong support"),
    ],
)
def test_a_ratio_is_said_in_words(ratio, said):
    assert said in sentence(ratio)


def test_the_page_has_the_ratio_its_ground_and_its_limits():
    page = Page(pages.render("comparison", comparison_results()))
    assert page.open == []
    for said in (
        "25 times as probable where one generator made both",
        "likelihood ratio 25 (8 to 25)",
        "supported by the trials (ELUB) 0.05 to 25",
        "Cllr 0.200 (0.1 to 0.3)",
        "least Cllr 0.100",
        "The ratio stands at its bound: the trials count as 28 independent ones of each kind",
        "Of real there are fewer than 10 photographs",
        "two generators means two of these",
        "It is no probability that one generator made all of them",
        "real 40 3",
        "SNGAN/3.png " + 64 * "a",
        "1 files could not be used",
    ):
        assert said in page.text
    assert sum("viewBox" in attrs or "viewbox" in attrs for attrs in page.all("svg")) == 1


def test_what_does_not_apply_is_not_said():
    known = {"real": {"images": 400, "photographs": 20}}
    plain = comparison_results(ratio=20.0, known=known, refused=[])
    for said in (Page(pages.render("comparison", plain)).text, text(plain)):
        assert "stands at its bound" not in said and "fewer than" not in said and "could not be used" not in said


def test_the_console_has_the_same_numbers():
    said = text(comparison_results())
    assert "25 (8 to 25)" in said and "trials of one source, of two" in said and "300, 600" in said


def test_the_picture_has_both_curves():
    panel = draw_tippett(comparison_results()).axes[0]
    assert [line.get_label() for line in panel.get_lines()[:2]] == ["trials of one source", "trials of two sources"]
    assert list(panel.get_lines()[0].get_ydata()) == [100, 50, 0]
    assert figures.png(draw_tippett, comparison_results()).startswith(b"\x89PNG")
