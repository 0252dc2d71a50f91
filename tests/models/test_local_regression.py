"""Logistic regression on local statistics as a network answers as the baseline."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganfp_jax import baselines
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.baselines import local
from ganfp_jax.data.values import to_signed
from ganfp_jax.models import create, local_regression

NAMES = ("logistic_block_log_dct", "logistic_cooccurrences", "logistic_local")


def images(count=6, size=32, seed=0):
    rng = np.random.default_rng(seed)
    smooth = rng.integers(0, 200, (count, 1, 1, 3)) + rng.integers(0, 8, (count, size, size, 3))
    return smooth.astype(np.uint8)


@pytest.mark.parametrize("size", [8, 32])
@pytest.mark.parametrize(
    ("name", "features"), [*zip(NAMES, (local.block_log_dct, local.cooccurrences, local.both), strict=True)]
)
def test_features_are_those_of_the_baseline(name, features, size):
    network = create(name, resolution=size, num_classes=2)
    array = images(size=size)
    found = np.asarray(jax.jit(network.features)(to_signed(array)))
    expected = features(array)
    assert found.shape == expected.shape == (6, network.num_features())
    np.testing.assert_allclose(found, expected, atol=5e-3)
    assert local_regression.BLOCK == local.BLOCK


def test_the_gradient_is_finite_where_there_is_one_block():
    network = create("logistic_block_log_dct", resolution=16, num_classes=2)
    gradient = jax.jit(jax.grad(lambda x: network.features(x).sum()))(jnp.zeros((1, 16, 16, 3)) + 0.25)
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def test_a_file_of_the_baseline_takes_the_place_of_a_network(tmp_path):
    labels = np.arange(24) % 2
    array = np.where(labels[:, None, None, None], images(24), images(24, seed=1) // 2 * 2)
    fitted = baselines.fit("logistic_local", array.astype(np.uint8), labels, ["fine", "coarse"])
    baselines.write(tmp_path / "b.safetensors", {"logistic_local": fitted})
    verdicts = Attributor.load(tmp_path / "b.safetensors").attribute(list(array.astype(np.uint8)))
    found = [list(verdict.probabilities.values()) for verdict in verdicts]
    np.testing.assert_allclose(found, baselines.predict(fitted, array.astype(np.uint8))[1], atol=5e-3)
