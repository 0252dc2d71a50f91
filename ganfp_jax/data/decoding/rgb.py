"""An image that Pillow has opened -> RGB and a list of its conversions."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from ganfp_jax.data.claims import fields
from ganfp_jax.data.claims.claim import Claim
from ganfp_jax.data.decoding.refused import Refused

_CONVERTED_BY_PILLOW = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"})
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
_SIXTEEN_BIT = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_WITHOUT_WHITE = {"I": "32-bit integer", "F": "floating-point"}

_ORIENTATION_TAG = 0x0112
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: np.rot90(image),
}

_COLOURS = {"CMYK": "CMYK converted", "LAB": "L*a*b* converted", "HSV": "HSV converted"}
_COLOURS |= {"P": "palette applied", "PA": "palette applied"}
_ALPHA = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_FILLING = 128  # the grey of JPEG's decoder after data that end early
_BLOCK = 8


class Picture(NamedTuple):
    """A decoded image."""

    pixels: np.ndarray
    """(h, w, 3) of uint8, 0 to 255."""
    remarks: tuple[str, ...]
    """Its conversions, as in the docstring of `decode_image`: "turned upright", "16 bits cut to 8", ..."""
    claims: tuple[Claim, ...] = ()
    """What the file says of its own making."""


def picture_of(image: Image.Image) -> Picture:
    """Converts an open image to RGB by the table of `decode_image` and applies its EXIF orientation.

    Raises:
        Refused: its mode has no conversion.
        Exception: Pillow raises any type for a damaged file.
    """
    xmp = fields.xmp_of(image)  # which `orientation` removes
    known = orientation(image) if image.format == "TIFF" else 1  # read before Pillow turns the image itself
    remarks = [_depth(image), _COLOURS.get(image.mode, "")]
    frames = _frames(image)
    image.load()
    xmp = xmp or fields.xmp_of(image)
    turn = orientation(image)
    if image.mode in _ALPHA or "transparency" in image.info:
        remarks.append("alpha dropped")
    pixels = _to_rgb(image)
    remarks += [frames, _end(image, pixels)]
    if {known, turn} & _UPRIGHT.keys():
        remarks.insert(0, "turned upright")
    upright = _UPRIGHT.get(turn, np.asarray)
    claims = fields.claims_of(image, xmp)
    return Picture(np.ascontiguousarray(upright(pixels)), tuple(filter(None, remarks)), claims)


def orientation(image: Image.Image) -> int:
    """Returns the EXIF orientation, 1 to 8; 1, upright, where the tag is absent or cannot be read.

    XMP is ignored, as in browsers; Pillow would follow it.
    """
    for name in fields.XMP:
        image.info.pop(name, None)
    try:
        return image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # damaged metadata does not affect the pixels
        return 1


def _to_rgb(image: Image.Image) -> np.ndarray:
    mode = image.mode
    if mode == "RGB":
        return np.asarray(image)
    if mode in _CONVERTED_BY_PILLOW:
        image.info.pop("transparency", None)  # Pillow would look for a colour to represent it
        return np.asarray(image.convert("RGB"))
    if mode in _PREMULTIPLIED:
        return np.asarray(image.convert(_PREMULTIPLIED[mode]).convert("RGB"))
    if mode in _SIXTEEN_BIT:
        high_byte = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(high_byte[..., None], 3, axis=-1)
    if mode in _WITHOUT_WHITE:
        raise Refused(f"{_WITHOUT_WHITE[mode]} pixels (mode {mode}) have no defined white")
    raise Refused(f"pixels of mode {mode} have no conversion to RGB")


def _depth(image: Image.Image) -> str:
    """Returns the note on samples of more than 8 bits, for an image that is not loaded yet."""
    if image.mode in _SIXTEEN_BIT:
        return "16 bits cut to 8"
    bits = image.info.get("bit_depth", 8)  # of HEIC
    for tile in getattr(image, "tile", ()):
        if ";16" in str(tile.args) or (tile.codec_name.startswith("ppm") and tile.args[-1] > 255):
            bits = 16
    return f"{bits} bits cut to 8" if bits > 8 else ""


def _frames(image: Image.Image) -> str:
    """Returns the note on the frame or page that is taken. Those of GIF and TIFF are not counted, which is slow."""
    try:
        if not getattr(image, "is_animated", False):
            return ""
        if image.format in ("GIF", "TIFF"):
            return "first of several frames"
        number = "first" if image.tell() == 0 else f"{image.tell() + 1}th"
        return f"{number} of {image.n_frames} frames"  # type: ignore[attr-defined]
    except Exception:  # damage behind the first frame does not affect it
        return ""


def _end(image: Image.Image, pixels: np.ndarray) -> str:
    """Returns the note on a JPEG whose last block has the grey of blocks without data."""
    if image.format not in ("JPEG", "MPO") and image.info.get("compression") != "jpeg":
        return ""
    if pixels[-1, -1, 0] != _FILLING:  # this is fast and decides nearly all images
        return ""
    block = pixels[-_BLOCK:, -_BLOCK:]
    cut = (block == _FILLING).all() and not (pixels[:_BLOCK, :_BLOCK] == _FILLING).all()
    return "ends in grey, as of a file cut short" if cut else ""
