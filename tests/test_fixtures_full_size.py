"""Recorded outputs of the published networks at 128x128, with variables drawn from seeds.

Variables are NumPy legacy draws in the checkpoints' order; so only a few numbers have to be kept. Pixel indices of the
recordings are channels first.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganfp_jax.interop import layouts
from ganfp_jax.models import create
from ganfp_jax.models.layers import box_downsample
from ganfp_jax.models.progan import enlarge

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
