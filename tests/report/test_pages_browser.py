"""Every page in Chromium: nothing fails, nothing is asked for, nothing sticks out, and it can be read by everybody.

Needs the extra `browser` and a Chromium on the PATH; without them the tests are skipped, and where the environment has
GANFP_BROWSER=required they fail. Playwright's own browsers are never asked for.
"""

import importlib.util
import os
import shutil
from collections import Counter

import pytest
from page_results import (
    ablation_results,
    comparison_results,
    evidence_index_results,
    evidence_results,
    fingerprint_results,
    groups_results,
    renamed,
    robustness_results,
    score_results,
    shown_results,
)

from ganfp_jax.report.pages import write_page
from tests import hostile_names

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PAGES = (
    *(
        "quickstart",
        "evaluate",
        "ablation",
        "robustness",
        "fingerprints",
        "fingerprints of images",
        "score",
        "comparison",
        "groups",
    ),
    *("evidence", "evidence index"),
)
SIZES = {"desktop": (1280, 900), "phone": (360, 740)}
SERIOUS = ("serious", "critical")
# Of all rules only this one can say something else of the same page in other colours.
RULES = {"light": {"resultTypes": ["violations"]}, "dark": {"runOnly": ["color-contrast"]}}
LONG_NAMES = ["real", "ProGAN", "a_source_with_a_name_that_is_far_too_long_for_a_phone"]

SOURCES = ["real", "ProGAN", "SNGAN", LONG_NAMES[-1]]
OTHERS = ["chelsea", "flower", "astronaut", "d4", "mirror", "jpeg", "logistic_pixels", "turns", "train ProGAN"]
HOSTILE = {
    **dict(zip([*SOURCES, *OTHERS], [*hostile_names.CLASSES, *hostile_names.CLASSES], strict=False)),
    **dict(
        zip(["real/chelsea_00001.png", "real/real_0.png", "ProGAN/ProGAN_0.png"], hostile_names.FILES, strict=False)
    ),
}

DARKNESS = """() => {
    const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number);
    return 1 - (red + green + blue) / 765;
}"""
BROKEN_IMAGES = "[...document.images].filter(image => !image.complete || !image.naturalWidth).map(image => image.alt)"
ELEMENTS = "[...document.querySelectorAll(':not(svg *)')].map(element => element.localName)"
DRAWN = "[...document.querySelectorAll('svg *')].map(element => element.localName)"
ADDRESSES = "[...document.querySelectorAll('*')].flatMap(e => [e.src, e.href?.baseVal ?? e.href]).filter(Boolean)"
ATTRIBUTES = "[...document.querySelectorAll(':not(svg *)')].flatMap(e => e.getAttributeNames())"
HINTS = """() => [...document.querySelectorAll('.scroll')].filter(box => box.checkVisibility()).map(box => [
    box.scrollWidth > box.clientWidth + 1,
    getComputedStyle(box, '::before').visibility === 'visible' && getComputedStyle(box, '::before').fontSize !== '0px',
    box.ariaLabel])"""
OPEN_DETAILS = "document.querySelectorAll('details').forEach(details => details.open = true)"
WIDTH = "document.documentElement.scrollWidth"


def needed(what: str) -> None:
    """Skips the tests for want of something, or fails them where they are required."""
    if os.environ.get("GANFP_BROWSER") == "required":
        pytest.fail(f"{what}, and GANFP_BROWSER=required")
    pytest.skip(what)


