"""Lists of files that others made: a path a line, or a column of a table."""

import contextlib
import csv
import io
import os
import sys
from collections.abc import Iterator
from typing import BinaryIO

from ganfp_jax.data.listing import printable
from ganfp_jax.data.tables import SEPARATORS
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.reading import open_regular

COLUMNS = ("image", "path", "file", "file_name", "filename")
"""What the column of paths is called as usual."""
STANDARD_INPUT = "-"
LONGEST = 1 << 16  # bytes of a line
_CHUNK = 1 << 16


def paths_of(list_file: str) -> Iterator[str]:
    """Yields the paths in a list, which is read as a stream.

    Lines end with a newline or, where the first 64 KiB hold a NUL, with that (as of `find -print0`). Blank lines are
    left out.

    Args:
        list_file: its path; "-" is standard input.

    Raises:
        UserError: it cannot be read, or is no list.
    """
    try:
        with _opened(list_file) as file:
            for line in _lines(file, list_file):
                if line.strip():
                    yield os.fsdecode(line)
    except OSError as error:
        raise UserError(
            f"the list {printable(list_file)} cannot be read ({error.strerror}); give a text file with a path a line"
        ) from error


def cells_of(table: str, column: str) -> Iterator[str]:
    """Yields the cells of a column of a CSV table, which is read as a stream; blank rows are left out.

    Args:
        table: its path. Its header shows whether , ; or tab separates.
        column: the name; "" for the first of `COLUMNS` that is there.

    Raises:
        UserError: the table cannot be read or has no such column.
    """
    try:
        with open_regular(table) as file, io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="") as lines:
            first = lines.readline(LONGEST)
            lines.seek(0)
            reader = csv.reader(lines, delimiter=max(SEPARATORS, key=first.count))
            header = [name.strip() for name in next(reader, [])]
            place = _place(header, column, table)
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield cells[place] if place < len(cells) else ""
    except OSError as error:
        raise UserError(f"{printable(table)} cannot be read ({error.strerror}); give a CSV table") from error
    except csv.Error as error:
        raise UserError(f"{printable(table)} is no CSV table ({error}); give a text file with a header") from error


def _place(header: list[str], column: str, table: str) -> int:
    found = [name for name in ([column] if column else COLUMNS) if name in header]
    if not found:
        listed = printable(", ".join(header[:12])) or "no header"
        raise UserError(
            f"{printable(table)} has no column {column or ' or '.join(COLUMNS)}; it has {listed}: name the one "
            "with the images with --config.column=NAME"
        )
    return header.index(found[0])


def _opened(list_file: str) -> contextlib.AbstractContextManager[BinaryIO]:
    if list_file != STANDARD_INPUT:
        return open_regular(list_file)
    return contextlib.nullcontext(io.BytesIO() if sys.stdin is None else sys.stdin.buffer)  # None: it is closed


def _lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    """Yields the lines of a list without their ends, by a NUL where there is one at its beginning."""
    rest = file.read(_CHUNK).removeprefix(b"\xef\xbb\xbf")
    end = b"\0" if b"\0" in rest else b"\n"
    while chunk := file.read(_CHUNK):
        *whole, rest = (rest + chunk).split(end)
        yield from (_plain(line, end) for line in whole)
        if len(rest) > LONGEST:
            raise UserError(f"{printable(name)} has a line of over {LONGEST:,} bytes; give a text with a path a line")
    yield from (_plain(line, end) for line in rest.split(end))


def _plain(line: bytes, end: bytes) -> bytes:
    return line.removesuffix(b"\r") if end == b"\n" else line
