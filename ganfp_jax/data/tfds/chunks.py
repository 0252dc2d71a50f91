"""The unpacked sizes of the chunks of an ArrayRecord file, read from their headers before any chunk is unpacked.

An ArrayRecord file is a Riegeli file (github.com/google/riegeli, doc/riegeli_records_file_format.md): chunks of
records, each after a header of 40 bytes, in blocks of 64 KiB. Every block begins with a block header, even inside a
chunk.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from ganfp_jax.run.errors import UserError
from ganfp_jax.run.reading import open_regular

_BLOCK, _BLOCK_HEADER, _HEADER = 2**16, 24, 40
_USABLE = _BLOCK - _BLOCK_HEADER
_ALWAYS, _RATIO = 2**26, 32  # bytes; encoded images and texts hardly compress


class Chunk(NamedTuple):
    """The header of a chunk; sizes are in bytes."""

    packed: int
    unpacked: int


def check_chunks(path: str | os.PathLike[str]) -> None:
    """Raise for a file that unpacks to much more than its size.

    Raises:
        UserError: a chunk unpacks to more than 64 MiB plus 32 times its size, or ends behind the file.
        OSError: the file is missing or not regular.
    """
    with open_regular(path) as file:
        for chunk in _chunks(file, path):
            if chunk.unpacked > _ALWAYS + _RATIO * chunk.packed:
                raise UserError(
                    f"{path} has {chunk.packed:,} bytes that unpack to {chunk.unpacked:,}, more than images do; "
                    "it is not read"
                )


def _chunks(file: BinaryIO, path: str | os.PathLike[str]) -> Iterator[Chunk]:
    size, begin = os.fstat(file.fileno()).st_size, 0
    while begin < size:
        header = _read(file.fileno(), begin)
        packed, unpacked = (int.from_bytes(header[at : at + 8], "little") for at in (8, 32))
        records = int.from_bytes(header[25:32], "little")
        end = max(_behind(begin, _HEADER + packed), _outside_headers(begin + records))
        if len(header) < _HEADER or end > size:
            raise UserError(f"{path} is damaged: it ends within a chunk; prepare the data set again")
        yield Chunk(packed, unpacked)
        begin = end


def _read(descriptor: int, begin: int) -> bytes:
    """Reads the header of the chunk at `begin`, without a block header inside it."""
    content = os.pread(descriptor, _HEADER + _BLOCK_HEADER, begin)
    at = -begin % _BLOCK  # of the next block header
    content = content[:at] + content[at + _BLOCK_HEADER :]
    return content[:_HEADER]


def _behind(begin: int, size: int) -> int:
    """Returns the end of `size` bytes that begin at `begin`, counting the block headers between them."""
    return begin + size + (size + (begin + _USABLE - 1) % _BLOCK) // _USABLE * _BLOCK_HEADER


def _outside_headers(place: int) -> int:
    """Returns `place`, or the end of the block header around it; a chunk may begin where a block does."""
    inside = place % _BLOCK
    return place if not 0 < inside < _BLOCK_HEADER else place + _BLOCK_HEADER - inside
