"""Pseudo-unknowns: of any size, another at each draw, with the colours of the image, and no known image any more."""

import numpy as np
import pytest

from ganfp_jax.data import pseudo_unknown
from ganfp_jax.data.pseudo_unknown import KINDS, drawings
from ganfp_jax.run.errors import UserError


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(16, 16), (33, 20)])
def test_every_kind_has_the_size_of_the_image_and_follows_the_seed(kind, size):
    image = np.random.RandomState(0).randint(0, 256, (*size, 3)).astype(np.uint8)
    first, again, other = (KINDS[kind](np.random.RandomState(seed), image) for seed in (1, 1, 2))
    assert first.shape == image.shape and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).any() and (first != image).any()


@pytest.mark.parametrize("kind", ["convolutions", "upsampling"])
def test_networks_keep_the_colours_of_an_image_and_change_its_fine_structure(kind):
    y, x = np.mgrid[:32, :32]
    image = np.stack([90 + 2 * y, 100 + 2 * x, 120 + y + x], -1).astype(np.uint8)
    for seed in range(5):
        made = KINDS[kind](np.random.RandomState(seed), image)
        np.testing.assert_allclose(made.mean((0, 1)), image.mean((0, 1)), atol=3)
        np.testing.assert_allclose(made.std((0, 1)), image.std((0, 1)), rtol=0.25)
        fine = np.abs(np.diff(made.astype(float), 2, axis=0)).mean()
        assert fine > 2 * np.abs(np.diff(image.astype(float), 2, axis=0)).mean()


@pytest.mark.parametrize("kind", KINDS)
def test_a_flat_image_makes_no_nan(kind):
    made = KINDS[kind](np.random.RandomState(0), np.full((16, 16, 3), 128, np.uint8))
    assert made.shape == (16, 16, 3)


@pytest.mark.parametrize("sort", drawings.SORTS)
def test_every_sort_of_drawing_draws_others_by_other_seeds(sort):
    first, other = (drawings.SORTS[sort](np.random.RandomState(seed), 32) for seed in (0, 1))
    assert first.shape == other.shape == (32, 32, 3) and (first != other).any()


def test_settings_that_make_no_sense():
    pseudo_unknown.check(0.0, ())
    pseudo_unknown.check(0.2, ("textures",))
    for share, kinds in ((0.2, ()), (0.0, ("textures",)), (1.0, ("textures",)), (-0.1, ("textures",))):
        with pytest.raises(UserError, match="pseudo_unknown: share"):
            pseudo_unknown.check(share, kinds)
    with pytest.raises(UserError, match="no kind 'dreams'; choose from convolutions, upsampling"):
        pseudo_unknown.check(0.2, ("dreams",))
