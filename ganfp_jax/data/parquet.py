"""Images in Parquet tables, such as those of Hugging Face: one row an image, its bytes in a column."""

import contextlib
import functools
import os
import threading
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ganfp_jax.data.decoding.refused import Refused
from ganfp_jax.data.entries import IMAGE, REJECTED, Entry
from ganfp_jax.data.listing import printable
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.reading import open_regular, parse_json

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile

PARQUET = "parquet"
SUFFIXES = (".parquet",)
MAX_GROUP = 2**31  # bytes of a group of rows, which is read as a whole
MAX_ROWS = (
    10_000_000  # of a table; each becomes a line of the list of images, and a damaged footer may claim any number
)
_reading = threading.Lock()


class Row(NamedTuple):
    """An image in a row; a `decode.Record`."""

    table: str
    column: str
    """Of bytes, or of structs with `bytes`, which is named after a dot."""
    group: int
    row: int
    """Its place in the group of rows."""
    number: int
    """Its place in the table, from 0."""

    @property
    def name(self) -> str:
        """The number of the row."""
        return str(self.number)

    def read_bytes(self) -> bytes:
        """Returns the encoded image.

        Raises:
            Refused: there is none, or the table is damaged.
            OSError: the table cannot be read.
        """
        changed = os.stat(self.table).st_mtime_ns  # noqa: PTH116 - as it is named
        with _reading:  # all threads want the same group
            group = _group(self.table, self.column, self.group, changed)
        if self.row >= len(group):
            raise Refused("damaged Parquet table: it has fewer rows than it says")
        content = group[self.row].as_py()
        if isinstance(content, dict):
            content = content.get("bytes")
        if content is None:
            raise Refused("no image in this row")
        return bytes(content)


def rows(path: str, key: str, column: str) -> Iterator[Entry]:
    """Lists the rows of a table, of which only the description is read; a row is shown as `<table>/<number>`.

    Args:
        path: the table.
        key: its name within what the user named.
        column: the name of the column with the bytes; "" for the only one.

    Raises:
        UserError: the table has no such column, or several.
    """
    from pyarrow import ArrowException

    try:
        with _opened(path) as table:
            name = _column(table.schema_arrow, path, column)
            sizes = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
    except (OSError, ValueError, ArrowException) as error:
        yield Entry(REJECTED, path, key, f"not a Parquet table: {_in_words(error)}")
        return
    if (count := sum(map(abs, sizes))) > MAX_ROWS:
        yield Entry(REJECTED, path, key, f"too large: a table of {count:,} rows, over the limit of {MAX_ROWS:,}")
        return
    number = 0
    for group, size in enumerate(sizes):
        for row in range(size):
            inside = (PARQUET, path, name, group, row, number)
            yield Entry(IMAGE, f"{path}/{number}", f"{key}/{number}", inside=inside)
            number += 1


def texts(path: str, columns: Container[str]) -> list[dict[str, str]]:
    """Returns what each row says in some columns, as text; numbers of classes that Hugging Face names, by name.

    Raises:
        Refused: the table is damaged.
    """
    from pyarrow import ArrowException

    try:
        with _opened(path) as table:
            schema = table.schema_arrow
            named = [field.name for field in schema if field.name in columns and _is_plain(field.type)]
            rows = table.read(columns=named).to_pylist()
    except (OSError, ValueError, ArrowException) as error:
        raise Refused(f"damaged Parquet table: {_in_words(error)}") from error
    classes = _classes(schema.metadata or {})
    return [{name: _text(value, classes.get(name, ())) for name, value in row.items()} for row in rows]


def _is_plain(kind: Any) -> bool:
    from pyarrow import types

    return types.is_string(kind) or types.is_large_string(kind) or types.is_integer(kind)


def _text(value: str | int | None, classes: Sequence[str]) -> str:
    if isinstance(value, int) and 0 <= value < len(classes):
        return classes[value]
    return "" if value is None else str(value)


def _classes(metadata: Mapping[bytes, bytes]) -> dict[str, Sequence[str]]:
    """Returns column -> the names of its classes, as Hugging Face writes them into a table."""
    try:
        features = parse_json(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {name: list(map(str, feature["names"])) for name, feature in features.items() if "names" in feature}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


@contextlib.contextmanager
def _opened(path: str) -> Iterator["ParquetFile"]:
    from pyarrow import parquet

    with open_regular(path) as file, parquet.ParquetFile(file) as table:
        yield table


def _in_words(error: Exception) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split())[:200]


def _column(schema: "pyarrow.Schema", path: str, column: str) -> str:
    """Returns the name of the column of bytes as the reader takes it, such as "image.bytes"."""
    found = {field.name: name for field in schema if (name := _of_bytes(field))}
    if column in found or (not column and len(found) == 1):
        return found[column] if column else next(iter(found.values()))
    has = f"it has {printable(', '.join(found))}" if found else "none of its columns has any"
    raise UserError(
        f"{printable(path)}: which column has the bytes of the images, {column or 'of several'}? {has}; name one with "
        "--config.column=NAME"
    )


def _of_bytes(field: "pyarrow.Field") -> str:
    from pyarrow import types

    def holds_bytes(kind: Any) -> bool:
        return types.is_binary(kind) or types.is_large_binary(kind)

    if holds_bytes(field.type):
        return str(field.name)
    inner = field.type.get_field_index("bytes") if types.is_struct(field.type) else -1
    return f"{field.name}.bytes" if inner >= 0 and holds_bytes(field.type.field(inner).type) else ""


@functools.lru_cache(maxsize=2)  # images that are decoded together lie in one group or in two
def _group(path: str, column: str, group: int, changed: int) -> Any:
    from pyarrow import ArrowException

    try:
        with _opened(path) as table:
            size = table.metadata.row_group(group).total_byte_size
            if size > MAX_GROUP:
                raise Refused(f"too large: a group of rows of {size:,} bytes")
            return table.read_row_group(group, columns=[column]).column(0)
    except (OSError, ValueError, IndexError, ArrowException) as error:
        raise Refused(f"damaged Parquet table: {_in_words(error)}") from error
