import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import initialize, jit

from ganfp_jax.errors import UserError
from ganfp_jax.models import MODELS, create
from ganfp_jax.models.layers import box_downsample, minibatch_stddev, spectral_normalize, upsample
from ganfp_jax.models.visnet import model_fingerprints

NARROW = {
    "progan_generator": {"latent_size": 8, "fmap_base": 64, "fmap_max": 8},
    "progan_discriminator": {"fmap_base": 64, "fmap_max": 8},
    "sngan_generator": {"latent_size": 8, "ch": 2},
    "sngan_discriminator": {"ch": 2},
    "visnet_classifier": {"num_classes": 3, "fmap_base": 64, "fmap_max": 8},
}


def example(network, count=2):
    """An input for the network."""
    if hasattr(network, "latent_size"):
        return jnp.ones((count, network.latent_size))
    return jax.random.uniform(jax.random.key(0), (count, network.resolution, network.resolution, 3))


def num_params(network) -> int:
    variables = jax.eval_shape(network.init, jax.random.key(0), example(network))
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize("resolution", [16, 32, 64, 128, 256])
@pytest.mark.parametrize("name", MODELS)
def test_every_power_of_two(name, resolution):
    network = create(name, resolution=resolution, **({"num_classes": 5} if "visnet" in name else {}))
    out, _ = jax.eval_shape(network.init_with_output, jax.random.key(0), example(network))
    expected = (2, resolution, resolution, 3) if "generator" in name else (2, 5) if "visnet" in name else (2,)
    assert out.shape == expected
    assert out.dtype == jnp.float32


@pytest.mark.parametrize(
    ("name", "settings", "count"),
    [
        ("progan_generator", {}, 22_933_394),
        ("progan_discriminator", {}, 22_941_313),
        ("sngan_generator", {}, 32_150_787),
        ("sngan_discriminator", {}, 29_018_881),
        ("visnet_classifier", {}, 8_913_797),
        ("visnet_classifier", {"mode": "predownscale", "switching_res": 8}, 7_744_517),
        ("visnet_classifier", {"mode": "predownscale", "switching_res": 64}, 8_900_357),
        ("visnet_classifier", {"mode": "predownscale", "switching_res": 4}, 4_211_717),
        ("visnet_classifier", {"switching_res": 128}, 4_211_717),
        ("visnet_classifier", {"switching_res": 64}, 4_350_437),
        ("visnet_classifier", {"switching_res": 16}, 4_931_333),
        ("visnet_classifier", {"latent_res": 64}, 15_557),
    ],
)
def test_published_parameter_counts(name, settings, count):
    settings = settings | ({"num_classes": 5} if "visnet" in name else {})
    assert num_params(create(name, resolution=128, **settings)) == count


@pytest.mark.parametrize("name", MODELS)
def test_bfloat16_is_for_the_arithmetic_only(name):
    full = create(name, resolution=16, **NARROW[name])
    half = create(name, resolution=16, dtype="bfloat16", **NARROW[name])
    variables = initialize(half, jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype("float32")}
    x = example(half)
    # SNGAN's first running variances are 0, which no rounding survives.
    settings = {"train": True} if name == "sngan_generator" else {}
    a, b = (
        jit(lambda v, x, network=network: network.apply(v, x, **settings))(variables, x) for network in (full, half)
    )
    assert a.dtype == b.dtype == jnp.float32
    assert 0 < np.abs(a - b).max() < 0.1 * np.abs(a).max() + 0.05


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("dcgan", {}, "model 'dcgan' is unknown; choose one of progan_generator, .*visnet_classifier"),
        ("sngan_generator", {"resolution": 32, "chanels": 3}, "takes no 'chanels'; it takes resolution, latent_size"),
        ("visnet_classifier", {"resolution": 32}, "needs 'num_classes'"),
        ("progan_generator", {}, "needs 'resolution'"),
        ("progan_generator", {"resolution": 48}, "resolution 48 is not a power of two of at least 4"),
        ("sngan_generator", {"resolution": 8}, "resolution 8 is not a power of two of at least 16"),
        ("progan_generator", {"resolution": 32, "dtype": "float16"}, "dtype 'float16' is unknown; .*float32, bfloat16"),
        ("visnet_classifier", {"resolution": 32, "num_classes": 5, "mode": "post"}, "mode 'post' is unknown"),
    ],
)
def test_create_says_what_is_wrong(name, settings, message):
    with pytest.raises(UserError, match=message):
        create(name, **settings)


