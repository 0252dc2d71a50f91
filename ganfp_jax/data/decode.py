"""One image file -> one uint8 RGB array, or the reason why not. Pillow is the only decoder."""

import contextlib
import errno
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from ganfp_jax import atomic
from ganfp_jax.data import kinds, tiff
from ganfp_jax.data.kinds import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from ganfp_jax.data.kinds import READ_SUFFIXES as READ_SUFFIXES
from ganfp_jax.data.refused import Refused as Refused
from ganfp_jax.data.refused import reason_of as reason_of
from ganfp_jax.reading import open_regular

_CONVERTED_BY_PILLOW = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"})
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
_SIXTEEN_BIT = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_WITHOUT_WHITE = {"I": "32-bit integer", "F": "floating-point"}

_MAX_BYTES = 2**30  # some decoders read a file whole before they look at its size in pixels

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


@runtime_checkable
class Record(Protocol):
    """An image file that is kept inside another file, such as a data set of TFDS."""

    @property
    def name(self) -> str:
        """As of a path: the last part, with the suffix."""
        ...

    def read_bytes(self) -> bytes:
        """The encoded image."""
        ...


ImageFile: TypeAlias = Path | Record


def decode_image(file: str | os.PathLike[str] | Record, *, max_pixels: int = 64_000_000) -> UInt8[np.ndarray, "h w 3"]:
    """Decode an image file to RGB, 0 to 255. May be called from several threads.

    The first frame of an animation or of a multi-page file is taken, an EXIF orientation is applied. Colour
    profiles and gamma values are ignored: the numbers are those in the file, as a network sees them everywhere
    else. The format is recognised by content, whatever the suffix: AVIF (where Pillow has it), BMP, GIF, HEIC
    (where pillow-heif is installed), JPEG, JPEG 2000, PNG, PPM, TIFF or WebP. Only files with the suffix of another
    kind of image (`kinds.NOT_READ_SUFFIXES`: raw photographs, JPEG XL, Photoshop and others) are refused for it.
    Damage that the decoder notices refuses a file; bits that flipped in the compressed data of a JPEG often go
    unnoticed, since nothing in it is a checksum, and a PNG whose compressed data end early, but in good order, is
    black from there on. What follows the end of an image is ignored.

    | Pillow mode    | meaning                      | becomes                                                     |
    |----------------|------------------------------|-------------------------------------------------------------|
    | 1              | black and white              | 0 or 255 in every channel                                   |
    | L              | grey                         | the grey value in every channel                             |
    | LA             | grey, alpha                  | as L; alpha is dropped                                      |
    | La             | grey times alpha, alpha      | divided by alpha, then as LA                                |
    | P              | palette                      | the palette's colours; transparency is dropped              |
    | PA             | palette, alpha               | as P; alpha is dropped                                      |
    | RGB            | colour                       | unchanged                                                   |
    | RGBA           | colour, alpha                | colours as stored, alpha is dropped: no compositing         |
    | RGBa           | colour times alpha, alpha    | divided by alpha, then as RGBA                              |
    | RGBX           | colour, padding              | padding is dropped                                          |
    | CMYK           | ink                          | (255 - ink)(255 - black) / 255, no profile                  |
    | YCbCr          | JPEG's colour space          | JPEG's (Rec. 601, full range) conversion                    |
    | LAB            | CIE L*a*b*                   | sRGB by LittleCMS, perceptual                               |
    | HSV            | hue, saturation, value       | Pillow's conversion                                         |
    | I;16, with L B N | 16-bit grey                | the high byte in every channel, as Pillow does with colour  |
    | I, F           | 32-bit integer, float        | refused: nothing says which value is white                  |

    More than 8 bits of a colour channel become the high 8; 1, 2 and 4 bits of grey are stretched to 0 to 255. Of TIFF
    files those are refused that Pillow would misread (`data.tiff`): of 12-bit or signed values, of 16-bit ones that
    count from white or lie uncompressed in separate planes, and L*a*b* and some alpha in separate planes; raw
    photographs (DNG, NEF, ARW), whose first page is only a preview. So is every TIFF file where Pillow is older than
    13: those versions give pixels of damaged ones that they never wrote.

    That alpha is dropped with the colours as stored is what the published test code does.

    Args:
        file: a regular file, or one inside a data set.
        max_pixels: width times height above which a file is refused, before it is decompressed. (Pillow's own limit
            against decompression bombs, about 179 million pixels, holds as well; and no file over 1 GiB is opened.)

    Raises:
        Refused: the file is missing, empty, unreadable, a folder, not an image, truncated, damaged, too large or of a
            mode without a conversion. Nothing else is raised for a bad file.
    """
    try:
        return _decode(file, max_pixels)
    except Refused:
        raise
    except Exception as error:  # decoders raise whatever a damaged file makes them raise
        raise Refused(reason_of(error)) from error


