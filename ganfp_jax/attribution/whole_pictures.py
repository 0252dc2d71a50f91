"""The pictures of a page on labelled pictures that are larger than the network: whole, and with their maps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.map_files import mapped
from ganfp_jax.attribution.maps import map_sources
from ganfp_jax.attribution.pictures import SAMPLE_BYTES, SAMPLES, SAMPLES_BYTES, with_views
from ganfp_jax.data.decode import png_bytes
from ganfp_jax.data.labelled import Images
from ganfp_jax.data.shown import show
from ganfp_jax.data.sweep import thumbnail
from ganfp_jax.data.tiles import Tiling
from ganfp_jax.report.grid import BACKGROUND, image_grid
from ganfp_jax.report.source_map import Mapped, legend, overlay, swatch

SIDE = 96  # pixels of a whole picture among others
MAP_SIDE = 240  # of one with its map
WRONG = 8  # wrongly named pictures
WINDOWS = 100  # of such a map


def samples(images: Images, sources: Sequence[str], tiling: Tiling) -> dict[str, dict[str, Any]]:
    """The first pictures of some sources, whole and small: source -> `report.results.Sample`.

    Args:
        images: those that may be shown; they are shown clean.
        sources: the classes that are shown, at least one.
        tiling: how they were cut.
    """
    labels = images.folder.labels[images.indices]
    most = max(1, min(SAMPLES, min(SAMPLE_BYTES, SAMPLES_BYTES // len(sources)) // (3 * SIDE**2)))
    found = {}
    for source in sources:
        places = np.sort(images.indices[labels == images.folder.classes.index(source)])[:most]
        looks = show(images.under("none").part(places), tiling._replace(tiles=0, windows=1)).looks
        wholes = [_on_grey(look.tiles[0] if look.sweep is None else look.sweep.thumbnail) for look in looks]
        if wholes:
            number = f"{len(wholes)} test pictures" if len(wholes) > 1 else "test picture"
            grid = image_grid(np.stack(wholes), columns=6, gap=4)
            found[source] = {"picture": png_bytes(grid), "caption": f"the first {number}, whole"}
    return found


def with_maps(
    rows: Sequence[Mapping[str, Any]], attributor: Attributor, images: Images, tiling: Tiling, rule: str
) -> list[dict[str, Any]]:
    """Rows of `pictures.wrong_images` with the whole picture and its map; as many as a page can hold.

    Images of the network's size have their views instead, as of `pictures.with_views`.

    Args:
        rows: each with "views".
        attributor: the network.
        images: those that it was shown.
        tiling: how they were cut.
        rule: of the vote.
    """
    rows = rows[:WRONG]
    places = images.folder.places(row["name"] for row in rows)
    looks = show(images.part(places), tiling._replace(tiles=0, windows=WINDOWS)).looks
    found: list[dict[str, Any]] = []
    for row, look in zip(rows, looks, strict=True):
        if look.sweep is None or look.sweep.size == (attributor.resolution,) * 2:
            found += with_views([row], images)
            continue
        views = [view["name"] for view in row["views"]]
        small = thumbnail(look.sweep.thumbnail, MAP_SIDE)
        drawn = mapped(map_sources(attributor, look.sweep, views, rule), small)
        found.append(
            {
                **{key: value for key, value in row.items() if key != "views"},
                "votes": _votes_of(row["views"]),
                "picture": png_bytes(small),
                "map": {"picture": png_bytes(_reduced(overlay(drawn), small)), "legend": _marks(drawn)},
            }
        )
    return found


def _votes_of(views: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """How many views chose each source, each by all tiles."""
    called = [view["called"] for view in views if view["called"]]
    return {name: called.count(name) for name in dict.fromkeys(called)}


def _marks(drawn: Mapped) -> list[dict[str, Any]]:
    return [entry | {"mark": png_bytes(swatch(entry["source"]))} for entry in legend(drawn)]


def _reduced(drawn: UInt8[np.ndarray, "_h _w 3"], small: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "..."]:
    """A drawing that was enlarged, no larger than a page can hold."""
    return thumbnail(drawn, max(MAP_SIDE, *small.shape[:2]))


def _on_grey(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "s s 3"]:
    """A picture in the middle of a grey square."""
    small = thumbnail(picture, SIDE)
    square = np.full((SIDE, SIDE, 3), BACKGROUND, np.uint8)
    top, left = (SIDE - small.shape[0]) // 2, (SIDE - small.shape[1]) // 2
    square[top : top + small.shape[0], left : left + small.shape[1]] = small
    return square
