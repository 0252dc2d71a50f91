"""A network of PyTorch's becomes ours: the same logits, and other networks are named."""

import numpy as np
import pytest
from published_files import torch_archive, torch_records

from configs import import_weights as config_file
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.interop import torch_names
from ganfp_jax.interop.load import load
from ganfp_jax.interop.published import load_published
from ganfp_jax.jobs import import_weights as job
from ganfp_jax.run.errors import UserError

CLASSES = ("real", "A", "B")
WIDTHS = [(4, 3), (8, 4), (8, 8)]  # outputs and inputs of the convolutions, for 8x8 pixels


@pytest.fixture(scope="module")
def tensors():
    rng = np.random.default_rng(0)
    shapes = {f"convs.{i}": (*widths, 3, 3) for i, widths in enumerate(WIDTHS)} | {"dense1": (6, 128), "dense2": (3, 6)}
    drawn = {}
    for layer, shape in shapes.items():
        drawn[f"{layer}.weight"] = rng.normal(0, 0.2, shape).astype(np.float32)
        drawn[f"{layer}.bias"] = rng.normal(0, 0.5, shape[0]).astype(np.float32)
    return drawn


def logits(tensors, images):
    """What PyTorch computes for images (N, H, W, 3), in NumPy."""
    x = images.transpose(0, 3, 1, 2).astype(np.float64)
    for i in range(len(WIDTHS)):
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))  # (N, C, H, W, 3, 3)
        x = leaky(np.einsum("nchwij,ocij->nohw", windows, tensors[f"convs.{i}.weight"]) + bias(tensors, f"convs.{i}"))
        if i % 2:
            x = x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[3] // 2, 2).mean((3, 5))
    x = leaky(x.reshape(len(x), -1) @ tensors["dense1.weight"].T + tensors["dense1.bias"])
    return x @ tensors["dense2.weight"].T + tensors["dense2.bias"]


def bias(tensors, layer):
    return tensors[f"{layer}.bias"][:, None, None]


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


@pytest.fixture
def path(tensors, tmp_path):
    path = tmp_path / "visnet.pth"
    path.write_bytes(torch_archive(torch_records(tensors, "state_dict", {"epoch": 9})))
    return path


def imported(path, workdir, **settings):
    workdir.mkdir()
    config = config_file.get_config().to_dict() | {"source": str(path), "classes": CLASSES} | settings
    job.run(config, workdir)
    return workdir


def test_the_logits_are_those_of_the_file(path, tensors):
    images = np.random.default_rng(1).uniform(-1, 1, (5, 8, 8, 3)).astype(np.float32)
    found = load_published(path)["network"]
    assert found.takes == "(N, 8, 8, 3)" and found.kind == "attribution"
    np.testing.assert_allclose(found(images), logits(tensors, images), atol=1e-5)


def test_it_is_imported_and_names_sources(path, tmp_path, capsys):
    weights = load(imported(path, tmp_path / "run"))
    assert (weights.model["input"], weights.about["augment"], weights.origin["format"]) == (
        "image",
        "none",
        "PyTorch file",
    )
    images = np.random.default_rng(1).integers(0, 256, (4, 8, 8, 3), np.uint8)
    verdicts = Attributor.load(tmp_path / "run").attribute(images, min_luma_std=0.0)
    assert {len(verdict.views) for verdict in verdicts} == {1} and {v.predicted for v in verdicts} <= set(CLASSES)
    residual = load(imported(path, tmp_path / "residual", input="residual"))
    assert residual.model == weights.model | {"input": "residual"}


def test_what_a_network_sees_is_one_of_two(path, tmp_path):
    with pytest.raises(UserError, match="choose from image, residual"):
        imported(path, tmp_path / "run", input="noise")
    with pytest.raises(UserError, match="is for a PyTorch file"):
        imported("tests/golden/published_progan.pkl", tmp_path / "other", input="residual", classes=())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dense2.bias": None}, "it holds convs.0.weight, convs.0.bias, convs.1.weight; a VisNet has"),
        ({"convs.2.weight": None, "convs.2.bias": None}, "a VisNet has"),
        ({"convs.0.weight": np.zeros((4, 3, 5, 5), np.float32)}, "has the shape (4, 3, 5, 5), as no VisNet has"),
        ({"dense1.weight": np.zeros((6, 127), np.float32)}, "4x4/Dense1/weight"),
        ({"convs.1.bias": np.zeros(9, np.float32)}, "8x8/Conv1/bias (9,) instead of (8,)"),
    ],
)
def test_other_networks_are_refused(tensors, tmp_path, change, words):
    changed = {name: array for name, array in (tensors | change).items() if array is not None}
    path = tmp_path / "a.pth"
    path.write_bytes(torch_archive(torch_records(changed)))
    with pytest.raises(UserError) as error:
        load_published(path)
    assert words in str(error.value) and str(error.value).startswith(str(path))


@pytest.mark.parametrize(("name", "what"), [("fc.weight", "POSE"), ("classification_head.1.weight", "DNA-Det")])
def test_networks_of_pose_and_dna_det_are_named(name, what):
    layers = {"main.0.main.0.weight": np.zeros((64, 3, 4, 4)), "classification_head.1.weight": np.zeros((15, 512))}
    with pytest.raises(UserError, match=f"it holds {what}'s network, .*read_torch gives its tensors"):
        torch_names.visnet(layers | {name: np.zeros((15, 512))})
