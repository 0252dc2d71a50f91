"""The test for files that a thread may decode: their work is known to be small beforehand.

A decoder in a thread cannot be stopped. So threads decode only JPEG, PNG and WebP files of bounded work; all other
files go to a process (`pool`), which can be killed.
"""

from typing import Any

from ganfp_jax.data.decoding.files import Stream

MAX_BYTES = 2**24
_MAX_PIXELS = 25_000_000
_MAX_WORK = 400_000_000  # pixels times scans: under a second where the scans are empty
_A_SCAN = 50_000  # pixels that take as long as the beginning of a scan
_MAX_READS = 1000  # a usual file takes a few dozen,
_BYTES_A_READ = 1024  # and three or four for every chunk of a PNG, which most programs write with 8 KiB

_START_OF_SCAN = b"\xff\xda"
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF")


class TooMuchWork(Exception):  # noqa: N818 - a verdict about a file
    """A file has more pieces than a thread may read."""


class Metered:
    """A file that can be read in a limited number of pieces.

    Pillow reads headers, comments, chunks and segments in Python, a piece at a time.
    """

    def __init__(self, stream: Stream, reads: int) -> None:
        self._stream = stream
        self._left = reads
        self.seek, self.tell = stream.seek, stream.tell  # as attributes, since they are called often

    def read(self, size: int = -1, /) -> bytes:
        """Reads the next bytes.

        Raises:
            TooMuchWork: no piece is left.
        """
        self._left -= 1
        if self._left < 0:
            raise TooMuchWork
        return self._stream.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def may_be_light(head: bytes, size: int) -> bool:
    """Whether a thread may try to open a file that begins with `head` and has `size` bytes."""
    return size <= MAX_BYTES and head.startswith(_BEGINNINGS)


def reads(size: int) -> int:
    """Returns the number of pieces in which a file of `size` bytes may be read."""
    return _MAX_READS + size // _BYTES_A_READ


def scans(content: bytes) -> int:
    """Counts the scans of a JPEG: a progressive file has some ten, a malicious one thousands."""
    return content.count(_START_OF_SCAN)


def is_light(size: tuple[int, int], scans: int = 1) -> bool:
    """Whether an image of this width and height takes about a second at most."""
    pixels = size[0] * size[1]
    return pixels <= _MAX_PIXELS and scans * (pixels + _A_SCAN) <= _MAX_WORK
