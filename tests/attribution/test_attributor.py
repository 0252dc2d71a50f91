"""The Python API: what an `Attribution` says, and that it is what the vote says."""

import copy
import doctest
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_weights
from PIL import Image

import ganfp_jax
from ganfp_jax import models
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.verdict import Refusal, RefusedImagesError
from ganfp_jax.data.decode import encode_png
from ganfp_jax.data.views import resolve_views
from ganfp_jax.interop.weights import FILE, write_file
from ganfp_jax.models.fingerprints import nearest_distance
from ganfp_jax.run.errors import UserError


@pytest.fixture(scope="module", params=["attribution", "fingerprint"])
def attributor(request):
    weights = small_weights.network(request.param)
    model = weights.model
    return Attributor(models.create(**model), weights.variables, small_weights.CLASSES, model["resolution"])


@pytest.fixture(scope="module")
def images(attributor):
    side = attributor.resolution
    return np.random.default_rng(0).integers(0, 256, (6, side, side, 3), np.uint8)


def test_a_verdict_is_that_of_the_vote(attributor, images):
    views = ("rot90", "identity", "mirror")
    vote = attributor.vote(images, views)
    fingerprints = attributor.fingerprints(images)
    for i, verdict in enumerate(attributor.attribute(images, views)):
        assert verdict.verdict == verdict.predicted == attributor.classes[vote.predicted[i]]
        assert list(verdict.probabilities.values()) == pytest.approx(list(vote.probabilities[i]), abs=1e-5)
        assert verdict.confidence == verdict.probabilities[verdict.predicted]
        others = [p for name, p in verdict.probabilities.items() if name != verdict.predicted]
        assert verdict.margin == pytest.approx(verdict.confidence - max(others), abs=1e-6)
        assert list(verdict.views) == list(resolve_views(views))
        for name in attributor.classes:
            assert list(verdict.views.values()).count(name) == verdict.votes.get(name, 0)
        # of the view identity, though it does not stand first
        image = fingerprints.images[i].ravel()
        sources = fingerprints.models.reshape(len(image), -1).T
        cosines = [image @ source / np.linalg.norm(image) / np.linalg.norm(source) for source in sources]
        assert verdict.distance == pytest.approx(1 - max(cosines), abs=1e-4)


def test_one_image_is_judged_as_among_others(attributor, images):
    (alone,) = attributor.attribute(images[:1], "identity")
    among = attributor.attribute(images, "identity")[0]
    assert alone.predicted == among.predicted and alone.votes == among.votes
    assert alone.confidence == pytest.approx(among.confidence, abs=1e-5)


def test_without_the_view_identity_the_distance_is_of_the_first(attributor, images):
    (turned,) = attributor.attribute(images[:1], ["rot180"])
    (upright,) = attributor.attribute(np.rot90(images[:1], 2, (1, 2)).copy(), ["identity"])
    assert turned.distance == pytest.approx(upright.distance, abs=1e-5)


def test_a_network_that_answers_with_a_map_is_refused():
    weights = small_weights.network(latent_res=8)
    network = models.create(**weights.model)
    attributor = Attributor(network, weights.variables, small_weights.CLASSES, weights.model["resolution"])
    with pytest.raises(UserError, match="answers with a map of logits"):
        attributor.attribute(np.zeros((1, attributor.resolution, attributor.resolution, 3), np.uint8))


def test_the_example_of_the_package(tmp_path, monkeypatch):
    write_file(tmp_path / "runs" / "attribution" / FILE, small_weights.network())
    encode_png(tmp_path / "photo.png", np.random.default_rng(0).integers(0, 256, (24, 20, 3), np.uint8))
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(ganfp_jax) == (0, 6)


def test_nearest_distance():
    sources = np.array([[2.0, 0.0], [0.0, 0.5]], np.float32)  # columns
    images = jnp.array([[3.0, 0.0], [1.0, 1.0], [-1.0, -1.0], [0.0, 0.0]])
    expected = [0, 1 - np.sqrt(0.5), 1 + np.sqrt(0.5), 1]
    np.testing.assert_allclose(jax.jit(nearest_distance)(images, sources), expected, atol=1e-6)


