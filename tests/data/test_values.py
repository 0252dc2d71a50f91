"""Stored values as numbers: NumPy's arrays and JAX's alike."""

import jax
import jax.numpy as jnp
import numpy as np

from ganfp_jax.data.values import to_signed
from ganfp_jax.models.pixels import to_network

KEY = jax.random.key(0)
EVERY_VALUE = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)


def test_to_signed_keeps_the_kind_of_array():
    ours = to_signed(EVERY_VALUE)
    assert isinstance(ours, np.ndarray) and ours.dtype == np.float32
    assert (ours.min(), ours.max()) == (-1, 1)
    np.testing.assert_array_equal(ours, EVERY_VALUE.astype(np.float32) / np.float32(127.5) - np.float32(1))
    on_device = to_signed(jnp.asarray(EVERY_VALUE))
    assert isinstance(on_device, jnp.ndarray) and on_device.dtype == jnp.float32
    np.testing.assert_allclose(on_device, ours, atol=2e-7)  # XLA multiplies by 1 / 127.5


def test_to_signed_is_the_range_signed_of_the_generators():
    images = jnp.asarray(EVERY_VALUE)
    np.testing.assert_array_equal(to_network(images, KEY, "signed"), to_signed(images))
