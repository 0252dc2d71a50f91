"""The Inception network against numbers recorded from pytorch-fid's, and the files that its weights come from.

Recorded with pytorch-fid 0.3.0 on PyTorch 2.15 (CPU): `InceptionV3([3])` around the network that `fid_inception_v3`
builds, its state loaded with `random_weights` below (the same names and shapes), in evaluation mode, on `IMAGES / 255`.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from golden_files import jit

from ganfp_jax.metrics import inception
from ganfp_jax.models.inception import Inception, _resize
from ganfp_jax.run.errors import UserError

IMAGES = np.random.RandomState(1).randint(0, 256, (2, 32, 32, 3)).astype(np.uint8)
GOLDEN = np.array(
    [
        [14.04563, 4.17051, 0.00000, 0.86259, 3.73195, 0.00000, 3.76080, 0.29416],
        [13.95906, 4.15956, 0.00000, 0.79025, 3.73279, 0.00000, 3.72973, 0.36656],
    ]
)
MEAN, STD = 5.021130, 7.123851
ENDS = {"weight": "conv.weight", "scale": "bn.weight", "offset": "bn.bias", "mean": "bn.running_mean"}


def published_shapes():
    """The network's arrays by PyTorch's names, kernels OIHW."""
    variables = jax.eval_shape(Inception().init, jax.random.key(0), IMAGES)
    shapes = {}
    for (_, *module, last), leaf in flatten_dict(variables).items():
        shape = leaf.shape[::-1][:2] + leaf.shape[:2] if leaf.ndim == 4 else leaf.shape
        shapes[".".join((*module, ENDS.get(last, "bn.running_var")))] = shape
    return shapes


@pytest.fixture(scope="module")
def random_weights():
    """Drawn name by name in sorted order."""
    rng, weights = np.random.RandomState(0), {}
    for name, shape in sorted(published_shapes().items()):
        if name.endswith("conv.weight"):
            value = rng.randn(*shape) * np.sqrt(2 / np.prod(shape[1:]))
        elif name.endswith(("bn.weight", "bn.running_var")):
            value = rng.uniform(0.5, 1.5, shape)
        else:
            value = rng.randn(*shape) * 0.1
        weights[name] = value.astype(np.float32)
    return weights


def test_names_are_pytorchs(random_weights):
    assert len(random_weights) == 5 * 94
    assert random_weights["Conv2d_1a_3x3.conv.weight"].shape == (32, 3, 3, 3)
    assert random_weights["Mixed_6b.branch7x7dbl_2.conv.weight"].shape == (128, 128, 7, 1)
    assert random_weights["Mixed_7c.branch3x3dbl_3b.bn.running_var"].shape == (384,)
    assert sum(value.size for value in random_weights.values()) == 21_820_000


def test_features_are_those_of_pytorch_fid(random_weights):
    variables = inception.inception_variables(random_weights, "test")
    features = np.asarray(jit(Inception().apply)(variables, IMAGES))
    assert features.shape == (2, 2048)
    np.testing.assert_allclose(features[:, : GOLDEN.shape[1]], GOLDEN, rtol=1e-4, atol=1e-3)
    assert (features.mean(), features.std()) == pytest.approx((MEAN, STD), rel=1e-5)


def test_resize_is_bilinear_between_pixel_centres_without_smoothing():
    for side in (32, 640):
        image = np.random.RandomState(0).rand(side, side, 1).astype(np.float32).repeat(3, axis=2)
        at = np.clip((np.arange(299) + 0.5) * side / 299 - 0.5, 0, side - 1)
        low = np.minimum(at.astype(int), side - 2)
        part = (at - low)[:, None]
        rows = image[low, :, 0] * (1 - part) + image[low + 1, :, 0] * part
        expected = rows[:, low] * (1 - part.T) + rows[:, low + 1] * part.T
        np.testing.assert_allclose(_resize(jnp.asarray(image[None]))[0, :, :, 0], expected, atol=1e-4)


def write(path, state):
    if path.suffix == ".npz":
        np.savez(path, **state)
    else:
        from safetensors.numpy import save_file

        save_file(state, path)
    return path


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_both_kinds_of_file_give_the_same_network(tmp_path, random_weights, suffix):
    extra = {
        "fc.weight": np.zeros(1),
        "AuxLogits.fc.bias": np.zeros(1),
        "Mixed_5b.x.bn.num_batches_tracked": np.array(3),
    }
    path = write(tmp_path / f"weights{suffix}", random_weights | extra)
    read = inception.inception_variables(inception.read_weights(path), path)
    direct = inception.inception_variables(random_weights, "test")
    jax.tree.map(np.testing.assert_array_equal, read, direct)
    kernel = direct["params"]["Mixed_6b"]["branch7x7_2"]["weight"]
    np.testing.assert_array_equal(kernel, random_weights["Mixed_6b.branch7x7_2.conv.weight"].transpose(2, 3, 1, 0))


def test_batches_are_joined(tmp_path, random_weights, monkeypatch):
    class Brightness:
        def apply(self, variables, images):
            return images.mean((1, 2, 3))[:, None] * np.ones((1, 2048), np.float32)

    monkeypatch.setattr(inception, "Inception", Brightness)
    monkeypatch.setattr(inception, "inception_variables", lambda state, origin: {})
    monkeypatch.setattr(inception, "read_weights", lambda path: {})
    ticks = []
    images = np.arange(5, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    features = inception.make_features(Path("weights.npz"), batch_size=2)(images, ticks.append)
    np.testing.assert_array_equal(features[:, 7], np.arange(5))
    assert (features.shape, ticks) == ((5, 2048), [2, 2, 1])


def without(name):
    return lambda weights: {key: value for key, value in weights.items() if key != name}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("Mixed_5b.branch1x1.bn.bias"), r"1 missing \(Mixed_5b.branch1x1.bn.bias first\)"),
        (lambda weights: weights | {"Mixed_9.conv.weight": np.zeros(1)}, r"1 surplus \(Mixed_9.conv.weight first\)"),
        (
            lambda weights: weights | {"Conv2d_1a_3x3.bn.bias": np.zeros(7)},
            r"1 of another shape \(Conv2d_1a_3x3.bn.bias first\)",
        ),
        (lambda weights: {}, "470 missing"),
    ],
)
def test_another_network_is_refused(random_weights, change, words):
    with pytest.raises(UserError, match=rf"FILE does not hold the FID Inception network; arrays {words}"):
        inception.inception_variables(change(random_weights), "FILE")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent.npz", "no Inception weights at"),
        ("broken.npz", "cannot be read as .npz"),
        ("broken.safetensors", "cannot be read as .safetensors"),
        ("weights.pth", "neither .safetensors nor .npz"),
        ("pickle.npz", "cannot be read as .npz"),
    ],
)
def test_files_that_hold_no_weights(tmp_path, name, words):
    path = tmp_path / name
    if name == "pickle.npz":
        np.savez(path, a=np.array([{}], dtype=object))
    elif name != "absent.npz":
        path.write_bytes(b"not an archive")
    with pytest.raises(UserError, match=words) as error:
        inception.read_weights(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
