"""Ways to damage an image file: blindly, and where its format keeps lengths, sizes, types and offsets.

Every function takes the content and a source of random numbers and gives the damaged content; a format's own return
it as it was where they do not find that format's structure (any more).
"""

import random
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Literal

Mutation = Callable[[bytes, random.Random], bytes]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_AT_LIMITS = (0, 1, 2, 7, 8, 9, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def mutate(content: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """Damage `content` in one to four ways, one time in ten after joining it to a part of another file."""
    if rng.random() < 0.1:
        other = rng.choice(others)
        content = content[: rng.randint(1, len(content))] + other[rng.randrange(len(other)) :]
    for _ in range(rng.choice((1, 1, 2, 4))):
        own = _own(content)
        content = rng.choice(own if own and rng.random() < 0.6 else BLIND)(content, rng)
        if not content:
            break
    return content


def _own(content: bytes) -> Sequence[Mutation]:
    """The mutations that know the format which a file begins like."""
    return next((mutations for start, mutations in BY_FORMAT if content[start[0] :].startswith(start[1])), ())


# --- blind


def flip_bits(content: bytes, rng: random.Random) -> bytes:
    """Turn over 1 to 16 bits."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 2, 4, 16))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def write_number(content: bytes, rng: random.Random) -> bytes:
    """Overwrite 1, 2 or 4 bytes, one time in two among the first 64, by a number at which code tends to break."""
    return _with_number(content, rng.randrange(min(64, len(content)) if rng.random() < 0.5 else len(content)), rng)


def truncate(content: bytes, rng: random.Random) -> bytes:
    """Keep the beginning."""
    return content[: rng.randrange(1, len(content) + 1)]


def cut(content: bytes, rng: random.Random) -> bytes:
    """Leave out a part."""
    first, last = _range(content, rng)
    return content[:first] + content[last:]


def repeat(content: bytes, rng: random.Random) -> bytes:
    """Have a part twice to 50 times."""
    first, last = _range(content, rng)
    return content[:first] + content[first:last] * rng.choice((2, 3, 50)) + content[last:]


def blank(content: bytes, rng: random.Random) -> bytes:
    """Fill a part with zeros, ones or noise."""
    first, last = _range(content, rng)
    filling = (bytes(last - first), b"\xff" * (last - first), rng.randbytes(last - first))
    return content[:first] + rng.choice(filling) + content[last:]


BLIND: tuple[Mutation, ...] = (flip_bits, write_number, truncate, cut, repeat, blank)


# --- by format


def png_chunks(content: bytes, rng: random.Random) -> bytes:
    """Leave out, repeat, swap or damage chunks of a PNG; checksums are right again, so that the damage is read."""
    chunks = []
    place = len(_PNG_SIGNATURE)
    while place + 12 <= len(content):
        length = int.from_bytes(content[place : place + 4])
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    if not chunks:
        return content

    def damage(chunk: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        kind, data = chunk
        if kind == b"IDAT" and rng.random() < 0.5:  # under the compression
            unpacker = zlib.decompressobj()
            try:
                pixels = unpacker.decompress(data, 2**20)
            except zlib.error:
                return kind, data
            return kind, zlib.compress(rng.choice(BLIND)(pixels or b"\0", rng))
        if rng.random() < 0.1:
            return rng.choice((b"IDAT", b"PLTE", b"tRNS", b"fdAT", b"zTXt", b"iCCP", b"IEND", b"eXIf")), data
        return kind, rng.choice(BLIND)(data, rng) if data else rng.randbytes(rng.randrange(40))

    chunks = _rearranged(chunks, damage, rng)
    packed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return _PNG_SIGNATURE + b"".join(packed)


def jpeg_segments(content: bytes, rng: random.Random) -> bytes:
    """Leave out, repeat, swap or damage the segments before a JPEG's pixels, or change their markers or lengths."""
    segments = []
    place = 2
    while place + 4 <= len(content) and content[place] == 0xFF and content[place + 1] != 0xDA:
        length = 2 + int.from_bytes(content[place + 2 : place + 4])
        segments.append(content[place : place + length])
        place += length
    if not segments:
        return content

    def damage(segment: bytes) -> bytes:
        match rng.randrange(3):
            case 0:
                return (
                    segment[:1]
                    + bytes([rng.choice((0xC0, 0xC2, 0xC4, 0xC9, 0xDA, 0xDB, 0xDD, 0xE1, 0xE2, 0xEE))])
                    + (segment[2:])
                )
            case 1:
                return _with_number(segment, 2, rng)
        return segment[:4] + (rng.choice(BLIND)(segment[4:], rng) if segment[4:] else b"")

    return content[:2] + b"".join(_rearranged(segments, damage, rng)) + content[place:]


def tiff_entries(content: bytes, rng: random.Random) -> bytes:
    """Change the tag, type, count or value of an entry of a TIFF's first directory, or where the next one lies."""
    order: Literal["little", "big"] = "little" if content.startswith(b"II") else "big"
    first = int.from_bytes(content[4:8], order)
    count = int.from_bytes(content[first : first + 2], order)
    end = first + 2 + 12 * count
    if not count or end + 4 > len(content):
        return content
    if rng.random() < 0.1:
        return (
            content[:end]
            + struct.pack("<I" if order == "little" else ">I", rng.choice((first, 0, end)))
            + (content[end + 4 :])
        )
    entry = first + 2 + 12 * rng.randrange(count)
    place, width = rng.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 2)))
    number = rng.choice((*_AT_LIMITS, len(content), first, rng.randrange(256, 340))) % 256**width
    return content[: entry + place] + number.to_bytes(width, order) + content[entry + place + width :]


