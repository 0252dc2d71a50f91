"""Image and model fingerprints, and that a logit is the sum of its responses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import initialize

from ganfp_jax.models import create
from ganfp_jax.models.fingerprints import read_fingerprints
from ganfp_jax.run.errors import UserError

FORMS = {
    "dense": {},
    "residual": {"input": "residual"},
    "mean_pool": {"mode": "mean_pool", "switching_res": 8},
    "predownscale": {"mode": "predownscale", "switching_res": 8},
}


SMALL = {"resolution": 16, "num_classes": 3, "fmap_base": 64, "fmap_max": 8}


def classifier(**settings):
    return create("visnet_classifier", **SMALL, **settings)


def images(count):
    return np.random.RandomState(0).randint(0, 256, (count, 16, 16, 3), np.uint8)


def with_bias(variables):
    """Biases are zero at first; here they are not, so that a test notices where they belong."""
    return jax.tree.map(lambda x: x + 0.1 * (x.ndim == 1), variables)


@pytest.mark.parametrize("form", [*FORMS, "fingerprint network"])
def test_a_logit_is_the_sum_of_its_responses_and_the_bias(form):
    image_sized = form not in FORMS
    network = create("fingerprint_autoencoder", **SMALL) if image_sized else classifier(**FORMS[form])
    variables = with_bias(initialize(network, jax.random.key(0)))
    shown = images(5)
    found = read_fingerprints(network, variables, shown, batch_size=2)
    assert found.images.shape == ((5, 16, 16, 3) if image_sized else (5, 8))
    assert found.models.shape == ((16, 16, 3, 3) if image_sized else (8, 3))
    assert found.size == (768 if image_sized else 8)
    expected = jax.jit(network.apply)(variables, jnp.asarray(shown / 127.5 - 1, jnp.float32))
    np.testing.assert_allclose(found.logits, expected.logits if image_sized else expected, atol=1e-5)
    for i in range(5):
        summed = found.responses(i).sum(axis=tuple(range(1, found.images.ndim)))
        np.testing.assert_allclose(summed + found.bias, found.logits[i], atol=1e-5)
    np.testing.assert_allclose(found.interactions + found.bias, found.logits, atol=1e-5)
    assert image_sized or np.abs(found.bias).min() > 0.05


def test_what_has_no_fingerprints_is_refused():
    network = classifier()
    variables = initialize(network, jax.random.key(0))
    with pytest.raises(UserError, match="there are no images"):
        read_fingerprints(network, variables, images(0))
    with pytest.raises(UserError, match="a map of logits"):
        maps = classifier(latent_res=8)
        read_fingerprints(maps, initialize(maps, jax.random.key(0)), images(2))
    with pytest.raises(UserError, match="not finite"):
        read_fingerprints(network, jax.tree.map(lambda x: x * jnp.nan, variables), images(2))
