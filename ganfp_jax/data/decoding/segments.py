"""The segments, chunks, boxes, blocks and tags of an image file: the traces that a writer leaves beside the pixels.

Only the structure of a file is read, never its pixels. Work and memory are bounded, since files are untrusted: at most
`MOST_BYTES` of a file and `MOST_PARTS` of its parts are read.
"""

import hashlib
import re
import struct
from collections.abc import Callable, Iterator

MOST_BYTES = 64 << 20
MOST_PARTS = 2000
MOST_IN_ORDER = 24  # names of an order, in which repetitions of a name count once
DEEPEST = 6  # boxes inside boxes
LETTERS = 16  # of an identifier at the beginning of a segment

Part = tuple[str, str]
"""(kind of a part, its name), such as ("segment", "APP11")."""

_JPEG_NAMES = {
    **{0xC0 + n: f"SOF{n}" for n in range(16)},
    **{0xE0 + n: f"APP{n}" for n in range(16)},
    0xC4: "DHT",
    0xC8: "JPG",
    0xCC: "DAC",
    0xDA: "SOS",
    0xDB: "DQT",
    0xDC: "DNL",
    0xDD: "DRI",
    0xFE: "COM",
}
_NEXT_MARKER = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd8]")  # each match is a part, whose content follows
_MOST_TABLES = 8  # of one segment of a JPEG
_STANDARD_HUFFMAN = frozenset({"9fb04cb1", "f27ce9b7", "af48d4f6", "8cf60aa8"})  # ITU T.81, tables K.3 to K.6
_BOXES_OF_BOXES = frozenset({b"meta", b"iprp", b"ipco", b"moov", b"trak", b"mdia", b"jp2h", b"dinf", b"iref", b"res "})
_CODESTREAM_NAMES = {0x51: "SIZ", 0x52: "COD", 0x53: "COC", 0x5C: "QCD", 0x5D: "QCC", 0x55: "TLM", 0x64: "COM"}


def words_of(content: bytes) -> frozenset[str]:
    """Lists the parts of a file: "segment=APP11", "segment APP11=JP", "chunk=caBX", "order=IHDR caBX IDAT IEND", ...

    It also lists "coding=..." (the order of the parts that a JPEG decoder needs), "huffman=own" or "standard",
    "restart=N", "brand=...", "header=N" (BMP) and "trailing bytes". It is empty for an unknown format.

    Args:
        content: the file's content, or its first `MOST_BYTES`; of any kind, and perhaps damaged.
    """
    words: set[str] = set()
    orders: dict[str, list[str]] = {}
    for number, (kind, name) in enumerate(_parts(content)):
        if number >= MOST_PARTS:
            break
        if kind in ("order", "coding"):
            order = orders.setdefault(kind, [])
            if len(order) < MOST_IN_ORDER and (kind == "coding" or order[-1:] != [name]):
                order.append(name)
        else:
            words.add(f"{kind}={name}" if name else kind)
    return frozenset(words | {f"{kind}={' '.join(order)}" for kind, order in orders.items()})


def _parts(content: bytes) -> Iterator[Part]:
    for signature, read in _READERS.items():
        if content.startswith(signature):
            yield from read(content)
            return
    if content[4:8] in (b"ftyp", b"jP  "):
        yield from _boxes(content, 0, len(content), 0)


def _jpeg(content: bytes) -> Iterator[Part]:
    place, standard = 2, True
    while match := _NEXT_MARKER.search(content, place):
        marker, place = content[match.start() + 1], match.end()
        if marker == 0xD9:
            break
        size = int.from_bytes(content[place : place + 2], "big")
        body, place = content[place + 2 : place + size], place + max(size, 2)
        name = _JPEG_NAMES.get(marker, f"{marker:02X}")
        if name.startswith("APP") or name == "COM" or marker not in _JPEG_NAMES:
            yield from (("segment", name), ("order", name))
            if name.startswith("APP"):
                yield f"segment {name}", _identifier(body)
            continue
        yield "coding", name
        if name == "DRI":
            yield "restart", str(int.from_bytes(body[:2], "big"))
        if name == "DHT":
            standard = standard and _tables(body) <= _STANDARD_HUFFMAN
    else:
        return
    yield "huffman", "standard" if standard else "own"
    if place < len(content):
        yield "trailing bytes", ""


def _tables(body: bytes) -> set[str]:
    """Returns the digests of the Huffman tables of a segment."""
    tables: set[str] = set()
    for _ in range(_MOST_TABLES):
        if len(body) < 17:
            break
        size = 17 + sum(body[1:17])
        tables.add(hashlib.sha256(body[:size]).hexdigest()[:8])
        body = body[size:]
    return tables


def _png(content: bytes) -> Iterator[Part]:
    place, begun = 8, False
    while len(head := content[place : place + 8]) == 8:
        size, kind = struct.unpack(">I4s", head)
        yield from (("chunk", _text(kind)), ("order", _text(kind)))
        if kind == b"IDAT" and not begun:
            begun = True
            yield "zlib", content[place + 8 : place + 10].hex()  # the window and, roughly, the level of compression
        place += 12 + size
        if kind == b"IEND":
            if place < len(content):
                yield "trailing bytes", ""
            return


def _riff(content: bytes) -> Iterator[Part]:
    end = 8 + int.from_bytes(content[4:8], "little")
    place = 12
    while place + 8 <= min(end, len(content)):
        name = _text(content[place : place + 4])
        yield from (("chunk", name), ("order", name))
        size = int.from_bytes(content[place + 4 : place + 8], "little")
        if name == "VP8X":
            yield "flags", content[place + 8 : place + 9].hex()
        place += 8 + size + size % 2
    if len(content) > end + end % 2:
        yield "trailing bytes", ""


