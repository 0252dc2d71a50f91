"""What a source may be called: its name becomes a folder, a column, a verdict and a word on a page.

Names come from folders, CSV lists, prepared data sets, run folders and weight files, of which any may be a stranger's.
Each of these doors asks here once, so that nothing behind them has to.
"""

import unicodedata
import zlib
from collections.abc import Iterable
from pathlib import PurePath, PureWindowsPath

from ganfp_jax.run.errors import UserError

OUR_WORDS = frozenset(
    {
        *("image", "target", "predicted", "confidence", "votes", "verdict", "margin", "distance", "note"),
        *("typicality", "sources", "tiles", "unsure", "unknown", "nothing to see"),
    }
)
"""Columns and verdicts of predictions.csv, in lower case: a source of such a name could not be told from them."""

MAX_BYTES = 255
"""Of a name in UTF-8: no file system in use takes longer ones."""

_FORMULA = tuple("=+-@＝＋－＠")  # a spreadsheet computes a cell that begins so, as for `data.cells`
_MARKS_OF_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def fault_of(name: object) -> str:
    """Why `name` cannot be a source's, as the end of a sentence such as "is empty"; "" where it can."""
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
    """Raise unless all can be sources' names, and no two are the same.

    Args:
        names: of sources; of any type, since files say them.
        where: stands at the beginning of the error: the file or folder that says them.

    Raises:
        UserError: the first name that cannot be one, escaped, and why.
    """
    seen = set()
    for name in names:
        if not (fault := fault_of(name)) and name in seen:
            fault = "stands there twice"
        if fault:
            raise UserError(f"{where}: the source name {_shown(name)} {fault}; rename that source")
        seen.add(name)


def fitting(file_name: str) -> str:
    """A file's name that is made of other names: itself or, over `MAX_BYTES`, its beginning with a checksum and suffix.

    Args:
        file_name: without separators; in UTF-8.
    """
    if len(file_name.encode()) <= MAX_BYTES:
        return file_name
    tail = f"~{zlib.crc32(file_name.encode()):08x}{PurePath(file_name).suffix}".encode()[:100]
    return (file_name.encode()[: MAX_BYTES - len(tail)] + tail).decode(errors="ignore")


def inside(name: str) -> PurePath:
    """A file's name as a place below a folder of ours: without a root and "..", which a list of files may give it."""
    path = PurePath(name)
    return PurePath(*(fitting(part) for part in path.parts if part not in (path.anchor, "..")))


def _shown(name: object) -> str:
    text = ascii(name)
    return text if len(text) <= 80 else f"{text[:80]}..."
