"""Patterns that are computed: noise of several colours, gradients, checkerboards, fractals. Each draws one, seeded."""

import math

import numpy as np
from jaxtyping import UInt8
from PIL import Image

Picture = UInt8[np.ndarray, "h w 3"]


def a_colour(rng: np.random.RandomState) -> tuple[int, int, int]:
    """Any colour."""
    red, green, blue = rng.randint(0, 256, 3)
    return int(red), int(green), int(blue)


def _uint8(values: np.ndarray) -> Picture:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _spectral_noise(rng: np.random.RandomState, side: int, falls: float) -> Picture:
    """Noise whose amplitude falls with the frequency to this power: 0 is white, 1 pink, 2 brown; -1 rises (blue)."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    frequency[0, 0] = 1 / side
    spectrum = np.fft.fft2(rng.standard_normal((side, side, 3)), axes=(0, 1)) / frequency[..., None] ** falls
    waves = np.fft.ifft2(spectrum, axes=(0, 1)).real
    waves = (waves - waves.mean((0, 1))) / waves.std((0, 1))
    return _uint8(rng.uniform(90, 165, 3) + rng.uniform(15, 60) * waves)


def white_noise(rng: np.random.RandomState, side: int) -> Picture:
    """Independent values."""
    return _spectral_noise(rng, side, 0)


def pink_noise(rng: np.random.RandomState, side: int) -> Picture:
    """Noise with the spectrum of photographs, and without anything else of them."""
    return _spectral_noise(rng, side, 1)


def brown_noise(rng: np.random.RandomState, side: int) -> Picture:
    """Smooth clouds."""
    return _spectral_noise(rng, side, 2)


def blue_noise(rng: np.random.RandomState, side: int) -> Picture:
    """Noise without low frequencies."""
    return _spectral_noise(rng, side, -1)


def salt_and_pepper(rng: np.random.RandomState, side: int) -> Picture:
    """Black and white dots on one colour."""
    image = np.full((side, side, 3), a_colour(rng), np.uint8)
    drawn = rng.random_sample((side, side))
    share = rng.uniform(0.05, 0.25)
    image[drawn < share], image[drawn > 1 - share] = 0, 255
    return image


def flat_colour(rng: np.random.RandomState, side: int) -> Picture:
    """One colour."""
    return np.full((side, side, 3), a_colour(rng), np.uint8)


def linear_gradient(rng: np.random.RandomState, side: int) -> Picture:
    """From one colour to another, in any direction."""
    y, x = np.mgrid[:side, :side] / side
    angle = rng.uniform(0, 2 * math.pi)
    along = x * math.cos(angle) + y * math.sin(angle)
    share = (along - along.min()) / np.ptp(along)
    return _uint8((1 - share[..., None]) * a_colour(rng) + share[..., None] * np.array(a_colour(rng)))


def radial_gradient(rng: np.random.RandomState, side: int) -> Picture:
    """Rings of colour around a point."""
    y, x = np.mgrid[:side, :side] / side
    centre = rng.uniform(0, 1, 2)
    waves = np.cos(rng.uniform(2, 12) * np.hypot(x - centre[0], y - centre[1]) + rng.uniform(0, 6))[..., None]
    return _uint8(128 + 60 * waves * rng.uniform(-1, 1, 3) + rng.uniform(-50, 50, 3))


def checkerboard(rng: np.random.RandomState, side: int) -> Picture:
    """Squares of two colours."""
    cell, shift = rng.randint(1, 9), rng.randint(0, 9, 2)
    y, x = np.mgrid[:side, :side]
    odd = ((y + shift[0]) // cell + (x + shift[1]) // cell) % 2
    return np.array([a_colour(rng), a_colour(rng)], np.uint8)[odd]


def stripes(rng: np.random.RandomState, side: int) -> Picture:
    """Lines of two colours, in any direction, with smooth edges."""
    y, x = np.mgrid[:side, :side]
    angle = rng.uniform(0, math.pi)
    waves = np.sin(2 * math.pi * (x * math.cos(angle) + y * math.sin(angle)) / rng.uniform(3, 12))
    share = np.clip(0.5 + 2 * waves, 0, 1)[..., None]
    return _uint8((1 - share) * a_colour(rng) + share * np.array(a_colour(rng)))


def code(rng: np.random.RandomState, side: int) -> Picture:
    """Black and white cells, as in a code that a telephone reads."""
    cell = rng.randint(2, 5)
    cells = rng.randint(0, 2, (-(-side // cell),) * 2) * 255
    return np.repeat(np.kron(cells, np.ones((cell, cell)))[:side, :side, None], 3, axis=2).astype(np.uint8)


def mosaic(rng: np.random.RandomState, side: int) -> Picture:
    """Cells of one colour each, around drawn centres."""
    y, x = np.mgrid[:side, :side]
    centres = rng.uniform(0, side, (rng.randint(8, 30), 2))
    nearest = np.hypot(y[..., None] - centres[:, 0], x[..., None] - centres[:, 1]).argmin(-1)
    return rng.randint(0, 256, (len(centres), 3)).astype(np.uint8)[nearest]


def fractal(rng: np.random.RandomState, side: int) -> Picture:
    """A part of a Julia set, coloured by the steps to infinity."""
    span, centre = rng.uniform(0.4, 1.6), rng.uniform(-0.6, 0.6, 2)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    z = span * (x + 1j * y) + complex(*centre)
    steps, constant = np.zeros((side, side)), 0.7885 * np.exp(1j * rng.uniform(0, 2 * math.pi))
    for _ in range(40):
        inside = abs(z) < 2
        z[inside] = z[inside] ** 2 + constant
        steps[inside] += 1
    waves = np.sin(steps[..., None] * rng.uniform(0.1, 0.5, 3) + rng.uniform(0, 6, 3))
    return _uint8(127 + 127 * waves)


def enlarged_noise(rng: np.random.RandomState, side: int) -> Picture:
    """A few coloured points, enlarged smoothly."""
    small = rng.randint(0, 256, (rng.randint(3, 9),) * 2 + (3,)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))
