"""What a layout says of the images of a published set."""

from typing import NamedTuple, TypeAlias

from ganfp_jax.data.decode import ImageFile

REAL = "real"
"""The source of all images that no generator made."""

LeftOut: TypeAlias = tuple[str, str]
"""(name, reason) of what is no image of the set."""


class Found(NamedTuple):
    """One image."""

    name: str
    """Its path below the root, or its entry in a list."""
    file: ImageFile
    source: str
    group: str = ""
    """Its semantic class, by which folds are split; "" where the set does not say it."""
    split: str = ""
    """"train", "valid" or "test"; "" where the set has no splits."""


class Reading(NamedTuple):
    """All images of a set, of all splits."""

    found: list[Found]
    left_out: list[LeftOut]
