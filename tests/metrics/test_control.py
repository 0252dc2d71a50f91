"""Fingerprints are a property of the source, not of the picture: two halves of one source cannot be told apart."""

import numpy as np
import pytest
from PIL import Image
from running import run_job

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.data import labelled, sources
from ganfp_jax.data.decode import encode_png
from ganfp_jax.metrics.separability import control, separability
from ganfp_jax.metrics.statistics import wilson_interval

SIDE = 16


def enlarged(image):
    """What a network that doubles the side leaves in an image, exaggerated."""
    return np.asarray(Image.fromarray(image).resize((SIDE // 2, SIDE // 2)).resize((SIDE, SIDE), Image.BILINEAR))


@pytest.fixture(scope="module")
def crops():
    """Real images of training photographs, and of others to test on."""
    settings = {"resolution": SIDE, "reduction": 2.0, "min_luma_std": 10.0}
    return {
        split: np.random.RandomState(0).permutation(sources.photos(split=split, count=count, seed=1, **settings).images)
        for split, count in (("train", 600), ("test", 400))
    }


def right_of_test(crops, root, second) -> int:
    """Trains the attribution network on two halves, `second` applied to the other one, and tests it on new images."""
    for split, images in crops.items():
        for name, half, change in (("a", images[::2], None), ("b", images[1::2], second)):
            (root / split / name).mkdir(parents=True)
            for i, image in enumerate(half):
                encode_png(root / split / name / f"{i:03d}.png", image if change is None else change(image))
    settings = {"num_steps": 200, "batch_size": 32, "eval_images": 0, "checkpoint_every": 200, "data.root": root}
    settings |= {"model.fmap_base": 64, "model.num_features": 32}
    run_job("attribution:tiny", root / "run", settings)
    network = Attributor.load(root / "run")
    test = labelled.open_labelled(root, split="test")
    return int((network.vote(labelled.Images(test, SIDE).decode().images, "identity").predicted == test.labels).sum())


def test_halves_of_the_real_images_cannot_be_told_apart(crops, tmp_path):
    low, high = wilson_interval(right_of_test(crops, tmp_path, None), 400)
    assert low < 0.5 < high


def test_the_same_procedure_tells_a_source_with_a_trace(crops, tmp_path):
    low, _ = wilson_interval(right_of_test(crops, tmp_path, enlarged), 400)
    assert low > 0.8


def test_the_measures_of_separability_have_the_same_control(crops):
    real = crops["test"]
    images = np.concatenate([real, [enlarged(image) for image in real]])
    features = np.abs(np.fft.rfft2(images.mean(-1))).reshape(len(images), -1)
    labels = np.repeat([0, 1], len(real))
    found = separability(np.log(features + 1), labels, ("real", "enlarged"), seed=0, real="real")
    assert found["frechet_ratio"]["ci95"][0] > 1.5
    assert found["verification"]["auc"]["ci95"][0] > 0.52
    for block in (found["control"], control(np.log(features[:400] + 1), seed=1)):
        low, high = block["frechet_ratio"]["ci95"]
        assert low <= 1 <= high
        low, high = block["verification"]["auc"]["ci95"]
        assert low < 0.51
        assert high > 0.49
        assert block["verification"]["auc"]["value"] == pytest.approx(0.5, abs=0.01)
