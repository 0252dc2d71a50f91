"""Sources of real images: crops of photographs in installed packages, a folder, or a data set of TFDS."""

import dataclasses
import inspect
import math
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ganfp_jax.data.decode import READ_SUFFIXES, ImageFile, Refused, decode_image
from ganfp_jax.data.layout import labels_in
from ganfp_jax.data.listing import find_images, printable
from ganfp_jax.data.on_disk import ImagesOnDisk, check_together, fits
from ganfp_jax.data.preprocess import check_resize, decode_and_fit
from ganfp_jax.data.tfds import sets
from ganfp_jax.data.values import LUMA
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Images of one size and their origins."""

    images: UInt8[np.ndarray, "n h w 3"] | ImagesOnDisk
    """0 to 255."""
    names: tuple[str, ...]
    """A unique name for each image, usable as a file name, without a suffix."""
    origins: tuple[str, ...]
    """The photograph, or the file relative to the root, that each image was taken from."""
    rejected: tuple[tuple[str, str], ...] = ()
    """(file relative to the root, reason) of every refused file."""
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """File relative to the root -> the changes to the image, for changed images."""

    def __len__(self) -> int:
        return len(self.images)


class Photo(NamedTuple):
    """A photograph inside an installed package."""

    package: str
    path: str
    scene: str
    """Photographs of one scene never lie on both sides of a split."""


PHOTOS = {
    "astronaut": Photo("skimage", "data/astronaut.png", "astronaut"),
    "chelsea": Photo("skimage", "data/chelsea.png", "chelsea"),
    "china": Photo("sklearn", "datasets/images/china.jpg", "china"),
    "coffee": Photo("skimage", "data/coffee.png", "coffee"),
    "flower": Photo("sklearn", "datasets/images/flower.jpg", "flower"),
    "grace_hopper": Photo("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", "grace_hopper"),
    "motorcycle_left": Photo("skimage", "data/motorcycle_left.png", "motorcycle"),
    "motorcycle_right": Photo("skimage", "data/motorcycle_right.png", "motorcycle"),
    "rocket": Photo("skimage", "data/rocket.jpg", "rocket"),
}
"""The colour photographs by name. The two motorcycles are a stereo pair, hence one scene."""

FOLDS = (
    ("chelsea", "flower", "grace_hopper"),
    ("astronaut", "china", "rocket"),
    ("coffee", "motorcycle"),
)
"""The test scenes of each fold; the others are its training scenes. Every scene is in one fold."""

MIN_REDUCTION = 1.7
"""Below this reduction, the 8 x 8 grid of a JPEG file can still be measured in the crops."""

_MAX_DRAWS = 1000  # flat crops in a row before a photograph is given up

_INSTALLED_AS = {"skimage": "scikit-image", "sklearn": "scikit-learn", "matplotlib": "matplotlib"}


def photos(
    *,
    split: str,
    count: int,
    fold: int = 0,
    resolution: int = 32,
    reduction: float = 2.0,
    min_luma_std: float = 10.0,
    seed: int = 0,
) -> ImageSet:
    """Makes random square crops of the photographs in `PHOTOS`; nothing is downloaded.

    Each photograph is reduced once, by Pillow's Lanczos filter, so that the grid of a JPEG file can no longer be
    measured and every crop has the same scale. Crops lie at random whole-pixel offsets, with replacement. Flat crops
    (sky, backdrop), which show only noise, are drawn again. Scenes take turns, so any prefix is balanced. Each
    photograph has its own random stream, so a shorter set is a prefix of a longer one.

    Args:
        split: "train" or "test" scenes of the fold, or "all".
        count: number of crops in all.
        fold: 0, 1 or 2 (see `FOLDS`).
        resolution: side of a crop in pixels.
        reduction: factor by which width and height shrink (rounded down to whole pixels), at least `MIN_REDUCTION`.
        min_luma_std: smallest standard deviation of a crop's luma (Rec. 601, 0 to 255).
        seed: 0 to 2**32 - 1.

    Returns:
        `count` crops named like "astronaut_00012" (the thirteenth crop of that photograph).

    Raises:
        UserError: the split or fold is unknown, a value is out of range, a package is not installed, or a photograph is
            too small or too flat.
    """
    if split not in ("train", "test", "all"):
        raise UserError(f"unknown split {split!r} of the photographs: choose train, test or all")
    if fold not in range(len(FOLDS)):
        raise UserError(f"unknown fold {fold!r} of the photographs: choose 0 to {len(FOLDS) - 1}")
    if count < 1 or resolution < 1 or not 0 <= seed < 2**32:
        raise UserError(f"count {count}, resolution {resolution}, seed {seed}: need at least 1, 1 and 0 to 2**32-1")
    if reduction < MIN_REDUCTION:
        raise UserError(
            f"reduction {reduction} keeps the 8x8 grid of JPEG photographs: use {MIN_REDUCTION} or more (default 2)"
        )
    scenes: dict[str, list[Iterator[tuple[str, np.ndarray]]]] = {}
    for name, photo in PHOTOS.items():
        if split == "all" or (photo.scene in FOLDS[fold]) == (split == "test"):
            crops = _crops(name, _reduced(name, reduction, resolution), resolution, min_luma_std, seed)
            scenes.setdefault(photo.scene, []).append(crops)
    drawn = list(islice(_in_turn(*(_in_turn(*members) for members in scenes.values())), count))
    names = tuple(name for name, _ in drawn)
    return ImageSet(
        images=np.stack([image for _, image in drawn]),
        names=names,
        origins=tuple(name.rpartition("_")[0] for name in names),
    )


def folder(
    *,
    root: str | os.PathLike[str],
    resolution: int,
    resize: str = "crop",
    count: int | None = None,
    cache_gib: float = math.inf,
) -> ImageSet:
    """Loads the images of a folder and of the folders below it, sorted by path, as `listing.find_images` lists them.

    `preprocess.fit` brings them to size.

    Args:
        root: the folder.
        resolution: side of the images in pixels.
        resize: one of `preprocess.RESIZES`.
        count: the number of images to load; None takes all. The set is smaller where the folder has fewer.
        cache_gib: the most memory in GiB; a larger decoded set stays on disk.

    Returns:
        The images, named like "000012_stem" after their index in the listing. `rejected` has the files that were
        refused before the reading stopped, and the files without the suffix of an image.

    Raises:
        UserError: `root` is empty, not a folder or without a usable image; the names of its folders say that real and
            fake images lie side by side (`data.layout`); `resize` is unknown; `count` is impossible.
    """
    if not os.fspath(root):
        raise UserError("the folder of real images is not set: give one, such as --config.data.folder.root=DIR")
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: set root to a folder of images")
    with progress(None, "list", "file", delay=2.0) as bar:
        listing = find_images(root, bar.update)
    if not listing.images:
        raise UserError(f"{root} has no image file: looked for {' '.join(sorted(READ_SUFFIXES))}")

    def name(path: Path) -> str:
        return printable(path.relative_to(root).as_posix())

    names = [name(path) for path in listing.images]
    if labels := labels_in(names):
        raise UserError(
            f"{root / labels[0]} has the folders {' and '.join(labels[1])}: fakes would pass for real images; give the "
            f"folder of the real ones alone, {root / labels[0] / labels[1][0]}, or rename one if they are no labels"
        )
    read = _read(listing.images, names, str(root), resolution, resize, count, cache_gib)
    left_out = tuple((name(path), reason) for path, reason in listing.left_out)
    return dataclasses.replace(read, rejected=read.rejected + left_out)


def tfds(
    *,
    name: str,
    resolution: int,
    split: str = "train",
    data_dir: str = "",
    download: bool = False,
    resize: str = "crop",
    count: int | None = None,
    cache_gib: float = math.inf,
) -> ImageSet:
    """Loads the images of a prepared data set of TFDS, such as "celeb_a", "lsun/bedroom" or "cifar10", in its order.

    Args:
        name: its name in TFDS; it needs a feature `image`.
        resolution: side of the images in pixels.
        split: a split in TFDS's notation, such as "train" or "train[:200000]".
        data_dir: the folder of TFDS's data; "" for TFDS's default.
        download: whether TFDS may download and prepare it (this needs a network and, mostly, TensorFlow).
        resize: one of `preprocess.RESIZES`; "celeba" and "lsun" are the published study's.
        count: as for `folder`.
        cache_gib: as for `folder`.

    Raises:
        UserError: as for `folder`; or the data set is missing or not stored as ArrayRecord.
    """
    if not name:
        raise UserError("the data set of TFDS is not set: name one, such as --config.data.tfds.name=celeb_a")
    check_resize(resize)
    records = sets.open_named(name, split, data_dir, download)
    return _read(records, [record.name for record in records], name, resolution, resize, count, cache_gib)


def _read(
    files: Sequence[ImageFile],
    origins: Sequence[str],
    what: str,
    resolution: int,
    resize: str,
    count: int | None,
    cache_gib: float,
) -> ImageSet:
    """Reads the first `count` usable images of a list of files, in memory or on disk."""
    check_resize(resize)
    if count is not None and count < 1:
        raise UserError(f"count {count} of images in {what}: need at least 1, or none to take all")
    wanted = len(files) if count is None else min(count, len(files))
    in_memory = fits(wanted, resolution, cache_gib)
    # There is one array from the start: joining several would double the memory for a moment.
    room = np.empty((wanted if in_memory else 0, resolution, resolution, 3), np.uint8)
    kept: list[int] = []
    refused: dict[int, str] = {}
    notes: dict[str, str] = {}
    first = 0
    while len(kept) < wanted and first < len(files):  # each round replaces the refused files of the last
        some = files[first : first + wanted - len(kept)]
        if in_memory:
            free = room[len(kept) : len(kept) + len(some)]
            fitted = decode_and_fit(some, resolution, resize, f"read {what}", out=free)
            kept += [first + int(position) for position in fitted.kept]
            refused |= {first + position: reason for position, reason in fitted.refused.items()}
            notes |= {origins[first + position]: note for position, note in fitted.notes.items()}
        else:
            checked = check_together(some, resolution, resize, f"check {what}")
            kept += [first + int(position) for position in checked.kept]
            refused |= {first + position: reason for position, reason in checked.refused.items()}
            notes |= {origins[first + position]: note for position, note in checked.notes.items()}
        first += len(some)
    if not kept:
        position, reason = next(iter(refused.items()))
        raise UserError(f"{what} has no usable image, {len(refused)} refused: {origins[position]} {reason}")
    images: np.ndarray | ImagesOnDisk
    images = room[: len(kept)]
    if not in_memory:
        images = ImagesOnDisk([files[position] for position in kept], resolution, resize)
    return ImageSet(
        images=images,
        names=tuple(f"{position:06d}_{PurePath(origins[position]).stem}" for position in kept),
        origins=tuple(origins[position] for position in kept),
        rejected=tuple((origins[position], reason) for position, reason in refused.items()),
        notes=notes,
    )


SOURCES: dict[str, Callable[..., ImageSet]] = {"photos": photos, "folder": folder, "tfds": tfds}
"""The sources of real images, by name."""


def load(source: str, **kwargs: object) -> ImageSet:
    """Loads the images of `SOURCES[source]`; `kwargs` are that function's arguments.

    Raises:
        UserError: the source is unknown, an argument is missing or unknown, or the function raises one.
    """
    if source not in SOURCES:
        raise UserError(f"unknown image source {source!r}: choose one of {', '.join(SOURCES)}")
    signature = inspect.signature(SOURCES[source])
    try:
        signature.bind(**kwargs)
    except TypeError as error:
        raise UserError(f"image source {source}: {error}; it takes {', '.join(signature.parameters)}") from None
    return SOURCES[source](**kwargs)


def photo_path(name: str) -> Path:
    """Locates a photograph of `PHOTOS` in its package, which is not imported.

    Raises:
        UserError: the package is not installed.
    """
    photo = PHOTOS[name]
    # The package is located without importing it, which would take seconds.
    spec = find_spec(photo.package)
    if spec is None or not spec.submodule_search_locations:
        package = _INSTALLED_AS[photo.package]
        raise UserError(f"photograph {name} comes with {package}, which is not installed: pip install {package}")
    return Path(spec.submodule_search_locations[0], photo.path)


def _reduced(name: str, reduction: float, resolution: int) -> np.ndarray:
    path = photo_path(name)
    try:
        image = Image.fromarray(decode_image(path))
    except Refused as reason:
        raise UserError(f"photograph {path}: {reason}; install {_INSTALLED_AS[PHOTOS[name].package]} again") from None
    width, height = int(image.width / reduction), int(image.height / reduction)
    if min(width, height) < resolution:
        raise UserError(
            f"photograph {name} is {width}x{height} after reduction by {reduction}, too small for crops of "
            f"{resolution}x{resolution}: lower the resolution or the reduction (to {MIN_REDUCTION} at least)"
        )
    return np.array(image.resize((width, height), Image.Resampling.LANCZOS))


def _crops(
    name: str, image: np.ndarray, resolution: int, min_luma_std: float, seed: int
) -> Iterator[tuple[str, np.ndarray]]:
    # NumPy guarantees the streams of RandomState, so the crops never change. The checksum of the name seeds a stream,
    # not its index in a list, so that another photograph in the table changes none.
    rng = np.random.RandomState([seed, zlib.crc32(name.encode())])
    luma = image @ np.array(LUMA)
    number = 0
    while True:
        for _ in range(_MAX_DRAWS):
            top = rng.randint(image.shape[0] - resolution + 1)
            left = rng.randint(image.shape[1] - resolution + 1)
            window = slice(top, top + resolution), slice(left, left + resolution)
            if luma[window].std() >= min_luma_std:
                break
        else:
            raise UserError(
                f"photograph {name} has too few crops of {resolution}x{resolution} whose luma varies by "
                f"{min_luma_std} or more: lower min_luma_std"
            )
        yield f"{name}_{number:05d}", image[window]
        number += 1


def _in_turn(*streams: Iterator[tuple[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
    # It takes one of each endless stream in turn.
    return chain.from_iterable(zip(*streams, strict=True))
