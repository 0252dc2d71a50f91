"""The page of an ablation: every section, what is said by the numbers, and what is missing."""

import copy
from functools import partial

import pytest
from html_page import Page
from page_results import VIEWS, ablation_results

from ganfp_jax.report import pages

render = partial(pages.render, "ablation")

SECTIONS = [
    "headline", "votes", "baselines", "confusion", "doubt", "samples", "wrong", "fingerprints", "reproduce",
]  # fmt: skip


@pytest.fixture
def results(tmp_path) -> dict:
    return ablation_results(tmp_path)


def only_one_view(results):
    """An ablation of no vote at all."""
    for condition in results["conditions"]:
        condition["rows"] = condition["rows"][:1]
        condition["doubt"] = []
    metrics = results["main"]["metrics"]
    metrics |= {**metrics["single_view"], "views": VIEWS[:1]}
    results["main"] = {"views": "identity", "rule": "majority", "holm_p": None, "metrics": metrics}
    return results | {"wrong": [], "baselines": [], "samples": {}}


def test_every_section_is_there_and_well_formed(results):
    for page in (Page(render(results)), Page(render(only_one_view(copy.deepcopy(results))))):
        assert page.open == []
        assert [attrs["id"] for tag, attrs in page.tags if tag in {"header", "section"}] == SECTIONS
        ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
        assert all(link["href"].removeprefix("#") in ids for link in page.all("a"))
        assert "None" not in page.text.replace("None: all 300 test images were called right", "")
        assert page.all("script") == []
        assert all(attrs["src"].startswith("data:image/png;base64,") for attrs in page.all("img"))


def test_headline_stands_beside_one_view_baseline_and_guessing(results):
    text = Page(render(results)).text
    assert "90.0% right with the best vote majority of turns, 4 views; 95% interval 88.0–92.0" in text
    assert "against one view, Holm p < 0.001" in text
    assert "80.0% right with one view identity; 95% interval 78.0–82.0" in text
    assert "98.0% right with the best baseline logistic regression on log-DCT" in text
    assert "Measured on 300 clean test images of 3 sources" in text
    assert "Guessing gives 33.3%" in text


def test_findings_count_what_is_beyond_chance(results):
    text = Page(render(results)).text
    assert "is the best of 4 on these very images, so its number is a little too high" in text
    clean = (
        "On clean images one view is right on 80.0%. Of 4 votes 2 are better than that beyond chance, 2 worse "
        "(McNemar's test with Holm's correction); the best of these, majority of turns, reaches 90.0%."
    )
    assert clean in text
    assert "On JPEG quality 75 images one view is right on 80.0%. Of 4 votes none is better than that" in text


def test_every_row_of_every_condition_is_in_a_table(results):
    page = Page(render(results))
    assert page.text.count("turns 4, majority 90.0% 86.0–93.0 40 10 < 0.001") == 2
    assert page.text.count("identity, rot15 2, mean logit 60.0%") == 2
    assert sum(attrs.get("class") == "main" for attrs in page.all("tr")) == 1
    assert page.text.count("the vote, majority 60 0.800 0.700 to 0.900") == 2
    assert "the vote, mean logit" not in page.text


def test_an_ablation_without_a_vote(results):
    text = Page(render(only_one_view(results))).text
    assert "right with the best vote" not in text
    assert "No set has two views or more." in text
    assert "is the best of" not in text
    assert "No baseline was run." in text


def test_everything_is_escaped(results):
    attack = "<script>alert('x')</script>&\"'"
    results["title"] = results["command"] = results["method"] = results["main"]["views"] = attack
    for condition in results["conditions"]:
        for row in condition["rows"]:
            row["views"] = row["views"].replace("turns", attack)
    page = Page(render(results))
    assert page.all("script") == []
    assert page.open == []
    assert page.text.count(attack) >= 8


def test_ablation_page_is_written(results, tmp_path):
    path = pages.write_page("ablation", results, tmp_path / "report" / "index.html")
    assert path.read_text(encoding="utf-8") == render(results)
    del results["conditions"]
    with pytest.raises(ValueError, match="results without conditions"):
        pages.write_page("ablation", results, path)
