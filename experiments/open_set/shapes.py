"""Drawings as programs make them: ellipses, strokes, captions, charts, a part of a screen. Each draws one, seeded."""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from ganfp_jax.data.pseudo_unknown.drawings import FINER, LETTERS, Picture, a_colour, canvas, places, reduced


def _box(rng: np.random.RandomState, image: Image.Image) -> tuple[int, int, int, int]:
    (left, right), (top, bottom) = np.sort(rng.randint(0, image.width, (2, 2)), axis=1).tolist()
    return left, top, right + 4, bottom + 4


def ellipses(rng: np.random.RandomState, side: int) -> Picture:
    """Overlapping ellipses with outlines, as in a cartoon."""
    image, pen = canvas(rng, side)
    for _ in range(rng.randint(4, 10)):
        pen.ellipse(_box(rng, image), fill=a_colour(rng), outline=(0, 0, 0), width=FINER)
    return reduced(image, side)


def line_drawing(rng: np.random.RandomState, side: int) -> Picture:
    """Strokes of a pencil on paper."""
    image = Image.new("RGB", (FINER * side,) * 2, tuple(rng.randint(225, 256, 3).tolist()))
    pen = ImageDraw.Draw(image)
    for _ in range(rng.randint(3, 9)):
        start, steps = rng.uniform(0, image.width, 2), rng.normal(0, image.width / 12, (12, 2)).cumsum(0)
        shade = int(rng.randint(0, 110))
        pen.line([tuple(place) for place in (start + steps).tolist()], fill=(shade,) * 3, width=FINER, joint="curve")
    return reduced(image, side)


def caption(rng: np.random.RandomState, side: int) -> Picture:
    """A few large letters of one colour on another, as on a sign."""
    image, pen = canvas(rng, side)
    font = ImageFont.load_default(size=float(FINER * rng.randint(14, 26)))
    pen.text(
        (0, int(rng.randint(image.height // 2))), "".join(rng.choice([*LETTERS], 4)), font=font, fill=a_colour(rng)
    )
    return reduced(image, side)


def line_chart(rng: np.random.RandomState, side: int) -> Picture:
    """Curves on a grid."""
    image = Image.new("RGB", (FINER * side,) * 2, "white")
    pen = ImageDraw.Draw(image)
    for place in range(0, image.width, image.width // 5):
        pen.line((place, 0, place, image.height), fill=(220,) * 3, width=2)
        pen.line((0, place, image.width, place), fill=(220,) * 3, width=2)
    for _ in range(rng.randint(1, 4)):
        heights = image.height / 2 + rng.normal(0, image.height / 10, 16).cumsum()
        points = list(zip(np.linspace(0, image.width, 16).tolist(), heights.tolist(), strict=True))
        pen.line(points, fill=a_colour(rng), width=FINER, joint="curve")
    return reduced(image, side)


def window(rng: np.random.RandomState, side: int) -> Picture:
    """A part of a screen: a window with a title, text, a button and sharp edges."""
    image = Image.new("RGB", (side, side), a_colour(rng))
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size=8.0)
    left, top = rng.randint(0, side // 4, 2).tolist()
    pen.rectangle((left, top, side, side), fill=(245, 245, 245), outline=(120, 120, 120))
    pen.rectangle((left, top, side, top + 7), fill=a_colour(rng))
    pen.text((left + 2, top - 1), "".join(rng.choice([*LETTERS], 6)), font=font, fill="white")
    for row in range(top + 9, side - 8, 9):
        pen.text((left + 2, row), "".join(rng.choice([*LETTERS, *"    "], 8)), font=font, fill=(30, 30, 30))
    pen.rectangle((side - 12, side - 8, side - 3, side - 3), fill=a_colour(rng), outline=(90, 90, 90))
    return np.asarray(image)


def blurred_shapes(rng: np.random.RandomState, side: int) -> Picture:
    """Polygons out of focus."""
    image, pen = canvas(rng, side)
    for _ in range(6):
        pen.polygon(places(rng, image, 4), fill=a_colour(rng))
    return reduced(image.filter(ImageFilter.GaussianBlur(FINER * rng.uniform(1, 4))), side)


def compressed_shapes(rng: np.random.RandomState, side: int) -> Picture:
    """Ellipses after strong JPEG compression."""
    buffer = io.BytesIO()
    Image.fromarray(ellipses(rng, side)).save(buffer, format="JPEG", quality=int(rng.randint(10, 50)))
    return np.asarray(Image.open(buffer))