def test_initialize_draws_as_published():
    variables = initialize(create("progan_generator", resolution=32, **NARROW["progan_generator"]), jax.random.key(0))
    weights = variables["params"]["4x4"]["Dense"]["weight"]
    assert weights.std() == pytest.approx(1.0, abs=0.1)
    assert not variables["params"]["4x4"]["Dense"]["bias"].any()

    variables = initialize(create("sngan_generator", resolution=16, ch=16), jax.random.key(0))
    weights = np.asarray(variables["params"]["block2"]["c2"]["weight"])  # (3, 3, 32, 32)
    limit = np.sqrt(2) * np.sqrt(6 / (2 * 9 * 32))
    assert 0.99 * limit < np.abs(weights).max() <= limit
    stats = variables["batch_stats"]
    assert not stats["block2"]["b1"]["var"].any() and (stats["b4"]["var"] == 1).all()

    a = initialize(create("sngan_discriminator", resolution=16, ch=2), jax.random.key(1))
    b = initialize(create("sngan_discriminator", resolution=16, ch=2), jax.random.key(1))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, a, b))


@pytest.mark.parametrize("kind", ["generator", "discriminator"])
def test_progan_has_all_sizes_parameters_from_the_start(kind):
    network = create(f"progan_{kind}", resolution=32, **NARROW[f"progan_{kind}"])
    shapes = []
    for level in range(4):
        x = example(network) if kind == "generator" else jnp.zeros((2, 32 >> level, 32 >> level, 3))
        init = jax.eval_shape(lambda key, x, level=level: network.init(key, x, level, 0.5), jax.random.key(0), x)
        shapes.append(jax.tree.map(jnp.shape, init))
    assert all(shape == shapes[0] for shape in shapes)


def test_progan_fades_from_the_smaller_size_to_the_larger():
    generator = create("progan_generator", resolution=16, **NARROW["progan_generator"])
    variables, z = initialize(generator, jax.random.key(0)), example(generator)
    generate = jit(generator.apply, static_argnums=2)
    small, large = generate(variables, z, 1), generate(variables, z, 0)
    np.testing.assert_allclose(generate(variables, z, 0, 1.0), upsample(small), atol=1e-5)
    np.testing.assert_allclose(generate(variables, z, 0, 0.0), large, atol=1e-6)
    np.testing.assert_array_equal(generate(variables, z, 2, 0.0), generate(variables, z, 2, 0.7))

    critic = create("progan_discriminator", resolution=16, **NARROW["progan_discriminator"])
    variables, x = initialize(critic, jax.random.key(0)), example(critic, 4)
    score = jit(critic.apply, static_argnums=2)
    np.testing.assert_allclose(score(variables, x, 0, 1.0), score(variables, box_downsample(x), 1), atol=1e-5)
    with pytest.raises(ValueError, match=r"level 3 is not in 0\.\.2"):
        critic.apply(variables, x, 3)
    with pytest.raises(ValueError, match="level 1 wants side 8"):
        critic.apply(variables, x, 1)


def apply_once(network, variables, x, collection, train):
    return jit(lambda v, x: network.apply(v, x, train=train, mutable=[collection])[1])(variables, x)


def test_sngan_updates_running_statistics_only_in_training():
    generator = create("sngan_generator", resolution=16, **NARROW["sngan_generator"])
    variables, z = initialize(generator, jax.random.key(0)), jax.random.normal(jax.random.key(1), (4, 8))
    same, changed = (apply_once(generator, variables, z, "batch_stats", train) for train in (False, True))
    first = variables["batch_stats"]
    assert jax.tree.all(jax.tree.map(jnp.array_equal, first, same["batch_stats"]))
    assert not any(jax.tree.leaves(jax.tree.map(jnp.array_equal, first, changed["batch_stats"])))


