"""The images that a user named, one after the other: files, folders and patterns."""

import functools
import glob
import hashlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ganfp_jax.data.listing import is_folder, printable, walk
from ganfp_jax.run.errors import UserError

IMAGE, REJECTED, BESIDE = "image", "rejected", "beside"
"""The kinds of an `Entry`: an image file, what was named and cannot be used, another file in a folder of images."""
# Reasons that do not count as refusals: a folder may hold other files beside its images.
_BESIDE = ("not an image by its name", "is a folder")


class Entry(NamedTuple):
    """One thing that was found."""

    kind: str
    path: str
    """As it is opened and shown; texts take less memory than `Path`."""
    key: str
    """Its name within what the user named, with "/" between folders: the same wherever that lies."""
    reason: str = ""
    """Why it is no image that can be used; "" of an image."""


def find(images: str | Sequence[str], tick: Callable[[], object] = lambda: None) -> Iterator[Entry]:
    """Finds what a user named, each once, in the order named.

    One folder is a stream: no more than the names in a folder are in memory. Of several things, or of a pattern, the
    digests of all names are kept, since they may name a file twice.

    Args:
        images: files, folders (all images in them, at any depth) or glob patterns ("**" for any depth); one or several.
        tick: called after each name that is looked at.

    Raises:
        UserError: nothing was named.
    """
    asked = list(filter(None, [images] if isinstance(images, str) else images))
    if not asked:
        raise UserError("no images: give --config.images=FILE, a folder or a pattern, or several of them after --")
    once = len(asked) == 1 and not _is_pattern(asked[0])
    is_new = (lambda entry: True) if once else _remembering()
    for name in asked:
        yield from filter(is_new, _named(name, tick))


def _named(name: str, tick: Callable[[], object]) -> Iterator[Entry]:
    if os.path.lexists(name):
        yield from _found(str(Path(name)), os.path.basename(Path(name)), "", tick)  # noqa: PTH119
        return
    if not _is_pattern(name):
        yield Entry(REJECTED, name, name, "no such file")
        return
    matches, fixed = _matches(name, tick), _fixed_part(name)
    if not matches:
        yield Entry(REJECTED, name, name, "nothing matches this pattern")
    for match in matches:
        key = _below(match, fixed)
        yield from _found(match, key, f"{key}/", tick)


def _found(path: str, key: str, prefix: str, tick: Callable[[], object]) -> Iterator[Entry]:
    """Yields a file, or what is in a folder, whose keys begin with `prefix`."""
    if not is_folder(Path(path)):
        yield Entry(IMAGE, path, key)
        return
    for file, reason in walk(Path(path)):
        kind = IMAGE if not reason else BESIDE if reason in _BESIDE else REJECTED
        yield Entry(kind, file, prefix + _below(file, path), reason)
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