def _gif(content: bytes) -> Iterator[Part]:
    yield "version", _text(content[3:6])
    place = 13 + _colours(content[10:11])
    while place < len(content) and content[place] != 0x3B:
        if content[place] == 0x21:
            name = content[place + 1 : place + 2].hex()
            if name == "ff":
                yield "block ff", _identifier(content[place + 3 : place + 14])
            place += 2
        elif content[place] == 0x2C:
            name = "image"
            place += 11 + _colours(content[place + 9 : place + 10])
        else:
            return
        yield from (("block", name), ("order", name))
        while place < len(content) and content[place]:  # a size, then that many bytes
            place += 1 + content[place]
        place += 1
    if place + 1 < len(content):
        yield "trailing bytes", ""


def _colours(flags: bytes) -> int:
    """Returns the number of bytes of the colour table that a GIF's flags announce."""
    return 3 << ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0


def _tiff(content: bytes) -> Iterator[Part]:
    order, big = ("<" if content[:2] == b"II" else ">"), content[2:4] in (b"+\0", b"\0+")
    count, entry, offset, start = ("Q", 20, "Q", 8) if big else ("H", 12, "I", 4)
    yield "byte order", _text(content[:3])
    size, width = struct.calcsize(order + count), struct.calcsize(order + offset)
    if start + width > len(content):
        return
    seen: set[int] = set()
    (place,) = struct.unpack_from(order + offset, content, start)
    while place and place not in seen and place + size <= len(content):
        seen.add(place)
        (number,) = struct.unpack_from(order + count, content, place)
        first = place + size
        for tag in range(min(number, MOST_PARTS)):
            if first + entry * tag + 2 > len(content):
                return
            name = str(struct.unpack_from(f"{order}H", content, first + entry * tag)[0])
            yield from (("tag", name), ("order", name))
        following = first + entry * number
        if following + width > len(content):
            return
        (place,) = struct.unpack_from(order + offset, content, following)


def _boxes(content: bytes, place: int, end: int, depth: int) -> Iterator[Part]:
    """Yields the boxes of HEIF, AVIF and JPEG 2000 files, nested ones as well."""
    while place + 8 <= end:
        size, kind = struct.unpack_from(">I4s", content, place)
        head = 8
        if size == 1 and place + 16 <= end:
            size, head = int.from_bytes(content[place + 8 : place + 16], "big"), 16
        after = min(end, place + size) if size >= head else end
        body = content[place + head : min(after, place + head + 64)]
        name = _text(kind)
        yield from (("box", name), ("order", name))
        if kind == b"ftyp":
            yield "brand", _text(content[place + head : min(after, place + 64)])
        if kind == b"uuid":
            yield "box uuid", body[:16].hex()
        if kind == b"jp2c":
            yield from _codestream(content, place + head)
        if kind in _BOXES_OF_BOXES and depth < DEEPEST:
            yield from _boxes(content, place + head + (4 if kind in (b"meta", b"iref") else 0), after, depth + 1)
        place = after


def _codestream(content: bytes, place: int = 0) -> Iterator[Part]:
    """Yields the segments of the main header of a JPEG 2000 codestream."""
    place += 2
    while place + 4 <= len(content) and content[place] == 0xFF and content[place + 1] != 0x90:  # the first tile
        name = _CODESTREAM_NAMES.get(content[place + 1], f"{content[place + 1]:02X}")
        yield from (("segment", name), ("order", name))
        if name == "COM":
            yield "segment COM", _identifier(content[place + 6 : place + 6 + LETTERS])
        place += 2 + max(2, int.from_bytes(content[place + 2 : place + 4], "big"))


def _bmp(content: bytes) -> Iterator[Part]:
    yield "header", str(int.from_bytes(content[14:18], "little"))
    yield "per metre", "x".join(str(int.from_bytes(content[i : i + 4], "little")) for i in (38, 42))
    size = int.from_bytes(content[2:6], "little")
    if size != len(content) and len(content) < MOST_BYTES:
        yield "header says", "fewer bytes" if size < len(content) else "more bytes"


def _pnm(content: bytes) -> Iterator[Part]:
    yield "magic", _text(content[:2])
    head = re.match(rb"P\d(?:\s+|#[^\n]*\n?|\d+)*", content[:4096])
    if head and b"#" in head[0]:
        yield "comment", ""


def _identifier(body: bytes) -> str:
    """Returns the identifier of a segment: the printable letters at its beginning."""
    letters = re.match(rb"[ -~]*", body[:LETTERS])
    return _text(letters[0] if letters else b"") or body[:2].hex()


def _text(name: bytes) -> str:
    return "".join(chr(byte) if 32 < byte < 127 else "_" if byte == 32 else f"\\x{byte:02x}" for byte in name)


_READERS: dict[bytes, Callable[[bytes], Iterator[Part]]] = {
    b"\xff\xd8": _jpeg,
    b"\x89PNG\r\n\x1a\n": _png,
    b"RIFF": _riff,
    b"GIF8": _gif,
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), _tiff),
    b"\xff\x4f\xff\x51": _codestream,
    b"BM": _bmp,
    **dict.fromkeys((b"P1", b"P2", b"P3", b"P4", b"P5", b"P6"), _pnm),
}