@pytest.fixture(scope="module")
def browser():
    for package in ("playwright", "axe_playwright_python"):
        if importlib.util.find_spec(package) is None:
            needed(f"{package} is not installed: pip install 'ganfp_jax[browser]'")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        needed(f"none of {', '.join(BROWSERS)} is on the PATH")
    from playwright.sync_api import sync_playwright

    # The sandbox needs rights that a container's root does not have; the pages are our own.
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The file of each page."""
    return written(tmp_path_factory.mktemp("pages"), {})


@pytest.fixture(scope="module")
def hostile_pages(tmp_path_factory):
    """The same with names that are markup, formulas and templates."""
    return written(tmp_path_factory.mktemp("hostile"), HOSTILE)


def written(folder, names):
    """The file of each page, on which everything that is one of `names` is called otherwise."""
    results = shown_results(folder)
    one_evaluation = {"evaluations": results["evaluations"][:1], "baselines": [], "stages": []}
    write_page("evaluation", renamed(results, names), folder / "quickstart.html")
    write_page("evaluation", renamed(results | one_evaluation, names), folder / "evaluate.html")
    write_page("ablation", renamed(ablation_results(folder), names), folder / "ablation.html")
    write_page("robustness", renamed(robustness_results(), names), folder / "robustness.html")
    write_page("fingerprints", renamed(fingerprint_results(LONG_NAMES), names), folder / "fingerprints.html")
    of_images = fingerprint_results(LONG_NAMES, image_sized=True)
    write_page("fingerprints", renamed(of_images, names), folder / "fingerprints of images.html")
    write_page("score", renamed(score_results(), names), folder / "score.html")
    write_page("comparison", renamed(comparison_results(), names), folder / "comparison.html")
    write_page("groups", renamed(groups_results(), names), folder / "groups.html")
    write_page("evidence", renamed(evidence_results(), names), folder / "evidence.html")
    write_page("evidence_index", renamed(evidence_index_results(), names), folder / "evidence index.html")
    return {name: folder / f"{name}.html" for name in PAGES}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PAGES)
def test_page(browser, pages, name, size):
    from axe_playwright_python.sync_playwright import Axe

    width, height = SIZES[size]
    with browser.new_context(viewport={"width": width, "height": height}) as context:
        page, said, asked_for = context.new_page(), [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked_for.append(request.url))
        page.goto(pages[name].as_uri())
        page.evaluate(OPEN_DETAILS)
        assert page.evaluate(BROKEN_IMAGES) == []
        assert page.evaluate(WIDTH) <= width
        for scheme, rules in RULES.items():
            page.emulate_media(color_scheme=scheme)
            assert (page.evaluate(DARKNESS) > 0.5) == (scheme == "dark")
            violations = Axe().run(page, options=rules).response["violations"]
            assert [(v["id"], v["nodes"][0]["html"]) for v in violations if v["impact"] in SERIOUS] == []
        assert said == []
        assert [url for url in asked_for if not url.startswith("data:")] == [pages[name].as_uri()]


@pytest.mark.parametrize("name", PAGES)
def test_what_scrolls_sideways_says_so(browser, pages, name):
    for width, height in SIZES.values():
        with browser.new_context(viewport={"width": width, "height": height}) as context:
            page = context.new_page()
            page.goto(pages[name].as_uri())
            found = page.evaluate(HINTS)
            assert found and all(scrolls == hinted for scrolls, hinted, _ in found)
            if width == SIZES["desktop"][0]:
                assert [label for scrolls, _, label in found if scrolls] == []


@pytest.mark.parametrize("label", ["Vote", "Right"])
def test_the_vote_is_seen_without_scrolling(browser, pages, label):
    width, height = SIZES["phone"]
    with browser.new_context(viewport={"width": width, "height": height}) as context:
        page = context.new_page()
        for name in ("quickstart", "evaluate", "ablation", "robustness"):
            page.goto(pages[name].as_uri())
            for cell in page.get_by_role("columnheader", name=label, exact=True).all():
                if cell.is_visible():
                    box = cell.bounding_box()
                    assert box["x"] + box["width"] <= width - 16


def test_a_confusion_matrix_of_seven_sources_fits_on_a_phone(browser, tmp_path):
    names = ["real", "ProGAN", "SNGAN", "CramerGAN", "MMDGAN", "StyleGAN2", "BigGAN"]
    write_page("fingerprints", fingerprint_results(names), tmp_path / "seven.html")
    width, height = SIZES["phone"]
    with browser.new_context(viewport={"width": width, "height": height}) as context:
        page = context.new_page()
        page.goto((tmp_path / "seven.html").as_uri())
        scrolls = {label: scrolls for scrolls, _, label in page.evaluate(HINTS)}
        assert not scrolls["Confusion matrix, in images"] and scrolls["Responses of images to model fingerprints"]
        page.set_viewport_size(dict(zip(("width", "height"), SIZES["desktop"], strict=True)))
        assert not any(scrolls for scrolls, _, _ in page.evaluate(HINTS))  # all columns of the responses are seen


@pytest.mark.parametrize("name", PAGES)
def test_hostile_names_are_text(browser, pages, hostile_pages, name):
    """No element and no attribute appears that other names do not make, and every name stands there as it is."""
    with browser.new_context(viewport={"width": 360, "height": 740}) as context:
        page, asked_for = context.new_page(), []
        page.on("request", lambda request: asked_for.append(request.url))
        page.goto(pages[name].as_uri())
        page.evaluate(OPEN_DETAILS)
        expected = [Counter(page.evaluate(what)) for what in (ELEMENTS, ATTRIBUTES)]
        title = page.title()
        page.goto(hostile_pages[name].as_uri())
        page.evaluate(OPEN_DETAILS)
        assert [Counter(page.evaluate(what)) for what in (ELEMENTS, ATTRIBUTES)] == expected
        beside = f"{page.url.rpartition('/')[0]}/000001_"  # the pages that a list leads to
        assert all(address.startswith(("data:", "#", page.url, beside)) for address in page.evaluate(ADDRESSES))
        assert set(page.evaluate(DRAWN)) <= {"g", "path", "use", "text", "tspan", "defs", "clipPath", "rect"}
        text = page.evaluate("document.body.textContent")
        shown = [new for old, new in HOSTILE.items() if old in SOURCES[:2]]
        assert all(name in text for name in shown)
        assert [url for url in asked_for if not url.startswith("data:")] == [
            pages[name].as_uri(),
            hostile_pages[name].as_uri(),
        ]
        assert page.title() == title and page.evaluate(WIDTH) <= 360


@pytest.mark.parametrize("name", PAGES)
def test_pages_on_paper(browser, pages, name):
    with browser.new_context(color_scheme="dark") as context:
        page = context.new_page()
        page.goto(pages[name].as_uri())
        assert page.pdf().startswith(b"%PDF")
        page.emulate_media(media="print")
        assert page.evaluate(DARKNESS) < 0.05
        assert not page.locator("nav").is_visible()


def test_pages_first_key_leads_past_the_sections(browser, pages):
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(pages["ablation"].as_uri())
        link = page.get_by_text("Skip to the content")
        assert link.bounding_box()["x"] < 0
        page.keyboard.press("Tab")
        assert link.bounding_box()["x"] >= 0
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"
