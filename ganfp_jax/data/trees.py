"""The image files of a labelled set by source, from folders, a CSV list or a data set.

`data.labelled` describes such sets.
"""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ganfp_jax.data.decode import IMAGE_SUFFIXES, READ_SUFFIXES, ImageFile, reason_of
from ganfp_jax.data.label_words import SPLITS as WORDS
from ganfp_jax.data.label_words import kind_of
from ganfp_jax.data.listing import find_images, is_folder, printable, walk
from ganfp_jax.data.names import check_names
from ganfp_jax.data.tfds import sets
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress
from ganfp_jax.run.reading import read_regular

_MAX_LIST = 1 << 30  # bytes of a CSV list


SPLITS = ("train", "test")


UNSPLIT = "unsplit"
"""The name of the only split in a prepared data set of a set without splits."""


Files = dict[str, list[tuple[str, ImageFile]]]  # source -> (name, file) of each of its images


class Tree(NamedTuple):
    """The result of `find`."""

    base: Path
    """The folder that holds the source folders, or the CSV list, or the folder of the data set."""
    places: list[Path]
    """Folders that may hold a manifest, by priority."""
    files: Files
    left_out: list[tuple[str, str]]
    """(name, reason) of all other entries."""
    groups: Mapping[str, str] = MappingProxyType({})
    """Name -> semantic class, of images whose layout says it."""


def find(root: Path, split: str | None) -> Tree:
    """Finds the files of a labelled image set, or of a `split` of it, as `labelled.open_labelled` takes both.

    Raises:
        UserError: it is no such set, or cannot be read.
    """
    check_open(root)
    if root.is_file():
        return Tree(root, [root.parent], _listed(root, split), [])
    if sets.is_dataset(root):
        return Tree(root, [root], _dataset(root, split), [])
    base, files, left_out = _folders(root, split)
    return Tree(base, [base, root], files, left_out)


def has_sources(root: Path) -> bool:
    """Whether a folder, or its train/ or test/, has two folders of sources or more, each with an image."""
    bases = [root / name for name in SPLITS if _holds_folders(root / name)] or [root]
    folders = ([path for path in _visible(base) if is_folder(path)] for base in bases if base.is_dir())
    inner = [[path for path in those if not kind_of(path.name, WORDS)] for those in folders]
    return any(len(sources) > 1 and all(map(_has_image, sources)) for sources in inner)


def _has_image(folder: Path) -> bool:
    return any(not reason for _, reason in walk(folder))


def _folders(root: Path, split: str | None) -> tuple[Path, Files, list[tuple[str, str]]]:
    """Returns the folder that holds the source folders, their image files, and (name, reason) of the files left out."""
    base = _base(root, split)
    files: Files = {}
    left_out = []

    def name(path: Path) -> str:
        return "/".join(path.parts[len(base.parts) :])  # relative_to takes longer than listing the file

    with progress(None, "list", "file", delay=2.0) as bar:
        for path in _visible(base):
            if is_folder(path):
                listing = find_images(path, bar.update)
                left_out += [(name(other), reason) for other, reason in listing.left_out]
                if not listing.images:
                    looked = f"looked for {' '.join(sorted(READ_SUFFIXES))}"
                    others = "".join(f"; {printable(name(other))}: {reason}" for other, reason in listing.left_out[:1])
                    raise UserError(f"{printable(str(path))} has no image file: {looked}{others}")
                files[path.name] = [(name(image), image) for image in listing.images]
            elif path.suffix.lower() in IMAGE_SUFFIXES:
                left_out.append((path.name, "lies in no source folder"))
    if not files:
        raise UserError(f"{base} has no source folders: expected {base}/<source name>/<image file>")
    return base, files, left_out


def _listed(path: Path, split: str | None) -> Files:
    """Returns the files that a CSV list names."""
    rows = _rows(path)
    known = {row["split"] for row in rows if "split" in row}
    if split and known and split not in known:
        raise UserError(f"{path} has no images of the split {split}")
    if split is None and len(known) > 1:
        raise UserError(f"{path} has train and test: say which is meant")
    files: Files = {}
    for row in rows:
        if not known or split in (None, row["split"]):
            files.setdefault(row["source"], []).append((row["image"], path.parent / row["image"]))
    return {source: sorted(names, key=lambda item: item[0]) for source, names in files.items()}


