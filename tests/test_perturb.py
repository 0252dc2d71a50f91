"""Perturbations act on each image by itself, reproducibly, with the strength that their name says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganfp_jax.data.perturb import PERTURBATIONS, check_immunisation, check_perturbation, immunise, perturb
from ganfp_jax.errors import UserError

NAMES = ["none", "jpeg75", "jpeg1", "jpeg100", "noise15", "noise0.5", "blur0.7", "blur3"]


def textures(count=4, size=32, seed=0):
    rng = np.random.RandomState(seed)
    smooth = rng.randint(60, 200, (count, size // 4, size // 4, 3))
    return np.clip(smooth.repeat(4, 1).repeat(4, 2) + rng.randint(-8, 8, (count, size, size, 3)), 0, 255).astype(
        np.uint8
    )


@pytest.mark.parametrize("name", NAMES)
def test_each_image_depends_on_itself_the_seed_and_its_place(name):
    images = textures()
    before = images.copy()
    result = perturb(images, name, seed=5)
    assert result.shape == images.shape and result.dtype == np.uint8
    assert not np.shares_memory(result, images)
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(perturb(images, name, seed=5), result)
    np.testing.assert_array_equal(perturb(images[:2], name, seed=5), result[:2])
    others = images.copy()
    others[0] = 0
    np.testing.assert_array_equal(perturb(others, name, seed=5)[1:], result[1:])
    assert perturb(images[:0], name).shape == (0, 32, 32, 3)


def test_strength():
    images = np.full((3, 64, 64, 3), 128, np.uint8)
    error = perturb(images, "noise15", seed=1).astype(float) - 128
    assert abs(error.std() - 15) < 0.3 and abs(error.mean()) < 0.3
    assert not (perturb(images, "noise15", seed=1) == perturb(images, "noise15", seed=2)).all()
    assert not (error[0] == error[1]).all()

    def change(name):
        return np.abs(perturb(textures(), name).astype(float) - textures()).mean()

    assert change("none") == 0
    assert 0 < change("jpeg95") < change("jpeg75") < change("jpeg10")
    assert 0 < change("blur0.4") < change("blur0.7") < change("blur2")


def test_blur_is_the_gaussian_and_keeps_constants():
    impulse = np.zeros((1, 33, 33, 3), np.uint8)
    impulse[0, 16, 16] = 255
    blurred = perturb(impulse, "blur1")[0, :, :, 0].astype(float)
    offsets = np.arange(-16, 17)
    kernel = np.exp(-(offsets**2) / 2)
    kernel = np.outer(kernel, kernel) / kernel.sum() ** 2
    assert np.abs(blurred - 255 * kernel).max() <= 0.51
    assert (perturb(np.full((1, 16, 16, 3), 77, np.uint8), "blur0.7") == 77).all()


@pytest.mark.parametrize(
    "name",
    ["", "jpeg", "jpeg0", "jpeg101", "jpeg7.5", "noise", "noise0", "noise-3", "blur0", "blurnan", "blur1e3", "zoom2"],
)
def test_unknown_names_list_the_choices(name):
    for call in (check_perturbation, lambda name: perturb(textures(1), name)):
        with pytest.raises(UserError, match=r"choose none, jpegQ .* noiseS .* blurS") as error:
            call(name)
        assert repr(name) in str(error.value) and "\n" not in str(error.value)


def test_known_names_pass_the_check():
    for name in NAMES:
        check_perturbation(name)
    assert set(PERTURBATIONS) == {"jpeg", "noise", "blur"}


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_seed(seed):
    assert perturb(textures(1, 8), "noise3", seed=seed).shape == (1, 8, 8, 3)


def test_immunise_perturbs_a_share_of_the_images_each_on_its_own():
    images = np.random.RandomState(0).randint(0, 256, (400, 16, 16, 3)).astype(np.uint8)
    kept = images.copy()

    def immunised(seed, **settings):
        return immunise(images, np.random.default_rng(seed), **settings)

    half = immunised(0, share=0.5, perturbations=("jpeg50-95",))
    changed = (half != images).any((1, 2, 3))
    assert 160 < changed.sum() < 240
    # One strength is a range of one: what was chosen is what `perturb` makes of it.
    fixed = immunised(0, share=1.0, perturbations=("jpeg75",))
    np.testing.assert_array_equal(fixed, perturb(images, "jpeg75"))
    np.testing.assert_array_equal(images, kept)
    np.testing.assert_array_equal(half, immunised(0, share=0.5, perturbations=("jpeg50-95",)))
    assert (half != immunised(1, share=0.5, perturbations=("jpeg50-95",))).any()
    np.testing.assert_array_equal(images, immunised(0, share=0.0, perturbations=()))


def test_immunise_draws_strengths_from_the_range():
    images = np.full((300, 8, 8, 3), 128, np.uint8)
    noisy = immunise(images, np.random.default_rng(0), share=1.0, perturbations=("noise5-20",))
    deviations = noisy.astype(float).std((1, 2, 3))
    assert 4 < deviations.min() < 7
    assert 18 < deviations.max() < 23
    both = immunise(images, np.random.default_rng(0), share=1.0, perturbations=("noise5-20", "blur1"))
    assert 100 < (both != images).any((1, 2, 3)).sum() < 200  # a blur leaves a flat image as it is


@pytest.mark.parametrize(
    ("share", "perturbations", "message"),
    [
        (0.5, (), "share 0.5 with perturbations none"),
        (0.0, ("jpeg75",), "share 0 with perturbations jpeg75"),
        (1.5, ("jpeg75",), "from 0 to 1"),
        (0.5, ("jpeg",), "unknown perturbation 'jpeg'"),
        (0.5, ("jpeg50-101",), "unknown perturbation 'jpeg101'"),
        (0.5, ("noise20-5",), "'noise20-5' falls"),
        (0.5, ("none",), "'none' is no perturbation"),
    ],
)
def test_immunisation_that_makes_no_sense(share, perturbations, message):
    with pytest.raises(UserError, match=message):
        check_immunisation(share, perturbations)
