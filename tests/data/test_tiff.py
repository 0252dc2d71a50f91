"""TIFF in every combination that its writers use, against tifffile's reading: the right pixels or a refusal."""

import io
import itertools
import logging
import struct
import zlib
from collections import Counter

import corpus
import numpy as np
import pytest
import tifffile
from PIL import Image

from ganfp_jax.data.decode import Refused, decode_image
from ganfp_jax.data.decoding import tiff

HEIGHT, WIDTH = 19, 13  # nothing divides them
pytestmark = pytest.mark.skipif(not tiff.READS_TIFF, reason="this Pillow is too old for TIFF")

KINDS = [  # photometric, extra samples, bits, sample format
    ("minisblack", (), 1, "u"), ("minisblack", (), 8, "u"), ("minisblack", (), 16, "u"), ("minisblack", (), 8, "i"),
    ("minisblack", (), 16, "i"), ("minisblack", (), 32, "u"), ("minisblack", (), 32, "f"), ("minisblack", (0,), 8, "u"),
    ("minisblack", (1,), 8, "u"), ("minisblack", (2,), 8, "u"),
    ("miniswhite", (), 1, "u"), ("miniswhite", (), 8, "u"), ("miniswhite", (), 16, "u"),
    ("palette", (), 8, "u"), ("rgb", (), 8, "u"), ("rgb", (), 8, "i"), ("rgb", (), 16, "u"), ("rgb", (), 32, "f"),
    ("rgb", (0,), 8, "u"), ("rgb", (1,), 8, "u"), ("rgb", (2,), 8, "u"), ("rgb", (2, 0), 8, "u"),
    ("rgb", (0,), 16, "u"), ("rgb", (1,), 16, "u"), ("rgb", (2,), 16, "u"), ("separated", (), 8, "u"),
    ("separated", (0,), 8, "u"), ("separated", (), 16, "u"), ("separated", (0,), 16, "u"),
    ("cielab", (), 8, "u"), ("cielab", (), 16, "u"), ("ycbcr", (), 8, "u"),
]  # fmt: skip
CHANNELS = {"minisblack": 1, "miniswhite": 1, "palette": 1, "rgb": 3, "separated": 4, "cielab": 3, "ycbcr": 3}
LAYOUTS = {"one strip": {}, "strips": {"rowsperstrip": 5}, "tiles": {"tile": (16, 16)}}
COMPRESSIONS = ("none", "deflate", "deflate, predictor", "old deflate", "lzw", "packbits", "lzma")
WRITTEN_BY_TIFFFILE = {"none": 1, "deflate": 8, "deflate, predictor": 8, "old deflate": 32946, "lzma": 34925}


class Bytes:
    """A record of a data set: a file in memory."""

    name = "image.tif"

    def __init__(self, content):
        self.content = content

    def read_bytes(self):
        return self.content


def samples(photometric, extra, bits, form):
    """Values (h, w, samples) that differ by row, column, sample and byte."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    count = CHANNELS[photometric] + len(extra)
    high = np.stack([(rows * (7 + 3 * s) + columns * (11 + 5 * s) + 40 * s) % 256 for s in range(count)], axis=-1)
    if form == "f":
        return (high / 255).astype(f"f{bits // 8}")
    if bits == 1:
        return high > 127
    low = (high * 37 + 101) % 256
    values = high.astype(np.int64) if bits == 8 else (high << (bits - 8)) + low
    if 1 in extra:  # no colour is over its alpha
        alpha = values[..., CHANNELS[photometric]]
        values = np.where(np.arange(count) < CHANNELS[photometric], values * alpha[..., None] // 2**bits, values)
    return (values - 2 ** (bits - 1) * (form == "i")).astype(f"{form}{bits // 8}")


def written(values, planes, order, compression, layout, **options):
    """A TIFF file of tifffile's; what it has no codec for is compressed here."""
    data = np.moveaxis(values, -1, 0) if planes == "separate" else values
    data = data[..., 0] if values.shape[-1] == 1 else data
    options |= LAYOUTS[layout] | {"byteorder": order, "planarconfig": planes if values.shape[-1] > 1 else None}
    options["predictor"] = 2 if "predictor" in compression else None
    file = io.BytesIO()
    tifffile.imwrite(file, data, compression=WRITTEN_BY_TIFFFILE.get(compression, 1), **options)
    if compression in WRITTEN_BY_TIFFFILE:
        return file.getvalue()
    return repacked(file.getvalue(), *{"lzw": (lzw, 5), "packbits": (packbits, 32773)}[compression])