def test_sngan_stores_singular_vectors_only_in_training():
    critic = create("sngan_discriminator", resolution=16, **NARROW["sngan_discriminator"])
    variables, x = initialize(critic, jax.random.key(0)), example(critic)
    same, changed = (apply_once(critic, variables, x, "spectral_stats", train) for train in (False, True))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, variables, variables | same))
    assert jax.tree.structure(changed["spectral_stats"]) == jax.tree.structure(variables["spectral_stats"])
    u, new_u = (stats["spectral_stats"]["block1"]["c1"]["u"] for stats in (variables, changed))
    assert not jnp.array_equal(u, new_u)
    assert jnp.linalg.norm(new_u) == pytest.approx(1.0, rel=1e-5)


def test_sngan_classes():
    generator = create("sngan_generator", resolution=16, num_classes=3, **NARROW["sngan_generator"])
    variables = initialize(generator, jax.random.key(0))
    assert variables["params"]["block2"]["b1"]["scale"].shape == (3, 4)
    out = jax.eval_shape(generator.apply, variables, example(generator), jnp.array([0, 2]))
    assert out.shape == (2, 16, 16, 3)
    with pytest.raises(ValueError, match="3 classes needs labels"):
        generator.apply(variables, example(generator))

    critic = create("sngan_discriminator", resolution=16, num_classes=3, **NARROW["sngan_discriminator"])
    variables, x = initialize(critic, jax.random.key(0)), example(critic, 1)
    score = jit(critic.apply)
    assert len({float(score(variables, x, label)[0]) for label in (None, jnp.array([0]), jnp.array([1]))}) == 3
    without = create("sngan_discriminator", resolution=16, num_classes=0, **NARROW["sngan_discriminator"])
    with pytest.raises(ValueError, match="no classes"):
        without.init(jax.random.key(0), x, jnp.array([0]))


def test_spectral_normalization_converges_to_the_largest_singular_value():
    matrix = jax.random.normal(jax.random.key(0), (12, 5))
    u = jax.random.normal(jax.random.key(1), (5,))
    for _ in range(50):
        normalized, u = spectral_normalize(matrix, u)
    assert np.linalg.svd(normalized, compute_uv=False)[0] == pytest.approx(1.0, rel=1e-4)
    # The gradient flows through the divisor: the result does not change with the matrix's scale.
    by_scale = jax.grad(lambda s: (spectral_normalize(s * matrix, u)[0] ** 2).sum())(1.0)
    assert by_scale == pytest.approx(0.0, abs=1e-4)


def test_minibatch_stddev_groups_are_strided():
    x = jax.random.normal(jax.random.key(0), (8, 2, 2, 3))
    out = minibatch_stddev(x, 4)
    np.testing.assert_array_equal(out[..., :3], x)
    for group in range(2):
        members = np.asarray(x)[group::2]
        expected = np.sqrt(members.var(0) + 1e-8).mean()
        np.testing.assert_allclose(out[group::2, ..., 3], expected, rtol=1e-5)
    assert minibatch_stddev(x[:3], 4).shape == (3, 2, 2, 4)
    with pytest.raises(ValueError, match="a batch of 6 does not divide into groups of 4"):
        minibatch_stddev(x[:6], 4)


@pytest.mark.parametrize("num_features", [None, 7])
def test_fingerprints(num_features):
    classifier = create("visnet_classifier", resolution=16, num_features=num_features, **NARROW["visnet_classifier"])
    variables, x = initialize(classifier, jax.random.key(0)), example(classifier)
    features = jit(lambda v, x: classifier.apply(v, x, method="features"))(variables, x)
    fingerprints = model_fingerprints(variables["params"])
    assert features.shape == (2, num_features or 8)
    assert fingerprints.shape == (num_features or 8, 3)
    np.testing.assert_allclose(features @ fingerprints, jit(classifier.apply)(variables, x), atol=1e-5)
