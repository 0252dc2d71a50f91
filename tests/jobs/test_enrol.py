"""The job `enrol`: folders in; a network, what to expect of it and what was refused out."""

import dataclasses
import re

import pytest
import small_weights
from new_sources import drawn, write
from running import run_job

from ganfp_jax.interop.load import load
from ganfp_jax.interop.weights import FILE, digest, write_file
from ganfp_jax.run.errors import UserError


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A network without views, images of its sources, and of a new one."""
    root = tmp_path_factory.mktemp("enrol")
    network = small_weights.network()
    write_file(root / "network" / FILE, dataclasses.replace(network, about=network.about | {"augment": "none"}))
    for source in small_weights.CLASSES:
        write(root / "known" / source, drawn(source, 30, seed=1))
    write(root / "new", drawn("stripes", 12, seed=2))
    (root / "new" / "broken.png").write_text("no image")
    return root


def settings(places, **changed):
    given = {"checkpoint": places / "network", "images": places / "new", "name": "stripes"}
    return given | {"data.root": places / "known", "mixed": False} | changed


def test_a_source_is_enrolled_and_taken_out(places, tmp_path):
    out = run_job("enrol:tiny", tmp_path / "one", settings(places))
    assert "1 files could not be used" in out and "stripes, from 12 images" in out
    assert re.search(r"found where enrolled from the others +\d+ of 12", out)
    assert "sources: real, ProGAN, SNGAN, stripes" in out
    assert "It has no calibration, since another set of sources asks for its own: configs/calibrate.py" in out
    made = load(tmp_path / "one", "attribution")
    assert f"digest: {digest(made.variables)}" in out and made.about["classes"][3:] == ["stripes"]
    out = run_job("enrol:tiny", tmp_path / "two", {"checkpoint": tmp_path / "one", "remove": "stripes"})
    assert "taken out: stripes" in out and "sources: real, ProGAN, SNGAN\n" in out
    assert digest(load(tmp_path / "two").variables) == digest(load(places / "network").variables)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": ""}, "config.name is empty; give what the new source is called"),
        ({"images": ""}, "config.images is empty; give a folder of images of the new source"),
        ({"images": "nowhere"}, "config.images is nowhere; give a folder with images of the new source, or @FILE"),
        ({"name": "real"}, "config.name is 'real', which the network knows already"),
        ({"rate": 0.0}, "config.rate is 0.0; give a share between 0 and 1"),
        ({"remove": "GAN"}, "config.remove is 'GAN'; give the name of an enrolled source"),
        ({"tiles": -1}, "config.tiles is -1"),
    ],
)
def test_mistakes_are_said_in_one_line(places, tmp_path, changed, said):
    with pytest.raises(UserError, match=re.escape(said)) as error:
        run_job("enrol:tiny", tmp_path, settings(places, **changed))
    assert "\n" not in str(error.value) and not (tmp_path / FILE).exists()
