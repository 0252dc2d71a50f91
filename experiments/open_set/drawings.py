"""Pictures that are no photographs and that no network made: each kind is a function that draws one, by a seed.

The kinds are split once and for all: `DEVELOPMENT` are those by which a score may be chosen, and which a network may be
shown in its training as pseudo-unknowns; `TEST` are those on which it is then measured. So the test is of new kinds,
not of new seeds.
"""

import zlib
from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8

from experiments.open_set import patterns, shapes
from ganfp_jax.data.pseudo_unknown import drawings
from ganfp_jax.data.pseudo_unknown.drawings import Picture

Draw = Callable[[np.random.RandomState, int], Picture]


DEVELOPMENT: dict[str, Draw] = drawings.SORTS
TEST: dict[str, Draw] = {
    "pink noise": patterns.pink_noise,
    "blue noise": patterns.blue_noise,
    "salt and pepper": patterns.salt_and_pepper,
    "radial gradient": patterns.radial_gradient,
    "stripes": patterns.stripes,
    "ellipses": shapes.ellipses,
    "line drawing": shapes.line_drawing,
    "caption": shapes.caption,
    "line chart": shapes.line_chart,
    "screenshot": shapes.window,
    "code": patterns.code,
    "fractal": patterns.fractal,
    "blurred shapes": shapes.blurred_shapes,
    "compressed shapes": shapes.compressed_shapes,
}
KINDS = DEVELOPMENT | TEST


def draw(kind: str, count: int, side: int, seed: int = 0) -> UInt8[np.ndarray, "n s s 3"]:
    """Draws `count` pictures of `side` by `side` pixels of a kind; a shorter set is the beginning of a longer one.

    Args:
        kind: a key of `KINDS`.
        seed: 0 to 2**32 - 1.
    """
    name = zlib.crc32(kind.encode())
    return np.stack([KINDS[kind](np.random.RandomState([seed, name, number]), side) for number in range(count)])
