"""The image files of a folder, and the reasons that its other files are none: nothing is skipped silently."""

import os
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ganfp_jax.data.decode import IMAGE_SUFFIXES, reason_of

NO_IMAGE = "not an image by its name"
"""The reason of `walk` for other files."""


class Listing(NamedTuple):
    """The result of `find_images`; paths begin with the folder's."""

    images: list[Path]
    """Files with the suffix of an image, sorted by the parts of their paths."""
    left_out: list[tuple[Path, str]]
    """(path, reason) of all other entries."""


def find_images(folder: Path, tick: Callable[[], object] = lambda: None) -> Listing:
    """List the files of a folder and of the folders below it, as `walk` finds them; `tick` is called after each."""
    images: list[Path] = []
    left_out: list[tuple[Path, str]] = []
    for path, reason in walk(folder):
        if reason:
            left_out.append((Path(path), reason))
        else:
            images.append(Path(path))
        tick()
    return Listing(images, left_out)


def walk(folder: Path) -> Iterator[tuple[str, str]]:
    """Lists the files of a folder and of the folders below it, in the order of the parts of their paths.

    The suffix makes a file an image (`IMAGE_SUFFIXES`, in any case); nothing is opened. Kinds that nothing here reads
    count as images, so that their files are refused and reported. Links to files count as files. Links to folders are
    left out, since they may lead in circles, and so are folders that cannot be read. Folders that are named like an
    image are reported, and their content is listed. Hidden files (".name") are ignored.

    Yields:
        (path, "") of an image, (path, reason) of all else. The paths begin with the folder's; they are texts, since
        there may be millions.
    """
    waiting: list[Path | os.DirEntry[str]] = [folder]
    while waiting:
        entry = waiting.pop()
        path = os.fspath(entry)
        if isinstance(entry, os.DirEntry) and not entry.is_dir(follow_symlinks=False):
            yield path, _reason(entry)
            continue
        if entry is not folder and is_named_like_an_image(entry.name):
            yield path, "is a folder"
        try:
            entries = [entry for entry in os.scandir(path) if not entry.name.startswith(".")]
        except OSError as error:
            yield path, reason_of(error)
            continue
        waiting += sorted(entries, key=lambda entry: entry.name, reverse=True)  # the first is taken next


def _reason(entry: os.DirEntry[str]) -> str:
    """Returns the reason that an entry other than a folder is no image, or ""."""
    if entry.is_symlink() and is_folder(Path(entry.path)):
        return "a link to a folder, which is not followed"
    return "" if is_named_like_an_image(entry.name) else NO_IMAGE


def is_named_like_an_image(name: str) -> bool:
    """Whether the suffix of a name is that of an image, in any case."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - ten times as fast as a Path


def is_folder(path: Path) -> bool:
    """Whether a path is a folder or leads to one; False for a circle or without permission."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises in the last case


def printable(name: str) -> str:
    r"""Escapes the characters of a file's name that would break a line or a CSV file.

    These are control characters ("\n", "\x1b"), line and paragraph separators, bytes that are no UTF-8 ("\xff"), which
    Python keeps as surrogates that cannot be written, and other surrogates ("\ud800"). A backslash is doubled, so that
    different names stay different.
    """
    if name.isascii() and name.isprintable() and "\\" not in name:  # nearly all names are
        return name
    return "".join(_escape(character) for character in name)


def _escape(character: str) -> str:
    if character == "\\" and os.sep != "\\":  # a separator of folders is in no name
        return "\\\\"
    match unicodedata.category(character):
        case "Cs" if "\udc80" <= character <= "\udcff":
            return f"\\x{ord(character) - 0xDC00:02x}"
        case "Cs" | "Cc" | "Zl" | "Zp":
            return character.encode("unicode_escape").decode()
    return character
