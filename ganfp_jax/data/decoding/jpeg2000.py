"""Whether a JPEG 2000 file has all of its tiles: OpenJPEG leaves those that are missing black, without a word."""

import struct

from ganfp_jax.data.decoding.files import Stream
from ganfp_jax.data.decoding.refused import Refused

_START, _SIZE, _TILE, _END = b"\xff\x4f", b"\xff\x51", b"\xff\x90", b"\xff\xd9"


def check(file: Stream) -> None:
    """Raise unless every tile of the image begins somewhere; the place in `file` is kept.

    Raises:
        Refused: one does not.
        struct.error: the file ends early.
    """
    place = file.tell()
    try:
        _find_codestream(file)
        if missing := _tiles(file):
            raise Refused(f"truncated file: {missing} of its tiles {'is' if missing == 1 else 'are'} missing")
    finally:
        file.seek(place)


def _find_codestream(file: Stream) -> None:
    """Puts the place in `file` behind the marker that begins the codestream, which may stand in a box."""
    file.seek(0)
    if file.read(2) == _START:
        return
    file.seek(0)
    while True:
        begin = file.tell()
        size, kind = struct.unpack(">I4s", file.read(8))
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
        if kind == b"jp2c":
            file.seek(2, 1)
            return
        if size < 8:  # up to the end, or nonsense
            raise Refused("broken image: no codestream")
        file.seek(begin + size)


def _tiles(file: Stream) -> int:
    """How many tiles of the codestream at this place are missing."""
    seen: set[int] = set()
    count = 0
    while (marker := file.read(2)) != _END and len(marker) == 2:
        begin = file.tell() - 2
        (size,) = struct.unpack(">H", file.read(2))
        if marker == _SIZE:
            _, width, height, _, _, across, down, left, top = struct.unpack(">H8I", file.read(34))
            count = -(-(width - left) // across) * -(-(height - top) // down)
        elif marker == _TILE:
            number, length = struct.unpack(">HI", file.read(6))
            seen.add(number)
            if length == 0:  # up to the end
                break
            file.seek(begin + max(length, 12))
            continue
        file.seek(begin + 2 + size)
    return max(0, count - len(seen))