def repacked(content, encode, compression):
    """An uncompressed file of tifffile's with its strips or tiles encoded."""
    tags = tifffile.TiffFile(io.BytesIO(content)).pages[0].tags
    offsets, counts = (tags.get(f"Strip{what}") or tags[f"Tile{what}"] for what in ("Offsets", "ByteCounts"))
    content = bytearray(content)
    places, sizes = [], []
    for at, count in zip(offsets.value, counts.value, strict=True):
        encoded = encode(content[at : at + count])
        places.append(len(content))
        sizes.append(len(encoded))
        content += encoded + bytes(len(encoded) % 2)
    order = {b"II": "<", b"MM": ">"}[bytes(content[:2])]
    for tag, values in ((tags["Compression"], [compression]), (offsets, places), (counts, sizes)):
        kind = {3: "H", 4: "I"}[tag.dtype]
        struct.pack_into(f"{order}{len(values)}{kind}", content, tag.valueoffset, *values)
    return bytes(content)


def packbits(content):
    """Without any run."""
    parts = [content[at : at + 128] for at in range(0, len(content), 128)]
    return b"".join(bytes([len(part) - 1]) + part for part in parts)


def lzw(content):
    """Every byte its own code, forgotten before a code takes more than 9 bits."""
    parts = [[256, *content[at : at + 200]] for at in range(0, len(content), 200)]
    codes = np.array([*itertools.chain(*parts), 257])
    return np.packbits((codes[:, None] >> np.arange(8, -1, -1)) & 1).tobytes()


