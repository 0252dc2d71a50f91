"""What the columns of other people's tables say of an image: its source, its group, its split."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from ganfp_jax.data.decode import ImageFile
from ganfp_jax.data.found import REAL, Found, LeftOut, Reading
from ganfp_jax.data.label_words import SPLITS, kind_of
from ganfp_jax.data.lists import paths_of
from ganfp_jax.run.errors import UserError

Row: TypeAlias = Mapping[str, str]
"""Column -> text of one row."""

SOURCE = ("source", "model_name", "model", "generator", "label", "class")
"""Columns with the source; the first that says anything counts."""
SAYS_REAL = ("label", "architecture")
"""Columns in which "real" counts before the source."""
GROUP = ("group", "dlabel", "semantic", "category")
SPLIT = ("split", "partition")
READ = {*SOURCE, *SAYS_REAL, *GROUP, *SPLIT}

LONGEST_NUMBER = 10  # digits; what has more is a name
NAMES = "names.txt"
"""The file beside lists that names the sources which they number: a line a source, the first is number 0."""


def reading(root: Path, rows: Iterable[tuple[str, ImageFile, str, Row]]) -> Reading:
    """Returns what rows say of their images; an image without a source is left out.

    Args:
        root: the set.
        rows: (name of an image, its file, its split where the row has none, the row).

    Raises:
        UserError: sources are numbered and have no names.
    """
    names = _names_in(root)
    found, left_out = [], list[LeftOut]()
    for name, file, split, row in rows:
        source, own = _source(row, names, root), first_of(row, SPLIT)
        if not name or not source:
            left_out.append((name, "its row has no source" if name else "its row names no image"))
        elif own and not kind_of(own, SPLITS):
            left_out.append((name, f"its split {own} is none that is known"))
        else:
            found.append(Found(name, file, source, first_of(row, GROUP), kind_of(own, SPLITS) or split))
    return Reading(found, left_out)


def first_of(row: Row, columns: Sequence[str]) -> str:
    """Returns the first text in some columns of a row; "" where there is none."""
    return next((text for column in columns if (text := row.get(column, "").strip())), "")


def _source(row: Row, names: Sequence[str], root: Path) -> str:
    text = first_of(row, SOURCE)
    if text.isdecimal() and len(text) <= LONGEST_NUMBER:
        if int(text) >= len(names):
            raise UserError(
                f"{root} numbers its sources, and {_names_file(root)} has none for {text}: write their names there, "
                "one a line, that of 0 first"
            )
        text = names[int(text)].strip()
    said = [text, *(row.get(column, "") for column in SAYS_REAL)]
    return REAL if REAL in map(str.casefold, said) else text


def _names_in(root: Path) -> list[str]:
    """Returns the names in the `NAMES` of a folder, or beside a file; empty where there is none."""
    path = _names_file(root)
    return list(paths_of(str(path))) if path.is_file() else []


def _names_file(root: Path) -> Path:
    return (root if root.is_dir() else root.parent) / NAMES
