"""The spectral branch: what it computes, what cannot change it, and that it is trained beside the convolutions."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import initialize
from scipy.fft import dctn

from ganfp_jax.data.values import YCBCR, to_signed
from ganfp_jax.data.views import EXACT_VIEWS, apply_view
from ganfp_jax.models import create
from ganfp_jax.models.spectrum import frequencies, log_spectrum
from ganfp_jax.run.errors import UserError
from ganfp_jax.training.attribution_step import make_attribution_step
from ganfp_jax.training.optimizers import make_adam
from ganfp_jax.training.state import AttributionState, init_network

SMALL = {"resolution": 8, "num_classes": 3, "fmap_base": 32, "fmap_max": 8, "input": "residual", "num_features": 7}


def pictures(count=3, side=8):
    return np.random.RandomState(0).randint(0, 256, (count, side, side, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def network():
    return create("visnet_classifier", **SMALL, spectral_features=5)


@pytest.fixture(scope="module")
def variables(network):
    return initialize(network, jax.random.key(0))


def test_it_is_the_log_dct_of_each_channel_with_both_diagonal_places_averaged():
    images = pictures()
    found = np.asarray(log_spectrum(jnp.asarray(to_signed(images)))).reshape(3, 3, 36)
    channels = np.einsum("nhwc,kc->nkhw", images.astype(float), np.array(YCBCR))
    channels[:, 0] -= 127.5  # black is -1, so that grey, not black, is 0
    sizes = np.abs(dctn(channels, axes=(2, 3), norm="ortho"))
    for place, (u, v) in enumerate(itertools.combinations_with_replacement(range(8), 2)):
        assert frequencies(8)[place] == 8 * u + v
        expected = np.log((sizes[..., u, v] + sizes[..., v, u]) / 2 + 0.1)
        np.testing.assert_allclose(found[..., place], expected, atol=2e-3)


@pytest.mark.parametrize("view", EXACT_VIEWS)
def test_no_turn_and_no_mirroring_changes_it(view):
    images = jnp.asarray(to_signed(pictures(2, 16)))
    np.testing.assert_allclose(log_spectrum(apply_view(images, view)), log_spectrum(images), atol=2e-3)


def test_its_features_follow_those_of_the_convolutions(network, variables):
    x = jnp.asarray(to_signed(pictures()))
    features, logits = jax.jit(functools.partial(network.apply, method="fingerprints_and_logits"))(variables, x)
    weights, bias = network.model_fingerprints(variables["params"])
    assert features.shape == (3, 12) and weights.shape == (12, 3)
    np.testing.assert_allclose(features @ weights + bias[None], logits, atol=1e-5)
    without = create("visnet_classifier", **SMALL)
    rest = {name: part for name, part in variables["params"].items() if name != "Spectrum"}
    last = rest["4x4"]["Dense2"]
    rest = rest | {"4x4": rest["4x4"] | {"Dense2": last | {"weight": last["weight"][:7]}}}
    alone = jax.jit(functools.partial(without.apply, method="features"))({"params": rest}, x)
    np.testing.assert_allclose(alone, features[:, :7], atol=1e-6)


def test_turned_images_have_the_same_spectral_features(network, variables):
    images = jnp.asarray(to_signed(pictures()))
    look = jax.jit(functools.partial(network.apply, method="features"))
    plain, turned = (look(variables, x) for x in (images, apply_view(images, "rot90")))
    np.testing.assert_allclose(turned[:, 7:], plain[:, 7:], atol=2e-3)
    assert np.abs(turned - plain)[:, :7].max() > 0.01


def test_both_branches_are_trained_together(network):
    optimizer = make_adam(learning_rate=0.01, num_steps=8, beta1=0.0, beta2=0.99, epsilon=1e-8)
    first = jax.jit(functools.partial(init_network, network, optimizer))(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    step = jax.jit(make_attribution_step(network, optimizer, "d4"))
    batch = {"image": pictures(6), "label": np.arange(6, dtype=np.int32) % 3}
    state, metrics = step(AttributionState(jnp.int32(0), first), batch, jax.random.key(1))
    assert np.isfinite(metrics["loss"])
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), state.network.params, first.params)
    assert all(jax.tree.leaves(changed["Spectrum"])) and all(jax.tree.leaves(changed["8x8"]))
    stats = jax.tree.map(lambda a, b: bool((a != b).any()), state.network.stats, first.stats)
    assert jax.tree.leaves(stats) == [True, True]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"spectral_features": -1}, "spectral_features is -1; give 0 or more"),
        ({"spectral_features": 1, "latent_res": 4}, "leave latent_res at -1 and mode off mean_pool"),
        ({"spectral_features": 1, "mode": "mean_pool"}, "leave latent_res at -1 and mode off mean_pool"),
        ({"spectral_features": 1, "resolution": 2048}, "of images of up to 1024 pixels a side"),
    ],
)
def test_what_has_no_spectrum_is_refused(settings, message):
    with pytest.raises(UserError, match=message):
        create("visnet_classifier", **SMALL | settings)
