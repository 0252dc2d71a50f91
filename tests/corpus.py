"""A folder of sound, strange and bad image files, each with what must become of it.

Expected pixels do not come from the decoder under test: lossless files are put together here, byte by byte, from the
values that they are then expected to give; of lossy ones the picture is known that was compressed, and a tolerance.
"""

import dataclasses
import importlib.util
import io
import os
import socket
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 16
"""Of most images: what the tests' network takes."""

BROKEN = r"broken image: .+|truncated file(: .+ missing)?|not an image|cannot be read: .+"
"""Any of the decoder's words for damage, where they are Pillow's choice."""


@dataclasses.dataclass(frozen=True)
class File:
    """One file of the corpus."""

    name: str
    make: bytes | Callable[[Path], object]
    """The content, or what puts the file in its place."""
    pixels: np.ndarray | None = None
    """What `decode_image` must give; None where the file must be refused."""
    atol: int = 0
    reason: str = ""
    """Of the refusal, as a regular expression that fits all of it."""
    remarks: str = ""
    """What the note of the image must say."""
    left_out: str = ""
    """Why a listing leaves the file out, as a regular expression; "" where it does not."""

    def write(self, folder: Path) -> Path:
        path = folder / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(self.make, bytes):
            path.write_bytes(self.make)
        else:
            self.make(path)
        return path


# --- pictures


def picture(height: int = SIDE, width: int = SIDE) -> np.ndarray:
    """Smooth, so that lossy formats keep it, and different in every turn and mirror image."""
    rows, columns = np.mgrid[:height, :width]
    return (
        np.stack([4 * rows + 20, 5 * columns + 60, 2 * rows + 3 * columns + 90], axis=-1).clip(0, 255).astype(np.uint8)
    )


PICTURE = picture()
GREY = PICTURE[..., 2]
ALPHA = (np.arange(SIDE * SIDE) % 256).astype(np.uint8).reshape(SIDE, SIDE)
INDICES = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)


def rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=-1)


