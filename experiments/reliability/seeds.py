"""Small sound image files of every format that the decoder knows, from which damaged ones are made."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

SIDE = 24


def seeds() -> dict[str, bytes]:
    """The encoded files by name, "format variant"; formats that this Pillow was built without are left out."""
    Image.init()
    return {
        f"{form} {variant}": _encode(image, form, options)
        for form, variant, image, options in _variants()
        if form in Image.SAVE
    }


def _picture(mode: str = "RGB", turn: int = 0) -> Image.Image:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    colours = np.stack([rows * 9, columns * 9, (rows * columns + 40 * turn) % 256, 255 - rows * 4], axis=-1)
    image = Image.fromarray(np.rot90(colours.astype(np.uint8), turn).copy())
    return image if mode == "RGBA" else image.convert("RGB").convert(mode)


def _variants() -> Iterator[tuple[str, str, Image.Image, dict]]:
    deep = Image.fromarray((np.arange(SIDE * SIDE, dtype=np.uint16) * 113).reshape(SIDE, SIDE))
    turned = Image.Exif()
    turned[0x0112] = 6
    frames = {"save_all": True, "append_images": [_picture(turn=1), _picture(turn=2)]}
    for mode in ("RGB", "RGBA", "L", "LA", "1"):
        yield "PNG", mode, _picture(mode), {}
    yield "PNG", "palette", _picture("P"), {"transparency": 0}
    yield "PNG", "16-bit", deep, {}
    yield "PNG", "exif, profile", _picture(), {"exif": turned, "icc_profile": bytes(200), "dpi": (72, 72)}
    yield "PNG", "animated", _picture(), frames
    yield "JPEG", "4:2:0", _picture(), {"quality": 75}
    yield "JPEG", "progressive", _picture(), {"progressive": True, "subsampling": 0, "restart_marker_blocks": 2}
    for mode in ("L", "CMYK"):
        yield "JPEG", mode, _picture(mode), {}
    yield "JPEG", "exif, profile", _picture(), {"exif": turned, "icc_profile": bytes(200), "comment": "x" * 50}
    yield "MPO", "two images", _picture(), {"save_all": True, "append_images": [_picture(turn=1)]}
    for mode in ("RGB", "L", "P", "1", "RGBA"):
        yield "BMP", mode, _picture(mode), {}
    yield "GIF", "palette", _picture("P"), {"transparency": 3}
    yield "GIF", "animated", _picture(), frames | {"duration": 10, "loop": 0}
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield "TIFF", compression, _picture(), {"compression": compression}
    yield "TIFF", "group4", _picture("1"), {"compression": "group4"}
    for mode in ("CMYK", "LAB", "P", "YCbCr", "RGBA", "F", "I"):
        yield "TIFF", mode, _picture("L").convert(mode) if mode in "FI" else _picture(mode), {}
    yield "TIFF", "16-bit", deep, {}
    yield "TIFF", "exif, profile, pages", _picture(), frames | {"exif": turned, "icc_profile": bytes(200)}
    yield "WEBP", "lossy", _picture(), {}
    yield "WEBP", "lossless, alpha", _picture("RGBA"), {"lossless": True}
    yield "WEBP", "animated, exif", _picture(), frames | {"exif": turned.tobytes()}
    for mode in ("RGB", "L", "1"):
        yield "PPM", mode, _picture(mode), {}
    yield "PPM", "16-bit", deep, {}
    for mode in ("RGB", "LA", "RGBA"):
        yield "JPEG2000", mode, _picture(mode), {"irreversible": mode == "RGB"}
    yield "JPEG2000", "codestream, tiles", _picture(), {"no_jp2": True, "tile_size": (16, 16)}
    yield "AVIF", "RGB", _picture(), {"speed": 10}
    yield "AVIF", "alpha, exif", _picture("RGBA"), {"speed": 10, "exif": turned.tobytes()}


def _encode(image: Image.Image, form: str, options: dict) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=form, **options)
    return buffer.getvalue()
