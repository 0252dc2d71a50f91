"""A check that a JPEG 2000 file has all of its tiles: OpenJPEG leaves missing tiles black without an error."""

import struct

from ganfp_jax.data.decoding.files import Stream
from ganfp_jax.data.decoding.refused import Refused

_START, _SIZE, _TILE, _END = b"\xff\x4f", b"\xff\x51", b"\xff\x90", b"\xff\xd9"


def check(file: Stream) -> None:
    """Raise unless the file has the beginning of every tile; the position in `file` is kept.

    Raises:
        Refused: a tile is missing.
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
    """Moves the position in `file` behind the first marker of the codestream, which may lie in a box."""
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
        if size < 8:  # the box reaches to the end, or its size is nonsense
            raise Refused("broken image: no codestream")
        file.seek(begin + size)


def _tiles(file: Stream) -> int:
    """Counts the missing tiles of the codestream at this position."""
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
            if length == 0:  # the tile part reaches to the end
                break
            file.seek(begin + max(length, 12))
            continue
        file.seek(begin + 2 + size)
    return max(0, count - len(seen))