def test_views_are_by_default_those_of_the_training(attributor, images):
    mirrored = copy.copy(attributor)
    mirrored.augment = "mirror"
    assert list(attributor.attribute(images[:2])[0].views) == list(resolve_views("d4"))
    assert list(mirrored.attribute(images[:2])[0].views) == list(resolve_views("mirror"))
    assert len(mirrored.vote(images[:2]).view_predictions) == 2


def test_arrays_of_other_libraries_are_images_too(attributor, images):
    assert attributor.attribute(jnp.asarray(images[:1])) == attributor.attribute(images[:1])
    with pytest.raises(UserError, match=r"image 0: is object of shape \(\), not uint8"):
        attributor.attribute([None])


def strangers(folder, image):
    """Images of every kind that `attribute` takes, and the reasons why all but the first three cannot be used."""
    encode_png(folder / "good.png", image)
    (folder / "notes.txt").write_text("no picture")
    (folder / "cut.png").write_bytes((folder / "good.png").read_bytes()[:90])
    closed = Image.fromarray(image)
    closed.close()
    bad = [
        (str(folder / "notes.txt"), "not an image"),
        (folder / "missing.png", "no such file"),
        ("nul\0.png", "NUL"),
        (folder, "is a folder"),
        (folder / "cut.png", "truncated"),
        (Image.fromarray(image[:3, :3]), "is 3x3, smaller than"),
        (Image.fromarray(np.zeros((16, 16), np.float32)), "floating-point pixels"),
        (closed, "closed image"),
        (None, "is object of shape (), not uint8"),
        (1.5, "is float64 of shape (), not uint8"),
        (image.astype(np.float32), "is float32 of shape"),
        (image[..., :2], "is uint8 of shape"),
        (image[:0], "smaller than"),
    ]
    return [folder / "good.png", Image.fromarray(image), image], bad


def test_bad_images_do_not_cost_the_good_ones(attributor, images, tmp_path):
    good, bad = strangers(tmp_path, images[0])
    asked = [good[0], *(image for image, _ in bad), *good[1:]]
    (expected,) = attributor.attribute(images[:1])
    found = attributor.attribute(asked, errors="collect")
    assert [isinstance(entry, Refusal) for entry in found] == [False, *[True] * len(bad), False, False]
    verdicts = [entry for entry in found if not isinstance(entry, Refusal)]
    assert [(v.verdict, dict(v.votes)) for v in verdicts] == [(expected.verdict, dict(expected.votes))] * 3
    for place, (entry, (image, reason)) in enumerate(zip(found[1:-2], bad, strict=True), start=1):
        assert reason in entry.reason
        files = isinstance(image, str | Path)
        assert entry.image == (str(image).replace("\0", "\\x00") if files else f"image {place}")
    with pytest.raises(RefusedImagesError) as error:
        attributor.attribute(asked)
    assert error.value.found == found
    assert error.value.refused == found[1:-2]
    start = (
        f"{len(bad)} of {len(asked)} images cannot be used: {found[1]}; {found[2]}; {found[3]}; and {len(bad) - 3} more"
    )
    assert str(error.value).startswith(start) and "\n" not in str(error.value)


def test_nothing_but_bad_images(attributor):
    (refusal,) = attributor.attribute(["missing.png"], errors="collect")
    assert str(refusal) == "missing.png: no such file"
    with pytest.raises(UserError, match=re.escape(f"1 of 1 images cannot be used: {refusal}; leave out")):
        attributor.attribute(["missing.png"])
    assert attributor.attribute([], errors="collect") == []


def test_wrong_questions_are_said_before_an_image_is_read(attributor):
    for wrong in ({"errors": "ignore"}, {"views": "sideways"}, {"rule": "loudest"}, {"resize": "squeeze"}):
        with pytest.raises(UserError, match=next(iter(wrong.values()))):
            attributor.attribute(["missing.png"], **wrong)
