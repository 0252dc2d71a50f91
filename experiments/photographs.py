"""Tables of photographs that public packages ship, and the files that they name.

A table is a CSV file with a row for each photograph: its name, package, path in the package, SHA-256, scene, side of
the split, author, licence and what the experiment adds. Photographs of one scene lie on one side of the split. The
pictures themselves are not part of this repository.
"""

import csv
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ganfp_jax.run.errors import UserError


class Listed(Protocol):
    """What the rows of every table have."""

    @property
    def package(self) -> str:
        """The package's name."""
        ...

    @property
    def sha256(self) -> str:
        """The digest of the file."""
        ...


Row = TypeVar("Row")


def rows(table: Path, kind: type[Row]) -> list[Row]:
    """The rows of a table as `kind`, whose fields are its columns, in the table's order."""
    with table.open(newline="", encoding="utf-8") as file:
        fields: Iterable[dict[str, Any]] = csv.DictReader(file)
        return [kind(**row) for row in fields]


def is_listed(data: bytes, photo: Listed) -> bool:
    """Whether the bytes of a file are those of the photograph."""
    return hashlib.sha256(data).hexdigest() == photo.sha256


def check(path: Path, photo: Listed) -> Path:
    """Returns `path`.

    Raises:
        UserError: there is no such file, or it holds another picture than the table's.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing: install {photo.package}, or unpack it and give the folder as --packages")
    if not is_listed(path.read_bytes(), photo):
        raise UserError(f"{path} is another picture than the one that was used: {photo.package} has another version")
    return path
