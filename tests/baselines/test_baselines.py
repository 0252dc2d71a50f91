import warnings

import numpy as np
import pytest

from ganfp_jax import baselines
from ganfp_jax.baselines import knn, linear, prnu, wavelet
from ganfp_jax.baselines.method import Training, held_out
from ganfp_jax.metrics.statistics import wilson_interval
from ganfp_jax.run.errors import UserError

ALL = [name for name, baseline in baselines.BASELINES.items() if baseline.needs == "images"]
LINEAR = [name for name in ALL if name.startswith("logistic")]
PLACELESS = ("logistic_cooccurrences",)  # counts do not say where; the planted patterns differ mainly in places
CLASSES = ("plain", "checkerboard", "border")


def noise(count: int, seed: int, size: int = 8) -> np.ndarray:
    """Smooth random images: a random colour, a random slope and a little noise."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(-1, 1, size)[:, None, None] * rng.normal(0, 30, (count, 1, 1, 3))
    images = rng.uniform(90, 160, (count, 1, 1, 3)) + slope + rng.normal(0, 6, (count, size, size, 3))
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


def sources(count: int, seed: int, size: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Three classes: plain, with a faint checkerboard, with a faint border; in mixed order."""
    images = noise(3 * count, seed, size).astype(int)
    labels = np.arange(3 * count, dtype=np.int32) % 3
    checkerboard = np.indices((size, size)).sum(0) % 2 * 2 - 1
    images[labels == 1] += 5 * checkerboard[..., None]
    images[labels == 2, 0] += 12
    return np.clip(images, 0, 255).astype(np.uint8), labels


