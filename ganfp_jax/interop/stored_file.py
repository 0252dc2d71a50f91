"""Opening an untrusted file of published weights, and the bounds that all readers check.

A reader raises `Unreadable` for content that no network's file has; `open_stored` turns it into the user's one-line
error. A declared size is compared with the number of bytes in the file before memory is allocated.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ganfp_jax.run.errors import UserError
from ganfp_jax.run.reading import open_regular

MAX_VARIABLES = 10_000  # the largest published network has 89
_MAX_NAME = 512  # characters of a variable's name, and bytes of a line of text in a file
_MAX_AXES = 8
_MAX_SHOWN = 60  # characters of a text that an error repeats
_MAX_BYTES = 2 << 30  # of a file, and of all variables of a file or checkpoint


class Unreadable(Exception):  # noqa: N818 - a verdict about a file, not a fault of the program
    """Refuses a file. `str(unreadable)` is the reason: one line, without the path."""


class StoredFile:
    """A file whose reads return all bytes that were asked for or fail before memory is allocated.

    Attributes:
        raw: the file itself, for libraries that call it.
        size: the size of the file in bytes.
    """

    def __init__(self, file: BinaryIO, size: int | None = None) -> None:
        """Takes an open file; `size` is that of a stream in memory."""
        self.raw = file
        self.size = os.fstat(file.fileno()).st_size if size is None else size
        check_total(self.size)  # a sparse file takes no space on a disk, but it would in memory

    def tell(self) -> int:
        """Returns the position of the next `read`."""
        return self.raw.tell()

    def read(self, length: int) -> bytes:
        """Reads the next `length` bytes.

        Raises:
            Unreadable: the file ends before.
        """
        return self.read_at(self.tell(), length)

    def read_at(self, offset: int, length: int) -> bytes:
        """Reads `length` bytes from `offset` on.

        Raises:
            Unreadable: they do not lie inside the file.
        """
        if not 0 <= offset <= offset + length <= self.size:
            raise Unreadable(f"it ends at byte {self.size}, before what it says it holds; download it again")
        self.raw.seek(offset)
        data = self.raw.read(length)
        if len(data) != length:
            raise Unreadable("it was changed while it was read; try again")
        return data

    def readline(self) -> bytes:
        """Reads the next line, cut off at the length of the longest name."""
        return self.raw.readline(_MAX_NAME)


@contextlib.contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turns `Unreadable` and the system's errors inside the block into the user's error.

    Raises:
        UserError: one line with the path and the reason.
    """
    try:
        yield
    except Unreadable as reason:
        raise UserError(f"{path} is not read: {reason}") from reason
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}; check the file") from error


@contextlib.contextmanager
def open_stored(path: Path) -> Iterator[StoredFile]:
    """Opens a file of weights and turns `Unreadable` inside the block into the user's error.

    Raises:
        UserError: there is no such file, it cannot be read, or the block refuses it.
    """
    with refusals(path):
        if not path.is_file():
            raise UserError(f"{path} is no file; give a file of weights")
        with open_regular(path) as file:
            yield StoredFile(file)


def shown(value: object) -> str:
    """Formats a value of a file for an error: on one line, and short however large or nested the value is."""
    if isinstance(value, str | bytes):
        return repr(value) if len(value) <= _MAX_SHOWN else f"{value[:_MAX_SHOWN]!r}..."
    if isinstance(value, tuple | list):
        items = [shown(item) if not isinstance(item, tuple | list) else "..." for item in value[:_MAX_AXES]]
        return f"({', '.join(items)}{', ...' if len(value) > _MAX_AXES else ''})"
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 1 << 64):
        return repr(value)
    return f"a large {type(value).__name__}" if isinstance(value, int) else f"a {type(value).__name__.strip('_')}"


def check_total(num_bytes: int) -> None:
    """Checks the size of a file, or of all variables that it lists.

    Raises:
        Unreadable: it is larger than that of any published file.
    """
    if num_bytes > _MAX_BYTES:
        raise Unreadable(f"it has {num_bytes} bytes, a published network at most 300 million numbers; do not trust it")


def check_name(name: Any, known: dict[str, Any]) -> str:
    """Returns the name of a variable.

    Raises:
        Unreadable: it is no plain text, is too long, or is among the `known` ones already.
    """
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME or not (name.isascii() and name.isprintable()):
        raise Unreadable(f"{shown(name)} is no name of a variable; download it again")
    if name in known:
        raise Unreadable(f"it holds {shown(name)} twice; download it again")
    return name


def check_shape(name: str, shape: Any, itemsize: int, length: int) -> tuple[int, ...]:
    """Returns the shape of a variable that is stored in `length` bytes.

    Raises:
        Unreadable: it is no shape, has an empty axis or too many axes, or does not fill the bytes exactly.
    """
    if not isinstance(shape, tuple | list) or not all(type(axis) is int for axis in shape):
        raise Unreadable(f"{name} has no shape but {shown(shape)}; download it again")
    total = itemsize
    for axis in shape[: _MAX_AXES + 1]:
        total *= axis
    if len(shape) > _MAX_AXES or min(shape, default=1) < 1 or total != length:
        raise Unreadable(
            f"{name} should have the shape {shown(tuple(shape))} of {itemsize} bytes each, but has {length} bytes; "
            "download it again"
        )
    return tuple(shape)


def check_finite(name: str, array: np.ndarray) -> np.ndarray:
    """Returns the array.

    Raises:
        Unreadable: it has NaN or infinite values.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise Unreadable(f"{name} has values that are not finite; the file is damaged, or its training diverged")
    return array
