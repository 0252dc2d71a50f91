"""The whole picture beside its map, as parts of a web page."""

import dataclasses
from collections.abc import Sequence

from ganfp_jax.attribution.attributor import MANY, Attributor
from ganfp_jax.attribution.map_files import mapped
from ganfp_jax.attribution.maps import map_sources
from ganfp_jax.data.decode import png_bytes
from ganfp_jax.data.sweep import Sweep, thumbnail
from ganfp_jax.report.grid import data_uri, picture_uri
from ganfp_jax.report.source_map import legend, overlay, swatch

SIDE = 640  # pixels, the longer side of a large picture
SMALL = 160  # pixels; smaller pictures are shown as they are


@dataclasses.dataclass(frozen=True)
class Whole:
    """A picture that is larger than the network, with its map; pictures are `data:` addresses."""

    picture: str
    map: str
    legend: Sequence[tuple[str, str, str]]
    """Mark, name and share of each source that was found, largest first."""
    pixelated: bool
    """The picture is so small that it is shown enlarged."""


def whole(attributor: Attributor, swept: Sweep, views: Sequence[str], rule: str) -> Whole:
    """Draws a picture and its map.

    Raises:
        UserError: as `Attributor.vote`.
    """
    picture = thumbnail(swept.thumbnail, SIDE)
    drawn = mapped(map_sources(attributor, swept, views, rule, MANY), picture)
    marks = [(data_uri(png_bytes(swatch(entry["source"]))), entry["name"], entry["share"]) for entry in legend(drawn)]
    small = max(picture.shape[:2]) < SMALL
    return Whole(picture_uri(picture, small), picture_uri(overlay(drawn), small), marks, small)
