"""How a file is built, in words: every segment, chunk, block, box and tag, whatever it is called."""

import io
import struct
import time
import zlib

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin, TiffImagePlugin

from ganfp_jax.audit import quick
from ganfp_jax.data import labelled
from ganfp_jax.data.decoding import segments
from ganfp_jax.data.decoding.segments import words_of

JUMBF = b"JP\0\1\0\0\0\1" + b"\0\0\0\x20jumb" + b"\0" * 24


def picture(seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8))


def saved(kind, seed=0, **options):
    buffer = io.BytesIO()
    picture(seed).save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg_segment(data, marker, body, place=2):
    return data[:place] + bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body + data[place:]


def png_chunk(data, kind, body=b"x" * 8):
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data[:33] + chunk + data[33:]


def riff_chunk(data, kind, body=b"x" * 8):
    data += kind + struct.pack("<I", len(body)) + body
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


def tiff_tag(seed):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[51234] = "private"
    return saved("TIFF", seed, tiffinfo=tags)


def box(data, kind, body=b"x" * 16):
    return data + struct.pack(">I4s", 8 + len(body), kind) + body


def bitmap_v5(seed):
    data = saved("BMP", seed)
    header = struct.pack("<I", 124) + data[18:54] + b"\0" * 84
    size, start = len(data) + 84, 14 + 124
    return data[:2] + struct.pack("<IHHI", size, 0, 0, start) + header + data[54:]


def gif_extension(data, label, body):
    place = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    return data[:place] + b"\x21" + bytes((label, len(body))) + body + b"\0" + data[place:]


# What the second source has -> (a file of the first, one of the second, the word that tells)
PLANTED = {
    "JPEG APP11": (lambda s: saved("JPEG", s), lambda s: jpeg_segment(saved("JPEG", s), 0xEB, JUMBF), "APP11"),
    "JPEG APP7": (lambda s: saved("JPEG", s), lambda s: jpeg_segment(saved("JPEG", s), 0xE7, b"own\0data"), "APP7"),
    "JPEG comment": (lambda s: saved("JPEG", s), lambda s: saved("JPEG", s, comment=b"made"), "=COM"),
    "JPEG order": (
        lambda s: jpeg_segment(jpeg_segment(saved("JPEG", s), 0xE5, b"five\0"), 0xE7, b"seven\0"),
        lambda s: jpeg_segment(jpeg_segment(saved("JPEG", s), 0xE7, b"seven\0"), 0xE5, b"five\0"),
        "order=APP",
    ),
    "JPEG Huffman": (lambda s: saved("JPEG", s), lambda s: saved("JPEG", s, optimize=True), "huffman="),
    "JPEG restart": (
        lambda s: saved("JPEG", s), lambda s: saved("JPEG", s, restart_marker_rows=1), "restart=1",
    ),
    "JPEG density": (lambda s: saved("JPEG", s), lambda s: saved("JPEG", s, dpi=(72, 72)), "dpi"),
    "JPEG trailing": (lambda s: saved("JPEG", s), lambda s: saved("JPEG", s) + b"more", "trailing bytes"),
    "PNG C2PA": (lambda s: saved("PNG", s), lambda s: png_chunk(saved("PNG", s), b"caBX"), "caBX"),
    "PNG private": (lambda s: saved("PNG", s), lambda s: png_chunk(saved("PNG", s), b"prVt"), "prVt"),
    "PNG trailing": (lambda s: saved("PNG", s), lambda s: saved("PNG", s) + b"more", "trailing bytes"),
    "WebP chunk": (lambda s: saved("WEBP", s), lambda s: riff_chunk(saved("WEBP", s), b"C2PA"), "C2PA"),
    "GIF comment": (
        lambda s: gif_extension(saved("GIF", s), 0xCE, b"x"), lambda s: gif_extension(saved("GIF", s), 0xFE, b"y"),
        "block=fe",
    ),
    "GIF application": (
        lambda s: saved("GIF", s), lambda s: gif_extension(saved("GIF", s), 0xFF, b"XMP DataXMP"), "XMP",
    ),
    "TIFF tag": (lambda s: saved("TIFF", s), tiff_tag, "51234"),
    "TIFF byte order": (lambda s: saved("TIFF", s), lambda s: saved("TIFF", s, big_tiff=True), "byte order=II+"),
    "AVIF box": (lambda s: saved("AVIF", s), lambda s: box(saved("AVIF", s), b"uuid"), "uuid"),
    "JPEG 2000 box": (lambda s: saved("JPEG2000", s), lambda s: box(saved("JPEG2000", s), b"xml "), "xml"),
    "JPEG 2000 comment": (
        lambda s: saved("JPEG2000", s, no_jp2=True), lambda s: saved("JPEG2000", s, no_jp2=True, comment="my"), "=my",
    ),
    "BMP header": (lambda s: saved("BMP", s), bitmap_v5, "header=124"),
    "PPM comment": (
        lambda s: saved("PPM", s), lambda s: saved("PPM", s).replace(b"P6\n", b"P6\n# GIMP\n", 1), "comment",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_what_one_source_has_is_found_and_named(name, tmp_path):
    first, second, word = PLANTED[name]
    for source, make in (("a", first), ("b", second)):
        (tmp_path / source).mkdir()
        for seed in range(5):
            (tmp_path / source / f"{seed}.{name.split()[0].lower().replace('jpeg', 'jpg')}").write_bytes(make(seed))
    folder = labelled.open_labelled(tmp_path)
    told = {path.parent.name: words_of(path.read_bytes()) for path in folder.paths}
    said = " ".join(quick.quick_check(folder))
    assert "can give the sources away" in said
    assert word in said or any(word in one for one in told["b"] - told["a"])


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "JPEG2000", "BMP", "PPM"])
def test_files_written_alike_say_the_same(name):
    first, *others = (words_of(saved(name, seed)) for seed in range(4))
    assert first and all(other == first for other in others)


