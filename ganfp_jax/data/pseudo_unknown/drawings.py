"""Drawings: pictures that no camera and no network made, each sort a function that draws one, by a seed."""

import math
import string
from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

Picture = UInt8[np.ndarray, "h w 3"]

LETTERS = string.ascii_letters + string.digits
FINER = 3  # drawn so many times as large, then reduced, so that edges are smooth as on a screen


def drawing(rng: np.random.RandomState, image: Picture) -> Picture:
    """A drawing of a drawn sort, of the size of an image."""
    height, width = image.shape[:2]
    draw = [*SORTS.values()][rng.randint(len(SORTS))]
    return draw(rng, max(height, width))[:height, :width]


def a_colour(rng: np.random.RandomState) -> tuple[int, int, int]:
    """Any colour."""
    red, green, blue = rng.randint(0, 256, 3)
    return int(red), int(green), int(blue)


def uint8(values: np.ndarray) -> Picture:
    """Values, 0 to 255, rounded and clipped."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def spectral_noise(rng: np.random.RandomState, side: int, falls: float) -> Picture:
    """Noise whose amplitude falls with the frequency to this power: 0 is white, 1 pink, 2 brown; -1 rises (blue)."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    frequency[0, 0] = 1 / side
    spectrum = np.fft.fft2(rng.standard_normal((side, side, 3)), axes=(0, 1)) / frequency[..., None] ** falls
    waves = np.fft.ifft2(spectrum, axes=(0, 1)).real
    waves = (waves - waves.mean((0, 1))) / waves.std((0, 1))
    return uint8(rng.uniform(90, 165, 3) + rng.uniform(15, 60) * waves)


def white_noise(rng: np.random.RandomState, side: int) -> Picture:
    """Independent values."""
    return spectral_noise(rng, side, 0)


def brown_noise(rng: np.random.RandomState, side: int) -> Picture:
    """Smooth clouds."""
    return spectral_noise(rng, side, 2)


def flat_colour(rng: np.random.RandomState, side: int) -> Picture:
    """One colour."""
    return np.full((side, side, 3), a_colour(rng), np.uint8)


def linear_gradient(rng: np.random.RandomState, side: int) -> Picture:
    """From one colour to another, in any direction."""
    y, x = np.mgrid[:side, :side] / side
    angle = rng.uniform(0, 2 * math.pi)
    along = x * math.cos(angle) + y * math.sin(angle)
    share = (along - along.min()) / np.ptp(along)
    return uint8((1 - share[..., None]) * a_colour(rng) + share[..., None] * np.array(a_colour(rng)))


def checkerboard(rng: np.random.RandomState, side: int) -> Picture:
    """Squares of two colours."""
    cell, shift = rng.randint(1, 9), rng.randint(0, 9, 2)
    y, x = np.mgrid[:side, :side]
    odd = ((y + shift[0]) // cell + (x + shift[1]) // cell) % 2
    return np.array([a_colour(rng), a_colour(rng)], np.uint8)[odd]


def mosaic(rng: np.random.RandomState, side: int) -> Picture:
    """Cells of one colour each, around drawn centres."""
    y, x = np.mgrid[:side, :side]
    centres = rng.uniform(0, side, (rng.randint(8, 30), 2))
    nearest = np.hypot(y[..., None] - centres[:, 0], x[..., None] - centres[:, 1]).argmin(-1)
    return rng.randint(0, 256, (len(centres), 3)).astype(np.uint8)[nearest]


def enlarged_noise(rng: np.random.RandomState, side: int) -> Picture:
    """A few coloured points, enlarged smoothly."""
    small = rng.randint(0, 256, (rng.randint(3, 9),) * 2 + (3,)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))


def canvas(rng: np.random.RandomState, side: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """An image of one colour, `FINER` times as large, and a pen for it."""
    image = Image.new("RGB", (FINER * side, FINER * side), a_colour(rng))
    return image, ImageDraw.Draw(image)


def reduced(image: Image.Image, side: int) -> Picture:
    """The image in its final size."""
    return np.asarray(image.resize((side, side), Image.Resampling.BOX))


def places(rng: np.random.RandomState, image: Image.Image, count: int) -> list[tuple[int, int]]:
    """Points of an image, as x and y."""
    return [(int(x), int(y)) for x, y in rng.randint(0, image.width, (count, 2))]


def polygons(rng: np.random.RandomState, side: int) -> Picture:
    """Overlapping polygons of one colour each, as in a drawing program."""
    image, pen = canvas(rng, side)
    for _ in range(rng.randint(4, 10)):
        pen.polygon(places(rng, image, rng.randint(3, 6)), fill=a_colour(rng))
    return reduced(image, side)


def printed_text(rng: np.random.RandomState, side: int) -> Picture:
    """Lines of black letters on a page."""
    image = Image.new("RGB", (FINER * side,) * 2, tuple(rng.randint(225, 256, 3).tolist()))
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size=float(FINER * rng.randint(7, 13)))
    line = int(font.getbbox("Xy")[3]) + FINER
    for top in range(-rng.randint(line), image.height, line):
        words = "".join(rng.choice([*LETTERS, *" " * 12], 40))
        pen.text((-int(rng.randint(40)), top), words, font=font, fill=(int(rng.randint(60)),) * 3)
    return reduced(image, side)


def bar_chart(rng: np.random.RandomState, side: int) -> Picture:
    """Bars on an axis."""
    image = Image.new("RGB", (FINER * side,) * 2, "white")
    pen, bars = ImageDraw.Draw(image), rng.randint(4, 9)
    width, colour = image.width / bars, a_colour(rng)
    for k, height in enumerate(rng.uniform(0.1, 0.95, bars)):
        pen.rectangle((k * width, (1 - height) * image.height, (k + 0.7) * width, image.height), fill=colour)
    pen.line((0, image.height - FINER, image.width, image.height - FINER), fill="black", width=FINER)
    return reduced(image, side)


SORTS: dict[str, Callable[[np.random.RandomState, int], Picture]] = {
    "white noise": white_noise,
    "brown noise": brown_noise,
    "flat colour": flat_colour,
    "linear gradient": linear_gradient,
    "checkerboard": checkerboard,
    "polygons": polygons,
    "printed text": printed_text,
    "bar chart": bar_chart,
    "enlarged noise": enlarged_noise,
    "mosaic": mosaic,
}
"""Name -> what draws one, `(rng, side) -> picture`."""
