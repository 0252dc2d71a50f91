"""Which image files lie in a folder, and what else does: nothing is passed over in silence."""

import os
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ganfp_jax.data.decode import IMAGE_SUFFIXES, reason_of


class Listing(NamedTuple):
    """What `find_images` found; paths begin with the folder's."""

    images: list[Path]
    """Files that are images by their names, sorted by the parts of their paths."""
    left_out: list[tuple[Path, str]]
    """(path, reason) of everything else."""


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
    """The files of a folder and of the folders below it as they are found, in the order of the parts of their paths.

    A file is an image by its suffix (`IMAGE_SUFFIXES`, in any case); nothing is opened. Kinds that nothing here reads
    are images too, so that their files are refused and told, not passed over. Links to files count as files, links to
    folders are left out, since they may lead in circles, and so are folders that cannot be read and folders
    that are named like an image (whose content is listed all the same). Hidden files (".name") are not looked at.

    Yields:
        (path, "") of an image, (path, reason) of what is none; the paths, which are no `Path` since there may be
        millions, begin with the folder's.
    """
    waiting: list[Path | os.DirEntry[str]] = [folder]
    while waiting:
        entry = waiting.pop()
        path = os.fspath(entry)
        if isinstance(entry, os.DirEntry) and not entry.is_dir(follow_symlinks=False):
            yield path, _reason(entry)
            continue
        if entry is not folder and _is_named_like_an_image(entry.name):
            yield path, "is a folder"
        try:
            entries = [entry for entry in os.scandir(path) if not entry.name.startswith(".")]
        except OSError as error:
            yield path, reason_of(error)
            continue
        waiting += sorted(entries, key=lambda entry: entry.name, reverse=True)  # the first is taken next


def _reason(entry: os.DirEntry[str]) -> str:
    """Why what is no folder is no image either, or ""."""
    if entry.is_symlink() and is_folder(Path(entry.path)):
        return "a link to a folder, which is not followed"
    return "" if _is_named_like_an_image(entry.name) else "not an image by its name"


def _is_named_like_an_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - ten times as fast as a Path


def is_folder(path: Path) -> bool:
    """Whether a path is a folder or leads to one; False where it leads in circles or to where we may not look."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises in the last case


def printable(name: str) -> str:
    r"""A file's name as it stands in tables: characters that would break a line or a CSV file become escapes.

    These are control characters ("\n", "\x1b"), line and paragraph separators, and bytes that are no UTF-8 ("\xff"),
    which Python keeps as surrogates that no file can be written with; other surrogates, which JSON can hold, as well
    ("\ud800"). A backslash of the name is doubled, so that
    no two names are shown alike.
    """
    if name.isascii() and name.isprintable() and "\\" not in name:  # as nearly all are
        return name
    return "".join(_escape(character) for character in name)


def _escape(character: str) -> str:
    if character == "\\" and os.sep != "\\":  # where it parts folders it is in no name
        return "\\\\"
    match unicodedata.category(character):
        case "Cs" if "\udc80" <= character <= "\udcff":
            return f"\\x{ord(character) - 0xDC00:02x}"
        case "Cs" | "Cc" | "Zl" | "Zp":
            return character.encode("unicode_escape").decode()
    return character
