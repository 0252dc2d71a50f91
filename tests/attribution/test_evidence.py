"""The page of evidence from a network, a file and its verdict: every fact is that of what was looked at."""

import dataclasses
import hashlib
import json
import shlex

import numpy as np
import opinions
import pytest
from html_page import Page

from configs import attribute as config_file
from ganfp_jax.attribution import sentences
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.certainty import Calibration
from ganfp_jax.attribution.evidence import Evidence, with_page
from ganfp_jax.attribution.typicality import Known, Typical
from ganfp_jax.attribution.verdict import RefusedImagesError
from ganfp_jax.data.decode import Picture, encode_png
from ganfp_jax.data.identified import Identified
from ganfp_jax.data.looks import look
from ganfp_jax.data.tiles import Tiling
from ganfp_jax.interop.weights import CALIBRATION, FILE, write_file
from ganfp_jax.run.errors import UserError

VIEWS = ("identity", "mirror")
SETTINGS = {"checkpoint": "net", "views": VIEWS, "rule": "majority", "resize": "crop"}


def calibration(digest, photographs=30):
    classes = opinions.weights().about["classes"]
    known = tuple(Known(name, photographs, 2 * photographs, (0.5, 1.5), (float(photographs), 1.0)) for name in classes)
    per_class = {name: {"images": 100, "decided": 90, "wrong": 2} for name in classes}
    counts = {"images": 300, "decided": 270, "wrong": 6, "ci95": (0.01, 0.04), "upper": 0.045}
    return Calibration(
        **{"threshold": 0.2, "error_rate": 0.05, "confidence": 0.95, "views": VIEWS, "rule": "majority", **counts},
        per_class=per_class,
        digest=digest,
        images_digest=64 * "b",
        typicality=Typical("strangeness", 0.05, known),
    )


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A calibrated network in a file."""
    path = tmp_path_factory.mktemp("network")
    write_file(path / FILE, opinions.weights())
    found = calibration(Attributor.load(path).digest)
    (path / CALIBRATION).write_text(json.dumps(found.to_dict()))
    return path


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """A file of six tiles, of which four are looked at."""
    path = tmp_path_factory.mktemp("picture") / "a picture.png"
    encode_png(path, np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8))
    return path


def test_the_page_of_one_image_from_python(network, picture):
    attributor = Attributor.load(network)
    (verdict,) = attributor.attribute([picture], VIEWS, tiles=4)
    html = attributor.evidence(picture, VIEWS, tiles=4, map_windows=20)
    page = Page(html)
    for words in (
        *(f"SHA-256 {hashlib.sha256(picture.read_bytes()).hexdigest()}", f"{picture.stat().st_size:,} bytes, 48x32"),
        *(f"SHA-256 of its weights {attributor.digest}", f"SHA-256 {attributor.calibration.sha256}", "Format PNG"),
        *("4 tiles, 66.7% of 48x32", "the rest is dimmed", "ganfp_jax 0", "SHA-256 of its images bbbb"),
        *("on 300 labelled images", "30 photographs of real", "No more than 5% of the verdicts that name a source"),
        *(f"{view} {source}".replace("real", "no known trace (real)") for view, source in verdict.views.items()),
    ):
        assert words in page.text, words
    for name, p in verdict.p_values.items():
        assert f"{'no known trace (real)' if name == 'real' else name} {verdict.votes.get(name, 0)} " in page.text
        assert 0 < p <= 1
    maps = [attrs["alt"] for attrs in page.all("img") if attrs["alt"].startswith("Map of")]
    assert len(maps) == 1


def test_the_command_repeats_the_verdict(network, picture):
    text = Attributor.load(network).evidence(picture, VIEWS, tiles=2, map_windows=20)
    line = text.split('<pre class="wrap"><code>')[1].split("</code>")[0].replace("&#34;", '"').replace("&#39;", "'")
    flags = shlex.split(line)
    assert flags[-2:] == ["--", str(picture)]
    given = dict(flag.removeprefix("--config.").split("=", 1) for flag in flags if flag.startswith("--config."))
    assert given["checkpoint"] == str(network) and given["tiles"] == "2" and given["map_windows"] == "20"
    assert given.keys() <= config_file.get_config().to_dict().keys()


def test_an_image_of_one_tile_has_no_map_and_an_uncalibrated_network_no_promise(tmp_path):
    encode_png(tmp_path / "one.png", opinions.pictures(1)[0])
    write_file(tmp_path / FILE, opinions.weights())
    page = Page(Attributor.load(tmp_path / FILE).evidence(tmp_path / "one.png", VIEWS))
    assert len(page.all("img")) == 1
    assert "How often such verdicts are wrong was not measured: the network is not calibrated" in page.text
    assert "p-value" not in page.text.split("What the tool cannot know")[0]


def test_the_page_shows_what_the_verdict_stands_up_to_where_it_is_asked_for(network, picture):
    attributor = Attributor.load(network)
    found = attributor.stability(picture, VIEWS, tiles=4)
    html = attributor.evidence(picture, VIEWS, tiles=4, map_windows=20, stability=True)
    page = Page(html)
    assert all(sentence in page.text for sentence in sentences.stability(found))
    assert f"views for {found.source}, %" in page.text and "--config.stability=True" in html
    plain = attributor.evidence(picture, VIEWS, tiles=4, map_windows=20)
    assert "stands up to" not in Page(plain).text and "--config.stability=False" in plain


def test_what_cannot_be_used_is_said_as_elsewhere(network, picture, tmp_path):
    attributor = Attributor.load(network)
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(RefusedImagesError, match=r"broken\.png: not an image"):
        attributor.evidence(tmp_path / "broken.png", VIEWS)
    for settings, words in (({"rule": "loudest"}, "loudest"), ({"resize": "x"}, "resize"), ({"tiles": -1}, "tiles")):
        with pytest.raises(UserError, match=words):
            attributor.evidence(picture, VIEWS, **settings)


def content(attributor, picture, **changes):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    shown = look(Picture(pixels, ()), opinions.SIDE, "crop", Tiling(4, 10.0, 20))
    (verdict,) = attributor.judge([shown], VIEWS)
    file = Identified(picture)
    file.read_bytes()
    return Evidence(attributor, SETTINGS).of(file, shown, dataclasses.replace(verdict, **changes), None)


def test_a_verdict_that_names_no_source_promises_nothing(network, picture):
    attributor = Attributor.load(network)
    for word in ("unsure", "unknown", "nothing to see"):
        said = content(attributor, picture, verdict=word)["promise"]
        assert said == "This is no verdict on a source, and promises nothing about the image."
    assert content(attributor, picture, verdict="ProGAN")["promise"] == (
        "No more than 5% of such verdicts on images like those of the calibration are wrong (95% confidence). "
        "This rests on 300 images of at least 30 photographs of each source."
    )


def test_what_was_seen_is_told_without_the_doubt(network, picture):
    attributor, why = Attributor.load(network), "is like none of the known sources"
    for note, seen in ((f"{why}; 4 tiles", "4 tiles"), (why, "")):
        said = content(attributor, picture, verdict="unknown", sources=(), note=note)
        assert said["note"] == seen and "is like none of the known sources" in said["numbers"]


def test_too_few_photographs_are_said(network, picture):
    attributor = Attributor.load(network)
    attributor.calibration = calibration(attributor.digest, photographs=5)
    said = content(attributor, picture)
    assert said["unknown_rate"] is None and "No verdict is unknown: a rate of 5% takes 19" in said["promises"][-1]
    assert [row["photographs"] for row in said["measured"]] == [5, 5, 5]
    attributor.calibration = dataclasses.replace(attributor.calibration, typicality=None)
    assert "Of how many photographs they are is not on record" in content(attributor, picture)["promises"][1]


def test_the_digest_of_a_calibration_is_of_all_that_it_says(network):
    found = Attributor.load(network).calibration
    assert found.sha256 == Calibration.from_dict(found.to_dict()).sha256
    assert found.sha256 != dataclasses.replace(found, threshold=0.21).sha256


def test_only_a_picture_of_several_tiles_keeps_its_windows():
    noise = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    several, one = (with_page(look(Picture(noise, ()), 16, "crop", Tiling(tiles, 10.0, 20))) for tiles in (4, 0))
    assert several.sweep is not None and one.sweep is None
