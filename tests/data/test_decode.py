"""Every mode, orientation and kind of bad file; nothing but `Refused` comes out of a bad one."""

import io
import os
import re
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import corpus
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageOps, PngImagePlugin

from ganfp_jax.data import decode
from ganfp_jax.data.decode import Refused, decode_image, encode_png
from ganfp_jax.data.decoding import kinds, rgb, tiff
from ganfp_jax.data.decoding.opened import check, opened
from ganfp_jax.data.listing import find_images
from ganfp_jax.run import atomic


def noise(height=12, width=9, seed=0):
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3), np.uint8)


def encoded(image, **kwargs):
    buffer = io.BytesIO()
    image.save(buffer, **kwargs)
    return buffer.getvalue()


def reason_of(path, **kwargs):
    with pytest.raises(Refused) as refused:
        decode_image(path, **kwargs)
    reason = str(refused.value)
    assert reason and "\n" not in reason and str(path) not in reason and len(reason) < 250
    return reason


# --- modes -----------------------------------------------------------------------------------------------------------

PIXELS = {  # one pixel as stored -> what it becomes
    "1": (b"\x80", (255, 255, 255)),
    "L": (bytes([100]), (100, 100, 100)),
    "LA": (bytes([100, 0]), (100, 100, 100)),
    "La": (bytes([50, 128]), (99, 99, 99)),
    "RGB": (bytes([1, 2, 3]), (1, 2, 3)),
    "RGBA": (bytes([1, 2, 3, 0]), (1, 2, 3)),
    "RGBa": (bytes([50, 25, 0, 128]), (99, 49, 0)),
    "RGBX": (bytes([1, 2, 3, 9]), (1, 2, 3)),
    "CMYK": (bytes([0, 255, 100, 0]), (255, 0, 155)),
    "YCbCr": (bytes([100, 128, 128]), (100, 100, 100)),
    "HSV": (bytes([0, 255, 200]), (200, 0, 0)),
    "LAB": (bytes([255, 0, 0]), (255, 255, 255)),  # a and b are signed
    "I;16": (b"\xff\x12", (0x12, 0x12, 0x12)),
    "I;16L": (b"\xff\x12", (0x12, 0x12, 0x12)),
    "I;16B": (b"\x12\xff", (0x12, 0x12, 0x12)),
}


@pytest.mark.parametrize("mode", PIXELS)
def test_every_mode_becomes_rgb(mode):
    stored, expected = PIXELS[mode]
    image = Image.frombytes(mode, (1, 1), stored)
    np.testing.assert_allclose(rgb._to_rgb(image)[0, 0].astype(int), expected, atol=1 if mode == "LAB" else 0)


@pytest.mark.parametrize("mode", ["P", "PA"])
def test_palette_images_take_the_palettes_colours(mode):
    image = Image.new(mode, (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), (1, 0) if mode == "PA" else 1)
    assert rgb._to_rgb(image).tolist() == [[[10, 20, 30], [40, 50, 60]]]


def test_native_16_bit_takes_the_high_byte():
    assert rgb._to_rgb(Image.fromarray(np.array([[0xABCD]], np.uint16))).tolist() == [[[0xAB] * 3]]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_modes_without_a_white_are_refused(mode, tmp_path):
    Image.new(mode, (3, 3)).save(tmp_path / "image.tif")
    assert "no defined white" in reason_of(tmp_path / "image.tif")


def test_tiff_is_refused_where_pillow_is_too_old_for_it(monkeypatch):
    content = encoded(Image.fromarray(noise()), format="TIFF")
    monkeypatch.setattr(tiff, "READS_TIFF", False)
    with opened(io.BytesIO(content), "by_content.png") as image, pytest.raises(Refused) as refused:
        check(image, 100_000)
    assert re.fullmatch(r"TIFF is unsafe .* convert the file to PNG, .* Pillow 13 .*", str(refused.value))


def test_a_mode_of_the_future_is_refused():
    image = Image.new("L", (1, 1))
    image._mode = "ZZZ"
    with pytest.raises(Refused, match="mode ZZZ"):
        rgb._to_rgb(image)


