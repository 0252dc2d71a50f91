"""The network of local statistics: what its fixed parts compute, and that it looks at images of any size."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.fft import dctn

from ganfp_jax import models
from ganfp_jax.data import values
from ganfp_jax.models import visnet_moments as net
from ganfp_jax.models.cpu.convolution import use_xla_convolutions
from ganfp_jax.run.errors import UserError

SMALL = {"resolution": 16, "num_classes": 3, "fmaps": 4, "num_stages": 2, "block_features": 8, "num_features": 12}


def to_signed(images):
    return jnp.asarray(values.to_signed(images))


def photo(side=48, seed=0):
    rng = np.random.RandomState(seed)
    return np.kron(rng.randint(40, 200, (2, side // 4, side // 4, 3)), np.ones((1, 4, 4, 1))).astype(np.uint8)


@pytest.fixture(scope="module")
def small():
    network = models.create("visnet_moments", **SMALL)
    return network, jax.jit(network.init)(jax.random.key(0), jnp.zeros((1, 16, 16, 3)))


def test_images_of_any_size_have_fingerprints_and_logits(small):
    network, variables = small
    look = jax.jit(functools.partial(network.apply, method="fingerprints_and_logits"))
    for height, width in ((16, 16), (48, 48), (33, 50)):
        images = to_signed(np.random.RandomState(0).randint(0, 256, (2, height, width, 3)).astype(np.uint8))
        features, logits = look(variables, images)
        assert features.shape == (2, 12) and logits.shape == (2, 3)
        weights, bias = network.model_fingerprints(variables["params"])
        np.testing.assert_allclose(features @ weights + bias[None], logits, atol=1e-5)
        np.testing.assert_allclose(jax.jit(network.apply)(variables, images), logits, atol=1e-6)


def test_either_branch_can_be_left_out():
    image = jnp.zeros((1, 16, 16, 3))
    for settings, there in (({"num_stages": 0}, "Blocks"), ({"block_features": 0}, "Residuals")):
        network = models.create("visnet_moments", **SMALL | settings)
        params = jax.eval_shape(network.init, jax.random.key(0), image)["params"]
        assert {"Residuals", "Blocks"} & set(params) == {there}
    with pytest.raises(UserError, match="num_stages and block_features are 0"):
        models.create("visnet_moments", **SMALL | {"num_stages": 0, "block_features": 0})


def test_high_pass_sees_no_brightness_and_no_slope_in_its_higher_orders():
    y, x = np.mgrid[:12, :12]
    ramp = net.to_ycc(to_signed(np.stack([10 + 3 * x + 2 * y] * 3, -1)[None].astype(np.uint8)))
    inside = np.asarray(net.high_pass(ramp))[0, 3:-3, 3:-3]  # (6, 6, 24)
    np.testing.assert_allclose(inside[..., 8:], 0, atol=1e-4)  # grey has no chroma
    # A first difference is the slope, 3 or 2 grey levels, compressed to r / (1 + |r| / 4).
    np.testing.assert_allclose(np.abs(inside[..., 0]), 3 / (1 + 3 / 4), atol=1e-4)
    np.testing.assert_allclose(np.abs(inside[..., 1]), 2 / (1 + 2 / 4), atol=1e-4)
    np.testing.assert_allclose(inside[..., 2:8], 0, atol=1e-3)


def test_high_pass_filters_are_in_grey_levels():
    kernels = net.filters()
    np.testing.assert_allclose(kernels.sum((0, 1)), 0, atol=1e-6)
    np.testing.assert_allclose(np.abs(kernels).max((0, 1, 2)), 1)


def test_block_log_dct_is_that_of_each_block():
    images = photo()
    ycc = np.asarray(net.to_ycc(to_signed(images)))
    luma = images @ np.array([0.299, 0.587, 0.114]) - 127.5
    np.testing.assert_allclose(ycc[..., 0], luma, atol=1e-3)
    spectra = np.asarray(net.block_log_dct(jnp.asarray(ycc))).reshape(2, 5, 5, 16, 16, 3)
    block = ycc[1, 8:24, 24:40]
    expected = np.log(np.abs(dctn(block, axes=(0, 1), norm="ortho")) + 0.1)
    np.testing.assert_allclose(spectra[1, 1, 3], expected, atol=2e-3)


def test_block_moments_do_not_change_when_the_image_is_mirrored():
    images = photo()
    of = [np.asarray(net.moments(net.block_log_dct(net.to_ycc(to_signed(i))))) for i in (images, images[:, :, ::-1])]
    np.testing.assert_allclose(of[0], of[1], atol=5e-3)


def test_moments_are_mean_and_deviation():
    x = np.random.RandomState(0).standard_normal((2, 5, 7, 3)).astype(np.float32)
    mean, deviation = np.split(np.asarray(net.moments(jnp.asarray(x))), 2, axis=-1)
    np.testing.assert_allclose(mean, x.mean((1, 2)), atol=1e-6)
    np.testing.assert_allclose(deviation, np.sqrt(x.var((1, 2)) + 1e-4), atol=1e-6)
    flat = jax.grad(lambda x: net.moments(x).sum())(jnp.zeros((1, 4, 4, 1)))
    assert np.isfinite(flat).all()


def test_kernels_and_xla_agree(small):
    network, variables = small
    images = to_signed(photo())

    def look():  # traced anew at each call
        return jax.jit(lambda variables, images: network.apply(variables, images))(variables, images)

    ours = look()
    with use_xla_convolutions():
        np.testing.assert_allclose(look(), ours, atol=2e-5)


def test_training_normalises_by_the_batch_and_keeps_its_statistics(small):
    network, variables = small
    stats = {"batch_stats": variables["batch_stats"]}
    update = jax.jit(functools.partial(network.apply, train=True, mutable=list(stats)))
    logits, updated = update(variables, to_signed(photo()))
    assert logits.shape == (2, 3)
    assert jax.tree.structure(updated) == jax.tree.structure(stats)
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), updated, stats)
    assert all(jax.tree.leaves(changed))
