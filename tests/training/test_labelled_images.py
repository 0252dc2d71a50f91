"""Training images of a classifier: batches are a function of the step, perturbations included."""

import numpy as np
import pytest

from ganfp_jax.data import pseudo_unknown
from ganfp_jax.data.decode import encode_png
from ganfp_jax.run.errors import UserError
from ganfp_jax.training.labelled_images import UNKNOWN, LabelledImages, decode_some_test, open_training

JPEG = {"share": 0.5, "perturbations": ("jpeg50-95",)}
NONE = {"share": 0.0, "perturbations": ()}


@pytest.fixture
def images():
    rng = np.random.RandomState(0)
    return LabelledImages(rng.randint(0, 256, (40, 16, 16, 3)).astype(np.uint8), np.arange(40, dtype=np.int32) % 4)


def test_a_step_has_the_same_images_and_perturbations_whenever_it_is_read(images):
    first, again = (images.batches(16, 3, JPEG) for _ in range(2))
    _ = first[0], first[1]
    for step in (5, 7):
        for name in ("image", "label"):
            np.testing.assert_array_equal(first[step][name], again[step][name])


def test_only_the_share_that_was_asked_for_is_perturbed(images):
    plain, immunised = images.batches(16, 3, NONE), images.batches(16, 3, JPEG)
    changed = []
    for step in range(12):
        a, b = plain[step], immunised[step]
        np.testing.assert_array_equal(a["label"], b["label"])  # the same images in the same order
        changed += (a["image"] != b["image"]).any((1, 2, 3)).tolist()
    assert 0.4 < np.mean(changed) < 0.6


def test_pseudo_unknowns_take_the_place_of_a_share_and_are_perturbed_like_the_others(images):
    unknown = {"share": 0.25, "kinds": ("convolutions", "textures")}
    plain, mixed = images.batches(16, 3, NONE), images.batches(16, 3, NONE, unknown)
    replaced = []
    for step in range(12):
        a, b = plain[step], mixed[step]
        new = b["label"] == UNKNOWN
        np.testing.assert_array_equal(a["label"][~new], b["label"][~new])
        np.testing.assert_array_equal((a["image"] != b["image"]).any((1, 2, 3)), new)
        replaced += new.tolist()
    assert 0.15 < np.mean(replaced) < 0.35
    every = images.batches(16, 3, {"share": 1.0, "perturbations": ("jpeg50-95",)}, unknown)[0]
    assert every["label"].dtype == np.int32 and (every["image"] != mixed[0]["image"]).any((1, 2, 3)).all()


def test_a_process_makes_its_own_part_of_the_pseudo_unknowns():
    rng = np.random.RandomState(0)
    images = rng.randint(0, 256, (8, 16, 16, 3)).astype(np.uint8)
    settings = {"share": 0.5, "kinds": tuple(pseudo_unknown.KINDS)}
    whole, which = pseudo_unknown.replace(images, np.random.default_rng(1), **settings)
    for first in (0, 4):
        part = images[first : first + 4]
        made, mine = pseudo_unknown.replace(part, np.random.default_rng(1), **settings, first=first, total=8)
        np.testing.assert_array_equal(made, whole[first : first + 4])
        np.testing.assert_array_equal(mine, which[first : first + 4])


def test_what_cannot_be_used_is_said_at_once(tmp_path):
    for split, side in (("train", 16), ("test", 8)):
        for name in ("a", "b"):
            (tmp_path / split / name).mkdir(parents=True)
            encode_png(tmp_path / split / name / "0.png", np.zeros((side, side, 3), np.uint8))
    config = {
        "data": {"root": str(tmp_path), "resize": "refuse", "layout": "auto", "crop_from": 0},
        "classes": None,
        "eval_images": 8,
        "resolution": 16,
    }
    assert open_training(config | {"immunise": NONE}).classes == ("a", "b")
    with pytest.raises(UserError, match=r"no test image to watch can be used, such as ./0\.png: is 8x8"):
        decode_some_test(config, ("a", "b"))
    with pytest.raises(UserError, match=r"share 0\.5 with perturbations none"):
        open_training(config | {"immunise": {"share": 0.5, "perturbations": ()}})
    with pytest.raises(UserError, match=r"crop_from is 8; give 0, or at least config\.resolution 16"):
        open_training(config | {"immunise": NONE, "data": config["data"] | {"crop_from": 8}})
    with pytest.raises(UserError, match=r"give a config\.data\.crop_from to cut them from"):
        open_training(config | {"immunise": {"share": 0.5, "perturbations": ("rescale0.5-2",)}})


def test_windows_are_shown_of_images_that_are_larger():
    images = np.arange(40, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 24, 24, 3), np.uint8)
    windows = LabelledImages(images, np.arange(40, dtype=np.int32), side=16).batches(8, 0, NONE)[3]
    assert windows["image"].shape == (8, 16, 16, 3)
    np.testing.assert_array_equal(windows["image"][:, 0, 0, 0], windows["label"])
