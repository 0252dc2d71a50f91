"""Rules for the names of sources: a name becomes a folder, a column, a verdict and a word on a page.

Names come from folders, CSV lists, prepared data sets, run folders and weight files, which may be untrusted. Every
reader of these checks its names here once, so that no other code has to.
"""

import unicodedata
import zlib
from collections.abc import Iterable
from pathlib import PurePath, PureWindowsPath

from ganfp_jax.run.errors import UserError

OUR_WORDS = frozenset(
    {
        *("image", "target", "predicted", "confidence", "votes", "verdict", "margin", "distance", "note"),
        *("typicality", "sources", "tiles", "claims", "unsure", "unknown", "nothing to see"),
    }
)
"""Columns and verdicts of predictions.csv, in lower case, which no source may be called."""

MAX_BYTES = 255
"""The longest name in UTF-8: no file system in use takes longer ones."""

_FORMULA = tuple("=+-@＝＋－＠")  # a spreadsheet computes a cell that begins so, as for `data.cells`
_MARKS_OF_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def fault_of(name: object) -> str:
    """Returns the reason that no source can have `name`, as a predicate such as "is empty"; "" where it can."""
    if not isinstance(name, str):
        return f"is no text but {type(name).__name__}"
    if not name.strip():
        return "is empty"
    if any(unicodedata.category(character) == "Cs" for character in name):
        return "is no UTF-8"
    if len(name.encode()) > MAX_BYTES:
        return f"has {len(name.encode())} bytes, over the limit of {MAX_BYTES}"
    if set(name) & set("/\\"):
        return "has a path separator"
    if name.startswith("."):
        return 'begins with ".", as hidden folders and ways out of one do'
    if PureWindowsPath(name).drive:
        return "begins with a drive"
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in name):
        return "has a control character"
    if set(name) & _MARKS_OF_DIRECTION:
        return "has a mark that turns the direction of writing"
    if name.startswith(_FORMULA):
        return f'begins with "{name[0]}", as a formula in a spreadsheet does'
    if name.casefold() in OUR_WORDS:
        return "is a column or a verdict of predictions.csv"
    return ""


def check_names(names: Iterable[object], where: object) -> None:
    """Raises unless all `names` can be names of sources, and no two are the same.

    Args:
        names: values of any type, since they come from files.
        where: the file or folder with the names, for the beginning of the error.

    Raises:
        UserError: a name is impossible; the error has the first one, escaped, and the reason.
    """
    seen = set()
    for name in names:
        if not (fault := fault_of(name)) and name in seen:
            fault = "stands there twice"
        if fault:
            raise UserError(f"{where}: the source name {_shown(name)} {fault}; rename that source")
        seen.add(name)


def fitting(file_name: str) -> str:
    """Returns a composed file name or, over `MAX_BYTES`, its beginning with a checksum and the suffix.

    Args:
        file_name: a name in UTF-8 without separators.
    """
    if len(file_name.encode()) <= MAX_BYTES:
        return file_name
    tail = f"~{zlib.crc32(file_name.encode()):08x}{PurePath(file_name).suffix}".encode()[:100]
    return (file_name.encode()[: MAX_BYTES - len(tail)] + tail).decode(errors="ignore")


def inside(name: str) -> PurePath:
    """Returns a file's name as a path below a folder of ours: without a root and "..", which a list may contain."""
    path = PurePath(name)
    return PurePath(*(fitting(part) for part in path.parts if part not in (path.anchor, "..")))


def _shown(name: object) -> str:
    text = ascii(name)
    return text if len(text) <= 80 else f"{text[:80]}..."
