"""Opening files of unknown origin: none can block the process, or take more memory than it has bytes."""

import errno
import io
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

MAX_JSON = 1 << 26  # bytes; the manifest of a million photographs has fewer
_MAX_DEPTH = 64  # of nested lists and objects: later readers are recursive
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Opens a regular file, or a link to one.

    The opened file is checked, not the path before: a pipe that replaces the file in between would block for ever.

    Raises:
        OSError: it is missing or cannot be read (IsADirectoryError: a folder), or is a pipe or a device.
    """
    name = os.fspath(path)
    if "\0" in name:
        raise OSError(errno.EINVAL, "the name holds a NUL", ascii(name))
    _require_regular(os.stat(name).st_mode, name)  # noqa: PTH116 - some devices act when they are opened
    descriptor = os.open(name, _FLAGS)
    try:
        _require_regular(os.fstat(descriptor).st_mode, name)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _require_regular(mode: int, name: str) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", name)


def read_regular(path: str | os.PathLike[str], most: int) -> bytes:
    """Returns the bytes of a regular file.

    Raises:
        OSError: as `open_regular`.
        ValueError: it has more than `most` bytes.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(most + 1) if size <= most else b""
    if max(size, len(content)) > most:
        raise ValueError(f"it has {size:,} bytes, over the limit of {most:,}")
    return content


def read_json(path: str | os.PathLike[str]) -> Any:
    """Returns the value of a JSON file.

    Raises:
        OSError: as `open_regular`.
        ValueError: it is no JSON, nested more than 64 deep, or larger than any that we write.
    """
    return parse_json(read_regular(path, MAX_JSON))


def parse_json(text: str | bytes) -> Any:
    """Returns the value of a JSON text.

    Raises:
        ValueError: it is no JSON, or nested more than 64 deep.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return value
    raise ValueError("it is nested too deeply")


def _inside(value: Any) -> list[Any]:
    """Returns the lists and objects in a list or an object."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [one for one in inner if isinstance(one, dict | list)]


def name_of(path: str | os.PathLike[str], file: BinaryIO) -> str:
    """Returns a name for a library that opens files itself: that of the open `file` where it has one, else `path`."""
    opened = Path(f"/dev/fd/{file.fileno()}")
    return str(opened) if opened.exists() else os.fspath(path)
