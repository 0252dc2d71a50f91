"""A function from pictures to pictures, with the facts that cutting its input into tiles needs."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

SCALES = (1, 2, 3, 4, 6, 8, 12, 24)
"""The scales at which all sources show the same photograph: the divisors of `photographs.SIDES`."""


@dataclasses.dataclass(frozen=True)
class Restorer:
    """A network or a classical filter that enlarges or cleans a picture."""

    name: str
    """Its name in a table, or the stem of its file; also the default name of its source."""
    origin: Mapping[str, Any]
    """Its package, version and files with digests, for the manifest."""
    scale: int
    """The output's side divided by the input's."""
    forward: Callable[[UInt8[np.ndarray, "h w 3"]], Float32[np.ndarray, "H W 3"]]
    """Runs it once. The output's values are those of an image, 0 to 255, neither rounded nor clipped."""
    whole: bool = False
    """Whether it always sees the whole picture; the fields below do not matter then."""
    tile: int = 0
    """As `networks.Network.tile`; so are the next five."""
    prepadding: int = 0
    repeats: bool = False
    cropped: bool = False
    multiple: int = 1
    local: bool = True
    adds_input: bool = False
    fixed: bool = False
    """Whether it takes tiles of one size only."""
