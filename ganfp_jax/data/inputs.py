"""The images that a user named, one after the other: files, folders, patterns, lists, tables, archives."""

import functools
import glob
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ganfp_jax.data import archives, lists, parquet
from ganfp_jax.data.decode import ImageFile
from ganfp_jax.data.entries import BESIDE, IMAGE, REJECTED, Entry
from ganfp_jax.data.listing import NO_IMAGE, is_folder, printable, walk
from ganfp_jax.run.errors import UserError

TABLES = (".csv", ".tsv")
_RECORDS = {archives.TAR: archives.Member, parquet.PARQUET: parquet.Row}
# Reasons that do not count as refusals: a folder may hold other files beside its images.
_BESIDE = (NO_IMAGE, "is a folder")


def find(images: str | Sequence[str], column: str = "", tick: Callable[[], object] = lambda: None) -> Iterator[Entry]:
    """Finds what a user named, each once, in the order named.

    One folder, list, table or archive is a stream: no more than the names in a folder are in memory. Each line of one
    list or table counts, even where it is the same as another. Of several things, or of a pattern, the digests of all
    names are kept, since they may name a file twice.

    Args:
        images: one or several of: a file; a folder (all images in it, at any depth); a glob pattern ("**" for any
            depth); "@FILE" or "-", a list of paths, or standard input; a table (.csv, .tsv), whose paths are relative
            to its folder; a tar archive; a Parquet table with images. A list or table may name folders and archives.
        column: of a table: which one has the paths or the images; "" for the usual one.
        tick: called after each name that is looked at.

    Raises:
        UserError: nothing was named; or a list or table cannot be read.
    """
    asked = list(filter(None, [images] if isinstance(images, str) else images))
    if not asked:
        raise UserError("no images: give --config.images=FILE, a folder or a pattern, or several of them after --")
    once = len(asked) == 1 and not _is_pattern(asked[0])
    is_new = (lambda entry: True) if once else _remembering()
    for name in asked:
        yield from filter(is_new, _named(name, column, tick))


def image_file(path: str, inside: Sequence[Any]) -> ImageFile:
    """Returns what opens the image of an `Entry`."""
    return _RECORDS[inside[0]](*inside[1:]) if inside else Path(path)


def _named(name: str, column: str, tick: Callable[[], object]) -> Iterator[Entry]:
    exists = os.path.lexists(name)
    if name == lists.STANDARD_INPUT or (name.startswith("@") and not exists):
        yield from _each(((path, path) for path in lists.paths_of(name.removeprefix("@"))), column, tick)
    elif exists and name.lower().endswith(TABLES):
        cells = lists.cells_of(name, column)
        yield from _each(((str(Path(name).parent / cell), cell) for cell in cells), column, tick)
    elif exists:
        yield from _found(str(Path(name)), os.path.basename(Path(name)), "", column, tick)  # noqa: PTH119
    elif not _is_pattern(name):
        yield Entry(REJECTED, name, name, "no such file")
    else:
        yield from _matching(name, column, tick)


def _matching(pattern: str, column: str, tick: Callable[[], object]) -> Iterator[Entry]:
    matches, fixed = _matches(pattern, tick), _fixed_part(pattern)
    if not matches:
        yield Entry(REJECTED, pattern, pattern, "nothing matches this pattern")
    for match in matches:
        key = _below(match, fixed)
        yield from _found(match, key, f"{key}/", column, tick)


def _each(paths: Iterable[tuple[str, str]], column: str, tick: Callable[[], object]) -> Iterator[Entry]:
    """Yields what lines of a list name: (path, the line itself)."""
    for path, line in paths:
        tick()
        if not line.strip():
            yield Entry(REJECTED, path, line, "no path in this row")
        elif os.path.lexists(path):
            yield from _found(path, line, f"{line}/", column, tick)
        else:
            yield Entry(REJECTED, path, line, "no such file")


def _found(path: str, key: str, prefix: str, column: str, tick: Callable[[], object]) -> Iterator[Entry]:
    """Yields a file, or what is in an archive or a folder, whose keys begin with `prefix`."""
    suffixes = path.lower()
    if is_folder(Path(path)):
        yield from _in_folder(path, prefix, tick)
    elif suffixes.endswith(archives.SUFFIXES):
        yield from archives.members(path, key)
    elif suffixes.endswith(archives.PACKED):
        yield Entry(REJECTED, path, key, "a packed archive; unpack it to a plain .tar")
    elif suffixes.endswith(parquet.SUFFIXES):
        yield from parquet.rows(path, key, column)
    else:
        yield Entry(IMAGE, path, key)


def _in_folder(folder: str, prefix: str, tick: Callable[[], object]) -> Iterator[Entry]:
    for file, reason in walk(Path(folder)):
        kind = IMAGE if not reason else BESIDE if reason in _BESIDE else REJECTED
        yield Entry(kind, file, prefix + _below(file, folder), reason)
        tick()


def _below(path: str, folder: str) -> str:
    """Returns a path relative to a folder that it begins with."""
    return path.removeprefix(folder).replace(os.sep, "/").strip("/")


def _fixed_part(pattern: str) -> str:
    """Returns the folder that a pattern begins with, or ""."""
    fixed = list(itertools.takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts))
    return str(Path(*fixed)) if fixed else ""


def _matches(pattern: str, tick: Callable[[], object]) -> list[str]:
    """Returns the matches of a pattern; `tick` is called after each."""
    matches = []
    for match in glob.iglob(pattern, recursive=True):  # noqa: PTH207
        matches.append(Path(match))
        tick()
    return [str(match) for match in sorted(matches)]


def _is_pattern(name: str) -> bool:
    return glob.has_magic(name)


def _remembering() -> Callable[[Entry], bool]:
    """Returns a function that says whether an entry is the first of its kind and place."""
    seen: set[bytes] = set()
    place = _places()

    def is_new(entry: Entry) -> bool:
        where = place(entry.path) if entry.kind == IMAGE else printable(entry.path)
        mark = hashlib.blake2b(f"{entry.kind}:{where}".encode(errors="surrogatepass"), digest_size=16).digest()
        before = len(seen)
        seen.add(mark)
        return len(seen) > before

    return is_new


def _places() -> Callable[[str], str]:
    """Returns a function that resolves the links in a file's folder: patterns follow links, even in circles."""

    @functools.cache  # every file of a folder asks for the same folder
    def resolved(folder: str) -> str:
        return str(Path(folder).resolve())

    def place(path: str) -> str:
        folder, name = os.path.split(path)
        return f"{resolved(folder)}/{name}"

    return place
