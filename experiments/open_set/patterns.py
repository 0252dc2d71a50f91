"""Patterns that are computed: noise of several colours, stripes, codes, fractals. Each draws one, by a seed."""

import math

import numpy as np

from ganfp_jax.data.pseudo_unknown.drawings import Picture, a_colour, spectral_noise, uint8


def pink_noise(rng: np.random.RandomState, side: int) -> Picture:
    """Noise with the spectrum of photographs, and without anything else of them."""
    return spectral_noise(rng, side, 1)


def blue_noise(rng: np.random.RandomState, side: int) -> Picture:
    """Noise without low frequencies."""
    return spectral_noise(rng, side, -1)


def salt_and_pepper(rng: np.random.RandomState, side: int) -> Picture:
    """Black and white dots on one colour."""
    image = np.full((side, side, 3), a_colour(rng), np.uint8)
    drawn = rng.random_sample((side, side))
    share = rng.uniform(0.05, 0.25)
    image[drawn < share], image[drawn > 1 - share] = 0, 255
    return image


def radial_gradient(rng: np.random.RandomState, side: int) -> Picture:
    """Rings of colour around a point."""
    y, x = np.mgrid[:side, :side] / side
    centre = rng.uniform(0, 1, 2)
    waves = np.cos(rng.uniform(2, 12) * np.hypot(x - centre[0], y - centre[1]) + rng.uniform(0, 6))[..., None]
    return uint8(128 + 60 * waves * rng.uniform(-1, 1, 3) + rng.uniform(-50, 50, 3))


def stripes(rng: np.random.RandomState, side: int) -> Picture:
    """Lines of two colours, in any direction, with smooth edges."""
    y, x = np.mgrid[:side, :side]
    angle = rng.uniform(0, math.pi)
    waves = np.sin(2 * math.pi * (x * math.cos(angle) + y * math.sin(angle)) / rng.uniform(3, 12))
    share = np.clip(0.5 + 2 * waves, 0, 1)[..., None]
    return uint8((1 - share) * a_colour(rng) + share * np.array(a_colour(rng)))


def code(rng: np.random.RandomState, side: int) -> Picture:
    """Black and white cells, as in a code that a telephone reads."""
    cell = rng.randint(2, 5)
    cells = rng.randint(0, 2, (-(-side // cell),) * 2) * 255
    return np.repeat(np.kron(cells, np.ones((cell, cell)))[:side, :side, None], 3, axis=2).astype(np.uint8)


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
    return uint8(127 + 127 * waves)
