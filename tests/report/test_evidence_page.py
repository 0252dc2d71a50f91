"""The page of evidence: all that was seen and said stands there, and nothing in it can do anything."""

import itertools

import pytest
from html_page import Page
from page_results import evidence_index_results, evidence_results

from ganfp_jax.report import evidence_page
from ganfp_jax.report.pages import render, write_page
from tests import hostile_names


def test_everything_stands_on_the_page():
    html = render("evidence", evidence_results())
    page = Page(html)
    assert page.open == []
    sections = ["headline", "picture", "rests", "promises", "limits", "record"]
    assert [attrs["id"] for tag, attrs in page.tags if tag in {"header", "section"}] == sections
    for words in (
        *("File real/chelsea_00001.png", "The image has traces like those of ProGAN.", "4 tiles, 40.0% of 60x40."),
        *("No more than 1% of such verdicts are wrong.", "5 of 8 views say ProGAN.", "Whether ProGAN was forged."),
        *("identity ProGAN", "turned 90° no known trace (real)", "SNGAN 0 10.0% 0.010 (unlike it)"),
        *("ProGAN 41 100 90 1", "no known trace (real) 33.4%", f"SHA-256 {64 * 'a'}", "configs/quickstart.py"),
    ):
        assert words in page.text, words
    assert "None" not in page.text
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_the_page_is_one_file_for_paper_too():
    html = render("evidence", evidence_results())
    page = Page(html)
    assert all(word not in html for word in ("http:", "https:", "@import", "url(")) and page.all("script") == []
    assert all(attrs["src"].startswith("data:image/") and "alt" in attrs for attrs in page.all("img"))
    assert [attrs["alt"] for attrs in page.all("img")][:2] == [
        "The whole picture real/chelsea_00001.png; boxes show what was looked at",
        "Map of real/chelsea_00001.png: which source was found where",
    ]
    assert "size: A4" in html and "default-src 'none'" in html


def test_what_the_file_says_has_a_section_and_a_disagreement_stands_on_top():
    said = {"claims": ["text 'parameters': <b>ComfyUI"], "disagreement": "The file says otherwise."}
    page = Page(render("evidence", evidence_results(**said)))
    assert page.open == [] and "text 'parameters': <b>ComfyUI" in page.text
    assert page.text.index("The file says otherwise.") < page.text.index("The picture, and what was looked at")
    assert [attrs["id"] for tag, attrs in page.tags if tag == "section"][-2:] == ["claims", "record"]


def stands():
    return {
        "sentences": ["The verdict becomes unsure where the picture is saved as JPEG of quality 50."],
        "source": "ProGAN",
        "own": 1.0,
        "strengths": {"jpeg": ["75", "50"], "blurred": ["1"]},
        "shares": {"jpeg": [0.875, 0.5], "blurred": [1.0]},
        "same": {"jpeg": [True, False], "blurred": [True]},
    }


def test_what_the_verdict_stands_up_to_has_a_section_where_it_was_asked_for():
    html = render("evidence", evidence_results(stability=stands()))
    page = Page(html)
    sections = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert page.open == [] and sections[sections.index("rests") + 1] == "stability"
    assert "The verdict becomes unsure where the picture is saved as JPEG of quality 50." in page.text
    assert all(words in page.text for words in ("JPEG quality", "blur, σ in pixels", "views for ProGAN, %"))
    assert "stands up to" not in Page(render("evidence", evidence_results())).text


def test_a_mark_of_the_curve_is_hollow_where_the_verdict_has_changed():
    jpeg, blurred = evidence_page.draw_stability(evidence_results(stability=stands())).axes
    line, filled, hollow = jpeg.get_lines()
    assert line.get_ydata().tolist() == [100, 87.5, 50]
    assert (filled.get_xdata().tolist(), hollow.get_xdata().tolist()) == ([0, 1], [2])
    assert hollow.get_markerfacecolor() == "none" and len(blurred.get_lines()[2].get_xdata()) == 0
    assert [tick.get_text() for tick in jpeg.get_xticklabels()] == ["–", "75", "50"]


def test_what_is_not_known_has_no_column():
    unlearned = [{**source, "p_value": None} for source in evidence_results()["sources"]]
    plain = [{**source, "photographs": None} for source in evidence_results()["measured"]]
    page = Page(render("evidence", evidence_results(sources=unlearned, measured=plain, map=None, unknown_rate=None)))
    assert "p-value" not in page.text and "How typical the image is of each source is not known" in page.text
    assert "Photographs" not in page.text and len(page.all("img")) == 1


def test_a_picture_that_is_flat_has_no_votes():
    page = Page(render("evidence", evidence_results(views={}, boxes=[], map=None)))
    assert (
        "There is nothing to look at: 4 tiles, 40.0% of 60x40." in page.text and "What each view chose" not in page.text
    )


def test_of_many_sources_the_most_probable_are_shown():
    many = [{"name": f"s{i}", "votes": 0, "probability": i / 5000, "p_value": None} for i in range(100)]
    page = Page(render("evidence", evidence_results(sources=many)))
    assert "s99" in page.text and "s69 " not in page.text
    assert "The 70 other sources have lower probabilities." in page.text


@pytest.mark.parametrize("name", hostile_names.FILES)
def test_hostile_names_are_text(name):
    plain, hostile = (render("evidence", evidence_results(name=shown)) for shown in ("a.png", name))
    assert [tag for tag, _ in Page(plain).tags] == [tag for tag, _ in Page(hostile).tags]
    assert " ".join(name.split()) in Page(hostile).text
    assert [sorted(attrs) for _, attrs in Page(plain).tags] == [sorted(attrs) for _, attrs in Page(hostile).tags]


def test_the_index_has_every_page_and_every_refusal(tmp_path):
    results = evidence_index_results()
    drawn = []

    def pages():
        for page in results["pages"]:
            drawn.append(page)
            yield page

    html = write_page("evidence_index", results | {"pages": pages()}, tmp_path / "index.html").read_text()
    page = Page(html)
    assert len(drawn) == 2 and page.open == []
    links = [attrs["href"] for attrs in page.all("a") if not attrs["href"].startswith("#")]
    assert links == ["000001_a%20b%231.html", "000001_a%20b%231.pdf", "000001_a%20b%231.html"]
    assert "2 verdicts: ProGAN 1, no known trace (real) 1; 1 file refused." in page.text
    assert "ProGAN/ProGAN_0.png not an image" in page.text
    empty = Page(render("evidence_index", results | {"pages": [], "refused": [], "verdicts": {}}))
    assert empty.text.count("There is none.") == 2 and "No verdict." in empty.text
