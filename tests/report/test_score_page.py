"""The page and the tables of `score`."""

import pytest
from html_page import Page
from page_results import score_results, scored_tool

from ganfp_jax.report import pages
from ganfp_jax.report.score_tables import cost, difference, measured, score_tables

SECTIONS = ("headline", "tools", "sources", "scores", "pairs", "confusion", "audit", "reproduce")


def text(results):
    return Page(pages.render("score", results)).text


def test_every_section_is_there_and_well_formed():
    page = Page(pages.render("score", score_results()))
    assert page.open == []
    assert [attrs["id"] for tag, attrs in page.tags if tag in {"header", "section"}] == list(SECTIONS)
    assert "None" not in page.text


def test_a_leak_stands_above_the_numbers():
    said = text(score_results())
    assert said.index("LEAK: the classes are given away") < said.index("right: d4")
    clean = score_results()
    clean["audit"] |= {"leak": False, "verdict": "No leak found."}
    assert "No number here" not in text(clean)
    clean["audit"] = None
    assert "is not known: config.data.root is empty" in text(clean)


def test_findings_follow_the_numbers():
    said = text(score_results())
    assert "d4 is better than mirror: of 300 images 65 are named rightly by d4 alone and 5 by mirror alone" in said
    assert "mirror and jpeg do not differ beyond chance: of 300 images 6 are named rightly by mirror alone" in said
    assert "jpeg: 3 rows could not be used" in said
    assert "Few groups: the images of real come from 4, ProGAN come from 4 and SNGAN come from 4" in said
    other = score_results()
    other["pairs"][0] |= {"wrong_to_right": 65, "right_to_wrong": 5}
    assert "mirror is better than d4" in text(other)


def test_one_tool_without_scores():
    alone = score_results()
    alone |= {"tools": {"jpeg": alone["tools"]["jpeg"]}, "pairs": [], "audit": None}
    said = text(alone)
    assert "There is one tool." in said
    assert "No table has scores." in said
    assert "Guessing gives 33.3%." in said  # images of unknown sources do not count


def test_of_many_sources_some_are_shown():
    many = score_results()
    classes = [f"source {i}" for i in range(40)]
    many |= {"tools": {"d4": scored_tool(classes, 90)}, "classes": classes, "pairs": []}
    page = Page(pages.render("score", many))
    assert "Of the 40 sources the 30 that are confused most are shown; metrics.json has all." in page.text


def test_console():
    printed = score_tables(score_results())
    lines = printed.splitlines()
    assert any(line.split()[:3] == ["d4", "300", "90.0%"] for line in lines)
    assert any(line.startswith("mirror against d4") and "-20.0" not in line and "−20.0" in line for line in lines)
    assert printed.endswith("LEAK: the classes are given away by the format.")
    assert printed.count("OSCR") == 1


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (measured({"value": 0.5, "ci95": [0.4, 0.6]}), "50.0% (40.0–60.0)"),
        (measured({"value": 0.5, "ci95": None}), "50.0%"),
        (measured({"value": None, "ci95": None}), "–"),
        (measured(None), "–"),
        (cost({"value": 0.25, "ci95": [0.2, 1.25]}), "0.250 (0.200–1.250)"),
        (cost(0.25), "0.250"),
        (cost(None), "–"),
        (difference({"value": 0.031, "ci95": [-0.01, 0.1]}), "+3.1 (−1.0 to +10.0)"),
    ],
)
def test_numbers(shown, expected):
    assert shown == expected