def planted(count: int, seed: int, strength: float = 10, size: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Three classes, each with its own pattern on images of nearly one colour: what any method should find."""
    rng = np.random.default_rng(seed)
    patterns = np.random.default_rng(99).choice([-1, 1], (3, size, size, 3))
    labels = np.arange(3 * count, dtype=np.int32) % 3
    images = rng.uniform(118, 138, (3 * count, 1, 1, 3)) + rng.normal(0, 8, (3 * count, size, size, 3))
    images += strength * patterns[labels]
    return np.clip(np.rint(images), 0, 255).astype(np.uint8), labels


def training(labels, groups, seed=0) -> Training:
    labels = np.array(labels, np.int32)
    return Training(np.zeros((len(labels), 2, 2, 3), np.uint8), labels, int(labels.max()) + 1, groups, seed)


# What all of them have in common


@pytest.mark.parametrize("name", ALL)
def test_baselines_find_planted_patterns(name):
    fitted = baselines.fit(name, *planted(60, seed=0), CLASSES)
    images, labels = planted(60, seed=1)
    predicted, scores = baselines.predict(fitted, images)
    assert predicted.dtype == np.int32
    assert (predicted == labels).mean() > (0.75 if name in PLACELESS else 0.9)
    assert scores.shape == (180, 3)
    np.testing.assert_array_equal(scores.argmax(1), predicted)


@pytest.mark.parametrize("name", ALL)
def test_baselines_are_at_chance_where_there_is_nothing_to_find(name):
    rng = np.random.default_rng(3)
    images, labels = rng.integers(0, 256, (600, 8, 8, 3), dtype=np.uint8), rng.permutation(600) % 3
    fitted = baselines.fit(name, images[:300], labels[:300], CLASSES)
    right = int((baselines.predict(fitted, images[300:])[0] == labels[300:]).sum())
    low, high = wilson_interval(right, 300)
    assert low < 1 / 3 < high


@pytest.mark.parametrize("name", ALL)
def test_same_images_and_seed_same_scores_and_no_warning(name):
    images, labels = planted(30, seed=0, strength=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # among them scikit-learn's, of a fit that did not converge
        first, second = (baselines.fit(name, images, labels, CLASSES, seed=5) for _ in range(2))
        assert first.model.settings == second.model.settings
        np.testing.assert_array_equal(baselines.predict(first, images)[1], baselines.predict(second, images)[1])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("count", [1, 2])
def test_few_images_of_two_classes_are_enough(name, count):
    images, labels = planted(count, seed=0, strength=60)
    chosen = labels < 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = baselines.fit(name, images[chosen], labels[chosen], CLASSES[:2])
        predicted, scores = baselines.predict(fitted, images[chosen])
    assert scores.shape == (2 * count, 2)
    np.testing.assert_array_equal(predicted, labels[chosen])


@pytest.mark.parametrize("name", ALL)
def test_images_that_are_all_alike(name):
    images = np.full((12, 8, 8, 3), 255, np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = baselines.fit(name, images, np.arange(12) % 2, CLASSES[:2])
        _, scores = baselines.predict(fitted, images)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores, np.broadcast_to(scores[0], scores.shape))


@pytest.mark.parametrize("name", ALL)
def test_predictions_do_not_depend_on_the_other_images(name):
    fitted = baselines.fit(name, *planted(30, seed=0, strength=4), CLASSES)
    images, _ = planted(3, seed=1, strength=4)
    together = baselines.predict(fitted, images)[1]
    apart = np.concatenate([baselines.predict(fitted, images[i : i + 1])[1] for i in range(len(images))])
    np.testing.assert_allclose(apart, together, atol=1e-5)


def test_absent_class():
    images, labels = sources(10, seed=0)
    with pytest.raises(UserError, match="no training image of MMDGAN"):
        baselines.fit("knn", images, labels, ["real", "ProGAN", "SNGAN", "MMDGAN"])


def test_one_class():
    images, labels = sources(10, seed=0)
    with pytest.raises(UserError, match="at least two sources"):
        baselines.fit("logistic_pixels", images, 0 * labels, CLASSES[:1])


def test_unknown_baseline():
    with pytest.raises(UserError, match="unknown baseline 'svm'; choose from knn, eigenface, prnu, logistic_pixels"):
        baselines.fit("svm", *sources(10, seed=0), CLASSES)


def test_images_of_another_size():
    fitted = baselines.fit("logistic_pixels", *sources(10, seed=0), CLASSES)
    with pytest.raises(UserError, match="images of 16x16, trained on 8x8"):
        baselines.predict(fitted, sources(1, seed=0, size=16)[0])


def test_no_image():
    images, labels = sources(10, seed=0)
    fitted = baselines.fit("knn", images, labels, CLASSES)
    with pytest.raises(UserError, match="baseline knn: no image"):
        baselines.predict(fitted, images[:0])


# Held-out training images


def test_whole_photographs_are_held_out():
    photographs = [f"real/{name}" for name in "abcdef" for _ in range(10)]
    generated = [f"ProGAN/{i}" for i in range(60)]
    splits = set()
    for seed in range(20):
        mask = held_out(training([0] * 60 + [1] * 60, photographs + generated, seed))
        kept_back = {name for name, out in zip(photographs, mask, strict=False) if out}
        assert not kept_back & {name for name, out in zip(photographs, mask, strict=False) if not out}
        assert len(kept_back) == 2  # 20 of 60 images: a fifth is 12
        assert mask[60:].sum() == 12
        np.testing.assert_array_equal(mask, held_out(training([0] * 60 + [1] * 60, photographs + generated, seed)))
        splits.add(mask.tobytes())
    assert len(splits) > 10


def test_some_are_held_out_and_some_are_not_however_they_are_grouped():
    for groups in (["a"] * 10, ["a"] + ["b"] * 9, ["a", "b"] + ["c"] * 8, list("abcdefghij")):
        for seed in range(10):
            assert 0 < held_out(training([0] * 10 + [1] * 10, groups + groups, seed))[:10].sum() < 10
    assert not held_out(training([0, 1], ["a", "b"])).any()  # one image a class cannot be spared


def test_groups_decide_what_is_chosen_on():
    """The pixels tell photographs apart, and through them, where photographs are known, the classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(400, dtype=np.int32) % 2
    photograph = rng.integers(0, 20, 400)
    centres = rng.uniform(40, 215, (2, 20, 1, 1, 3))
    images = np.clip(centres[labels, photograph] + rng.normal(0, 4, (400, 4, 4, 3)), 0, 255).astype(np.uint8)
    groups = [f"{label}/{p}" for label, p in zip(labels, photograph, strict=True)]
    alone = baselines.fit("knn", images, labels, CLASSES[:2]).model.settings["held_out_accuracy"]
    together = baselines.fit("knn", images, labels, CLASSES[:2], groups=groups).model.settings["held_out_accuracy"]
    assert alone > 0.9
    assert together < 0.75


# Logistic regression


@pytest.mark.parametrize("name", LINEAR)
def test_baselines_find_faint_traces(name):
    fitted = baselines.fit(name, *sources(300, seed=0), CLASSES)
    images, labels = sources(100, seed=1)
    predicted, probabilities = baselines.predict(fitted, images)
    assert (predicted == labels).mean() > (0.75 if name in PLACELESS else 0.9)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)


def test_logistic_stops_by_itself_where_nothing_can_be_learnt():
    images = noise(600, seed=0)
    labels = np.random.default_rng(0).integers(0, 3, 600)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        baselines.fit("logistic_pixels", images, labels, CLASSES)


def test_log_dct_sees_the_checkerboard_at_the_highest_frequency():
    images, labels = sources(50, seed=0)
    spectrum = linear.log_dct(images).reshape(-1, 8, 8, 3)
    gap = spectrum[labels == 1].mean((0, 3)) - spectrum[labels == 0].mean((0, 3))
    assert np.unravel_index(gap.argmax(), gap.shape) == (7, 7)