def riff_chunks(content: bytes, rng: random.Random) -> bytes:
    """Leave out, repeat, swap or damage the chunks of a WebP; the file's own length is right again."""
    chunks = []
    place = 12
    while place + 8 <= len(content):
        length = int.from_bytes(content[place + 4 : place + 8], "little")
        chunks.append(content[place : place + 8 + length + length % 2])
        place += 8 + length + length % 2
    if not chunks:
        return content

    def damage(chunk: bytes) -> bytes:
        return rng.choice((_with_number(chunk, 4, rng), chunk[:8] + (rng.choice(BLIND)(chunk[8:] or b"\0", rng))))

    body = content[8:12] + b"".join(_rearranged(chunks, damage, rng))
    return b"RIFF" + struct.pack("<I", len(body)) + body


def box_field(content: bytes, rng: random.Random) -> bytes:
    """Change the length, the type or the beginning of one of the nested boxes of JPEG 2000 and AVIF."""
    names = [
        *(b"ftyp", b"jP  ", b"jp2h", b"ihdr", b"colr", b"cdef", b"jp2c", b"meta", b"iloc", b"iprp", b"ipco", b"ispe"),
        *(b"pixi", b"av1C", b"ipma", b"iinf", b"infe", b"pitm", b"iref", b"irot", b"auxC", b"mdat"),
    ]
    places = [place for name in names if (place := content.find(name)) >= 4]
    if not places:
        return content
    place = rng.choice(places)
    if rng.random() < 0.1:
        return content[:place] + rng.choice(names) + content[place + 4 :]
    return _with_number(content, place + rng.choice((-4, *range(4, 24))), rng)


def header_field(content: bytes, rng: random.Random) -> bytes:
    """Change a number among the first 60 bytes, where BMP, GIF, PPM and JPEG 2000 codestreams keep their sizes."""
    return _with_number(content, rng.randrange(2, 60), rng)


BY_FORMAT: tuple[tuple[tuple[int, bytes], tuple[Mutation, ...]], ...] = (
    ((0, _PNG_SIGNATURE), (png_chunks,)),
    ((0, b"\xff\xd8"), (jpeg_segments,)),
    ((0, b"II*\0"), (tiff_entries,)),
    ((0, b"MM\0*"), (tiff_entries,)),
    ((0, b"RIFF"), (riff_chunks,)),
    ((4, b"ftyp"), (box_field,)),
    ((4, b"jP  "), (box_field, header_field)),
    ((0, b"\xff\x4f\xff\x51"), (header_field,)),
    ((0, b"BM"), (header_field,)),
    ((0, b"GIF"), (header_field,)),
    ((0, b"P"), (header_field,)),
)
"""(place, bytes there) by which a format is known, and its mutations."""


def _rearranged(parts: Sequence, damage: Callable, rng: random.Random) -> list:
    """`parts` with one of them left out, repeated, swapped with another or damaged."""
    parts = list(parts)
    one, other = rng.randrange(len(parts)), rng.randrange(len(parts))
    match rng.randrange(6):
        case 0:
            del parts[one]
        case 1:
            parts.insert(other, parts[one])
        case 2:
            parts[one], parts[other] = parts[other], parts[one]
        case _:
            parts[one] = damage(parts[one])
    return parts


def _with_number(content: bytes, place: int, rng: random.Random) -> bytes:
    width = rng.choice((1, 2, 4))
    number = rng.choice((*_AT_LIMITS, rng.randrange(2**32))) % 256**width
    written = number.to_bytes(width, rng.choice(("little", "big")))
    return content[:place] + written + content[place + width :]


def _range(content: bytes, rng: random.Random) -> tuple[int, int]:
    first = rng.randrange(len(content))
    return first, min(len(content), first + rng.choice((1, 2, 4, 16, 64, 1024)))
