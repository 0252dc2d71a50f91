"""Baselines beside a network: what is asked of which images, whole or in parts."""

import numpy as np
import pytest

from ganfp_jax.baselines import beside
from ganfp_jax.baselines.images import FolderImages

CLASSES = ("real", "ProGAN")


def images_of(count, seed, tmp_path):
    """Noise, of which one source is brighter; one file stands for all paths."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    pixels = (rng.integers(0, 128, (count, 8, 8, 3)) + 40 * labels[:, None, None, None]).astype(np.uint8)
    (tmp_path / "file.png").write_bytes(b"some bytes")
    return FolderImages(pixels, [tmp_path / "file.png"] * count, labels, np.arange(count), list(map(str, labels)), ())


def test_methods_of_lists_the_immunised_ones_last():
    assert beside.methods_of(["knn"], ["knn"]) == [("knn", "knn", False), ("knn_immunised", "knn", True)]


@pytest.fixture
def fitted(tmp_path):
    methods = beside.methods_of(["knn", "file_size"], ["logistic_pixels"])
    immunise = {"share": 1.0, "perturbations": ("noise40",)}
    return dict(beside.fit(methods, images_of(40, 0, tmp_path), CLASSES, seed=0, immunise=immunise))


def test_measure_is_the_same_in_parts(fitted, tmp_path):
    test = images_of(30, 1, tmp_path)
    rows = beside.measure(fitted, [test], ["none", "noise10"], CLASSES, seed=3)
    parts = [test.part(np.arange(30)[some]) for some in (slice(0, 11), slice(11, 30))]
    assert beside.measure(fitted, parts, ["none", "noise10"], CLASSES, seed=3) == rows
    assert {row["metrics"]["total"] for row in rows} == {30}


def test_measure_asks_of_perturbed_images_only_those_that_look_at_images(fitted, tmp_path):
    rows = beside.measure(fitted, [images_of(10, 1, tmp_path)], ["none", "noise10"], CLASSES)
    assert [(row["name"], row["condition"]) for row in rows] == [
        *(("knn", "clean"), ("knn", "noise10"), ("file_size", "clean")),
        *(("logistic_pixels_immunised", "clean"), ("logistic_pixels_immunised", "noise10")),
    ]