def test_the_words_of_a_png_and_a_jpeg():
    assert words_of(png_chunk(saved("PNG"), b"tEXt")) == {
        *("chunk=IHDR", "chunk=tEXt", "chunk=IDAT", "chunk=IEND", "zlib=789c", "order=IHDR tEXt IDAT IEND"),
    }
    assert words_of(jpeg_segment(saved("JPEG"), 0xEB, JUMBF)) == {
        *("segment=APP0", "segment APP0=JFIF", "segment=APP11", "segment APP11=JP", "order=APP11 APP0"),
        *("coding=DQT DQT SOF0 DHT DHT DHT DHT SOS", "huffman=standard"),
    }
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", "GIMP")
    assert "chunk=tEXt" in words_of(saved("PNG", pnginfo=text))


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "JPEG2000", "BMP", "PPM"])
@hypothesis.settings(max_examples=60)
@hypothesis.given(data=st.data())
def test_damaged_files_are_read_to_an_end(name, data):
    content = bytearray(saved(name))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, len(content))) :]
    words_of(bytes(content))


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "JPEG2000", "BMP", "PPM"])
def test_files_cut_off_anywhere_are_read_to_an_end(name):
    content = saved(name)
    for end in range(min(len(content), 300)):
        words_of(content[:end])


STANDARD_TABLE = bytes.fromhex("00 00 01 05 01 01 01 01 01 01 00 00 00 00 00 00 00") + bytes(range(12))


@pytest.mark.parametrize(
    "content",
    [
        saved("JPEG")[:2] + b"\xff\xe1\0\2" * 4_000_000,
        saved("JPEG")[:-2] + b"\xff\x01\xff\xd8" * 5_000_000,
        saved("JPEG")[:2] + (b"\xff\xc4\xff\xe9" + STANDARD_TABLE * 2259) * 700,
        saved("PNG")[:8] + b"\0\0\0\0abcd\0\0\0\0" * 1_000_000,
        b"RIFF\xff\xff\xff\xffWEBP" + b"abcd\0\0\0\0" * 1_000_000,
        b"GIF89a" + b"\0" * 7 + b"\x21\xfe\1x\0" * 3_000_000,
        b"\0\0\0\x08ftyp" + b"\0\0\0\x08meta" * 1_000_000,
        b"\xff\x4f\xff\x51" + b"\xff\x64\0\2" * 4_000_000,
        b"II*\0\x08\0\0\0\xff\xff" + b"\0" * 16_000_000,
    ],
    ids=["jpeg", "marks of a jpeg", "tables of a jpeg", "png", "webp", "gif", "boxes", "codestream", "tiff"],
)
def test_a_file_of_many_parts_takes_no_long_time(content):
    clock = time.process_time()
    words_of(content)
    assert time.process_time() - clock < 2
    assert len(words_of(content)) <= segments.MOST_PARTS