def test_colours_under_a_transparent_alpha_survive(tmp_path, recwarn):
    rgb = noise()
    rgba = np.dstack([rgb, np.zeros(rgb.shape[:2], np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    np.testing.assert_array_equal(decode_image(tmp_path / "rgba.png"), rgb)
    palette = Image.fromarray(rgb).quantize(16)
    palette.save(tmp_path / "palette.png", transparency=bytes([0] * 16))
    np.testing.assert_array_equal(decode_image(tmp_path / "palette.png"), np.asarray(palette.convert("RGB")))
    Image.fromarray(rgb).save(tmp_path / "key.png", transparency=tuple(int(v) for v in rgb[0, 0]))
    np.testing.assert_array_equal(decode_image(tmp_path / "key.png"), rgb)
    assert not recwarn.list


def test_16_bit_png_and_its_8_bit_version_agree(tmp_path):
    high = noise()[..., 0]
    Image.fromarray(high.astype(np.uint16) * 256 + 200).save(tmp_path / "deep.png")
    Image.fromarray(high).save(tmp_path / "flat.png")
    np.testing.assert_array_equal(decode_image(tmp_path / "deep.png"), decode_image(tmp_path / "flat.png"))


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm", "a.webp", "A.PNG"])
def test_lossless_formats_are_exact(name, tmp_path):
    image = noise()
    options = {"lossless": True} if name.endswith("webp") else {}
    Image.fromarray(image).save(tmp_path / name, **options)
    np.testing.assert_array_equal(decode_image(tmp_path / name), image)


def test_the_content_counts_and_not_the_suffix(tmp_path):
    (tmp_path / "image.jpg").write_bytes(encoded(Image.fromarray(noise()), format="PNG"))
    np.testing.assert_array_equal(decode_image(str(tmp_path / "image.jpg")), noise())


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation, suffix, tmp_path):
    stored = Image.fromarray(noise(16, 24))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"image.{suffix}"
    stored.save(path, exif=exif)
    decoded = decode_image(path)
    assert decoded.shape == ((16, 24, 3) if orientation < 5 else (24, 16, 3))
    assert decoded.flags.c_contiguous
    with Image.open(path) as image:
        np.testing.assert_array_equal(decoded, np.asarray(ImageOps.exif_transpose(image).convert("RGB")))
    if suffix in ("png", "tif"):
        np.testing.assert_array_equal(decoded, rgb._UPRIGHT.get(orientation, np.asarray)(np.asarray(stored)))


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
@pytest.mark.parametrize("orientation", [None, 3])
def test_what_only_xmp_says_turns_nothing(orientation, suffix, tmp_path):
    options = {"quality": 95} if suffix in ("jpg", "avif") else {"lossless": True} if suffix == "webp" else {}
    if orientation:
        options["exif"] = corpus.turned(orientation)
    if suffix == "png":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
    elif suffix == "tif":
        options["tiffinfo"] = {700: XMP} | ({0x0112: orientation} if orientation else {})
        options.pop("exif", None)
    else:
        options["xmp"] = XMP
    image = corpus.picture(24, 40)
    Image.fromarray(image).save(tmp_path / f"image.{suffix}", **options)
    with decode.decoded(tmp_path / f"image.{suffix}") as picture:
        upright = np.rot90(image, 2) if orientation else image
        assert picture.pixels.shape == image.shape and np.abs(picture.pixels - upright.astype(int)).max() < 12
        assert picture.remarks == (("turned upright",) if orientation else ())


@pytest.mark.parametrize("exif", [b"Exif\x00\x00garbage", b"Exif\x00\x00MM\x00\x2a\xff\xff\xff\xff", b"x"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_not_matter(exif, tmp_path):
    Image.fromarray(noise()).save(tmp_path / "image.png", exif=exif)
    np.testing.assert_array_equal(decode_image(tmp_path / "image.png"), noise())


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_the_first_frame_of_an_animation(suffix, tmp_path):
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    options = {"lossless": True} if suffix == "webp" else {}
    red.save(tmp_path / f"image.{suffix}", save_all=True, append_images=[blue], **options)
    assert (decode_image(tmp_path / f"image.{suffix}") == (255, 0, 0)).all()


def test_threads_agree(tmp_path):
    Image.fromarray(noise(64, 64)).save(tmp_path / "image.jpg")
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(decode_image, [tmp_path / "image.jpg"] * 64))
    assert all((result == results[0]).all() for result in results)


# --- refusals --------------------------------------------------------------------------------------------------------


def test_missing_empty_folder_and_text(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no image\n")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    assert reason_of(tmp_path / "missing.png") == "no such file"
    assert reason_of(tmp_path / "dangling.png") == "no such file"
    assert reason_of(tmp_path / "circle.png").startswith("cannot be read")
    assert reason_of(tmp_path / "empty.png") == "empty file"
    assert reason_of(tmp_path / "text.png") == "not an image"
    assert reason_of(tmp_path) == "is a folder"
    assert reason_of("nul\0byte.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert reason_of(tmp_path / "pipe.png") == "not a regular file"


def test_decode_says_why_a_file_is_unreadable(tmp_path, monkeypatch):
    (tmp_path / "image.png").write_bytes(b"x")

    def forbidden(path, *args):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("os.open", forbidden)
    assert reason_of(tmp_path / "image.png") == "cannot be read: permission denied"


def test_formats_that_run_programs_are_not_opened(tmp_path):
    Image.fromarray(noise()).save(tmp_path / "image.eps")
    assert reason_of(tmp_path / "image.eps") == "not an image"


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp", "gif", "ppm"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_truncated(suffix, share, tmp_path):
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(noise(100, 100)).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    reason_of(path)


def test_a_truncated_file_is_called_so(tmp_path):
    path = tmp_path / "image.jpg"
    Image.fromarray(noise(100, 100)).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    assert reason_of(path) == "truncated file"


def png_header(width, height):
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    idat = b"IDAT" + zlib.compress(b"\0" * 100)
    chunks = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (body, idat)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_bombs_and_large_images(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png_header(60_000, 60_000))
    assert reason_of(tmp_path / "bomb.png").startswith("too large")
    (tmp_path / "large.png").write_bytes(png_header(9_000, 9_000))
    assert reason_of(tmp_path / "large.png") == "too large: 9000x9000 is over the limit of 64,000,000 pixels"
    Image.fromarray(noise(10, 10)).save(tmp_path / "small.png")
    assert "limit of 99 pixels" in reason_of(tmp_path / "small.png", max_pixels=99)
    assert decode_image(tmp_path / "small.png", max_pixels=100).shape == (10, 10, 3)


SAMPLES = [
    encoded(Image.fromarray(noise()).convert(mode), format=format)
    for format, mode in [
        ("PNG", "RGB"), ("PNG", "P"), ("JPEG", "RGB"), ("JPEG", "CMYK"), ("BMP", "RGB"),
        ("TIFF", "LAB"), ("WEBP", "RGBA"), ("GIF", "P"), ("PPM", "L"), ("JPEG2000", "RGB"),
    ]
]  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.filterwarnings("ignore")  # Pillow warns about metadata that it cannot read
def test_damaged_files_give_an_image_or_a_reason(data, tmp_path):
    content = bytearray(data.draw(st.sampled_from(SAMPLES)))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "image"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    try:
        image = decode_image(path, max_pixels=10_000)
    except Refused as refused:
        assert "\n" not in str(refused) and str(path) not in str(refused)
    else:
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3


def test_heic_without_its_reader_says_what_to_install(monkeypatch):
    monkeypatch.setattr(kinds, "_heif", lambda: False)
    with pytest.raises(Refused, match=r"pip install 'ganfp_jax\[heic\]'$"):
        opened(io.BytesIO(b"\0\0\0\x24ftypheic" + bytes(99)), "photo.heic").__enter__()


def test_heic_is_read_beside_avif(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    image = Image.fromarray(corpus.picture(64, 64))
    pillow_heif.from_pillow(image).save(tmp_path / "photo.heic", quality=100, chroma=444)
    assert np.abs(decode_image(tmp_path / "photo.heic").astype(int) - np.asarray(image)).max() <= 6
    if "AVIF" in Image.SAVE:
        image.save(tmp_path / "photo.avif", quality=95, subsampling="4:4:4")
        with decode.open_header(tmp_path / "photo.avif") as opened:
            assert opened.format == "AVIF" and type(opened).__module__ == "PIL.AvifImagePlugin"


@pytest.mark.parametrize("suffix", sorted(kinds.NOT_READ_SUFFIXES))
def test_images_that_nobody_reads_are_images_all_the_same(suffix, tmp_path):
    (tmp_path / f"photo{suffix.upper()}").write_bytes(b"x")
    (found,) = find_images(tmp_path).images
    assert reason_of(found).endswith(f"{suffix} files are not read: convert it to PNG") or f"({suffix})" in reason_of(
        found
    )


# --- writing ---------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(image=arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_png_round_trip(image, tmp_path):
    encode_png(tmp_path / "image.png", image)
    np.testing.assert_array_equal(decode_image(tmp_path / "image.png"), image)
    assert list(tmp_path.iterdir()) == [tmp_path / "image.png"]


def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    atomic.write_bytes(path, b"old")

    def fails(self, target):
        raise OSError(28, "disk full")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        atomic.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_written_files_follow_the_umask(tmp_path):
    before = os.umask(0o022)
    try:
        atomic.write_bytes(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_writing_into_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        encode_png(tmp_path / "nowhere" / "image.png", noise())