def ramp(bits: int) -> np.ndarray:
    """Values of `bits` bits, all of them or 256 evenly spaced ones."""
    return INDICES % 2**bits if bits <= 8 else INDICES * (2**bits // 256) + 77


def palette(count: int) -> np.ndarray:
    return np.random.RandomState(count).randint(0, 256, (count, 3)).astype(np.uint8)


def packed(values: np.ndarray, bits: int) -> list[bytes]:
    """Rows of values, `bits` bits each, the first in the highest bits, each row padded to whole bytes."""
    flat = values.reshape(len(values), -1)
    if bits >= 8:
        return [row.astype(f">u{bits // 8}").tobytes() for row in flat]
    expanded = (flat[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return [np.packbits(row.reshape(-1).astype(np.uint8)).tobytes() for row in expanded]


# --- PNG


def chunk(kind: bytes, data: bytes, checksum: int = 0) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ checksum)


SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = chunk(b"IEND", b"")


def png(values: np.ndarray, bits: int, colour: int, *extra: bytes, size: tuple[int, int] | None = None) -> bytes:
    """A PNG of values (h, w) or (h, w, channels) of colour type 0, 2, 3, 4 or 6, chunks `extra` before the pixels."""
    width, height = size or (values.shape[1], values.shape[0])
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    rows = b"".join(b"\0" + row for row in packed(values, bits))
    return SIGNATURE + header + b"".join(extra) + chunk(b"IDAT", zlib.compress(rows)) + END


def interlaced_png(values: np.ndarray) -> bytes:
    """RGB in the seven passes of Adam7."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b"".join(
        b"\0" + row.tobytes() for top, left, down, across in passes for row in values[top::down, left::across]
    )
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 8, 2, 0, 0, 1))
    return SIGNATURE + header + chunk(b"IDAT", zlib.compress(rows)) + END


PNG = png(PICTURE, 8, 2)


def pngs() -> Iterator[File]:
    yield File("rgb.png", PNG, PICTURE)
    yield File("interlaced.png", interlaced_png(PICTURE), PICTURE)
    for bits in (1, 2, 4, 8):
        yield File(f"grey{bits}.png", png(ramp(bits), bits, 0), rgb(ramp(bits) * (255 // (2**bits - 1))))
        colours = palette(2**bits)
        yield File(
            f"palette{bits}.png", png(ramp(bits), bits, 3, chunk(b"PLTE", colours.tobytes())), colours[ramp(bits)]
        )
    colours = palette(256)
    clear = chunk(b"PLTE", colours.tobytes()) + chunk(b"tRNS", bytes(range(256)))
    yield File("palette_alpha.png", png(INDICES, 8, 3, clear), colours[INDICES])
    yield File("grey_alpha.png", png(np.dstack([GREY, ALPHA]), 8, 4), rgb(GREY))
    yield File("rgba.png", png(np.dstack([PICTURE, ALPHA]), 8, 6), PICTURE)
    yield File("rgba_clear.png", png(np.dstack([PICTURE, 0 * ALPHA]), 8, 6), PICTURE)
    yield File("grey_key.png", png(GREY, 8, 0, chunk(b"tRNS", struct.pack(">H", int(GREY[3, 3])))), rgb(GREY))
    key = chunk(b"tRNS", struct.pack(">HHH", *map(int, PICTURE[3, 3])))
    yield File("rgb_key.png", png(PICTURE, 8, 2, key), PICTURE)
    deep = PICTURE.astype(np.uint16) * 256 + 200  # rounded it would be one more
    yield File("grey16.png", png(ramp(16), 16, 0), rgb(ramp(16) >> 8))
    yield File("rgb16.png", png(deep, 16, 2), PICTURE)
    yield File("grey_alpha16.png", png(deep[..., :2], 16, 4), rgb(PICTURE[..., 0]))
    yield File("rgba16.png", png(np.dstack([deep, deep[..., 0]]), 16, 6), PICTURE)
    yield File("gamma.png", png(PICTURE, 8, 2, chunk(b"gAMA", struct.pack(">I", 100_000))), PICTURE)
    profile = chunk(b"iCCP", b"strange\0\0" + zlib.compress(b"no profile at all" * 20))
    yield File("profile.png", png(PICTURE, 8, 2, profile), PICTURE)
    turned = chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0")
    yield File("turned.png", png(PICTURE, 8, 2, turned), np.rot90(PICTURE, -1))
    yield File("trailing.png", PNG + b"what follows the end of an image" * 9, PICTURE)
    yield File("no_end.png", PNG[: -len(END)], PICTURE)
    yield File("truncated.png", PNG[: len(PNG) // 2], reason=BROKEN)
    yield File("truncated_signature.png", PNG[:5], reason="not an image")
    yield File("truncated_header.png", PNG[:20], reason=BROKEN)
    yield File("only_signature.png", SIGNATURE, reason=BROKEN)
    start, header = SIGNATURE, PNG[8:33]
    yield File("checksum.png", start + header[:-1] + bytes([header[-1] ^ 1]) + PNG[33:], reason=BROKEN)
    damaged = bytearray(zlib.compress(b"".join(b"\0" + row for row in packed(PICTURE, 8)), 0))
    damaged[100] ^= 1  # a pixel: only the checksum of the compressed data tells
    yield File("pixel_checksum.png", start + header + chunk(b"IDAT", bytes(damaged)) + END, reason=BROKEN)
    yield File("no_pixels.png", start + header + END, reason=BROKEN)
    yield File("not_zlib.png", start + header + chunk(b"IDAT", b"not zlib" * 50) + END, reason=BROKEN)
    yield File(
        "few_rows.png",
        png(PICTURE[:5], 8, 2, size=(SIDE, SIDE)),
        np.where(np.arange(SIDE)[:, None, None] < 5, PICTURE, 0),
    )
    yield File("zero_width.png", png(PICTURE, 8, 2, size=(0, SIDE)), reason=BROKEN)
    yield File("strange_depth.png", png(PICTURE, 8, 2).replace(header, _header(bits=3)), reason=BROKEN)
    yield File("bomb.png", png(PICTURE, 8, 2, size=(60_000, 60_000)), reason="too large: .*")
    yield File("large.png", png(PICTURE, 8, 2, size=(9_000, 9_000)), reason="too large: 9000x9000 is over .*")
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(70 * 2**20), 1))
    yield File("text_bomb.png", png(PICTURE, 8, 2, text), reason=BROKEN)
    yield File("one_pixel.png", png(PICTURE[:1, :1], 8, 2), PICTURE[:1, :1])
    for name, shape in {"flat": (3, 10_000), "tall": (10_000, 3), "wide": (17, 40), "short": (15, SIDE)}.items():
        yield File(f"{name}.png", png(picture(*shape), 8, 2), picture(*shape))
    frames = io.BytesIO()
    Image.fromarray(PICTURE).save(frames, "PNG", save_all=True, append_images=[Image.fromarray(255 - PICTURE)])
    yield File("animated.png", frames.getvalue(), PICTURE)


def _header(bits: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, bits, 2, 0, 0, 0))


# --- JPEG and the other formats with losses


def saved(form: str, image: np.ndarray = PICTURE, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).convert(mode).save(buffer, form, **options)
    return buffer.getvalue()


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


TURNS = {  # what turns the stored image upright
    2: lambda image: image[:, ::-1],
    3: lambda image: np.rot90(image, 2),
    4: lambda image: image[::-1],
    5: lambda image: np.rot90(image[:, ::-1]),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(image[:, ::-1], -1),
    8: lambda image: np.rot90(image),
}


def jpegs() -> Iterator[File]:
    jpeg = saved("JPEG", quality=95, subsampling=0)
    yield File("rgb.jpg", jpeg, PICTURE, 4)
    yield File("subsampled.jpeg", saved("JPEG", quality=95), PICTURE, 6)
    yield File("progressive.jfif", saved("JPEG", quality=95, subsampling=0, progressive=True), PICTURE, 4)
    yield File("grey.jpg", saved("JPEG", rgb(GREY), "L", quality=95), rgb(GREY), 4)
    ink = saved("JPEG", PICTURE, "CMYK", quality=95, subsampling=0)
    yield File("cmyk.jpg", ink, PICTURE, 4)
    wide = picture(12, SIDE)
    for orientation, upright in TURNS.items():
        content = saved("JPEG", wide, quality=95, subsampling=0, exif=turned(orientation))
        yield File(f"turned{orientation}.jpg", content, upright(wide), 4)
    yield File("strange_turn.jpg", saved("JPEG", quality=95, subsampling=0, exif=turned(99)), PICTURE, 4)
    yield File("profile.jpg", saved("JPEG", quality=95, subsampling=0, icc_profile=b"none" * 99), PICTURE, 4)
    yield File("trailing.jpg", jpeg + bytes(999), PICTURE, 4)
    second = {"save_all": True, "append_images": [Image.fromarray(255 - PICTURE)], "subsampling": 0}
    yield File("two_images.jpg", saved("MPO", quality=95, **second), PICTURE, 4)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    yield File("turned_by_xmp.jpg", saved("JPEG", wide, quality=95, subsampling=0, xmp=xmp), wide, 4)
    large = picture(64, 64)
    baseline = saved("JPEG", large, quality=95, subsampling=0)
    begun = baseline[: baseline.index(b"\xff\xda") + 250] + b"\xff\xd9"
    yield File("early_end.jpg", begun, np.asarray(Image.open(io.BytesIO(begun)).convert("RGB")))  # not told from others
    yield File("truncated.jpg", jpeg[: len(jpeg) * 2 // 3], reason=BROKEN)
    yield File("no_end.jpg", saved("JPEG", picture(64, 64))[:-200], reason="truncated file")
    yield File("only_start.jpg", jpeg[:2], reason=BROKEN)
    yield File("only_header.jpg", jpeg[: jpeg.index(b"\xff\xda")], reason=BROKEN)
    size = jpeg.index(b"\xff\xc0") + 5  # height, then width
    yield File("zero_size.jpg", jpeg[:size] + bytes(4) + jpeg[size + 4 :], reason=BROKEN)
    yield File("huge.jpg", jpeg[:size] + b"\xff\xdc\xff\xdc" + jpeg[size + 4 :], reason="too large: .*")


def webps() -> Iterator[File]:
    lossless = saved("WEBP", lossless=True)
    yield File("lossless.webp", lossless, PICTURE)
    yield File("lossy.webp", saved("WEBP", quality=95), PICTURE, 12)
    alpha = np.dstack([PICTURE, ALPHA])
    yield File("alpha.webp", saved("WEBP", alpha, "RGBA", lossless=True, exact=True), PICTURE)
    frames = {"save_all": True, "append_images": [Image.fromarray(255 - PICTURE)], "lossless": True}
    yield File("animated.webp", saved("WEBP", **frames), PICTURE)
    clear = [Image.fromarray(np.dstack([image, ALPHA])) for image in (PICTURE, 255 - PICTURE)]
    yield File(
        "animated_alpha.webp",
        saved("WEBP", np.asarray(clear[0]), "RGBA", save_all=True, append_images=clear[1:], lossless=True, exact=True),
        np.where(ALPHA[..., None] > 0, PICTURE, 0),  # frames are composed: what is not seen at all is lost
    )
    yield File("turned.webp", saved("WEBP", lossless=True, exif=turned(8)), np.rot90(PICTURE))
    yield File("truncated.webp", lossless[: len(lossless) // 2], reason=BROKEN)
    yield File("only_riff.webp", lossless[:12], reason=BROKEN)
    yield File("sparse.webp", _sparse(lossless, 2**30 + 1), reason="too large: a file of 1,073,741,825 bytes")


def others() -> Iterator[File]:
    colours = palette(256)
    image = Image.fromarray(INDICES.astype(np.uint8))
    image.putpalette(colours.tobytes())
    second = image.copy()
    second.putdata([255 - value for value in range(256)])
    for name, options in {
        "plain": {},
        "interlaced": {"interlace": 1},
        "clear": {"transparency": 7},
        "animated": {"save_all": True, "append_images": [second]},
    }.items():
        buffer = io.BytesIO()
        image.save(buffer, "GIF", **options)
        yield File(f"{name}.gif", buffer.getvalue(), colours[INDICES])
    gif = buffer.getvalue()
    yield File("truncated.gif", gif[: len(gif) // 3], reason=BROKEN)
    yield File("only_header.gif", gif[:10], reason=BROKEN)
    yield File("binary.ppm", b"P6 16 16 255\n" + PICTURE.tobytes(), PICTURE)
    yield File("comment.ppm", b"P6\n# a comment\n16 16\n255\n" + PICTURE.tobytes(), PICTURE)
    yield File("grey.pgm", b"P5 16 16 255\n" + GREY.tobytes(), rgb(GREY))
    yield File("black.pbm", b"P4 16 16\n" + bytes(32), rgb(0 * GREY + 255))  # a bit that is not set is white
    yield File("text.pnm", b"P3 16 16 255\n" + " ".join(map(str, PICTURE.ravel())).encode(), PICTURE)
    yield File("deep.ppm", b"P6 16 16 65535\n" + (PICTURE.astype(">u2") * 257).tobytes(), PICTURE)
    yield File(
        "deep.pgm", b"P5 16 16 65535\n" + ramp(16).astype(">u2").tobytes(), reason="32-bit integer .* no defined white"
    )
    yield File("truncated.ppm", b"P6 16 16 255\n" + PICTURE.tobytes()[:99], reason=BROKEN)
    yield File("huge.ppm", b"P6 99999 99999 255\n", reason="too large: .*")
    yield File("lossless.jp2", saved("JPEG2000"), PICTURE)
    yield File("truncated.jp2", saved("JPEG2000")[:150], reason=BROKEN)
    tiled = saved("JPEG2000", no_jp2=True, tile_size=(8, 8))
    last = tiled.rindex(b"\xff\x90")
    yield File("tiles.j2k", tiled, PICTURE)
    yield File("few_tiles.j2k", tiled[:last] + b"\xff\xd9", reason="truncated file: 1 of its tiles is missing")
    tiled = saved("JPEG2000", tile_size=(8, 8))
    yield File("tiles.jp2", tiled, PICTURE)
    yield File("few_tiles.jp2", tiled[: tiled.rindex(b"\xff\x90")] + b"\xff\xd9", reason="truncated file: 1 of .*")
    if "AVIF" in Image.SAVE:
        avif = saved("AVIF", quality=95, subsampling="4:4:4", speed=10)
        yield File("rgb.avif", avif, PICTURE, 6)
        yield File("truncated.avif", avif[: len(avif) - 40], reason=BROKEN)


# --- BMP and TIFF


def bmp(rows: bytes, bits: int, size: tuple[int, int] = (SIDE, SIDE), colours: np.ndarray | None = None) -> bytes:
    """Rows as they are stored; a negative height says that the first is the upper one."""
    table = b"" if colours is None else np.pad(colours[:, ::-1], ((0, 0), (0, 1))).tobytes()
    offset = 54 + len(table)
    used = 0 if colours is None else len(colours)
    header = struct.pack("<IiiHHIIiiII", 40, *size, 1, bits, 0, len(rows), 2835, 2835, used, 0)
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + header + table + rows


def bmps() -> Iterator[File]:
    rows = PICTURE[::-1, :, ::-1].tobytes()
    yield File("rgb.bmp", bmp(rows, 24), PICTURE)
    yield File("downwards.bmp", bmp(PICTURE[..., ::-1].tobytes(), 24, (SIDE, -SIDE)), PICTURE)
    yield File("padded.bmp", bmp(np.pad(PICTURE[::-1, :, ::-1], ((0, 0), (0, 0), (0, 1))).tobytes(), 32), PICTURE)
    for bits in (1, 4, 8):
        colours = palette(2**bits)
        stored = b"".join(row.ljust(-(-len(row) // 4) * 4, b"\0") for row in packed(ramp(bits)[::-1], bits))
        yield File(f"palette{bits}.bmp", bmp(stored, bits, colours=colours), colours[ramp(bits)])
    five = PICTURE // 8
    words = (five[..., 0].astype(np.uint16) << 10) | (five[..., 1].astype(np.uint16) << 5) | five[..., 2]
    yield File("five_bits.bmp", bmp(words[::-1].astype("<u2").tobytes(), 16), PICTURE, 8)
    yield File("truncated.bmp", bmp(rows, 24)[:300], reason=BROKEN)
    yield File("only_header.bmp", bmp(rows, 24)[:30], reason=BROKEN)
    yield File("huge.bmp", bmp(rows, 24, (2**31 - 1, 2**31 - 1)), reason="too large: .*")
    yield File("empty_size.bmp", bmp(rows, 24, (0, 0)), reason=BROKEN)


def tiff(pixels: bytes, bits: int, photometric: int, channels: int = 1, order: str = "<", **more: tuple) -> bytes:
    """One uncompressed strip; `more` are further tags, such as t274=("H", 6)."""
    tags: dict[int, tuple] = {
        256: ("H", SIDE), 257: ("H", SIDE), 258: ("H", *[bits] * channels), 259: ("H", 1), 262: ("H", photometric),
        273: ("I", 8), 277: ("H", channels), 278: ("H", SIDE), 279: ("I", len(pixels)),
    }  # fmt: skip
    tags |= {int(name[1:]): value for name, value in more.items()}
    first = 8 + len(pixels) + len(pixels) % 2
    body, extra = struct.pack(f"{order}H", len(tags)), b""
    for tag in sorted(tags):
        kind, *values = tags[tag]
        content = struct.pack(f"{order}{len(values)}{kind}", *values)
        if len(content) > 4:
            at = first + 2 + 12 * len(tags) + 4 + len(extra)
            extra, content = extra + content, struct.pack(f"{order}I", at)
        body += struct.pack(f"{order}HHI", tag, {"H": 3, "I": 4}[kind], len(values)) + content.ljust(4, b"\0")
    mark = {"<": b"II", ">": b"MM"}[order]
    start = mark + struct.pack(f"{order}HI", 42, first)
    return start + pixels + bytes(len(pixels) % 2) + body + bytes(4) + extra


def tiffs() -> Iterator[File]:
    flat = PICTURE.tobytes()
    plain = tiff(flat, 8, 2, 3)
    yield File("rgb.tif", plain, PICTURE)
    yield File("big_endian.tiff", tiff(flat, 8, 2, 3, ">"), PICTURE)
    yield File("planar.tif", _planar(), PICTURE)
    yield File("turned.tif", tiff(flat, 8, 2, 3, t274=("H", 6)), np.rot90(PICTURE, -1))
    yield File("grey.tif", tiff(GREY.tobytes(), 8, 1), rgb(GREY))
    yield File("white_is_zero.tif", tiff(GREY.tobytes(), 8, 0), rgb(255 - GREY))
    yield File("bits.tif", tiff(b"".join(packed(ramp(1), 1)), 1, 1), rgb(ramp(1) * 255))
    yield File("rgb16.tif", tiff((PICTURE.astype("<u2") * 256 + 99).tobytes(), 16, 2, 3), PICTURE)
    yield File("grey16.tif", tiff(ramp(16).astype("<u2").tobytes(), 16, 1), rgb(ramp(16) >> 8))
    yield File("grey16_big_endian.tif", tiff(ramp(16).astype(">u2").tobytes(), 16, 1, order=">"), rgb(ramp(16) >> 8))
    yield File("rgba.tif", tiff(np.dstack([PICTURE, ALPHA]).tobytes(), 8, 2, 4, t338=("H", 2)), PICTURE)
    colours = palette(256)
    wide = (colours.T.astype(int) * 257).ravel().tolist()
    yield File("palette.tif", tiff(INDICES.astype(np.uint8).tobytes(), 8, 3, t320=("H", *wide)), colours[INDICES])
    ink = np.dstack([255 - PICTURE, 0 * ALPHA])
    yield File("cmyk.tif", tiff(ink.tobytes(), 8, 5, 4), PICTURE)
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield File(f"{compression}.tif", saved("TIFF", compression=compression), PICTURE)
    yield File("pages.tif", saved("TIFF", save_all=True, append_images=[Image.fromarray(255 - PICTURE)]), PICTURE)
    yield File("circle.tif", plain[: -4 - 6] + struct.pack("<I", 8 + len(flat)) + plain[-6:], PICTURE)
    twelve = bytes(SIDE * SIDE * 3 // 2)
    yield File("grey12.tif", tiff(twelve, 12, 1), reason="12-bit pixels .*")
    yield File("signed.tif", tiff(GREY.tobytes(), 8, 1, t339=("H", 2)), reason="signed pixels .*")
    yield File(
        "inverted16.tif", tiff(ramp(16).astype("<u2").tobytes(), 16, 0), reason="16-bit pixels that count from white .*"
    )
    yield File("signed16.tif", tiff(bytes(512), 16, 1, t339=("H", 2)), reason="32-bit integer .* no defined white")
    yield File("integers.tif", tiff(bytes(1024), 32, 1), reason="32-bit integer .* no defined white|not an image")
    yield File("floats.tif", tiff(bytes(1024), 32, 1, t339=("H", 3)), reason="floating-point .* no defined white")
    yield File("doubles.tif", tiff(bytes(2048), 64, 1, t339=("H", 3)), reason="floating-point .* white|not an image")
    yield File("truncated.tif", plain[:400], reason=BROKEN)
    yield File("few_pixels.tif", tiff(flat[:300], 8, 2, 3), reason=BROKEN)
    yield File("only_header.tif", plain[:8], reason=BROKEN)
    yield File("huge.tif", tiff(flat, 8, 2, 3, t256=("I", 2**20), t257=("I", 2**20)), reason="too large: .*")


def _planar() -> bytes:
    """One strip a channel."""
    size = SIDE * SIDE
    places = ("I", 8, 8 + size, 8 + 2 * size)
    content = PICTURE.transpose(2, 0, 1).tobytes()
    return tiff(content, 8, 2, 3, t284=("H", 2), t273=places, t279=("I", size, size, size))


# --- what is no image, or no file


def not_images() -> Iterator[File]:
    for name, content in {
        "text.png": b"This is not a picture.\n",
        "page.jpg": b"<!DOCTYPE html><title>404 Not Found</title>",
        "drawing.png": b'<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16"/>',
        "document.tif": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        "archive.png": b"PK\x03\x04" + bytes(99),
        "zeros.png": bytes(5000),
        "ones.bmp": b"\xff" * 5000,
        "newline.jpg": b"\n",
        "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n",
    }.items():
        yield File(name, content, reason="not an image")
    yield File("empty.png", b"", reason="empty file")
    yield File("empty.webp", b"", reason="empty file")


# Other systems have no such names.
_NO_UTF8 = (os.fsdecode(b"no_utf8_\xff\xfe.png"),) if sys.platform == "linux" else ()


def names() -> Iterator[File]:
    for name in (
        *("png_inside.jpg", "UPPER.PNG", "Mixed.PnG", "-rf.png", "--help.png", " spaces around .png", "=1+1.png"),
        *('comma, quote".png', "tab\t.png", "line\nbreak.png", "return\r.png", "escape\x1b[31m.png", "per%cent.png"),
        *("größe_日本語.png", "e\u0301.png", "\u202eright_to_left.png", "\U0001f9d1‍\U0001f680.png", "line\u2028.png"),
        *(*_NO_UTF8, "x" * 251 + ".png", "two.dots.png", "folder/below/rgb.png"),
    ):
        yield File(name, PNG, PICTURE)
    yield File("jpeg_inside.png", saved("JPEG", quality=95, subsampling=0), PICTURE, 4)


def _sparse(start: bytes, size: int) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        path.write_bytes(start)
        os.truncate(path, size)

    return make


def _socket(path: Path) -> None:
    # The system takes short paths only, so it is bound by a relative one.
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(before)


HEIC = importlib.util.find_spec("pillow_heif") is not None
NO_HEIC = r"HEIC is read where pillow-heif is installed: pip install 'ganfp_jax\[heic\]'"


def heic(image: np.ndarray, **options: object) -> bytes:
    import pillow_heif

    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(image)).save(buffer, **options)
    return buffer.getvalue()


def other_kinds() -> Iterator[File]:
    yield File("raw.dng", PNG, reason=r"raw photographs \(\.dng\) are not read: convert it to PNG")
    yield File("layers.PSD", b"8BPS" + bytes(99), reason=r"\.psd files are not read: convert it to PNG")
    yield File("layers.png", b"8BPS" + bytes(99), reason="Photoshop files are not read: convert it to PNG")
    yield File("xl.jxl", b"\xff\x0a" + bytes(99), reason=r"\.jxl files are not read: convert it to PNG")
    yield File("xl.jpg", b"\xff\x0a" + bytes(99), reason="JPEG XL is not read: convert it to PNG")
    yield File("rgb.jpe", saved("JPEG", quality=95, subsampling=0), PICTURE, 4)
    yield File("noise.heic", b"\0\0\0\x24ftypheic" + bytes(range(256)), reason=f"{BROKEN}|{NO_HEIC}")
    if HEIC:
        large = picture(40, 64)
        content = heic(large, quality=100, chroma=444)
        yield File("photo.HEIC", content, large, 6)
        yield File("turned.hif", heic(large, quality=100, chroma=444, exif=turned(6).tobytes()), np.rot90(large, -1), 6)
        yield File("truncated.heif", content[: len(content) - 100], reason=BROKEN)


def file_system() -> Iterator[File]:
    is_folder, no_file = "is a folder", "not a regular file"
    yield File("folder.png", lambda path: path.mkdir(), reason=is_folder, left_out=is_folder)
    yield File(
        "link_to_folder.png", lambda path: path.symlink_to("folder.png"), reason=is_folder, left_out="a link to a .*"
    )
    yield File("link_upwards", lambda path: path.symlink_to(".."), reason=is_folder, left_out="a link to a folder, .*")
    yield File("pipe.png", os.mkfifo, reason=no_file)
    yield File("socket.png", _socket, reason=no_file)
    yield File("device.png", lambda path: path.symlink_to("/dev/zero"), reason=no_file)
    yield File("nowhere.png", lambda path: path.symlink_to("missing"), reason="no such file")
    yield File("circle.png", lambda path: path.symlink_to("circle.png"), reason="cannot be read: .*")
    yield File("ring1.png", lambda path: path.symlink_to("ring2.png"), reason="cannot be read: .*")
    yield File("ring2.png", lambda path: path.symlink_to("ring1.png"), reason="cannot be read: .*")
    yield File("link.png", lambda path: path.symlink_to("rgb.png"), PICTURE)
    for name in ("notes.txt", "no_suffix", "thumbs.db", "photo.png.part"):
        yield File(name, PNG, PICTURE, left_out="not an image by its name")


_PALETTE, _ALPHA, _DEEP, _TURNED = "palette applied", "alpha dropped", "16 bits cut to 8", "turned upright"
REMARKS = {
    **dict.fromkeys([f"palette{bits}.png" for bits in (1, 2, 4, 8)], _PALETTE),
    **dict.fromkeys([f"palette{bits}.bmp" for bits in (1, 4, 8)], _PALETTE),
    **dict.fromkeys(["plain.gif", "interlaced.gif", "palette.tif"], _PALETTE),
    **dict.fromkeys(["palette_alpha.png", "clear.gif"], f"{_PALETTE}; {_ALPHA}"),
    **dict.fromkeys(["grey_alpha.png", "rgba.png", "rgba_clear.png", "grey_key.png", "rgb_key.png"], _ALPHA),
    **dict.fromkeys(["alpha.webp", "rgba.tif"], _ALPHA),
    **dict.fromkeys(["grey16.png", "rgb16.png", "deep.ppm", "rgb16.tif", "grey16.tif", "grey16_big_endian.tif"], _DEEP),
    **dict.fromkeys(["grey_alpha16.png", "rgba16.png"], f"{_DEEP}; {_ALPHA}"),
    **dict.fromkeys(["turned.png", "turned.webp", "turned.tif", *[f"turned{turn}.jpg" for turn in TURNS]], _TURNED),
    **dict.fromkeys(["cmyk.jpg", "cmyk.tif"], "CMYK converted"),
    **dict.fromkeys(["animated.png", "two_images.jpg", "animated.webp"], "first of 2 frames"),
    "animated.gif": f"{_PALETTE}; first of several frames",
    "pages.tif": "first of several frames",
    "animated_alpha.webp": f"{_ALPHA}; first of 2 frames",
    "early_end.jpg": "ends in grey, as of a file cut short",
}
"""What the notes of the images must say."""


def files() -> list[File]:
    """The whole corpus."""
    parts = (pngs, jpegs, webps, others, bmps, tiffs, other_kinds, not_images, names, file_system)
    made = [file for part in parts for file in part()]
    return [dataclasses.replace(file, remarks=REMARKS.get(file.name, "")) for file in made]


def build(folder: Path) -> list[tuple[File, Path]]:
    """Write the corpus into a folder; returns the files with their paths."""
    return [(file, file.write(folder)) for file in files()]
