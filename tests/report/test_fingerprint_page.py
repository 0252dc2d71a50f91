import copy
import io
import re
from functools import partial

import numpy as np
import pytest
from html_page import Page
from page_results import fingerprint_results
from PIL import Image

from ganfp_jax.report import few, figures, pages, wording
from ganfp_jax.report.fingerprint_figures import FIGURES, RIGHT, WRONG, draw_embedding, spectrum_limits

render = partial(pages.render, "fingerprints")

SECTIONS = ["headline", "responses", "confusion", "embedding", "spectra", "separability", "reproduce"]


@pytest.fixture
def results() -> dict:
    return fingerprint_results(["real", "ProGAN", "SNGAN"])


@pytest.fixture(scope="module")
def shared_page() -> str:
    return render(fingerprint_results(["real", "ProGAN", "SNGAN"], image_sized=True))


@pytest.mark.parametrize(("number", "image_sized"), [(2, False), (5, True), (11, False)])
def test_every_section_is_there_and_well_formed(number, image_sized):
    page = Page(render(fingerprint_results([f"source_{index}" for index in range(number)], image_sized)))
    assert page.open == []
    assert [attrs["id"] for tag, attrs in page.tags if tag in {"header", "section"}] == SECTIONS
    ids = [attrs["id"] for tag, attrs in page.tags if "id" in attrs and tag in {"header", "section", "main"}]
    assert {link["href"].removeprefix("#") for link in page.all("a")} < set(ids)
    assert "None" not in page.text
    spectra = 2 * number if image_sized else number
    columns = min(number, few.COLUMNS)
    assert len(page.all("img")) == columns * (columns + 2) + columns + spectra
    assert len(page.all("svg")) == (4 if image_sized else 3)


def test_page_needs_no_network_and_no_script(shared_page):
    page = Page(shared_page)
    for word in ("http:", "https:", "@import", "<!--", "xmlns", "xlink"):
        assert word not in shared_page
    assert set(re.findall(r"url\((.)", shared_page)) <= {"#"}  # clips inside a drawing
    assert page.all("script") == []
    assert not any(key.startswith("on") for _, attrs in page.tags for key in attrs)
    assert all(attrs["src"].startswith("data:image/png;base64,") for attrs in page.all("img"))
    assert all(attrs["alt"] for attrs in page.all("img"))
    assert "default-src 'none'" in shared_page


def test_headline_stands_beside_guessing(results):
    text = Page(render(results)).text
    assert "96.4% of the sources named right 27 of 28 test images; 95% interval 94.4–98.4" in text
    assert "35.7% by always naming the commonest source 3 sources: real, ProGAN and SNGAN" in text
    assert "A classifier with fingerprints of 512 values named the source of 28 test images." in text
    assert "The generators are small." in text
    assert "no better than" not in text
    results["metrics"]["ci95"] = [0.3, 0.4]
    assert "Within its interval the network is no better than always naming" in Page(render(results)).text


def test_verdict_is_said_in_words_and_form_as_well_as_colour(results):
    html = render(results)
    text = Page(html).text
    assert text.count("✓ right") == 2
    assert text.count("✗ wrong") == 1
    assert "SNGAN SNGAN_0.png +3.1 ✗ wrong −0.5 −1.0 true source" in text
    frames = re.findall(r'class="frame (\w+)"', html)
    assert frames == ["right", "right", "wrong", "missed"]
    assert re.search(r"\.frame\.wrong \{[^}]*double", html)
    assert re.search(r"\.frame\.missed \{[^}]*dashed", html)


def test_matrices_hold_every_number(results):
    page = Page(render(results))
    titles = [attrs.get("title", "") for attrs in page.all("td")]
    assert sum("were called" in title for title in titles) == 9
    assert "1 of 10 SNGAN images were called real (10.0%)" in titles
    assert [title for title in titles if title.startswith("Mean logit, real")] == [
        "Mean logit, real with real: +3.00",
        "Mean logit, real with ProGAN: −1.00",
        "Mean logit, real with SNGAN: −1.00",
    ]
    assert "real +2.7 −1.3 −1.3 ProGAN −1.3 +2.7 −1.3" in page.text  # less the row's mean
    assert "real +1.00 −0.12 −0.12" in page.text


def test_separability_stands_beside_its_control(results):
    text = Page(render(results)).text
    assert (
        "fingerprints 1,200 512 12.40 11.16–13.64 0.930 0.910–0.950 0.140 0.120–0.160 "
        "control: real images in halves 1,200 512 1.02 0.92–1.12 0.500 0.480–0.520 0.510 0.490–0.530 "
        "control: real photographs as sources 1,200 512 1.50 1.35–1.65 0.600 0.580–0.620 0.400 0.380–0.420 pixels"
    ) in text


