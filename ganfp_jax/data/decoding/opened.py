"""Opening and checking an image file with Pillow, in the threads and in the decoding processes."""

import contextlib
import os
from collections.abc import Iterator

from PIL import Image, UnidentifiedImageError

from ganfp_jax.data.decoding import jpeg2000, kinds, tiff
from ganfp_jax.data.decoding.files import Record, Stream, name_of, open_file
from ganfp_jax.data.decoding.light import Metered, TooMuchWork
from ganfp_jax.data.decoding.refused import Refused

_MAX_READS = 50_000


@contextlib.contextmanager
def open_header(file: str | os.PathLike[str] | Record) -> Iterator[Image.Image]:
    """Opens a regular image file without decoding it: its format, size, mode and metadata.

    Raises:
        Refused: its header has more pieces than Pillow reads in about a second.
        Exception: Pillow or the file system raise any type for a file that is no image of a known format.
    """
    with open_file(file) as stream:
        metered = Metered(stream, _MAX_READS)
        try:
            with opened(metered, name_of(file)) as image:
                yield image
        except TooMuchWork:
            raise Refused("its header takes too long to read") from None


@contextlib.contextmanager
def opened(stream: Stream, name: str) -> Iterator[Image.Image]:
    """Opens an image file with Pillow without decoding it. The suffix of `name` is checked.

    Raises:
        Refused: it is of a kind that is not read.
        Exception: Pillow raises any type for a file that is no image.
    """
    if fault := kinds.fault_of_name(name):
        raise Refused(fault)
    head = stream.read(kinds.HEAD)
    stream.seek(0)
    try:
        image = Image.open(stream, formats=kinds.formats_of(head))
    except UnidentifiedImageError:
        raise Refused(kinds.name_of_content(head) or "not an image") from None
    with image:
        yield image


def check(image: Image.Image, max_pixels: int) -> None:
    """Raise for an image that must not be decoded.

    Raises:
        Refused: it has too many pixels, or the decoder would misread it.
    """
    check_size(*image.size, max_pixels)
    if image.format == "TIFF":
        tiff.check(image)
    if image.format == "JPEG2000":
        jpeg2000.check(image.fp)  # type: ignore[attr-defined]


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise for an image with too many pixels.

    Raises:
        Refused: it has more than `max_pixels`.
    """
    if width * height > max_pixels:
        raise Refused(f"too large: {width}x{height} is over the limit of {max_pixels:,} pixels")
