import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from golden_files import initialize, jit

from ganfp_jax.metrics import swd
from ganfp_jax.models import MODELS, create
from ganfp_jax.models.fingerprint_net import Outputs
from ganfp_jax.models.layers import (
    Conv,
    EqualizedConv,
    box_downsample,
    gaussian_downsample,
    gaussian_upsample,
    leaky_relu,
    minibatch_stddev,
    upsample,
)
from ganfp_jax.models.normalization import BatchNorm, spectral_normalize
from ganfp_jax.models.progan import num_features
from ganfp_jax.models.visnet import Level
from ganfp_jax.run.errors import UserError

NARROW = {
    "progan_generator": {"latent_size": 8, "fmap_base": 64, "fmap_max": 8},
    "progan_discriminator": {"fmap_base": 64, "fmap_max": 8},
    "sngan_generator": {"latent_size": 8, "ch": 2},
    "sngan_discriminator": {"ch": 2},
    "resnet5_generator": {"latent_size": 8, "ch": 2},
    "dcgan5_critic": {"num_features": 5, "ch": 2},
    "visnet_classifier": {"num_classes": 3, "fmap_base": 64, "fmap_max": 8},
    "visnet_moments": {"num_classes": 3, "fmaps": 4, "num_stages": 2, "block_features": 4, "num_features": 8},
    "fingerprint_autoencoder": {"num_classes": 3, "fmap_base": 64, "fmap_max": 8},
    "fingerprint_discriminator": {"fmap_base": 64, "fmap_max": 8},
}
NEEDED = {
    "visnet_classifier": {"num_classes": 5},
    "visnet_moments": {"num_classes": 5},
    "fingerprint_autoencoder": {"num_classes": 5},
    "dcgan5_critic": {"num_features": 5},
    "logistic_pixels": {"num_classes": 5},
    "logistic_log_dct": {"num_classes": 5},
    "logistic_block_log_dct": {"num_classes": 5},
    "logistic_cooccurrences": {"num_classes": 5},
    "logistic_local": {"num_classes": 5},
}
ALONE = [name for name in MODELS if name != "enrolled"]  # another network is inside: test_enrolled.py
GENERATORS = [name for name in MODELS if name.endswith("generator")]


def example(network, count=2):
    """An input for the network."""
    if hasattr(network, "latent_size"):
        return jnp.ones((count, network.latent_size))
    return jax.random.uniform(jax.random.key(0), (count, network.resolution, network.resolution, 3))


def answer(out):
    """What a network is asked for: its images, scores, features or logits."""
    return out.logits if isinstance(out, Outputs) else out


def num_params(network) -> int:
    variables = jax.eval_shape(network.init, jax.random.key(0), example(network))
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize("resolution", [16, 32, 64, 128, 256])
@pytest.mark.parametrize("name", ALONE)
def test_every_power_of_two(name, resolution):
    network = create(name, resolution=resolution, **NEEDED.get(name, {}))
    out, _ = jax.eval_shape(network.init_with_output, jax.random.key(0), example(network))
    out = answer(out)
    expected = (2, resolution, resolution, 3) if "generator" in name else (2, 5) if name in NEEDED else (2,)
    assert out.shape == expected
    assert out.dtype == jnp.float32


@pytest.mark.parametrize(
    ("name", "settings", "count"),
    [
        ("progan_generator", {}, 22_933_394),
        ("progan_discriminator", {}, 22_941_313),
        ("sngan_generator", {}, 32_150_787),
        ("sngan_discriminator", {}, 29_018_881),
        ("resnet5_generator", {}, 11_764_035),
        ("resnet5_generator", {"statistics": "running", "padding": "reflect"}, 11_764_035),
        ("dcgan5_critic", {"num_features": 16}, 17_676_944),
        ("dcgan5_critic", {"num_features": 256}, 21_609_344),
        ("visnet_classifier", {}, 8_913_797),
        ("visnet_classifier", {"mode": "predownscale", "switching_res": 8}, 7_744_517),
        ("visnet_classifier", {"mode": "predownscale", "switching_res": 64}, 8_900_357),
        ("visnet_classifier", {"mode": "predownscale", "switching_res": 4}, 4_211_717),
        ("visnet_classifier", {"switching_res": 128}, 4_211_717),
        ("visnet_classifier", {"switching_res": 64}, 4_350_437),
        ("visnet_classifier", {"switching_res": 16}, 4_931_333),
        ("visnet_classifier", {"latent_res": 64}, 15_557),
        # 3 -> 16 -> 32 maps of 3x3, then 32 -> 512 -> 5 of 1x1; the residual has no parameters.
        ("visnet_classifier", {"mode": "mean_pool", "switching_res": 64}, 448 + 4640 + 16_896 + 2565),
        ("visnet_classifier", {"input": "residual"}, 8_913_797),
        ("fingerprint_autoencoder", {"num_classes": 5}, 14_400_019),
        ("fingerprint_discriminator", {}, 8_916_353),
    ],
)
def test_published_parameter_counts(name, settings, count):
    settings = settings | ({"num_classes": 5} if "visnet" in name else {})
    assert num_params(create(name, resolution=128, **settings)) == count


