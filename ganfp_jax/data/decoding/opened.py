"""A file, opened and looked at by Pillow -> a picture. What the threads and the decoding processes do alike."""

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
    """A regular image file, opened but not decoded: its format, size, mode and what stands beside the pixels.

    Raises:
        Refused: its header has more pieces than Pillow goes through in about a second.
        Exception: whatever Pillow or the file system raise for a file that is no image of a known format.
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
    """An image file by Pillow, not decoded. `name` is the file's, for its suffix.

    Raises:
        Refused: it is of a kind that nobody here reads.
        Exception: whatever Pillow raises for a file that is no image.
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
    """Raise for what is not decoded.

    Raises:
        Refused: too many pixels, or a file that the decoder would misread.
    """
    check_size(*image.size, max_pixels)
    if image.format == "TIFF":
        tiff.check(image)
    if image.format == "JPEG2000":
        jpeg2000.check(image.fp)  # type: ignore[attr-defined]


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise for an image that has too many pixels.

    Raises:
        Refused: it has.
    """
    if width * height > max_pixels:
        raise Refused(f"too large: {width}x{height} is over the limit of {max_pixels:,} pixels")
