"""Recorded outputs of the published networks at 128x128, with variables drawn from seeds.

Variables are NumPy legacy draws in the checkpoints' order; so only a few numbers have to be kept. Pixel indices of the
recordings are channels first.
"""

import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganfp_jax.interop import layouts
from ganfp_jax.models import create
from ganfp_jax.models.layers import box_downsample
from ganfp_jax.models.progan import enlarge
from ganfp_jax.training.objectives import cramer, mmd, penalties

Shapes = dict[str, tuple[int, ...]]
FMAPS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128}  # ProGAN's feature maps by side
SIDES = list(FMAPS)


def progan_generator_shapes() -> Shapes:
    shapes: Shapes = {}
    for level, side in zip(range(5, -1, -1), SIDES, strict=True):
        c, wider = FMAPS[side], FMAPS[max(side // 2, 4)]
        if side == 4:
            layers = {"4x4/Dense": (512, 16 * c), "4x4/Conv": (3, 3, c, c)}
        else:
            layers = {f"{side}x{side}/Conv0_up": (3, 3, c, wider), f"{side}x{side}/Conv1": (3, 3, c, c)}
        for scope, weight in (layers | {f"ToRGB_lod{level}": (1, 1, c, 3)}).items():
            # The fused up-convolution is stored with its outputs before its inputs; the dense bias is one per channel.
            outputs = 3 if "ToRGB" in scope else c
            shapes |= {f"{scope}/weight": weight, f"{scope}/bias": (outputs,)}
    return shapes


def progan_discriminator_shapes() -> Shapes:
    weights: Shapes = {}
    for level, side in enumerate(reversed(SIDES)):
        c = FMAPS[side]
        weights[f"FromRGB_lod{level}"] = (1, 1, 3, c)
        if side > 4:
            weights[f"{side}x{side}/Conv0"] = (3, 3, c, c)
            weights[f"{side}x{side}/Conv1_down"] = (3, 3, c, FMAPS[side // 2])
    weights |= {"4x4/Conv": (3, 3, 513, 512), "4x4/Dense0": (8192, 512), "4x4/Dense1": (512, 1)}
    return with_biases(weights)


def classifier_shapes(mode: str, switching_res: int) -> Shapes:
    weights: Shapes = {}
    channels = 3
    for side in (128, 64, 32, 16, 8):
        if (side > switching_res) == (mode == "postpool"):
            weights[f"{side}x{side}/Conv0"] = (3, 3, channels, 2048 // side)
            weights[f"{side}x{side}/Conv1"] = (3, 3, 2048 // side, 4096 // side)
            channels = 4096 // side
    weights |= {"4x4/Conv0": (3, 3, channels, 512), "4x4/Dense1": (8192, 512), "4x4/Dense2": (512, 5)}
    return with_biases(weights)


def autoencoder_shapes() -> Shapes:
    weights: Shapes = {}
    for side in (128, 64, 32, 16, 8):
        weights[f"E_{side}x{side}/Conv0"] = (3, 3, 3 if side == 128 else 2048 // side, 2048 // side)
        weights[f"E_{side}x{side}/Conv1"] = (3, 3, 2048 // side, 4096 // side)
    for scope in ("E_4x4/Conv0", "E_4x4/Conv1", "G_4x4/Conv0", "G_4x4/Conv1"):
        weights[scope] = (3, 3, 512, 512)
    for side in (8, 16, 32, 64, 128):
        weights[f"G_{side}x{side}/Conv0"] = (3, 3, 4096 // side, 2048 // side)
        weights[f"G_{side}x{side}/Conv1"] = (3, 3, 2048 // side, 2048 // side)
    shapes = with_biases(weights | {"G_128x128/Conv_toRGB": (3, 3, 16, 3)})
    return shapes | {"Conv_fingerprints/weight": (128, 128, 3, 5)}


def discriminator_shapes() -> Shapes:
    weights: Shapes = {}
    for side in (128, 64, 32, 16, 8):
        weights[f"{side}x{side}/Conv0"] = (3, 3, 3 if side == 128 else 2048 // side, 2048 // side)
        weights[f"{side}x{side}/Conv1"] = (3, 3, 2048 // side, 4096 // side)
    return with_biases(weights | {"4x4/Conv0": (3, 3, 513, 512), "4x4/Dense1": (8192, 512), "4x4/Dense2": (512, 1)})


def with_biases(weights: Shapes) -> Shapes:
    return {
        name: shape
        for scope, weight in weights.items()
        for name, shape in ((f"{scope}/weight", weight), (f"{scope}/bias", weight[-1:]))
    }


def draw(shapes: Shapes, seed: int) -> dict[str, np.ndarray]:
    """Weights N(0, 1), biases a tenth of that."""
    rng = np.random.RandomState(seed)
    return {
        name: rng.standard_normal(shape).astype(np.float32) * np.float32(0.1 if name.endswith("bias") else 1)
        for name, shape in shapes.items()
    }


def sngan_generator_shapes() -> Shapes:
    shapes: Shapes = {"l1/W": (16384, 128), "l1/b": (16384,), "l7/W": (3, 64, 3, 3), "l7/b": (3,), "b7/N": ()}
    shapes |= {f"b7/{name}": (64,) for name in ("gamma", "beta", "avg_mean", "avg_var")}
    widths = [1024, 1024, 512, 256, 128, 64]
    for i in range(5):
        n_in, n_out, block = widths[i], widths[i + 1], f"block{i + 2}"
        for conv, shape in (("c1", (n_out, n_in, 3, 3)), ("c2", (n_out, n_out, 3, 3)), ("c_sc", (n_out, n_in, 1, 1))):
            shapes |= {f"{block}/{conv}/W": shape, f"{block}/{conv}/b": (n_out,)}
        for norm, c in (("b1", n_in), ("b2", n_out)):
            shapes |= {f"{block}/{norm}/{name}/W": (1, c) for name in ("gammas", "betas")}
            shapes |= {f"{block}/{norm}/{name}": (c,) for name in ("avg_mean", "avg_var")}
            shapes[f"{block}/{norm}/N"] = ()
    return shapes


def sngan_discriminator_shapes() -> Shapes:
    weights: Shapes = {"l7": (1, 1024), "block6/c1": (1024, 1024, 3, 3), "block6/c2": (1024, 1024, 3, 3)}
    weights |= {"block1/c1": (64, 3, 3, 3), "block1/c2": (64, 64, 3, 3), "block1/c_sc": (64, 3, 1, 1)}
    for i, n_in in enumerate((64, 128, 256, 512), start=2):
        weights[f"block{i}/c1"] = (n_in, n_in, 3, 3)
        weights[f"block{i}/c2"] = (2 * n_in, n_in, 3, 3)
        weights[f"block{i}/c_sc"] = (2 * n_in, n_in, 1, 1)
    shapes: Shapes = {"l_y/W": (1, 1024), "l_y/u": (1, 1)}
    for link, shape in weights.items():
        shapes |= {f"{link}/W": shape, f"{link}/b": shape[:1], f"{link}/u": (1, shape[0])}
    return shapes


def draw_chainer(shapes: Shapes, seed: int) -> dict[str, np.ndarray]:
    """Draw in alphabetical order, each kind of variable around its usual value."""
    rng = np.random.RandomState(seed)
    variables = {}
    for name in sorted(shapes):
        if name.endswith("/N"):
            variables[name] = np.int64(0)
            continue
        x = rng.standard_normal(shapes[name]).astype(np.float32)
        if name.endswith("avg_var"):
            x = 1 + 0.5 * np.abs(x)
        elif name.endswith(("gammas/W", "gamma")):
            x = 1 + 0.1 * x
        elif name.endswith(("/b", "betas/W", "beta", "avg_mean")):
            x = 0.1 * x
        elif not name.endswith("/u"):
            x = x * np.float32(np.sqrt(2 / np.prod(shapes[name][1:])))
        variables[name] = np.asarray(x, np.float32)
    return variables


def images(seed: int, count: int) -> jax.Array:
    return jnp.asarray(uniform_images(seed, count).transpose(0, 2, 3, 1))


def uniform_images(seed: int, count: int) -> np.ndarray:
    return (2 * np.random.RandomState(seed).rand(count, 3, 128, 128) - 1).astype(np.float32)


def num_params(variables: dict) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def assert_close(actual, expected: list[float], tolerance: float = 1e-4) -> None:
    np.testing.assert_allclose(np.ravel(actual), np.ravel(expected), rtol=0, atol=tolerance)


def test_progan_generator():
    variables = layouts.progan_generator(draw(progan_generator_shapes(), seed=1))
    assert num_params(variables) == 22_933_394
    generator = create("progan_generator", resolution=128)
    latents = jnp.asarray(np.random.RandomState(0).randn(8, 512)[:2], jnp.float32)
    variables = jax.device_put(variables)
    apply = jax.jit(generator.apply, static_argnums=2)

    recorded = {
        0.0: (-0.111673, 1.041656, [1.3085586, -0.2945622, -0.9417052], [1.4621924, 0.0439468, -1.1545142]),
        0.3: (0.073620, 0.757120, [1.1803977, -0.1754004, -0.3417523], [1.2351706, 0.1031627, -0.7974277]),
        2.6: (-0.214347, 0.717792, [0.7860838, -0.0336405, -0.9188473], [0.6254918, -0.3949228, -1.3396540]),
    }
    for lod, (mean, std, first, second) in recorded.items():
        level = int(lod)
        full = np.asarray(enlarge(apply(variables, latents, level, lod - level), level))
        assert full.shape == (2, 128, 128, 3)
        assert_close([full.mean(), full.std()], [mean, std])
        assert_close([full[0, 64, 64], full[1, 10, 100]], [first, second])
        if lod == 0:
            bytes_ = np.clip(np.rint(127.5 * full + 127.5), 0, 255).astype(np.uint8)
            assert bytes_[0, 64, 64].tolist() == [255, 90, 7]
            assert bytes_[1, 10, 100].tolist() == [255, 133, 0]


def test_progan_discriminator():
    variables = layouts.progan_discriminator(draw(progan_discriminator_shapes(), seed=2))
    assert num_params(variables) == 22_941_313
    critic = create("progan_discriminator", resolution=128)
    apply, x = jax.jit(critic.apply, static_argnums=2), images(seed=3, count=8)
    variables = jax.device_put(variables)

    recorded = {
        0.0: "-.14710502 -.1325202 -.1664495 -.15318185 -.14434798 -.15298317 -.16397749 -.15298416",
        0.3: "-.1759919 -.18178134 -.18892863 -.18077245 -.1811262 -.17740905 -.19482024 -.1849478",
        2.6: "-.11807689 -.11733438 -.13101853 -.13568129 -.13523628 -.1353989 -.11109474 -.11206165",
    }
    for lod, scores in recorded.items():
        level = int(lod)
        ours = apply(variables, box_downsample(x, 2**level), level, lod - level)
        assert_close(ours, [float(score) for score in scores.split()], 1e-5)


@pytest.mark.parametrize(
    ("mode", "switching_res", "seed", "logits"),
    [
        ("postpool", 4, 4, [-0.07313241, 0.5420886, 0.7375291, 0.7707174, 0.11129557]),
        ("predownscale", 8, 5, [-0.06165475, -0.09303062, 0.17931695, -0.30496162, -0.35356444]),
        ("postpool", 16, 6, [-0.15560955, -0.38786417, -0.7631546, -0.05478522, 0.12194005]),
    ],
)
def test_attribution_classifier(mode, switching_res, seed, logits):
    variables = layouts.visnet_classifier(draw(classifier_shapes(mode, switching_res), seed))
    classifier = create("visnet_classifier", resolution=128, num_classes=5, mode=mode, switching_res=switching_res)
    assert_close(jax.jit(classifier.apply)(variables, images(seed=3, count=4)[:1]), logits, 1e-5)


def test_fingerprint_autoencoder():
    variables = layouts.visnet_autoencoder(draw(autoencoder_shapes(), seed=7))
    assert num_params(variables) == 14_400_019
    network = create("fingerprint_autoencoder", resolution=128, num_classes=5)
    ours = jax.jit(network.apply)(variables, images(seed=3, count=4)[:1])
    assert_close(ours.reconstructions[0, 64, 64], [0.9216753, 0.6820214, 0.4066282], 1e-5)
    assert_close(ours.fingerprints[0, 64, 64], [-0.1379802, -0.4849944, -0.2152906], 1e-5)
    assert_close(ours.logits, [-0.6095922, 1.2967975, -1.1600865, -0.7415037, 0.2457103])


def test_fingerprint_discriminator():
    variables = layouts.visnet_discriminator(draw(discriminator_shapes(), seed=8))
    assert num_params(variables) == 8_916_353
    critic = create("fingerprint_discriminator", resolution=128)
    scores = jax.jit(critic.apply)(variables, images(seed=3, count=4))
    assert_close(scores, [0.27482593, 0.29105282, 0.30657452, 0.2567836], 1e-5)


def test_sngan_generator():
    variables = layouts.sngan_generator(draw_chainer(sngan_generator_shapes(), seed=21))
    assert num_params(variables) == 32_150_787
    generator = create("sngan_generator", resolution=128)
    latents = jnp.asarray(np.random.RandomState(23).randn(4, 128), jnp.float32)
    variables = jax.device_put(variables)

    test_mode = np.asarray(jax.jit(generator.apply)(variables, latents))
    assert_close([test_mode.mean(), test_mode.std()], [-0.343750, 0.910964])
    train_mode = np.asarray(jax.jit(lambda v, z: generator.apply(v, z, train=True))(variables, latents))
    assert_close([train_mode.mean(), train_mode.std()], [0.103729, 0.612954])
    assert_close(train_mode[0, 64, 64], [-0.9951742, 0.9102491, -0.3640069])
    assert_close(train_mode[3, 10, 100], [-0.7606906, 0.7073202, -0.5750713])


def test_sngan_discriminator():
    variables = layouts.sngan_discriminator(draw_chainer(sngan_discriminator_shapes(), seed=22))
    assert num_params(variables) == 29_018_881
    critic = create("sngan_discriminator", resolution=128)
    call: Callable = jax.jit(lambda v, x: critic.apply(v, x, train=True, mutable=["spectral_stats"]))
    scores, stats = call(variables, images(seed=24, count=4))
    assert_close(scores, [0.95107365, 0.95102894, 0.95111275, 0.953187], 1e-5)
    assert_close(stats["spectral_stats"]["block1"]["c1"]["u"][:3], [0.09230614, 0.04915679, -0.0655023], 1e-6)


def cramer_mmd_shapes(num_features: int) -> Shapes:
    shapes: Shapes = {"generator/g_h0_lin/Matrix": (100, 16384), "generator/g_h0_lin/bias": (16384,)}
    widths = [1024, 512, 256, 128, 64]
    for k, (n_in, n_out) in enumerate(itertools.pairwise(widths), start=1):
        block = f"generator/g_res{k}"
        shapes[f"{block}.Shortcut/g_res{k}.Shortcut.Filters"] = (1, 1, n_in, n_out)
        shapes[f"{block}.Shortcut/g_res{k}.Shortcut.Biases"] = (n_out,)
        shapes |= {f"{block}.BN1.{name}": (n_in,) for name in ("offset", "scale")}
        shapes[f"{block}.Conv1/g_res{k}.Conv1.Filters"] = (3, 3, n_in, n_out)
        shapes |= {f"{block}.BN2.{name}": (n_out,) for name in ("offset", "scale")}
        shapes[f"{block}.Conv2/g_res{k}.Conv2.Filters"] = (3, 3, n_out, n_out)
        shapes[f"{block}.Conv2/g_res{k}.Conv2.Biases"] = (n_out,)
    shapes |= {"generator/g_h4.offset": (64,), "generator/g_h4.scale": (64,)}
    shapes |= {"generator/g_h5/w": (5, 5, 3, 64), "generator/g_h5/biases": (3,)}
    for i, (n_in, n_out) in enumerate(itertools.pairwise([3, 64, 128, 256, 512, 1024])):
        shapes[f"discriminator/d_h{i}_conv/w"] = (5, 5, n_in, n_out)
        shapes[f"discriminator/d_h{i}_conv/biases"] = (n_out,)
    shapes["discriminator/d_h6_lin/Matrix"] = (16384, num_features)
    return shapes | {"discriminator/d_h6_lin/bias": (num_features,)}


def draw_cramer_mmd(shapes: Shapes, seed: int) -> dict[str, np.ndarray]:
    """Draw in the given order, each kind of variable around its usual value."""
    rng = np.random.RandomState(seed)
    variables = {}
    for name, shape in shapes.items():
        x = rng.standard_normal(shape).astype(np.float32)
        if name.endswith(("bias", "biases", "Biases", "offset")):
            x = x * np.float32(0.1)
        elif name.endswith("scale"):
            x = 1 + np.float32(0.1) * x
        else:
            x = x * np.float32(np.sqrt(2 / np.prod(shape[:-1])))
        variables[name] = x
    return variables


CRAMER_MMD = {
    # features, objective, weight of the gradient penalty and of the L2 penalty, recorded numbers
    "mmd": (
        mmd.make("mix_rq_1dot", "unbiased", "published"),
        {"features": 16, "weight": 1.0, "layers": 1.0},
        {
            "fake": [0.1300248, -1.0607557, -0.3296947],
            "real": [0.1746273, -0.9026958, 0.2412915],
            "height": 0.854864,
            "sample": 0.287729,
            "layers": 4.105323,
            "generator_loss": 1.553722,
            "critic_loss": 3.406465,
        },
    ),
    "cramer": (
        cramer.make(),
        {"features": 256, "weight": 10.0, "layers": 0.0},
        {
            "fake": [0.0424720, 0.2630528, 0.7827040],
            "real": [0.2726927, -0.1550107, 0.6051731],
            "height": 0.841641,
            "sample": 0.502186,
            "generator_loss": 7.488812,
            "critic_loss": 7.783566,
        },
    ),
}


@pytest.fixture(scope="module")
def resnet5_images() -> list[jax.Array]:
    """Two batches of the generator that both families share."""
    variables = draw_cramer_mmd(cramer_mmd_shapes(16), seed=11)
    variables = layouts.resnet5_generator({k: v for k, v in variables.items() if k.startswith("generator/")})
    assert num_params(variables) == 11_764_035
    generator = create("resnet5_generator", resolution=128)
    apply, variables = jax.jit(generator.apply), jax.device_put(variables)
    latents = [np.random.RandomState(seed).uniform(-1, 1, (32, 100)) for seed in (12, 13)]
    return [apply(variables, jnp.asarray(z, jnp.float32)) for z in latents]


def test_resnet5_generator(resnet5_images):
    assert_close(resnet5_images[0][0, 64, 64], [0.9776956, 0.2326372, 0.1179348])
    assert_close(resnet5_images[0][31, 10, 100], [0.7924346, 0.7254702, 0.6774228])


@pytest.mark.parametrize("family", CRAMER_MMD)
def test_cramer_and_mmd_losses(family, resnet5_images):
    objective, settings, recorded = CRAMER_MMD[family]
    variables = draw_cramer_mmd(cramer_mmd_shapes(settings["features"]), seed=11)
    variables = layouts.dcgan5_critic({k: v for k, v in variables.items() if k.startswith("discriminator/")})
    assert num_params(variables) == {"mmd": 17_676_944, "cramer": 21_609_344}[family]
    critic = create("dcgan5_critic", resolution=128, num_features=settings["features"])
    real = jnp.asarray(np.random.RandomState(14).rand(32, 128, 128, 3), jnp.float32)
    mix = jnp.asarray(np.random.RandomState(15).rand(32, 1, 1, 1), jnp.float32)

    @jax.jit
    def everything(variables, real, fakes):
        looks = [critic.apply(variables, images, mutable=["layers"]) for images in (real, *fakes)]
        answers = [features for features, _ in looks]
        between = penalties.interpolate(real, fakes[0], mix)

        def penalty(norm):
            def witness(images):
                return objective.witness(critic.apply(variables, images), *answers)

            return penalties.gradient_penalty(penalties.gradient_norm(witness, between, norm, 1e-5), 1.0).mean()

        return {
            "fake": answers[1][0, :3],
            "real": answers[0][0, :3],
            "height": penalty("height"),
            "sample": penalty("sample"),
            "layers": penalties.layer_penalty(jax.tree.leaves([layers for _, layers in looks])),
            "generator_loss": objective.generator_loss(*answers).mean(),
            "critic_loss": objective.critic_loss(*answers).mean(),
        }

    ours = everything(jax.device_put(variables), real, resnet5_images[: objective.num_fakes])
    ours["critic_loss"] += settings["weight"] * ours["height"] + settings["layers"] * ours["layers"]
    for name, value in recorded.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-4, atol=1e-4 if name in ("fake", "real") else 0)