@pytest.mark.parametrize("name", [name for name in ALONE if not name.startswith("logistic")])
def test_bfloat16_is_for_the_arithmetic_only(name):
    full = create(name, resolution=16, **NARROW[name])
    half = create(name, resolution=16, dtype="bfloat16", **NARROW[name])
    variables = initialize(half, jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype("float32")}
    x = example(half, 4)
    # SNGAN's first running variances are 0, which no rounding survives.
    settings = {"train": True} if name == "sngan_generator" else {}
    if name == "resnet5_generator":
        x = jax.random.normal(jax.random.key(1), x.shape)  # normalised by the batch, equal latents are only rounding
    a, b = (
        jit(lambda v, x, network=network: answer(network.apply(v, x, **settings)))(variables, x)
        for network in (full, half)
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
        ("resnet5_generator", {"resolution": 32, "bottom_width": 16}, r"bottom_width 16 is none of \[8, 4, 2, 1\]"),
        ("sngan_generator", {"resolution": 16, "bottom_width": 5}, r"bottom_width 5 is none of \[8, 4, 2, 1\]"),
        ("dcgan5_critic", {"resolution": 16, "num_features": 0}, "num_features is 0; give 1 or more"),
        ("progan_generator", {"resolution": 16, "latent_size": -1}, "latent_size is -1; give 1 or more"),
        ("resnet5_generator", {"resolution": 8}, "resolution 8 is not a power of two of at least 16"),
        ("dcgan5_critic", {"resolution": 48, "num_features": 4}, "resolution 48 is not a power of two of at least 16"),
        ("dcgan5_critic", {"resolution": 32}, "needs 'num_features'"),
        ("resnet5_generator", {"resolution": 32, "padding": "same"}, "padding 'same' is unknown; .*zero, reflect"),
        ("resnet5_generator", {"resolution": 32, "statistics": "none"}, "statistics 'none' is unk.*batch, running"),
        ("progan_generator", {"resolution": 32, "dtype": "float16"}, "dtype 'float16' is unknown; .*float32, bfloat16"),
        ("visnet_classifier", {"resolution": 32, "num_classes": 5, "mode": "post"}, "mode 'post' is unknown"),
        ("visnet_classifier", {"resolution": 32, "num_classes": 5, "switching_res": 24}, "24 is none of 32, 16, 8, 4"),
        (
            "visnet_classifier",
            {"resolution": 32, "num_classes": 5, "latent_res": 64},
            "latent_res 64 is none of -1, 32, ",
        ),
        (
            "visnet_classifier",
            {"resolution": 32, "num_classes": 5, "latent_res": 8, "mode": "mean_pool"},
            "leave latent_res at -1",
        ),
        ("fingerprint_discriminator", {"resolution": 4}, "resolution 4 is not a power of two of at least 8"),
        ("fingerprint_discriminator", {"resolution": 8, "minibatch_stddev_group": 0}, "group is 0; give 1 or more"),
        (
            "fingerprint_autoencoder",
            {"resolution": 32, "num_classes": 5, "latent_res": 32},
            r"latent_res 32 is none of \[16, 8, 4\]",
        ),
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
    assert jax.tree.all(jax.tree.map(np.array_equal, a, b))


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
    assert jax.tree.all(jax.tree.map(np.array_equal, first, same["batch_stats"]))
    assert not any(jax.tree.leaves(jax.tree.map(np.array_equal, first, changed["batch_stats"])))


def test_sngan_stores_singular_vectors_only_in_training():
    critic = create("sngan_discriminator", resolution=16, **NARROW["sngan_discriminator"])
    variables, x = initialize(critic, jax.random.key(0)), example(critic)
    same, changed = (apply_once(critic, variables, x, "spectral_stats", train) for train in (False, True))
    assert jax.tree.all(jax.tree.map(np.array_equal, variables, variables | same))
    assert jax.tree.structure(changed["spectral_stats"]) == jax.tree.structure(variables["spectral_stats"])
    u, new_u = (stats["spectral_stats"]["block1"]["c1"]["u"] for stats in (variables, changed))
    assert not np.array_equal(u, new_u)
    assert np.linalg.norm(new_u) == pytest.approx(1.0, rel=1e-5)


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


@pytest.mark.parametrize(("resolution", "latent_res"), [(8, 4), (16, 4), (16, 8), (64, 8), (64, 32)])
def test_an_autoencoder_with_any_bottleneck(resolution, latent_res):
    settings = NARROW["fingerprint_autoencoder"] | {"latent_res": latent_res}
    network = create("fingerprint_autoencoder", resolution=resolution, **settings)
    x = jax.random.uniform(jax.random.key(0), (2, resolution, resolution, 3), minval=-1.0)
    shapes, variables = jax.eval_shape(network.init_with_output, jax.random.key(1), x)
    assert tuple(value.shape for value in shapes) == (x.shape, x.shape, (2, 3))
    sides = [latent_res << k for k in range((resolution // latent_res).bit_length())]
    scopes = {f"{scope}_{side}x{side}" for scope in "EG" for side in sides}
    assert variables["params"].keys() == scopes | {"Conv_fingerprints"}
    if resolution == 8:  # compiled in a second
        out = jit(network.apply)(jit(network.init)(jax.random.key(1), x), x)
        np.testing.assert_allclose(out.fingerprints, x - out.reconstructions, atol=1e-6)
        assert np.abs(out.reconstructions).max() < 1


def test_images_of_another_size_are_refused_by_the_fingerprint_networks():
    for name in ("fingerprint_autoencoder", "fingerprint_discriminator"):
        network = create(name, resolution=16, **NARROW[name])
        with pytest.raises(ValueError, match=r"images are \(8, 8\), the \w+ is for side 16"):
            jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((2, 8, 8, 3)))


def test_spectral_normalization_converges_to_the_largest_singular_value():
    matrix = jax.random.normal(jax.random.key(0), (12, 5))
    u = jax.random.normal(jax.random.key(1), (5,))
    normalize = jit(spectral_normalize)
    for _ in range(50):
        normalized, u = normalize(matrix, u)
    assert np.linalg.svd(normalized, compute_uv=False)[0] == pytest.approx(1.0, rel=1e-4)
    # The gradient flows through the divisor: the result does not change with the matrix's scale.
    by_scale = jit(jax.grad(lambda s: (spectral_normalize(s * matrix, u)[0] ** 2).sum()))(1.0)
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


@pytest.mark.parametrize("input", ["image", "residual"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"num_features": 7}, {"mode": "mean_pool", "switching_res": 8}, {"mode": "predownscale", "switching_res": 8}],
    ids=str,
)
def test_logits_are_products_of_fingerprints_in_every_form(settings, input):
    classifier = create("visnet_classifier", resolution=16, **settings, input=input, **NARROW["visnet_classifier"])
    variables, x = initialize(classifier, jax.random.key(0)), example(classifier)
    features = jit(lambda v, x: classifier.apply(v, x, method="features"))(variables, x)
    fingerprints, bias = classifier.model_fingerprints(variables["params"])
    assert features.shape == (2, settings.get("num_features", 8))
    assert fingerprints.shape == (settings.get("num_features", 8), 3)
    np.testing.assert_allclose(features @ fingerprints + bias[None], jit(classifier.apply)(variables, x), atol=1e-5)


def test_mean_pool_is_the_mean_of_patch_logits():
    classifier = create(
        "visnet_classifier", resolution=16, mode="mean_pool", switching_res=8, **NARROW["visnet_classifier"]
    )
    variables, x = initialize(classifier, jax.random.key(0)), example(classifier)
    params = variables["params"]
    assert set(params) == {"16x16", "8x8"}
    maps = Level(8, 8, jnp.float32).apply({"params": params["16x16"]}, x)  # (2, 8, 8, 8)
    first, last = (params["8x8"][name] for name in ("Conv1", "Conv2"))
    maps = leaky_relu(maps @ first["weight"][0, 0] * np.sqrt(2 / 8) + first["bias"][None, None, None])
    # (2, 8, 8, 3): one logit a patch and source
    maps = maps @ last["weight"][0, 0] / np.sqrt(8) + last["bias"][None, None, None]
    np.testing.assert_allclose(jit(classifier.apply)(variables, x), maps.mean((1, 2)), atol=1e-5)


def test_gaussian_upsample_is_that_of_the_sliced_distance():
    image = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 10, 3)), jnp.float32)
    np.testing.assert_allclose(gaussian_upsample(image), swd.gaussian_upsample(image), rtol=1e-6, atol=1e-6)