def expected(values, photometric, extra, bits, form, palette):
    """By the table of `decode_image`; None where nothing says which value is white."""
    if form != "u" or bits > 16:
        return None
    high = values.astype(np.uint8) * 255 if bits == 1 else (values >> (bits - 8)).astype(np.uint8)
    count = CHANNELS[photometric]
    if 1 in extra:
        alpha = np.maximum(high[..., count, None].astype(int), 1)
        high = np.concatenate([np.minimum(255, high[..., :count].astype(int) * 255 // alpha), high[..., count:]], -1)
    colours = np.ascontiguousarray(high[..., :count].astype(np.uint8))
    match photometric:
        case "palette":
            return (palette >> 8).astype(np.uint8)[:, values[..., 0]].transpose(1, 2, 0)
        case "miniswhite":
            return 255 - colours.repeat(3, -1)
        case "minisblack":
            return colours.repeat(3, -1)
        case "rgb":
            return colours
    mode = {"separated": "CMYK", "cielab": "LAB", "ycbcr": "YCbCr"}[photometric]
    return np.asarray(Image.frombytes(mode, (WIDTH, HEIGHT), colours.tobytes()).convert("RGB"))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_right_or_refused(kind):
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    photometric, extra, bits, form = kind
    values = samples(*kind)
    palette = np.random.RandomState(0).randint(0, 2**16, (3, 256)).astype(np.uint16)
    options = {"photometric": photometric, "extrasamples": extra or None}
    options |= {"colormap": palette} if photometric == "palette" else {}
    atol = 1 if photometric in ("cielab", "ycbcr") or 1 in extra else 0
    pixels = expected(values, *kind, palette)
    outcomes = Counter()
    for planes, order, compression, layout in itertools.product(
        ("contig", "separate") if values.shape[-1] > 1 else ("contig",), "<>", COMPRESSIONS, LAYOUTS
    ):
        case = (planes, order, compression, layout)
        if "predictor" in compression and (bits == 1 or form == "f"):  # without a meaning; needs a codec
            continue
        content = written(values, *case, **options)
        if compression not in ("lzw", "packbits") and not (bits == 1 and layout == "tiles"):  # tifffile cannot
            stored = tifffile.imread(io.BytesIO(content)).reshape(-1)
            np.testing.assert_array_equal(
                stored, np.moveaxis(values, -1, 0 if planes == "separate" else -1).reshape(-1)
            )
        try:
            image = decode_image(Bytes(content))
        except Refused:
            outcomes["refused"] += 1
            continue
        outcomes["read"] += 1
        assert pixels is not None, case
        assert np.abs(image.astype(int) - pixels).max() <= atol, case
    ordinary = (photometric, bits) not in (("minisblack", 32), ("miniswhite", 16), ("cielab", 16)) and form == "u"
    assert (outcomes["read"] >= 20) == ordinary, outcomes


# --- what the grid does not reach

PICTURE = corpus.PICTURE
TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_few_bits_in_either_order(bits, order):
    values = corpus.ramp(bits)
    stored = b"".join(corpus.packed(values, bits))
    grey = corpus.rgb(values * (255 // (2**bits - 1)))
    colours = corpus.palette(2**bits)
    table = ("H", *(colours.T.astype(int) * 257).ravel().tolist())
    for fill, bytes_ in ((1, stored), (2, stored.translate(TURNED))):
        for photometric, pixels in ((1, grey), (0, 255 - grey), (3, colours[values])):
            more = {"t266": ("H", fill)} | ({"t320": table} if photometric == 3 else {})
            content = corpus.tiff(bytes_, bits, photometric, order=order, **more)
            try:
                np.testing.assert_array_equal(decode_image(Bytes(content)), pixels)
            except Refused:
                assert fill == 2  # rare, and not known to Pillow in every combination


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (corpus.tiff(PICTURE.tobytes(), 8, 2, 3, t254=("I", 1)), "the first page is only a smaller version .*"),
        (corpus.tiff(PICTURE.tobytes(), 8, 2, 3, t50706=("I", 1)), "the first page is only a smaller version .*"),
        (corpus.tiff(PICTURE.tobytes(), 8, 6, 3), "colours at a lower resolution .*"),
        (corpus.tiff(PICTURE.tobytes(), 8, 2, 3, t259=("H", 32771)), "TIFF compression 32771 .*"),
        (corpus.tiff(PICTURE.tobytes(), 8, 2, 3, t279=("I", 500)) + bytes(999), "truncated file"),
        (corpus.tiff(PICTURE.tobytes(), 8, 2, 3, t278=("H", 8)) + bytes(999), "truncated file"),
        (corpus.tiff(PICTURE.tobytes(), 8, 8, 3, t259=("H", 7)), r"L\*a\*b\* pixels in JPEG .*"),
    ],
)
def test_refused(content, reason):
    with pytest.raises(Refused, match=f"^{reason}$"):
        decode_image(Bytes(content))


WRITTEN = [
    *(("1", compression) for compression in ("group3", "group4", "lzma", "zstd", "tiff_lzw")),
    *(
        (mode, compression)
        for mode in ("L", "RGB", "CMYK", "YCbCr")
        for compression in ("lzma", "zstd", "jpeg", "tiff_lzw")
    ),
]


@pytest.mark.parametrize(("mode", "compression"), WRITTEN)
def test_what_pillow_writes(mode, compression):
    image = Image.fromarray(PICTURE).convert(mode)
    file = io.BytesIO()
    image.save(file, "TIFF", compression=compression, **({"quality": 95} if compression == "jpeg" else {}))
    decoded = decode_image(Bytes(file.getvalue())).astype(int)
    assert np.abs(decoded - np.asarray(image.convert("RGB"))).max() <= (6 if compression == "jpeg" else mode == "YCbCr")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("encode", [lzw, packbits, zlib.compress, bytes])
def test_segments_that_end_early(encode, layout):
    tag = {lzw: 5, packbits: 32773, zlib.compress: 8, bytes: 1}[encode]
    whole = written(samples("rgb", (), 8, "u"), "contig", "<", "none", layout, photometric="rgb")
    assert decode_image(Bytes(repacked(whole, encode, tag))).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(Refused):
        decode_image(Bytes(repacked(whole, lambda part: encode(part[: len(part) // 2]), tag) + bytes(9999)))
