"""The job `compare`: images and a reference in; a ratio, a page and what was refused out."""

import dataclasses
import json
import re

import numpy as np
import pytest
import small_weights
from html_page import Page
from new_sources import SIDE, drawn, write
from running import run_job

from ganfp_jax.attribution import likelihood
from ganfp_jax.interop.load import load
from ganfp_jax.interop.weights import FILE, write_file
from ganfp_jax.run.errors import UserError


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A network without views, images of its sources, and of two that it does not know."""
    root = tmp_path_factory.mktemp("compare")
    network = small_weights.network()
    write_file(root / "network" / FILE, dataclasses.replace(network, about=network.about | {"augment": "none"}))
    for source in small_weights.CLASSES:  # crops of one photograph would have one name
        names = write(root / "drawn" / source, drawn(source, 40, seed=1))
        (root / "known" / source).mkdir(parents=True)
        for path in names:
            path.rename(root / "known" / source / f"{source}{path.name}")
    write(root / "stripes", drawn("stripes", 8, seed=2))
    (root / "stripes" / "broken.png").write_text("no image")
    write(root / "others", drawn("stripes", 3, seed=3))
    write(root / "SNGAN", drawn("SNGAN", 3, seed=3))
    write(root / "flat", np.full((3, SIDE, SIDE, 3), 90, np.uint8))
    write(root / "both", np.concatenate([drawn("stripes", 5, seed=4), drawn("SNGAN", 5, seed=4)]))
    write(root / "copies", [drawn("stripes", 1, seed=2)[0]] * 4)
    alike = np.stack([drawn("stripes", 1, seed=2)[0]] * 6)
    alike[np.arange(6), 0, np.arange(6), 0] ^= 1  # one level in one pixel
    write(root / "alike", alike)
    return root


def settings(places, **changed):
    given = {"checkpoint": places / "network", "reference": places / "stripes", "images": places / "others"}
    return given | {"data.root": places / "known", "most": 9, "draws": 10, "repeats": 4} | changed


@pytest.fixture(scope="module")
def done(places, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("done")
    return workdir, run_job("compare:tiny", workdir, settings(places))


def test_images_of_one_generator_are_found_to_be_so(done, places, tmp_path):
    workdir, out = done
    found = json.loads((workdir / "comparison.json").read_text())
    assert found["ratio"] > 2 and found["ratio"] <= found["bounds"][1]
    other = run_job("compare:tiny", tmp_path, settings(places, images=places / "SNGAN"))
    ratio = json.loads((tmp_path / "comparison.json").read_text())["ratio"]
    assert ratio < 0.5 and "as probable where two generators made them" in other
    assert f"{found['ratio']:.3g} times as probable where one generator made both" in out


def test_what_it_rests_on_is_written(done):
    workdir, out = done
    found = json.loads((workdir / "comparison.json").read_text())
    assert (len(found["reference"]), len(found["images"])) == (8, 3)
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for _, sha256 in found["reference"] + found["images"])
    assert found["known"]["ProGAN"] == {"images": 40, "photographs": 40}
    assert found["trials"]["different"] == 2 * found["trials"]["same"] == 2 * (10 * 2 * 2 * 3)
    assert "broken.png" in (workdir / "rejected.csv").read_text() and "1 files could not be used" in out
    assert (workdir / "tippett.png").stat().st_size > 1000
    page = Page((workdir / "report" / "index.html").read_text())
    assert page.open == [] and "Did one generator make these images and the reference?" in page.text
    assert "--config.most=9 " in page.text and "others/000.png" in page.text


def test_a_pair_of_images_has_a_ratio_and_the_same_image_none(places):
    network = load(places / "network", "attribution")
    known = {"draws": 10, "repeats": 4}
    files = [str(path) for path in sorted((places / "stripes").glob("0*.png"))]
    pair = likelihood.compare(network, files[0], files[1], places / "known", **known)
    assert (len(pair.images), len(pair.reference)) == (1, 1)
    with pytest.raises(UserError, match=r"001\.png: is in the reference, too"):
        likelihood.compare(network, files[1], files[:3], places / "known", **known)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"reference": ""}, "config.reference is empty; give images of one generator"),
        ({"images": ""}, "no images: give those in question after --, or as config.images"),
        ({"most": 0}, "config.most is 0; give 1 or more"),
        ({"reference": "flat"}, "config.reference: none of 3 images can be used"),
        ({"reference": "nowhere"}, "config.reference: none of 0 images can be used"),
        ({"images": "flat"}, "is flat: there is nothing to see"),
        ({"reference": "both", "most": 10}, "config.reference: these fall into two groups, 5 images"),
        ({"reference": "alike"}, "config.reference: the images are all alike"),
        ({"most": 20, "images_per_source": 20}, "has 20 images of real that can be used, of 20 photographs: too few"),
    ],
)
def test_mistakes_are_said_in_one_line(places, tmp_path, changed, said):
    changed = {
        key: places / value if (places / str(value)).is_dir() and value else value for key, value in changed.items()
    }
    with pytest.raises(UserError, match=re.escape(said)) as error:
        run_job("compare:tiny", tmp_path, settings(places, **changed))
    assert "\n" not in str(error.value) and not (tmp_path / "comparison.json").exists()


def test_copies_count_once(places, tmp_path):
    run_job("compare:tiny", tmp_path, settings(places, reference=places / "copies"))
    assert len(json.loads((tmp_path / "comparison.json").read_text())["reference"]) == 1
    assert (tmp_path / "rejected.csv").read_text().count("is a copy of another one") == 3
