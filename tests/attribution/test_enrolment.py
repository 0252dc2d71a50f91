"""Enrolment: what a few images of a new source make of a network, and what is refused."""

import dataclasses
import re

import numpy as np
import pytest
import small_weights
from new_sources import SIDE, drawn, write
from small_weights import refusal

from ganfp_jax import Attributor, models
from ganfp_jax.attribution import enrolment
from ganfp_jax.interop.weights import digest, read_file, write_file
from ganfp_jax.models.fingerprints import read_fingerprints

VIEWS = "identity"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Images of the three sources that the network knows."""
    root = tmp_path_factory.mktemp("known")
    for source in small_weights.CLASSES:
        write(root / source, drawn(source, 40, seed=1))
    return root


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    return write(tmp_path_factory.mktemp("stripes"), drawn("stripes", 12, seed=2))


@pytest.fixture(scope="module")
def network():
    """A network that was never trained, without views, so that little is compiled."""
    found = small_weights.network()
    return dataclasses.replace(found, about=found.about | {"augment": "none", "calibration": {"of": "these"}})


@pytest.fixture(scope="module")
def one(network, stripes, root):
    return enrolment.enrol(network, "stripes", stripes, root)


@pytest.fixture(scope="module")
def two(one, tmp_path_factory, root):
    files = write(tmp_path_factory.mktemp("squares"), drawn("squares", 12, seed=2))
    return enrolment.enrol(one.weights, "squares", files, root)


def predicted(weights, *kinds):
    """The sources that the network gives 40 new images of each kind to."""
    images = np.concatenate([drawn(kind, 40, seed=3) for kind in kinds])
    logits = read_fingerprints(models.create(**weights.model), weights.variables, images, batch_size=40).logits
    return [weights.about["classes"][k] for k in logits.argmax(1)]


def test_a_source_is_found_and_the_others_stay_what_they_were(network, one):
    assert one.found >= 9 and len(one.used) == 12 and one.refused == []
    assert predicted(one.weights, "stripes").count("stripes") >= 20
    before, after = (predicted(weights, *small_weights.CLASSES) for weights in (network, one.weights))
    given = after.count("stripes")
    assert given <= 6  # of 120; 1 % of images like those that it is said of
    assert sum(a != b for a, b in zip(before, after, strict=True)) == given


def test_verdicts_are_those_of_the_enrolled_network(one):
    attributor = Attributor.of(one.weights, "here")
    verdicts = [found.predicted for found in attributor.attribute(drawn("stripes", 40, seed=3), VIEWS)]
    assert verdicts == predicted(one.weights, "stripes")
    assert attributor.calibration is None and attributor.classes[-1] == "stripes"


def test_the_rest_is_shared_as_before(network, one):
    images = drawn("SNGAN", 8, seed=4)
    before, after = (models.create(**w.model) for w in (network, one.weights))
    logits = read_fingerprints(before, network.variables, images).logits
    now = read_fingerprints(after, one.weights.variables, images)
    np.testing.assert_allclose(now.logits[:, :3], logits, rtol=1e-5, atol=1e-5)
    assert now.models.shape == (now.images.shape[1], 4) and now.bias.shape == (4,)
    assert (now.logits[:, 3] < logits.max(1)).all()


def test_the_file_has_prototypes_axes_names_and_digests(one, stripes, network, tmp_path):
    written = write_file(tmp_path / "enrolled.safetensors", one.weights)
    back = read_file(tmp_path / "enrolled.safetensors")
    assert digest(back.variables) == written != digest(network.variables)
    assert back.about["classes"] == ["real", "ProGAN", "SNGAN", "stripes"]
    assert back.about["trained"] == digest(network.variables)
    record = back.about["enrolled"]["stripes"]
    assert [name for name, _ in record["files"]] == [path.name for path in stripes]
    assert all(re.fullmatch("[0-9a-f]{64}", sha) for _, sha in record["files"])
    params = back.variables["params"]
    assert params["prototypes"].shape == (len(params["center"]), 4)
    assert params["axes"].shape == (len(params["center"]), back.model["num_axes"])
    assert "calibration" not in back.about  # it is of other sources
    assert predicted(back, "stripes") == predicted(one.weights, "stripes")


def test_another_source_is_added_and_each_can_be_taken_out(network, one, two):
    assert two.weights.about["classes"][3:] == ["stripes", "squares"]
    both = predicted(two.weights, "squares", "stripes")
    assert both[:40].count("squares") >= 20 and both[40:].count("stripes") >= 20
    squares = enrolment.withdraw(two.weights, "stripes")
    assert squares.about["classes"][3:] == ["squares"]
    assert predicted(squares, "squares").count("squares") >= 20
    again = enrolment.withdraw(squares, "squares")
    assert (again.model, digest(again.variables)) == (network.model, digest(network.variables))
    assert again.about == {key: network.about[key] for key in ("classes", "augment")}
    assert "config.remove is 'SNGAN'; give the name of an enrolled source (stripes)" in refusal(
        enrolment.withdraw, one.weights, "SNGAN"
    )
    assert "(none was enrolled)" in refusal(enrolment.withdraw, network, "SNGAN")


def test_whole_pictures_are_enrolled_by_their_tiles(network, root, tmp_path):
    tiles = drawn("stripes", 48, seed=5).reshape(12, 2, 2, SIDE, SIDE, 3)
    pictures = tiles.transpose(0, 1, 3, 2, 4, 5).reshape(12, 2 * SIDE, 2 * SIDE, 3)
    made = enrolment.enrol(network, "stripes", write(tmp_path / "pictures", pictures), root)
    assert len(made.used) == 12 and made.found >= 6


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("SNGAN", "config.name is 'SNGAN', which the network knows already"),
        ("unknown", "config.name: the source name 'unknown' is a column or a verdict"),
        ("a/b", "has a path separator"),
    ],
)
def test_names_that_cannot_be_are_refused_before_anything_is_read(network, name, said):
    assert said in refusal(enrolment.enrol, network, name, [], "nowhere")


def test_too_few_flat_and_copied_images_are_refused(network, root, stripes, tmp_path):
    assert "4 of 4 images can be used; a source is enrolled from 5 different ones" in refusal(
        enrolment.enrol, network, "new", stripes[:4], root
    )
    copies = write(tmp_path / "copies", [drawn("stripes", 1, seed=2)[0]] * 20)
    said = refusal(enrolment.enrol, network, "new", copies, root)
    assert "1 of 20 images can be used" in said and "001.png: is a copy of another one" in said
    flat = write(tmp_path / "flat", np.full((20, SIDE, SIDE, 3), 90, np.uint8))
    assert "000.png: is flat: there is nothing to see" in refusal(enrolment.enrol, network, "new", flat, root)
    (tmp_path / "text.png").write_text("no image")
    made = enrolment.enrol(network, "new", [*stripes, tmp_path / "text.png"], root)
    assert [name for name, _ in made.refused] == [str(tmp_path / "text.png")] and len(made.used) == 12


def test_images_that_are_all_but_alike_are_refused(network, root, tmp_path):
    image = drawn("stripes", 1, seed=2)[0]
    images = np.stack([image] * 12)
    images[np.arange(12), 0, np.arange(12), 0] ^= 1  # one level in one pixel
    assert "the images are all alike" in refusal(
        enrolment.enrol, network, "new", write(tmp_path / "alike", images), root
    )


def test_two_generators_are_told_apart(network, root, tmp_path):
    both = np.concatenate([drawn("stripes", 12, seed=2), drawn("SNGAN", 8, seed=2)])
    files = write(tmp_path / "both", both)
    said = refusal(enrolment.enrol, network, "new", files, root)
    assert "these fall into two groups, 8 images" in said and str(files[12]) in said
    assert len(enrolment.enrol(network, "new", files, root, mixed=True).used) == 20


def test_known_sources_need_images(network, stripes, root, tmp_path):
    for source in small_weights.CLASSES:
        write(tmp_path / source, drawn(source, 19 if source == "ProGAN" else 25, seed=1))
    assert "has 19 images of ProGAN that can be used" in refusal(enrolment.enrol, network, "new", stripes, tmp_path)
    assert "config.rate is 1.0" in refusal(enrolment.check_new, network, "new", 1.0)


def test_an_enrolled_network_is_no_base(one):
    model = one.weights.model | {"base": one.weights.model}
    assert "the settings of the network inside it are none" in refusal(lambda: models.create(**model))
    assert "base is no trained attribution network" in refusal(
        lambda: models.create(**one.weights.model | {"base": {"name": "sngan_generator", "resolution": SIDE}})
    )
    assert "as many sources" in refusal(lambda: models.create(**one.weights.model | {"num_classes": 3}))