def test_what_was_not_measured(results):
    nothing = dict.fromkeys(("n", "dimension", "frechet_ratio", "verification"))
    results["separability"] = {
        "fingerprints": nothing | {"control": None, "photographs": None},
        "pixels": nothing | {"frechet_ratio": {"value": 2.0, "ci95": None}, "control": nothing, "photographs": None},
    }
    page = Page(render(results))
    assert "fingerprints – – – – – pixels – – 2.00 – – control: real images in halves – – – – –" in page.text
    assert len(page.all("svg")) == 2  # no ROC curves
    results["separability"] = {}
    results["samples"] = []
    text = Page(render(results)).text
    assert "Separability was not measured." in text
    assert "No sample was kept." in text


def test_fingerprint_page_escapes_everything():
    attack = "<script>alert('x')</script>&\"'$x$"
    results = fingerprint_results(["_real", attack])
    for key in ("title", "command", "created", "devices", "network"):
        results[key] = attack
    results |= {"config": {attack: attack}, "versions": {attack: attack}, "scales": {attack: attack}, "notes": [attack]}
    results["samples"][0]["name"] = attack
    results["separability"][attack] = results["separability"].pop("pixels")
    page = Page(render(results))
    assert page.all("script") == []
    assert page.open == []
    assert not any(key.startswith("on") for _, attrs in page.tags for key in attrs)
    assert page.text.count(attack) >= 20
    assert f"{attack} (6)" in page.text  # in a drawing
    assert "_real (6)" in page.text


def test_drawing_takes_ink_from_the_page_and_is_a_function_of_the_results(results):
    drawing = figures.drawing(draw_embedding, results)
    assert drawing.startswith("<svg viewBox=")
    assert "currentColor" in drawing
    assert figures.INK not in drawing
    assert "called wrong (2)" in drawing
    assert drawing == figures.drawing(draw_embedding, copy.deepcopy(results))


def test_fingerprint_page_without_keys(results):
    for key in results:
        with pytest.raises(ValueError, match=f"results without {key}"):
            render({name: value for name, value in results.items() if name != key})
    for key, inner in (("metrics", "ci95"), ("embedding", "wrong"), ("spectra", "profiles")):
        part = {name: value for name, value in results[key].items() if name != inner}
        with pytest.raises(ValueError, match=f"{key} without {inner}"):
            render(results | {key: part})
    del results["samples"][1]["logits"]
    with pytest.raises(ValueError, match=r"samples\[1\] without logits"):
        render(results)


def test_fingerprint_page_of_parts_that_do_not_fit(results):
    with pytest.raises(ValueError, match="models has 2 entries for 3 classes"):
        render(results | {"models": results["models"][:2]})
    with pytest.raises(ValueError, match="another order"):
        render(results | {"metrics": results["metrics"] | {"classes": ["real", "SNGAN", "ProGAN"]}})
    with pytest.raises(ValueError, match="not of one length"):
        render(results | {"embedding": results["embedding"] | {"wrong": np.zeros(3, bool)}})
    with pytest.raises(ValueError, match=r"spectra\.profiles\.fingerprints without real"):
        render(results | {"spectra": results["spectra"] | {"fingerprints": results["spectra"]["images"]}})
    results["samples"][0]["predicted"] = "StyleGAN"
    with pytest.raises(ValueError, match=r"samples\[0\]\.predicted 'StyleGAN' is none of the classes"):
        render(results)


def test_fingerprint_page_is_written(results, tmp_path):
    path = tmp_path / "report" / "fingerprints.html"
    assert pages.write_page("fingerprints", results, path) == path
    assert path.read_text(encoding="utf-8") == render(results)
    assert [file.name for file in path.parent.iterdir()] == ["fingerprints.html"]


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(("number", "image_sized"), [(3, True), (11, False)])
def test_figures_are_pictures(name, number, image_sized):
    results = fingerprint_results([f"source_{index}" for index in range(number)], image_sized)
    picture = np.asarray(Image.open(io.BytesIO(figures.png(FIGURES[name], results))).convert("RGB"))
    assert min(picture.shape[:2]) > 200
    assert (picture[0, 0] == 255).all()  # a white card: readable on any page
    assert picture.std() > 10


def test_responses_figure_frames_right_and_wrong(results):
    picture = np.asarray(Image.open(io.BytesIO(figures.png(FIGURES["responses"], results))).convert("RGB")).reshape(
        -1, 3
    )
    for colour in (RIGHT, WRONG):
        rgb = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
        assert (picture == rgb).all(1).sum() > 500


def test_scale_of_the_spectra_leaves_the_empty_middle_out():
    spectrum = np.arange(16.0).reshape(4, 4)
    spectrum[2, 2] = -100
    assert spectrum_limits({"real": spectrum}) == (0.0, 15.0)


@pytest.mark.parametrize(("value", "text"), [(3.14, "+3.1"), (-0.52, "−0.5"), (-0.04, "0.0"), (0, "0.0")])
def test_signed_numbers(value, text):
    assert wording.signed(value) == text
