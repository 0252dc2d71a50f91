"""Which image files lie in a folder, and what else does: nothing is passed over in silence."""

import os
import unicodedata
from pathlib import Path
from typing import NamedTuple

from ganfp_jax.data.decode import IMAGE_SUFFIXES, reason_of


class Listing(NamedTuple):
    """What `find_images` found; paths begin with the folder's."""

    images: list[Path]
    """Files that are images by their names, sorted by the parts of their paths."""
    left_out: list[tuple[Path, str]]
    """(path, reason) of everything else."""


def find_images(folder: Path) -> Listing:
    """List the files of a folder and of the folders below it; hidden ones (".name") are not looked at.

    A file is an image by its suffix (`IMAGE_SUFFIXES`, in any case); nothing is opened. Kinds that nothing here reads
    are images too, so that their files are refused and told, not passed over. Links to files count as files, links to
    folders are left out, since they may lead in circles, and so are folders that cannot be read and folders
    that are named like an image (whose content is listed all the same).
    """
    images: list[Path] = []
    left_out: list[tuple[Path, str]] = []
    waiting = [folder]
    while waiting:
        inner = waiting.pop()
        try:
            entries = [entry for entry in os.scandir(inner) if not entry.name.startswith(".")]
        except OSError as error:
            left_out.append((inner, reason_of(error)))
            continue
        for entry in entries:
            path = Path(entry.path)
            named_like_an_image = path.suffix.lower() in IMAGE_SUFFIXES
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
                if named_like_an_image:
                    left_out.append((path, "is a folder"))
            elif is_folder(path):
                left_out.append((path, "a link to a folder, which is not followed"))
            elif named_like_an_image:
                images.append(path)
            else:
                left_out.append((path, "not an image by its name"))
    images.sort(key=lambda path: path.parts)
    left_out.sort()
    return Listing(images, left_out)


def is_folder(path: Path) -> bool:
    """Whether a path is a folder or leads to one; False where it leads in circles or to where we may not look."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises in the last case


def printable(name: str) -> str:
    r"""A file's name as it stands in tables: characters that would break a line or a CSV file become escapes.

    These are control characters ("\n", "\x1b"), line and paragraph separators, and bytes that are no UTF-8 ("\xff"),
    which Python keeps as surrogates that no file can be written with. A backslash of the name is doubled, so that
    no two names are shown alike.
    """
    return "".join(_escape(character) for character in name)


def _escape(character: str) -> str:
    if character == "\\" and os.sep != "\\":  # where it parts folders it is in no name
        return "\\\\"
    match unicodedata.category(character):
        case "Cs":
            return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
        case "Cc" | "Zl" | "Zp":
            return character.encode("unicode_escape").decode()
    return character