def test_gaussian_pyramid_keeps_flat_images_and_its_residual_takes_the_fine_part():
    flat = jnp.full((1, 16, 16, 3), 0.7)
    np.testing.assert_allclose(gaussian_upsample(gaussian_downsample(flat)), flat, atol=1e-6)
    y, x = jnp.mgrid[:32, :32]
    share = {}
    for name, wave in {"slow": jnp.cos(x * jnp.pi / 16), "fast": (-1.0) ** (x + y)}.items():
        image = jnp.broadcast_to(wave[None, :, :, None], (1, 32, 32, 3))
        residual = image - gaussian_upsample(gaussian_downsample(image))
        share[name] = float((residual**2).mean() / (image**2).mean())
    assert share["fast"] == pytest.approx(1.0, abs=1e-3)
    assert share["slow"] < 0.01


@pytest.mark.parametrize(("mode", "switching_res"), [("postpool", 4), ("predownscale", 8)])
def test_residual_networks_do_not_see_brightness(mode, switching_res):
    settings = NARROW["visnet_classifier"] | {"mode": mode, "switching_res": switching_res}
    for input, seen in (("image", True), ("residual", False)):
        classifier = create("visnet_classifier", resolution=16, input=input, **settings)
        variables, x = initialize(classifier, jax.random.key(0)), example(classifier)
        logits = jit(classifier.apply)
        assert bool(jnp.abs(logits(variables, x) - logits(variables, x + 0.3)).max() > 1e-4) == seen


