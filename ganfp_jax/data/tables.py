"""Tables that others wrote: a CSV file, with whatever separator, as a header and rows of text."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ganfp_jax.data.listing import printable
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.reading import open_regular

SEPARATORS = ",;\t"
SHOWN = 12  # columns that an error names


class Table(NamedTuple):
    """A header and the rows below it; the names of columns are `printable`."""

    path: Path
    header: list[str]
    rows: list[tuple[int, list[str]]]
    """(number of the line that it ends on, its cells) of each row that is not blank."""

    def place(self, column: str, key: str) -> int:
        """Returns the place of a column in every row.

        Raises:
            UserError: it is not there, or there twice; the error names the config's `key` and what is there.
        """
        if (number := self.header.count(column)) == 1:
            return self.header.index(column)
        fault = f"has the column {column!r} {number} times" if number else f"has no column {column!r}"
        raise UserError(f"{self.path} {fault}; it has {self.listed()}: name another one with --config.{key}=NAME")

    def listed(self) -> str:
        """Returns the names of the columns, or of the first ones, for an error."""
        more = f" and {len(self.header) - SHOWN} more" if len(self.header) > SHOWN else ""
        return ", ".join(name[:60] or "''" for name in self.header[:SHOWN]) + more

    def first_of(self, aliases: Sequence[str]) -> str | None:
        """Returns the first of some names that is a column; None where none is."""
        return next((name for name in aliases if name in self.header), None)


def read_table(path: Path) -> Table:
    """Reads a CSV file in UTF-8, with or without a byte order mark; the header shows whether , ; or tab separates.

    Bytes that are no UTF-8 become escapes. Blank lines are ignored.

    Raises:
        UserError: the file cannot be read, is no such table, or has no row.
    """
    try:
        with open_regular(path) as file, io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="") as lines:
            first = lines.readline(csv.field_size_limit())
            lines.seek(0)
            separator = max(SEPARATORS, key=first.count)
            reader = csv.reader(lines, delimiter=separator)
            header = [printable(name.strip()) for name in next(reader, [])]
            rows = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); give a CSV file or a run folder") from error
    except csv.Error as error:
        raise UserError(f"{path} is no CSV table ({error}); give a text file with a header") from error
    if not rows:
        raise UserError(f"{path} has no row below a header; give a CSV file whose first line names its columns")
    return Table(path, header, rows)