@pytest.mark.parametrize(("size", "count"), [(32, 32), (16, 16), (8, 8), (4, 4), (2, 2)])
def test_packet_features_are_as_many_as_values(size, count):
    features = wavelet.log_packets(noise(3, seed=0, size=size))
    assert features.shape == (3, count * count * 3)
    # Orthonormal: the squares of the coefficients sum to those of the pixels.
    energy = ((np.exp(features) - linear.LOG_FLOOR) ** 2).sum(1)
    pixels = (noise(3, seed=0, size=size).astype(float) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(energy, pixels, rtol=1e-3)


def test_packets_of_a_flat_image_and_of_a_checkerboard():
    flat = np.full((1, 32, 32, 3), 100, np.uint8)
    packets = wavelet.log_packets(flat).reshape(64, 4, 4, 3)
    np.testing.assert_allclose(packets[0], np.log(800 + linear.LOG_FLOOR), rtol=1e-4)  # 100 * 2**3
    np.testing.assert_allclose(packets[1:], np.log(linear.LOG_FLOOR), atol=1e-2)
    board = (np.indices((32, 32)).sum(0) % 2 * 20).astype(np.uint8)
    gap = wavelet.log_packets(flat + board[None, ..., None]).reshape(64, 48) - packets.reshape(64, 48)
    assert len(np.flatnonzero(gap.max(1) > 1)) == 1  # all of it in one packet, everywhere the same
    assert np.ptp(gap[gap.max(1) > 1]) < 1e-3


# Nearest neighbours


def test_k_of_images_without_noise_and_of_wrong_labels():
    images, labels = planted(100, seed=0)
    assert baselines.fit("knn", images, labels, CLASSES).model.settings["neighbours"] == 1
    wrong = np.random.default_rng(0).random(300) < 0.3
    noisy = np.where(wrong, (labels + 1) % 3, labels).astype(np.int32)
    assert baselines.fit("knn", images, noisy, CLASSES).model.settings["neighbours"] > 3


def test_an_equal_vote_goes_to_the_nearer_image():
    images = np.array([10, 20, 60, 61, 255], np.uint8).reshape(5, 1, 1, 1).repeat(3, -1)
    search = knn._searcher(Training(images, np.array([0, 1, 1, 0, 0]), 2, list("abcde"), 0))
    nearest = search(np.full((1, 1, 1, 3), 12, np.uint8), 2)
    np.testing.assert_array_equal(nearest, [[0, 1]])
    assert knn._votes(nearest, 2).argmax() == 0
    assert knn._votes(search(np.full((1, 1, 1, 3), 40, np.uint8), 3), 2).argmax() == 1  # two of three


# Residuals


def residuals_of(images, levels, sigma):
    ((_, residuals),) = prnu.residual_chunks(images, [(levels, sigma)])
    return residuals[levels, sigma]


def test_fingerprint_correlates_with_its_own_pattern_and_with_nothing_else():
    pattern = np.random.default_rng(7).choice([-3, 3], (32, 32, 1))
    known = (noise(200, seed=0, size=32).astype(int) + pattern).astype(np.uint8)
    fingerprint = residuals_of(known, levels=2, sigma=0.95).mean(0, keepdims=True)
    fresh = noise(50, seed=1, size=32)
    with_it = prnu.correlation(residuals_of((fresh + pattern).astype(np.uint8), 2, 0.95), fingerprint)
    without = prnu.correlation(residuals_of(fresh, 2, 0.95), fingerprint)
    assert prnu.correlation(fingerprint, pattern[None, ..., 0].astype(float)).item() > 0.7
    assert with_it.mean() > 0.2
    assert abs(without.mean()) < 0.03


def test_residuals_have_no_row_and_column_means_and_no_large_scale():
    images = noise(4, seed=0, size=32)
    residuals = residuals_of(images, levels=2, sigma=0.95)
    assert residuals.shape == (4, 32, 32)
    np.testing.assert_allclose(residuals.mean(1), 0, atol=1e-4)
    np.testing.assert_allclose(residuals.mean(2), 0, atol=1e-4)
    slope = np.linspace(0, 200, 32)[:, None] + np.linspace(0, 55, 32)
    smooth = np.rint(np.broadcast_to(slope[None, ..., None], (1, 32, 32, 3))).astype(np.uint8)
    assert np.abs(residuals_of(smooth, 2, 0.95)).max() < 1


@pytest.mark.parametrize("size", [5, 8, 17, 33])
def test_residuals_of_any_size(size):
    images = np.random.default_rng(0).integers(0, 256, (2, size, size + 2, 3), dtype=np.uint8)
    assert residuals_of(images, levels=1, sigma=0.5).shape == (2, size, size + 2)
    assert np.isfinite(residuals_of(images, levels=3, sigma=0.5)).all()
    assert not list(prnu.residual_chunks(images[:0], [(1, 0.5)]))