# ---- resnet5 and dcgan5, the networks of CramerGAN and MMDGAN


def resnet5_size(resolution, latent_size, ch, bottom=4, most=16):
    """Parameters by the published table's rule: dense, residual blocks, batch norm, transposed convolution."""
    sides = resolution // bottom // 2
    widths = [ch * min(most, 2**k) for k in range(sides.bit_length() - 1, -1, -1)]
    total = (latent_size + 1) * bottom**2 * widths[0] + 2 * ch + 25 * ch * 3 + 3
    for i, o in itertools.pairwise(widths):
        total += (i + 1) * o + 2 * i + 9 * i * o + 2 * o + (9 * o + 1) * o
    return total


def dcgan5_size(resolution, num_features, ch, bottom=4, most=16):
    widths = [3, *(ch * min(most, 2**k) for k in range((resolution // bottom).bit_length() - 1))]
    convs = sum((25 * i + 1) * o for i, o in itertools.pairwise(widths))
    return convs + (bottom**2 * widths[-1] + 1) * num_features


def test_the_size_formulas_give_the_published_counts():
    assert resnet5_size(128, 100, 64) == 11_764_035
    assert dcgan5_size(128, 16, 64) == 17_676_944
    assert dcgan5_size(128, 256, 64) == 21_609_344


@pytest.mark.parametrize("resolution", [16, 32, 64])
def test_resnet5_at_small_sizes(resolution):
    for ch, most in ((2, 16), (3, 2)):
        generator = create("resnet5_generator", resolution=resolution, latent_size=8, ch=ch, max_multiplier=most)
        assert num_params(generator) == resnet5_size(resolution, 8, ch, most=most)
    variables = initialize(generator, jax.random.key(0))
    images = np.asarray(jit(generator.apply)(variables, 100 * jax.random.normal(jax.random.key(1), (4, 8))))
    assert images.shape == (4, resolution, resolution, 3)
    assert 0 <= images.min() < images.max() <= 1
    with pytest.raises(TypeError):
        generator.apply(variables, jnp.zeros((4, 8)), None, True)  # no labels, unlike SNGAN's


@pytest.mark.parametrize("resolution", [16, 32, 64])
def test_dcgan5_at_small_sizes(resolution):
    for ch, most in ((2, 16), (3, 2)):
        critic = create("dcgan5_critic", resolution=resolution, num_features=5, ch=ch, max_multiplier=most)
        assert num_params(critic) == dcgan5_size(resolution, 5, ch, most=most)
    variables, x = initialize(critic, jax.random.key(0)), example(critic)
    features = jit(critic.apply)(variables, x)
    assert features.shape == (2, 5)
    assert np.isfinite(features).all()
    # No layer sees more than one sample.
    np.testing.assert_allclose(jit(critic.apply)(variables, x[1:]), features[1:], rtol=1e-5, atol=1e-7)
    with pytest.raises(ValueError, match=rf"the critic is for side {resolution}"):
        critic.apply(variables, x[:, ::2, ::2])


def test_dcgan5_shows_its_layers_only_when_asked_and_never_at_first():
    critic = create("dcgan5_critic", resolution=16, **NARROW["dcgan5_critic"])
    x = example(critic)
    variables = initialize(critic, jax.random.key(0))
    assert variables.keys() == {"params"}
    alone = jit(critic.apply)(variables, x)
    assert isinstance(alone, jax.Array)
    features, seen = jit(lambda v, x: critic.apply(v, x, mutable=["layers"]))(variables, x)
    np.testing.assert_array_equal(features, alone)
    shapes = {name: value.shape for name, (value,) in seen["layers"].items()}
    assert shapes == {"h0": (2, 8, 8, 2), "h1": (2, 4, 4, 4), "hF": (2, 5)}
    np.testing.assert_array_equal(seen["layers"]["hF"][0], features)


def with_statistics(statistics):
    generator = create("resnet5_generator", resolution=16, statistics=statistics, **NARROW["resnet5_generator"])
    # Wide first weights, so that images differ by more than rounding.
    variables = initialize(generator, jax.random.key(0))
    variables["params"]["g_h5"]["weight"] *= 20
    return generator, variables, jax.random.uniform(jax.random.key(1), (6, 8), minval=-1.0)


def test_batch_statistics_keep_nothing_and_depend_on_the_neighbours():
    generator, variables, z = with_statistics("batch")
    assert variables.keys() == {"params"}
    draw = jit(generator.apply, static_argnames="train")
    whole, halves = draw(variables, z), draw(variables, z[:3])
    assert np.abs(whole[:3] - halves).max() > 0.01
    np.testing.assert_array_equal(draw(variables, z, train=True), whole)  # training and drawing are alike
    order = np.array([3, 0, 5, 1, 4, 2])
    np.testing.assert_allclose(draw(variables, z[order]), whole[order], atol=1e-5)


def test_running_statistics_do_not_depend_on_the_neighbours_outside_training():
    generator, variables, z = with_statistics("running")
    draw = jit(generator.apply, static_argnames="train")
    np.testing.assert_allclose(draw(variables, z[:3]), draw(variables, z)[:3], atol=1e-6)
    assert variables["batch_stats"].keys() == {"g_res1", "g_h4"}
    same, changed = (apply_once(generator, variables, z, "batch_stats", train) for train in (False, True))
    assert jax.tree.all(jax.tree.map(np.array_equal, variables["batch_stats"], same["batch_stats"]))
    assert not any(jax.tree.leaves(jax.tree.map(np.array_equal, variables["batch_stats"], changed["batch_stats"])))


def test_running_statistics_converge_to_the_batchs():
    generator, variables, z = with_statistics("running")
    batch, _, _ = with_statistics("batch")
    z = jax.random.uniform(jax.random.key(2), (64, 8), minval=-1.0)
    update = jit(lambda v, z: generator.apply(v, z, train=True, mutable=["batch_stats"]))
    for _ in range(200):  # the first variances, 1, are far above the first layer's, and what is left is 0.9^200 of them
        images, stats = update(variables, z)
        variables = variables | stats
    np.testing.assert_allclose(images, jit(batch.apply)({"params": variables["params"]}, z), atol=1e-5)
    # The stored variance is the unbiased one: at 64 x 4 x 4 values and more, nearly the batch's.
    np.testing.assert_allclose(jit(generator.apply)(variables, z), images, atol=2e-3)


@pytest.mark.parametrize("num_classes", [0, 2])
def test_batch_norm_normalises_and_stores_the_unbiased_variance(num_classes):
    norm = BatchNorm(num_classes=num_classes)
    x = 3 + 2 * jax.random.normal(jax.random.key(0), (4, 3, 3, 2))
    labels = jnp.zeros(4, jnp.int32) if num_classes else None
    variables = jit(norm.init, static_argnums=3)(jax.random.key(1), x, labels, True)
    update = jit(lambda variables: norm.apply(variables, x, labels, True, mutable=["batch_stats"]))
    y, stats = jax.device_get(update(variables))
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.var((0, 1, 2)), 1, atol=1e-4)
    flat = np.asarray(x).reshape(-1, 2)
    np.testing.assert_allclose(stats["batch_stats"]["mean"], 0.1 * flat.mean(0), rtol=1e-5)
    first = 0.0 if num_classes else 0.9
    np.testing.assert_allclose(stats["batch_stats"]["var"], first + 0.1 * flat.var(0, ddof=1), rtol=1e-5)


@pytest.mark.parametrize("name", GENERATORS)
def test_reflect_has_the_same_parameters_and_draws_the_same_size(name):
    zero, reflect = (create(name, resolution=16, padding=padding, **NARROW[name]) for padding in ("zero", "reflect"))
    a, b = (initialize(network, jax.random.key(0)) for network in (zero, reflect))
    assert jax.tree.all(jax.tree.map(np.array_equal, a, b))
    settings = {"train": True} if name != "progan_generator" else {}
    z = jax.random.normal(jax.random.key(1), (4, 8))

    def draw(network):
        call = jit(lambda v, z: network.apply(v, z, **settings, mutable=["batch_stats"])[0])
        return np.asarray(call(a, z))

    images = draw(zero), draw(reflect)
    assert images[0].shape == images[1].shape == (4, 16, 16, 3)
    assert not np.allclose(*images, atol=1e-6)


@pytest.mark.parametrize("layer", [Conv, EqualizedConv])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_reflect_leaves_a_constant_image_constant_up_to_the_border(layer, kernel_size):
    x = jnp.broadcast_to(jnp.array([1.0, -2.0, 0.5]), (2, 8, 8, 3))
    reflect, zero = (layer(4, kernel_size, padding=padding) for padding in ("reflect", "zero"))
    # `Conv.init` is how its weights are drawn.
    variables = jit(lambda key: reflect.init_with_output(key, x)[1])(jax.random.key(0))
    y = np.asarray(jit(reflect.apply)(variables, x))
    np.testing.assert_allclose(y, np.broadcast_to(y[:, 4:5, 4:5], y.shape), atol=1e-5)
    framed = np.asarray(jit(zero.apply)(variables, x))
    np.testing.assert_allclose(framed[:, 2:-2, 2:-2], y[:, 2:-2, 2:-2], atol=1e-5)
    assert np.allclose(framed, y, atol=1e-3) == (kernel_size == 1)


@pytest.mark.parametrize("upsampling", ["transposed", "nearest", "bilinear"])
def test_only_the_transposed_convolution_paints_dots(upsampling):
    """A last map of one value gives an image of one value, or of tiles of 2x2 pixels."""
    settings = {"resolution": 16, "padding": "reflect", "upsampling": upsampling, **NARROW["resnet5_generator"]}
    network = create("resnet5_generator", **settings)
    params = jax.tree.map(jnp.asarray, initialize(network, jax.random.key(0))["params"])
    params["g_h4"]["offset"] += 1  # what the last layer sees if all before it is 0
    params["g_h5"]["weight"] *= 20
    flat = jax.tree.map(jnp.zeros_like, params) | {name: params[name] for name in ("g_h4", "g_h5")}
    image = np.asarray(jit(network.apply)({"params": flat}, jnp.zeros((1, 8))))[0]
    tiles = image.reshape(8, 2, 8, 2, 3)
    assert np.ptp(tiles, axis=(0, 2)).max() < 1e-6  # all tiles are alike
    assert (np.ptp(tiles, axis=(1, 3)).max() > 0.01) == (upsampling == "transposed")


def test_upsampling_keeps_the_names_and_shapes_of_parameters():
    choices = ["transposed", "nearest", "bilinear"]
    networks = [
        create("resnet5_generator", resolution=16, upsampling=u, **NARROW["resnet5_generator"]) for u in choices
    ]
    published, *others = (initialize(network, jax.random.key(0)) for network in networks)
    for other in others:
        assert jax.tree.all(jax.tree.map(np.array_equal, other, published))
    z = jax.random.uniform(jax.random.key(1), (4, 8), minval=-1.0)
    images = [np.asarray(jit(network.apply)(published, z)) for network in networks]
    assert all(image.shape == (4, 16, 16, 3) for image in images)
    assert not any(np.allclose(a, b, atol=1e-6) for a, b in itertools.combinations(images, 2))


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_with_reflect_draws_no_frame(name):
    """From a constant first map a whole generator draws a texture that does not know where the image ends.

    Each network's last map is then one value (or, behind the transposed convolution, one tile of 2x2).
    """

    def draw(padding):
        network = create(name, resolution=16, padding=padding, **NARROW[name])
        params = jax.tree.map(jnp.asarray, initialize(network, jax.random.key(0))["params"])
        dense = {"progan_generator": ("4x4", "Dense"), "sngan_generator": ("l1",), "resnet5_generator": ("g_h0_lin",)}
        inner = params
        for key in dense[name]:
            inner = inner[key]
        channels = inner["weight"].shape[1] // 16
        inner["weight"] = jnp.tile(inner["weight"].reshape(-1, 16, channels)[:, :1], (1, 16, 1)).reshape(8, -1)
        settings = {"train": True} if name != "progan_generator" else {}
        if name == "resnet5_generator":
            params["g_h5"]["weight"] *= 20
        z = jax.random.normal(jax.random.key(1), (4, 8))
        call = jit(lambda p, z: network.apply({"params": p}, z, **settings, mutable=["batch_stats"])[0])
        return np.asarray(call(params, z))

    def unevenness(images):
        return np.ptp(images.reshape(4, 8, 2, 8, 2, 3), axis=(1, 3)).max()

    assert unevenness(draw("reflect")) < 1e-4
    assert unevenness(draw("zero")) > 0.01


def test_cramer_and_mmds_first_weights_are_drawn_as_published():
    generator = create("resnet5_generator", resolution=16, latent_size=32, ch=16)
    params = flatten_dict(initialize(generator, jax.random.key(0))["params"], sep="/")
    critic = create("dcgan5_critic", resolution=16, num_features=64, ch=32)
    params |= flatten_dict(initialize(critic, jax.random.key(1))["params"], sep="/")
    for path, value in params.items():
        kind = path.split("/")[-1]
        if kind in ("bias", "offset"):
            assert not value.any(), path
        elif kind == "scale":
            assert (value == 1).all(), path
    # sigma, of at least 1,200 draws: 4 standard errors of a standard deviation are 8 %.
    for path, sigma, count in (
        ("g_h0_lin/weight", 0.01, 32 * 16 * 32), ("g_h5/weight", 0.02, 25 * 16 * 3), ("d_h3_lin/weight", 0.01, 65536),
    ):  # fmt: skip
        weights = np.asarray(params[path])
        assert weights.size == count
        assert weights.std() == pytest.approx(sigma, rel=0.08), path
        assert np.abs(weights).max() > 2.5 * sigma, path  # no truncation
    for path in ("d_h0_conv/weight", "d_h1_conv/weight"):
        weights = np.asarray(params[path])
        # The published draw has sigma 0.02 and is cut at two of them, so its own deviation is 0.88 sigma.
        assert 0.037 < np.abs(weights).max() <= 0.04 + 1e-7, path
        assert weights.std() == pytest.approx(0.02 * 0.8796, rel=0.05), path
    for path, gain in (("g_res1/Conv1/weight", 12), ("g_res1/Conv2/weight", 12), ("g_res1/Shortcut/weight", 6)):
        weights = np.asarray(params[path])
        side, _, i, o = weights.shape
        limit = np.sqrt(gain / (side**2 * (i + o)))
        assert 0.98 * limit < np.abs(weights).max() <= limit * (1 + 1e-6), path
        assert weights.std() == pytest.approx(limit / np.sqrt(3), rel=0.05), path


def test_progan_keeps_a_feature_map_at_every_size():
    assert num_features(1024, fmap_base=32, fmap_decay=1.0, fmap_max=8) == 1
    assert [num_features(side, 8192, 1.0, 512) for side in (4, 32, 64, 128)] == [512, 512, 256, 128]
