"""Image files: regular files, and files inside data sets."""

import contextlib
import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeAlias, runtime_checkable

from ganfp_jax.data.decoding.refused import Refused
from ganfp_jax.run.reading import open_regular

MAX_BYTES = 2**30  # some decoders read the whole file before they check its size in pixels


@runtime_checkable
class Record(Protocol):
    """An image file inside another file, such as a data set of TFDS."""

    @property
    def name(self) -> str:
        """The file name, with the suffix."""
        ...

    def read_bytes(self) -> bytes:
        """Returns the encoded image."""
        ...


ImageFile: TypeAlias = Path | Record

Stream: TypeAlias = Any
"""A seekable binary file: of the system, in memory, or `light.Metered`. These types share no class."""


@contextlib.contextmanager
def open_file(file: str | os.PathLike[str] | Record) -> Iterator[BinaryIO]:
    """Opens a regular file, or a file inside a data set, as a stream of bytes.

    Raises:
        Refused: it is empty, too large to be one image, a folder, or a pipe or a device, which could be read for ever.
        OSError: it is missing or cannot be read.
    """
    if isinstance(file, str | os.PathLike):
        with _opened(file) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size == 0:
                raise Refused("empty file")
            if size > MAX_BYTES:
                raise Refused(f"too large: a file of {size:,} bytes")
            yield stream
    else:
        content = file.read_bytes()
        if not content:
            raise Refused("empty file")
        yield io.BytesIO(content)


def name_of(file: str | os.PathLike[str] | Record) -> str:
    """Returns a file's name, or its path."""
    return os.fspath(file) if isinstance(file, str | os.PathLike) else file.name


def _opened(file: str | os.PathLike[str]) -> BinaryIO:
    try:
        return open_regular(file)
    except IsADirectoryError:
        raise Refused("is a folder") from None
    except OSError as error:
        if error.errno == errno.EINVAL:  # it is a pipe, a device, or a name that no file can have
            raise Refused(error.strerror) from None
        raise
