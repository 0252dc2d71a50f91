import numpy as np
import pytest

from ganfp_jax.metrics.spectra import FLOOR, average_log_power, log_spectrum_features, radial_profile
from ganfp_jax.run.errors import UserError

SIDE = 32


def wave(per_pixel: float, axis: int = 1, side: int = SIDE) -> np.ndarray:
    """One image of a cosine along an axis, with `per_pixel` cycles per pixel."""
    line = np.cos(2 * np.pi * per_pixel * np.arange(side))
    image = np.broadcast_to(line if axis else line[:, None], (side, side))
    return np.repeat(image[None, ..., None], 3, axis=3).astype(np.float32)


@pytest.mark.parametrize(("cycles", "axis"), [(1, 0), (5, 1), (15, 1)])
def test_cosine_has_its_peak_at_its_frequency(cycles, axis):
    spectrum = average_log_power(wave(cycles / SIDE, axis))
    middle = np.array([SIDE // 2, SIDE // 2])
    step = cycles * np.eye(2, dtype=int)[axis]
    peaks = {tuple(place) for place in np.argwhere(spectrum > spectrum.max() - 1e-6)}
    assert peaks == {tuple(middle - step), tuple(middle + step)}
    # Half of a unit cosine's energy, R**2 / 2, at each of the two places.
    assert spectrum.max() == pytest.approx(np.log10(SIDE**2 / 4), abs=1e-5)
    frequencies, values = radial_profile(spectrum)
    assert frequencies[values.argmax()] == cycles / SIDE


def test_spectrum_of_white_noise_is_flat_at_its_variance():
    noise = np.random.default_rng(0).normal(0, 0.3, (400, SIDE, SIDE, 3))
    _, values = radial_profile(average_log_power(noise))
    assert np.ptp(values) < 0.1
    # The mean of log10 of an exponential variable lies 0.2507 below the log10 of its mean.
    assert values[3:].mean() == pytest.approx(np.log10(0.09) - 0.2507, abs=0.02)


@pytest.mark.parametrize("images", [np.full((2, SIDE, SIDE, 3), 200, np.uint8), np.zeros((1, SIDE, SIDE, 3))])
def test_spectrum_of_a_constant_image_is_the_floor(images):
    np.testing.assert_allclose(average_log_power(images), np.log10(FLOOR), atol=1e-3)


def test_spectra_of_checkerboard_and_stripes_peak_at_half_a_cycle():
    rows, columns = np.indices((SIDE, SIDE))
    board = (255 * ((rows + columns) % 2)).astype(np.uint8)[None, ..., None].repeat(3, axis=3)
    spectrum = average_log_power(board)
    assert np.unravel_index(spectrum.argmax(), spectrum.shape) == (0, 0)  # -0.5, -0.5: a corner, outside of every ring
    assert radial_profile(spectrum)[1].max() < spectrum.max() - 5
    frequencies, values = radial_profile(average_log_power(wave(0.5)))
    assert frequencies[values.argmax()] == 0.5


def test_stored_images_and_the_same_floats_agree():
    images = np.random.default_rng(1).integers(0, 256, (70, 8, 8, 3), dtype=np.uint8)
    floats = images.astype(np.float64) / 127.5 - 1
    np.testing.assert_allclose(average_log_power(images), average_log_power(floats), rtol=1e-4)


def test_no_image():
    with pytest.raises(UserError, match="at least one image"):
        average_log_power(np.zeros((0, 8, 8, 3)))


@pytest.mark.parametrize("side", [8, 9, 32])
def test_frequencies_of_the_rings(side):
    frequencies, values = radial_profile(np.ones((side, side)))
    np.testing.assert_allclose(frequencies, np.arange(1, side // 2 + 1) / side)
    np.testing.assert_allclose(values, 1)
    assert frequencies[-1] <= 0.5


def test_spectral_features_hold_each_frequency_once():
    images = np.random.default_rng(2).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    features = log_spectrum_features(images)
    assert features.shape == (3, 16**2 // 2 + 1)
    assert features.dtype == np.float32
    assert len(np.unique(features[0])) == features.shape[1]
    # A shift around the borders changes the phases only.
    np.testing.assert_allclose(log_spectrum_features(np.roll(images, 5, axis=2)), features, atol=1e-2)
