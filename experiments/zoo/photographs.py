"""Crops of the photographs in Debian's wallpaper and stamp packages, which the shipped weights were trained on.

`photographs.csv` names every picture that was used: its package, path, SHA-256, scene, author and licence, and on which
side of the split it lies. Pictures that are drawn, rendered or retouched beyond recognition were left out by eye. The
pictures themselves are not part of this repository: install the packages, or unpack them, and say where.
"""

import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from experiments.photographs import check, rows
from experiments.restorers import photographs as restorers
from ganfp_jax.data.decode import encode_png
from ganfp_jax.data.sources import MIN_REDUCTION
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress

TABLE = Path(__file__).with_name("photographs.csv")
SHORT_SIDE = (
    320  # pixels that a large photograph is reduced to, so that crops show as much of a scene as the embedded ones
)
STRIDE = 8  # pixels between the places that crops are taken from
MIN_LUMA_STD = 10.0
MIDDLE = 1024  # pixels, the side of the part of a photograph of which crops at its own size are taken


class Photograph(NamedTuple):
    """One row of `photographs.csv`; `name` is its own, photographs of one `scene` lie on one side of the split."""

    name: str
    package: str
    path: str
    sha256: str
    scene: str
    split: str
    author: str
    licence: str


def listed(split: str) -> list[Photograph]:
    """The photographs of a side of the split, "train" or "valid", in the table's order."""
    return [photo for photo in rows(TABLE, Photograph) if photo.split == split]


SIDES = {"train": "train", "valid": "calibration"}
"""The sides of the split -> those of `experiments.restorers`."""


def further(split: str) -> list[restorers.Photograph]:
    """Large photographs of a side of `experiments.restorers` that are in none of the packages of `photographs.csv`."""
    used = {photo.package for photo in rows(TABLE, Photograph)}
    return [photo for photo in restorers.listed(SIDES[split]) if photo.package not in used and photo.is_large]


def write_crops(
    root: Path,
    packages: Path,
    *,
    split: str,
    count: int,
    resolution: int,
    seed: int,
    native: bool = False,
    more: Path | None = None,
) -> list[str]:
    """Writes crops of the photographs as `<root>/<photograph>_%05d.png`; photographs take turns until all are used up.

    Each photograph is reduced once by Pillow's Lanczos filter, large ones to a short side of `SHORT_SIDE` pixels and
    all by `MIN_REDUCTION` at least. Crops lie on a lattice of `STRIDE` pixels and are opaque throughout; flat ones are
    left out, and none is taken twice.

    Args:
        root: where they go.
        packages: the folder that the packages were unpacked into; `/` where they are installed.
        split: "train" or "valid".
        count: number of crops.
        resolution: side of a crop in pixels.
        seed: 0 to 2**32 - 1.
        native: crops of the middle of each photograph at its own size instead, at most `MIDDLE` pixels of each side.
        more: where those of `further` are, for crops of these as well; None for none.

    Returns:
        The names of the photographs that gave crops.

    Raises:
        UserError: a picture is missing or not the one that was used, or there are fewer crops than asked for.
    """
    streams = [_crops(photo, packages / photo.path, resolution, seed, native) for photo in listed(split)]
    if more is not None:
        streams += [_crops(photo, more / photo.file, resolution, seed, native) for photo in further(split)]
    root.mkdir(parents=True, exist_ok=True)
    used = set()
    with progress(count, f"crops ({split})", "image") as bar:
        for name, image in islice(_in_turn(streams), count):
            encode_png(root / f"{name}.png", image)
            used.add(name.rpartition("_")[0])
            bar.update()
        if bar.n < count:
            raise UserError(f"the {split} photographs have {bar.n} crops of {resolution}x{resolution}, not {count}")
    return sorted(used)


def _in_turn(streams: list[Iterator[tuple[str, UInt8[np.ndarray, "r r 3"]]]]) -> Iterator[tuple[str, np.ndarray]]:
    while streams:
        left = []
        for stream in streams:
            if (crop := next(stream, None)) is not None:
                yield crop
                left.append(stream)
        streams = left


def _crops(
    photo: Photograph | restorers.Photograph, path: Path, resolution: int, seed: int, native: bool
) -> Iterator[tuple[str, UInt8[np.ndarray, "r r 3"]]]:
    image, opaque = _opened(check(path, photo), native)
    luma = image @ np.array([0.299, 0.587, 0.114])
    height, width = luma.shape
    places = [
        (top, left)
        for top in range(0, height - resolution + 1, STRIDE)
        for left in range(0, width - resolution + 1, STRIDE)
    ]
    rng = np.random.RandomState([seed, zlib.crc32(photo.name.encode())])
    rng.shuffle(places)
    number = 0
    for top, left in places:
        window = slice(top, top + resolution), slice(left, left + resolution)
        if opaque[window].all() and luma[window].std() >= MIN_LUMA_STD:
            yield f"{photo.name}_{number:05d}", image[window]
            number += 1


def _opened(path: Path, native: bool) -> tuple[UInt8[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
    with Image.open(path) as opened:
        rgba = opened.convert("RGBA")
    pixels = np.asarray(_middle(rgba) if native else _reduced(rgba))
    return pixels[..., :3], pixels[..., 3] == 255


def _middle(image: Image.Image) -> Image.Image:
    left, top = (max(0, (side - MIDDLE) // 2) for side in image.size)
    return image.crop((left, top, image.width - left, image.height - top))


def _reduced(image: Image.Image) -> Image.Image:
    reduction = max(MIN_REDUCTION, min(image.size) / SHORT_SIDE)
    size = int(image.width / reduction), int(image.height / reduction)
    return image.resize(size, Image.Resampling.LANCZOS)
