"""Which files are decoded at once: those whose work is known to be small before it begins.

A decoder in a thread cannot be stopped. So only JPEG, PNG and WebP files of bounded work are decoded in one; all others
go to a process (`pool`), which can.
"""

from typing import Any

from ganfp_jax.data.decoding.files import Stream

MAX_BYTES = 2**24
_MAX_PIXELS = 25_000_000
_MAX_WORK = 400_000_000  # pixels times scans: under a second where the scans are empty
_A_SCAN = 50_000  # pixels that take as long as the beginning of a scan
_MAX_READS = 1000  # of a usual file: a few dozen,
_BYTES_A_READ = 1024  # and three or four for every chunk of a PNG, which has 8 KiB as most programs write it

_START_OF_SCAN = b"\xff\xda"
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF")


class TooMuchWork(Exception):  # noqa: N818 - a verdict about a file
    """More pieces than a file that is decoded at once may have."""


class Metered:
    """A file that can be read in so many pieces, not more.

    Pillow goes through headers, comments, chunks and segments in Python, a piece at a time.
    """

    def __init__(self, stream: Stream, reads: int) -> None:
        self._stream = stream
        self._left = reads
        self.seek, self.tell = stream.seek, stream.tell  # which are asked for often

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes.

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
    """Whether a file that begins with `head` and has `size` bytes is worth opening at once."""
    return size <= MAX_BYTES and head.startswith(_BEGINNINGS)


def reads(size: int) -> int:
    """In how many pieces a file of `size` bytes may be read."""
    return _MAX_READS + size // _BYTES_A_READ


def scans(content: bytes) -> int:
    """How often a JPEG goes over its image: some ten times where it is progressive, thousands where it is malign."""
    return content.count(_START_OF_SCAN)


def is_light(size: tuple[int, int], scans: int = 1) -> bool:
    """Whether an image of this width and height takes about a second at most."""
    pixels = size[0] * size[1]
    return pixels <= _MAX_PIXELS and scans * (pixels + _A_SCAN) <= _MAX_WORK
