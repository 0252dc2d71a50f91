"""One source of a labelled image folder: photographs, or what a restorer makes of them, at the same places."""

import dataclasses
import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from ganfp_jax.data.decode import Refused, decode_image, encode_png
from ganfp_jax.data.names import check_names
from ganfp_jax.generation import folders
from ganfp_jax.generation.restorers import photographs as given
from ganfp_jax.generation.restorers.photographs import Photograph
from ganfp_jax.generation.restorers.places import Places, places
from ganfp_jax.generation.restorers.restorer import Restorer
from ganfp_jax.generation.restorers.tiles import restore
from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress
from ganfp_jax.run.reading import read_json

BEGUN = ".restored.json"
"""The hidden file in a source's folder with the origin of its images, from before the first is written."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to make of each photograph: the section `restore` of the config, and the seed."""

    crop: int
    """The side of the written images; 0 for whole pictures."""
    crops: int
    """The most crops of a photograph."""
    cluster: int
    """Crops lie side by side in windows of `cluster` x `cluster`."""
    min_luma_std: float
    """The least standard deviation of the luma of a crop of `real`; flatter ones are left out for all sources."""
    reduction: float
    """The factor by which `real` is reduced; a network's input is reduced by its scale, too."""
    tile: int
    """The side of a tile of the input; 0 for the whole picture, -1 for the network's own."""
    input_jpeg: int
    """The JPEG quality of the input; 0 for none."""
    seed: int
    """The seed of the places."""

    def __post_init__(self) -> None:
        """Raises UserError for a value out of range."""
        limits = {"crop": (0, 8192), "crops": (1, 10**6), "cluster": (1, 64), "min_luma_std": (0, 127)}
        limits |= {"reduction": (1, 64), "tile": (-1, 8192), "input_jpeg": (0, 100)}
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                raise UserError(f"config.restore.{name} is {getattr(self, name)}; give {least} to {most}")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"config.seed is {self.seed}; give 0 to 2**32 - 1")


def write_restored(
    restorer: Restorer,
    root: Path,
    found: Sequence[Photograph],
    settings: Settings,
    *,
    source_name: str = "",
    count: int = 0,
) -> tuple[int, list[tuple[str, str]]]:
    """Writes `<root>/<source>/<photograph>_<top>-<left>.png` for each place, then adds the source to the manifest.

    A source of several settings, such as all scales of a network, has a folder for each: "realcugan/se-x2" writes
    `<root>/realcugan/se-x2/`, images of the class realcugan.

    The places are the same for all restorers, and so are the names of the files. A run that was stopped goes on with
    the first photograph whose images are not all there. Memory holds one photograph at a time.

    Args:
        restorer: what is done to the photographs.
        root: the labelled image folder.
        found: the photographs, of `photographs.find`.
        settings: how they are reduced and cut.
        source_name: the name of the source, or "source/setting"; "" for the name of the restorer.
        count: the number of images to stop at; 0 for all.

    Returns:
        The number of images, and (photograph, reason) of those that could not be used.

    Raises:
        UserError: no photograph can be used, another process is writing the same source, the folder has images of other
            settings, or no source can have this name.
    """
    name = source_name or restorer.name
    source, slash, setting = name.partition("/")
    check_names([source, *([setting] if slash else [])], "config.source_name")
    settings = _with_tile(restorer, settings)
    origin = _origin(restorer, found, settings, count)
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    if setting and any(path.is_file() and not path.name.startswith(".") for path in folder.parent.iterdir()):
        raise UserError(f"{folder.parent} holds images outside the folders of its settings; remove that folder")
    rejected: list[tuple[str, str]] = []
    written, used = 0, []
    with folders.alone(root, name):
        _begin(folder, root, origin)
        with progress(len(found), name, "photograph") as bar:
            for photograph in found:
                if count and written >= count:
                    break
                try:
                    number = _write(restorer, folder, photograph, settings, count - written if count else None)
                except Refused as reason:
                    rejected.append((photograph.file, str(reason)))
                else:
                    written += number
                    used.append(photograph)
                bar.update()
        if not used:
            raise UserError(f"none of {len(found)} photographs can be used: {rejected[0][0]} {rejected[0][1]}")
        names = {"photographs": [photograph.name for photograph in used]}
        digests = {"digests": {photograph.name: photograph.digest for photograph in used}}
        folders.register(root, source, origin | {"count": written} | names | digests, setting)
    return written, rejected


