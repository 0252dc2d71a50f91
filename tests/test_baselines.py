import warnings

import numpy as np
import pytest

from ganfp_jax.baselines import linear
from ganfp_jax.errors import UserError

NAMES = tuple(linear.LINEAR_BASELINES)
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


@pytest.mark.parametrize("name", NAMES)
def test_finds_faint_traces(name):
    fitted = linear.fit(name, *sources(300, seed=0), CLASSES)
    images, labels = sources(100, seed=1)
    predicted, probabilities = linear.predict(fitted, images)
    assert predicted.dtype == np.int32
    assert (predicted == labels).mean() > 0.9
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(1), predicted)


@pytest.mark.parametrize("name", NAMES)
def test_same_images_same_model_and_no_warning(name):
    images, labels = sources(50, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # among them scikit-learn's, of a fit that did not converge
        first, second = (linear.fit(name, images, labels, CLASSES) for _ in range(2))
    np.testing.assert_array_equal(linear.predict(first, images)[1], linear.predict(second, images)[1])


def test_stops_by_itself_where_nothing_can_be_learnt():
    images = noise(600, seed=0)
    labels = np.random.default_rng(0).integers(0, 3, 600)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        linear.fit("logistic_pixels", images, labels, CLASSES)


@pytest.mark.parametrize("name", NAMES)
def test_features_that_never_vary(name):
    images = np.full((6, 4, 4, 3), 255, np.uint8)
    fitted = linear.fit(name, images, np.array([0, 0, 0, 1, 1, 1]), CLASSES[:2])
    _, probabilities = linear.predict(fitted, images)
    np.testing.assert_allclose(probabilities, 0.5, atol=1e-3)


def test_log_dct_sees_the_checkerboard_at_the_highest_frequency():
    images, labels = sources(50, seed=0)
    spectrum = linear.log_dct(images).reshape(-1, 8, 8, 3)
    gap = spectrum[labels == 1].mean((0, 3)) - spectrum[labels == 0].mean((0, 3))
    assert np.unravel_index(gap.argmax(), gap.shape) == (7, 7)


def test_predictions_do_not_depend_on_the_other_images():
    fitted = linear.fit("logistic_log_dct", *sources(50, seed=0), CLASSES)
    images, _ = sources(10, seed=1)
    together = linear.predict(fitted, images)[1]
    apart = np.concatenate([linear.predict(fitted, images[i : i + 1])[1] for i in range(len(images))])
    np.testing.assert_allclose(apart, together, atol=1e-5)


def test_absent_class():
    images, labels = sources(10, seed=0)
    with pytest.raises(UserError, match="no training image of MMDGAN"):
        linear.fit("logistic_pixels", images, labels, ["real", "ProGAN", "SNGAN", "MMDGAN"])


def test_one_class():
    images, labels = sources(10, seed=0)
    with pytest.raises(UserError, match="at least two sources"):
        linear.fit("logistic_pixels", images, 0 * labels, CLASSES[:1])


def test_unknown_baseline():
    with pytest.raises(UserError, match="unknown baseline 'knn'; choose from logistic_pixels, logistic_log_dct"):
        linear.fit("knn", *sources(10, seed=0), CLASSES)


def test_images_of_another_size():
    fitted = linear.fit("logistic_pixels", *sources(10, seed=0), CLASSES)
    with pytest.raises(UserError, match="images of 16x16, trained on 8x8"):
        linear.predict(fitted, sources(1, seed=0, size=16)[0])
