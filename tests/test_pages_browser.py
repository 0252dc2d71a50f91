"""Every page in Chromium: nothing fails, nothing is asked for, nothing sticks out, and it can be read by everybody.

Needs the extra `browser` and a Chromium on the PATH; without them the tests are skipped, and where the environment has
GANFP_BROWSER=required they fail. Playwright's own browsers are never asked for.
"""

import importlib.util
import os
import shutil

import pytest
from page_results import ablation_results, fingerprint_results, robustness_results, shown_results

from ganfp_jax.report.ablation_page import write_ablation_page
from ganfp_jax.report.fingerprint_page import write_fingerprint_page
from ganfp_jax.report.page import write_report
from ganfp_jax.report.robustness_page import write_robustness_page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PAGES = ("quickstart", "evaluate", "ablation", "robustness", "fingerprints", "fingerprints of images")
SIZES = {"desktop": (1280, 900), "phone": (360, 740)}
SERIOUS = ("serious", "critical")
# Of all rules only this one can say something else of the same page in other colours.
RULES = {"light": {"resultTypes": ["violations"]}, "dark": {"runOnly": ["color-contrast"]}}
LONG_NAMES = ["real", "ProGAN", "a_source_with_a_name_that_is_far_too_long_for_a_phone"]

DARKNESS = """() => {
    const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number);
    return 1 - (red + green + blue) / 765;
}"""
BROKEN_IMAGES = "[...document.images].filter(image => !image.complete || !image.naturalWidth).map(image => image.alt)"
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
    folder = tmp_path_factory.mktemp("pages")
    results = shown_results(folder)
    one_evaluation = {"evaluations": results["evaluations"][:1], "baselines": [], "stages": []}
    write_report(results, folder / "quickstart.html")
    write_report(results | one_evaluation, folder / "evaluate.html")
    write_ablation_page(ablation_results(folder), folder / "ablation.html")
    write_robustness_page(robustness_results(), folder / "robustness.html")
    write_fingerprint_page(fingerprint_results(LONG_NAMES), folder / "fingerprints.html")
    write_fingerprint_page(fingerprint_results(LONG_NAMES, image_sized=True), folder / "fingerprints of images.html")
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
def test_paper(browser, pages, name):
    with browser.new_context(color_scheme="dark") as context:
        page = context.new_page()
        page.goto(pages[name].as_uri())
        assert page.pdf().startswith(b"%PDF")
        page.emulate_media(media="print")
        assert page.evaluate(DARKNESS) < 0.05
        assert not page.locator("nav").is_visible()


def test_first_key_leads_past_the_sections(browser, pages):
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(pages["ablation"].as_uri())
        link = page.get_by_text("Skip to the content")
        assert link.bounding_box()["x"] < 0
        page.keyboard.press("Tab")
        assert link.bounding_box()["x"] >= 0
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"