def _with_tile(restorer: Restorer, settings: Settings) -> Settings:
    if restorer.whole:
        return dataclasses.replace(settings, tile=0)
    if settings.tile == -1 or restorer.fixed:
        return dataclasses.replace(settings, tile=restorer.tile)
    return settings


def _origin(restorer: Restorer, found: Sequence[Photograph], settings: Settings, count: int) -> dict[str, Any]:
    facts = {"restorer": restorer.name, **restorer.origin, "scale": restorer.scale, "prepadding": restorer.prepadding}
    digests = {photograph.name: photograph.digest for photograph in found}
    return facts | dataclasses.asdict(settings) | {"encoding": "plain", "count": count, "digests": digests}


def _begin(folder: Path, root: Path, origin: dict[str, Any]) -> None:
    """Makes sure that images in the folder are those of an earlier run with the same settings and photographs."""
    atomic.sweep(root)
    begun = folder / BEGUN
    if any(not path.name.startswith(".") for path in folder.iterdir()):
        before = read_json(begun) if begun.is_file() else {}
        if before != json.loads(json.dumps(origin)):
            different = ", ".join(key for key in origin if key in before and before[key] != origin[key]) or "origin"
            raise UserError(
                f"{folder} holds images of another {different}; remove that folder, or give another config.root or "
                "config.source_name"
            )
    atomic.write_bytes(begun, json.dumps(origin, indent=2).encode())


def _write(restorer: Restorer, folder: Path, photograph: Photograph, settings: Settings, most: int | None) -> int:
    """Writes the images of a photograph that are not there yet, and returns the number of all of them.

    Raises:
        Refused: it cannot be decoded, is too small, or flat.
    """
    chosen = _places(photograph, dataclasses.replace(settings, tile=0, input_jpeg=0))
    names = [_name(photograph, corner) for _, corners in chosen for corner in corners][:most]
    if all((folder / name).is_file() for name in names):
        return len(names)
    for name, image in zip(names, _images(restorer, _pixels(photograph), chosen, settings), strict=False):
        encode_png(folder / name, image)
    return len(names)


@functools.lru_cache(maxsize=1)
def _pixels(photograph: Photograph) -> UInt8[np.ndarray, "h w 3"]:
    return decode_image(photograph.path)


@functools.lru_cache(maxsize=2**16)  # a process often makes many sources of the same photographs
def _places(photograph: Photograph, settings: Settings) -> Places:
    real = given.reduced(_pixels(photograph), settings.reduction)
    height, width = real.shape[:2]
    if min(height, width) < max(1, settings.crop):
        raise Refused(
            f"is {width}x{height} after its reduction by {settings.reduction:g}, smaller than config.restore.crop"
        )
    chosen = places(
        real,
        photograph.name,
        crop=settings.crop,
        crops=settings.crops,
        cluster=settings.cluster,
        min_luma_std=settings.min_luma_std,
        seed=settings.seed,
    )
    if not chosen:
        raise Refused(f"is flat: no part has a luma that varies by {settings.min_luma_std:g} or more")
    return chosen


def _images(
    restorer: Restorer, pixels: UInt8[np.ndarray, "h w 3"], chosen: Places, settings: Settings
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Yields the image of each place, in order."""
    picture = given.compressed(given.reduced(pixels, settings.reduction, restorer.scale), settings.input_jpeg)
    windows = [window for window, _ in chosen]
    for (window, corners), image in zip(chosen, restore(restorer, picture, windows, settings.tile), strict=True):
        for top, left in corners:
            down, across = top - window.top, left - window.left
            side = settings.crop or max(image.shape)
            yield image[down : down + side, across : across + side]


def _name(photograph: Photograph, corner: tuple[int, int]) -> str:
    return f"{photograph.name}_{corner[0]:05d}-{corner[1]:05d}.png"
