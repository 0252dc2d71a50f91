"""Published image sets in lists and tables of paths: text, CSV, the metadata of Hugging Face, CelebA's own."""

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path

from ganfp_jax.data import columns, lists
from ganfp_jax.data.columns import Row
from ganfp_jax.data.found import REAL, Found, Reading
from ganfp_jax.data.label_words import SPLITS, kind_of
from ganfp_jax.data.listing import printable
from ganfp_jax.data.tables import SEPARATORS, read_table
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.reading import open_regular, parse_json

METADATA = ("metadata.csv", "metadata.jsonl")
_TABLES = (".csv", ".tsv")
_IMAGES_OF_CELEBA = ("img_align_celeba/img_align_celeba", "img_align_celeba", "Img/img_align_celeba")
_LISTS_OF_CELEBA = ("{}.txt", "{}.csv", "Eval/{}.txt", "Anno/{}.txt")


def read_lists(root: Path) -> Reading:
    """Reads a list, or a folder with one list a split.

    A line of a text is `path<TAB>number`; a table has columns of `lists.COLUMNS` and `columns.SOURCE`. Paths are
    relative to the folder of the list or to the nearest one above it in which an image of the list is there.
    """

    def rows() -> Iterator[tuple[str, Path, str, Row]]:
        for path, split in _lists_in(root).items():
            base = None
            for row in _rows(path):
                name = columns.first_of(row, lists.COLUMNS)
                base = base or _place_of(name, path)
                yield name, (base or path.parent) / name, split, row

    return columns.reading(root, rows())


def has_lists(root: Path) -> bool:
    """Whether a path is such a list, or a folder with lists that are named after splits."""
    if root.is_file():
        return _is_list(root)
    return any(_split_of(path) and _is_list(path) for path in _texts(root))


def read_metadata(root: Path) -> Reading:
    """Reads the `METADATA` of a folder and of the folders of its splits."""

    def rows() -> Iterator[tuple[str, Path, str, Row]]:
        for path in _metadata_in(root):
            below = path.parent.relative_to(root)
            for row in _rows(path):
                entry = row.get("file_name", "")
                name = (below / entry).as_posix() if entry else ""
                yield name, root / name, kind_of(name.partition("/")[0], SPLITS), row

    return columns.reading(root, rows())


def has_metadata(root: Path) -> bool:
    """Whether a folder, or that of a split in it, has `METADATA` with sources."""
    return any(_says(_header(path), ("file_name",)) for path in _metadata_in(root))


def read_celeba(root: Path) -> Reading:
    """Reads CelebA as downloaded: every photograph is real, its identity is its group where the list of them is there.

    Raises:
        UserError: the list of splits or the photographs are missing.
    """
    splits, identities = _of_celeba(root, "list_eval_partition"), _of_celeba(root, "identity_CelebA")
    first = min(splits, default="")
    folder = next((root / place for place in _IMAGES_OF_CELEBA if first and (root / place / first).is_file()), None)
    if folder is None:
        raise UserError(f"{root} has no list_eval_partition.txt with img_align_celeba; give the folder of both")
    kinds = dict(zip("012", SPLITS, strict=True))
    found = [
        Found(name, folder / name, REAL, identities.get(name, ""), kinds.get(number, ""))
        for name, number in splits.items()
    ]
    return Reading(found, [])


def has_celeba(root: Path) -> bool:
    """Whether a folder has CelebA's list of splits and photographs."""
    return bool(_of_celeba(root, "list_eval_partition")) and any((root / place).is_dir() for place in _IMAGES_OF_CELEBA)


def _lists_in(root: Path) -> dict[Path, str]:
    """Returns each list -> its split, "" for a list that was named itself."""
    if root.is_file():
        return {root: ""}
    splits: dict[str, Path] = {}
    for path in filter(_is_list, _texts(root)):
        if (split := _split_of(path)) in splits:
            raise UserError(
                f"{root} has several lists of {split}, {splits[split].relative_to(root)} and {path.relative_to(root)}; "
                "give one of them, or a folder with one a split"
            )
        if split:
            splits[split] = path
    if not splits:
        raise UserError(f"{root} has no lists of splits, such as train.txt and test.txt; give a list or such a folder")
    return {path: split for split, path in splits.items()}


def _place_of(name: str, path: Path) -> Path | None:
    """Returns the folder around a list in which an image is there, the nearest one; None where none is."""
    places = (path.parent, *path.absolute().parents)
    return next((place for place in places if os.path.exists(place / name)), None)  # noqa: PTH110 - takes any name


def _texts(root: Path) -> list[Path]:
    """Returns the texts and tables in a folder, and those in `<split>/annotations/`."""
    found = [path for path in root.iterdir() if path.suffix.lower() in (".txt", *_TABLES)]
    return sorted([*found, *root.glob("*/annotations/*.txt")])


def _split_of(path: Path) -> str:
    """Returns the split that the last word of a list's name says, or of the folder around `annotations/`."""
    name = path.parent.parent.name if path.parent.name == "annotations" else path.stem
    words = re.findall("[a-z]+", name.casefold())
    return kind_of(words[-1], SPLITS) if words else ""


def _is_list(path: Path) -> bool:
    """Whether a list says sources; one of `image,source[,split]` does not count, which needs no layout."""
    header = _header(path)
    if path.suffix.lower() not in _TABLES:
        return len(header) == 2 and header[1].strip().isdecimal()
    return _says(header, lists.COLUMNS) and not {"image", "source"} <= set(header)


def _says(header: list[str], images: tuple[str, ...]) -> bool:
    return not set(header).isdisjoint(images) and not set(header).isdisjoint(columns.SOURCE)


def _header(path: Path) -> list[str]:
    """Returns the names of the columns, or the cells of the first line of a text; empty where it cannot be read."""
    try:
        with open_regular(path) as file:
            line = file.readline(lists.LONGEST).decode("utf-8-sig")
        if path.suffix == ".jsonl":
            return list(parse_json(line))
        separator = "\t" if path.suffix == ".txt" else max(SEPARATORS, key=line.count)
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]
    except (OSError, ValueError, TypeError, csv.Error):
        return []


def _metadata_in(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    places = [root, *sorted(path for path in root.iterdir() if kind_of(path.name, SPLITS))]
    files = (place / name for place in places for name in METADATA)
    return [path for path in files if os.path.isfile(path)]  # noqa: PTH113 - False without permission


def _rows(path: Path) -> Iterator[Row]:
    """Yields the rows of a list by its suffix."""
    if path.suffix.lower() in _TABLES:
        table = read_table(path)
        yield from (dict(zip(table.header, cells, strict=False)) for _, cells in table.rows)
        return
    for line in lists.paths_of(str(path)):
        if path.suffix == ".jsonl":
            yield _texts_of(path, line)
        else:
            name, _, number = line.rpartition("\t")
            yield {"path": name, "label": number}


def _texts_of(path: Path, line: str) -> Row:
    try:
        value = parse_json(line)
        return {key: str(text) for key, text in value.items() if isinstance(text, str | int)}
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path} has a line that is no JSON object: {printable(line[:80])}") from error


def _of_celeba(root: Path, what: str) -> dict[str, str]:
    """Returns file name -> number, of one of CelebA's lists; empty where it is not there."""
    path = next(filter(os.path.isfile, (root / place.format(what) for place in _LISTS_OF_CELEBA)), None)
    lines = [] if path is None else [re.split(r"[\s,]+", line.strip()) for line in lists.paths_of(os.fspath(path))]
    return {cells[0]: cells[1] for cells in lines if len(cells) == 2 and cells[1].isdecimal()}