def _rows(path: Path) -> list[dict[str, str]]:
    """Reads the lines of a CSV list: image, source and perhaps split."""
    try:
        reader = csv.DictReader(io.StringIO(read_regular(path, _MAX_LIST).decode("utf-8-sig")), strict=True)
        rows = list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path} is no CSV list of images: {' '.join(str(error).split())}") from error
    columns = set(reader.fieldnames or ())
    twice = len(columns) < len(reader.fieldnames or ())
    if not rows or twice or not {"image", "source"} <= columns <= {"image", "source", "split"}:
        raise UserError(
            f"{path} is no list of images: its first line must be image,source or image,source,split"
            " (--config.data.layout=list takes others)"
        )
    for number, row in enumerate(rows, start=2):
        if row.keys() != columns or not all(row.values()):
            raise UserError(f"{path}, row {number}: every row needs {len(columns)} values, none of them empty")
        if row.get("split", "train") not in SPLITS:
            raise UserError(f"{path}, row {number}: split {row['split']!r} is none of {', '.join(SPLITS)}")
    check_once((row["image"] for row in rows), path)
    return rows


def check_once(images: Iterable[str], path: Path) -> None:
    """Raises UserError where a list names an image twice.

    An image under two sources, or in train and in test, would falsify every accuracy.
    """
    image, count = Counter(map(os.path.normpath, images)).most_common(1)[0]
    if count > 1:
        raise UserError(f"{path} names {image} {count} times: leave it in one row")


def _dataset(root: Path, split: str | None) -> Files:
    """Returns the records of a data set of ArrayRecord files; its manifest has the order of the classes."""
    present = sets.splits(root)
    if present == (UNSPLIT,):
        split = UNSPLIT
    elif split is None:
        raise UserError(f"{root} has {' and '.join(present)}: say which is meant")
    elif split not in present:
        raise UserError(f"{root} has no split {split}: it has {', '.join(present)}")
    dataset = sets.open_split(root, split)
    check_names(dataset.classes, root)  # two classes of one name would become one source below
    files: Files = {}
    for record, label in zip(dataset.records, dataset.labels, strict=True):
        files.setdefault(dataset.classes[label], []).append((record.name, record))
    return files


def _base(root: Path, split: str | None) -> Path:
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: give a folder of the form <root>/<source name>/<image file>")
    present = [name for name in SPLITS if _holds_folders(root / name)]
    if split in present:
        return root / str(split)
    if present:  # without the check, its splits would pass for sources
        wanted = f"no {split}" if split else "no source folders of its own"
        other = (
            "" if split != "test" else next((p.name for p in _visible(root) if kind_of(p.name, WORDS) == "valid"), "")
        )
        more = f", or --config.data.layout=hf, which tests on {other}" if other else ""
        raise UserError(
            f"{root} has {' and '.join(present)} but {wanted}: give the folder or the split that is meant{more}"
        )
    return root


def check_open(root: Path) -> None:
    """Raises UserError where a folder cannot be read, or its existence cannot be checked."""
    try:
        next(root.iterdir(), None)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise UserError(f"{root} {reason_of(error)}") from error


def _holds_folders(path: Path) -> bool:
    return path.is_dir() and any(inner.is_dir() for inner in _visible(path))


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise UserError(f"{folder} {reason_of(error)}") from error


def splits(root: str | os.PathLike[str]) -> tuple[str, ...]:
    """Returns the `SPLITS` of a labelled image set; empty where it has none.

    Raises:
        UserError: a folder or a CSV list cannot be read.
    """
    root = Path(root)
    check_open(root)
    if root.is_file():
        return tuple(split for split in SPLITS if split in {row.get("split") for row in _rows(root)})
    if sets.is_dataset(root):
        return tuple(split for split in SPLITS if split in sets.splits(root))
    return tuple(split for split in SPLITS if _holds_folders(root / split))
