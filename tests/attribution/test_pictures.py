"""The pictures of a page: the views as the network saw them, and no more of them than a page can hold."""

import io

import numpy as np
import pytest
from PIL import Image

from ganfp_jax.attribution import pictures as page_pictures
from ganfp_jax.data import labelled, perturb
from ganfp_jax.data.decode import encode_png
from ganfp_jax.data.labelled import Images
from ganfp_jax.data.views import VIEW_SETS


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def rows(folder, views):
    called = [{"name": view, "called": folder.classes[0]} for view in views]
    return [{"name": name, "views": called} for name in reversed(folder.names)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty 64x64 images of each of two sources."""
    root, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for source in ("ProGAN", "real"):
        (root / source).mkdir()
        for i in range(20):
            encode_png(root / source / f"{i:02d}.png", rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    return labelled.open_labelled(root)


def test_views_are_what_the_network_saw(folder):
    images = Images(folder, 32, perturbation="noise15", seed=3)
    (shown, *_) = page_pictures.with_views(rows(folder, VIEW_SETS["d4"]), images)
    last = len(folder) - 1
    image = images.under("none").part([last]).decode().images
    image = perturb.perturb(image, "noise15", 3, numbers=np.array([last]))[0]
    np.testing.assert_array_equal(pixels(shown["picture"]), image)
    seen = {view["name"]: pixels(view["picture"]) for view in shown["views"]}
    np.testing.assert_array_equal(seen["identity"], image)
    np.testing.assert_array_equal(seen["mirror"], image[:, ::-1])
    np.testing.assert_array_equal(seen["rot90"], np.rot90(image))
    np.testing.assert_array_equal(seen["vertical_flip"], image[::-1])


def test_large_views_are_reduced_and_many_are_left_out(folder):
    shown = page_pictures.with_views(rows(folder, VIEW_SETS["d4"]), Images(folder, 64))
    assert 1 < len(shown) < len(folder)
    assert {pixels(view["picture"]).shape for row in shown for view in row["views"]} == {(48, 48, 3)}
    assert {pixels(row["picture"]).shape for row in shown} == {(64, 64, 3)}
    weight = sum(len(row["picture"]) + sum(len(view["picture"]) for view in row["views"]) for row in shown)
    assert weight < 1.1 * page_pictures.WRONG_BYTES
    assert page_pictures.with_views([], Images(folder, 64)) == []


def test_rows_without_views_get_their_picture_only(folder):
    (shown, *_) = page_pictures.with_views([{"name": folder.names[4]}], Images(folder, 64))
    assert set(shown) == {"name", "picture"}
    np.testing.assert_array_equal(pixels(shown["picture"]), np.asarray(Image.open(folder.paths[4])))


def test_samples_show_the_first_that_may_be_shown(folder):
    shown = page_pictures.samples(Images(folder, 64).part(range(3, len(folder))), folder.classes)
    assert list(shown) == ["ProGAN", "real"]
    assert shown["real"]["caption"] == "the first 12 test images"
    first = pixels(shown["ProGAN"]["picture"])[:64, :64]
    np.testing.assert_array_equal(first, np.asarray(Image.open(folder.paths[3])))
    assert list(page_pictures.samples(Images(folder, 64).part([0]), folder.classes)) == ["ProGAN"]
    assert list(page_pictures.samples(Images(folder, 64), ["real"])) == ["real"]


def test_samples_of_many_sources_are_fewer_and_smaller(folder, monkeypatch):
    monkeypatch.setattr(page_pictures, "SAMPLES_BYTES", 2 * 3 * 32 * 32)  # as of sixty sources
    shown = page_pictures.samples(Images(folder, 64), folder.classes)
    assert shown["real"]["caption"] == "the first test image"
    assert pixels(shown["real"]["picture"]).shape == (64, 64, 3)  # 32x32, every pixel as 2x2
    first = np.asarray(Image.open(folder.paths[20]).resize((32, 32), Image.Resampling.BOX))
    np.testing.assert_array_equal(pixels(shown["real"]["picture"])[::2, ::2], first)