def rgb_of(image: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    """An open image as RGB, 0 to 255, by the table of `decode_image`, turned as its EXIF orientation says.

    Raises:
        Refused: its mode has no conversion.
        Exception: whatever Pillow raises for a damaged file.
    """
    image.load()
    upright = _UPRIGHT.get(orientation(image), np.asarray)
    return np.ascontiguousarray(upright(_to_rgb(image)))


@contextlib.contextmanager
def open_header(file: str | os.PathLike[str] | Record) -> Iterator[Image.Image]:
    """A regular image file, opened but not decoded: its format, size, mode and what stands beside the pixels.

    Raises:
        Exception: whatever Pillow or the file system raise for a file that is no image of a known format.
    """
    name = os.fspath(file) if isinstance(file, str | os.PathLike) else file.name
    with open_file(file) as content:
        if fault := kinds.fault_of_name(name):
            raise Refused(fault)
        try:
            image = Image.open(content, formats=kinds.formats())
        except UnidentifiedImageError:
            if known := kinds.name_of_content(content):
                raise Refused(known) from None
            raise
        with image:
            yield image


@contextlib.contextmanager
def open_file(file: str | os.PathLike[str] | Record) -> Iterator[BinaryIO]:
    """The bytes of a regular file, or of one inside a data set, as a stream.

    Raises:
        Refused: it is empty, too large to be one image, a folder, or a pipe or a device, which could be read for ever.
        OSError: it is missing or cannot be read.
    """
    if isinstance(file, str | os.PathLike):
        with _opened(file) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size == 0:
                raise Refused("empty file")
            if size > _MAX_BYTES:
                raise Refused(f"too large: a file of {size:,} bytes")
            yield stream
    else:
        content = file.read_bytes()
        if not content:
            raise Refused("empty file")
        yield io.BytesIO(content)


def _opened(file: str | os.PathLike[str]) -> BinaryIO:
    try:
        return open_regular(file)
    except IsADirectoryError:
        raise Refused("is a folder") from None
    except OSError as error:
        if error.errno == errno.EINVAL:  # a pipe, a device, a name that no file has
            raise Refused(error.strerror) from None
        raise


def encode_png(path: str | os.PathLike[str], image: UInt8[np.ndarray, "h w 3"]) -> None:
    """Write an RGB image losslessly as PNG; `path` is whole or absent at any time. Its folder must exist."""
    atomic.write_bytes(path, png_bytes(image))


def png_bytes(image: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """An RGB image as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def _decode(file: str | os.PathLike[str] | Record, max_pixels: int) -> np.ndarray:
    with open_header(file) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise Refused(f"too large: {width}x{height} is over the limit of {max_pixels:,} pixels")
        if image.format == "TIFF":
            tiff.check(image)
        return rgb_of(image)


def _to_rgb(image: Image.Image) -> np.ndarray:
    mode = image.mode
    if mode == "RGB":
        return np.asarray(image)
    if mode in _CONVERTED_BY_PILLOW:
        image.info.pop("transparency", None)  # it is dropped; Pillow would look for a colour to keep it in
        return np.asarray(image.convert("RGB"))
    if mode in _PREMULTIPLIED:
        return np.asarray(image.convert(_PREMULTIPLIED[mode]).convert("RGB"))
    if mode in _SIXTEEN_BIT:
        high_byte = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(high_byte[..., None], 3, axis=-1)
    if mode in _WITHOUT_WHITE:
        raise Refused(f"{_WITHOUT_WHITE[mode]} pixels (mode {mode}) have no defined white")
    raise Refused(f"pixels of mode {mode} have no conversion to RGB")


def orientation(image: Image.Image) -> int:
    """How a photograph was held, by its EXIF tag: 1 to 8; 1, upright, where nothing readable says so."""
    try:
        return image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # damaged metadata does not make the pixels worse
        return 1
