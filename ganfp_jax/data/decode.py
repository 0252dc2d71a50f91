"""One image file -> one uint8 RGB array, or the reason of a refusal. Pillow is the only decoder."""

import contextlib
import io
import os
import threading
from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ganfp_jax.data.claims import manifest
from ganfp_jax.data.decoding import budget, kinds, light
from ganfp_jax.data.decoding.files import ImageFile as ImageFile
from ganfp_jax.data.decoding.files import Record as Record
from ganfp_jax.data.decoding.files import name_of
from ganfp_jax.data.decoding.files import open_file as open_file
from ganfp_jax.data.decoding.kinds import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from ganfp_jax.data.decoding.kinds import READ_SUFFIXES as READ_SUFFIXES
from ganfp_jax.data.decoding.opened import check, check_size, opened
from ganfp_jax.data.decoding.opened import open_header as open_header
from ganfp_jax.data.decoding.pool import DECODERS
from ganfp_jax.data.decoding.pool import Stopped as Stopped
from ganfp_jax.data.decoding.refused import Refused as Refused
from ganfp_jax.data.decoding.refused import reason_of as reason_of
from ganfp_jax.data.decoding.rgb import Picture as Picture
from ganfp_jax.data.decoding.rgb import orientation as orientation
from ganfp_jax.data.decoding.rgb import picture_of as picture_of
from ganfp_jax.run import atomic

MAX_PIXELS = 64_000_000
SECONDS = 20.0
"""The default time limit for decoding one file."""


def decode_image(
    file: str | os.PathLike[str] | Record, *, max_pixels: int = MAX_PIXELS, seconds: float = SECONDS
) -> UInt8[np.ndarray, "h w 3"]:
    """Decode an image file to RGB, 0 to 255. Several threads may call it.

    The first frame of an animation or of a multi-page file is taken. The orientation in EXIF (in TIFF: in the file's
    tag) is applied; an orientation in XMP alone is not, as in browsers. Colour profiles and gamma values are ignored:
    the values are those in the file. The content gives the format, whatever the suffix: AVIF (where Pillow has it),
    BMP, GIF, HEIC (where pillow-heif is installed), JPEG, JPEG 2000, PNG, PPM, TIFF or WebP. Only the suffix of another
    kind of image (`kinds.NOT_READ_SUFFIXES`: raw photographs, JPEG XL, Photoshop and others) refuses a file.

    A file is refused for damage that the decoder notices; data behind the end of an image are ignored. Some damage
    cannot be noticed. A JPEG has no checksum against flipped bits. A JPEG whose data end early, but with an end marker,
    is grey from there on (its note says so where the last block is exactly that grey). A PNG whose compressed data end
    early, but in good order, is black from there on. Pixels that a run-length encoded BMP skips have the first colour
    of its palette. The frames of an animated WebP are composed by its library, which makes wholly transparent colours
    black.

    The note of an image (`preprocess.read_fitted`) lists its conversions: "turned upright", "16 bits cut to 8", "CMYK
    converted" (or L*a*b*), "palette applied", "alpha dropped", "first of 12 frames". Grey to three channels is not
    listed.

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
    | I, F           | 32-bit integer, float        | refused: the value of white is unknown                      |

    More than 8 bits of a colour channel become the high 8; 1, 2 and 4 bits of grey are stretched to 0 to 255. TIFF
    files that Pillow would misread are refused (`decoding.tiff`): 12-bit or signed values; 16-bit values that count
    from white or lie uncompressed in separate planes; L*a*b* and some alpha in separate planes; raw photographs (DNG,
    NEF, ARW), whose first page is only a preview. With Pillow older than 13, every TIFF file is refused, since those
    versions return uninitialised pixels for damaged files.

    The published test code drops alpha in the same way and keeps the colours as stored.

    Args:
        file: a regular file, or one inside a data set.
        max_pixels: the limit of width times height, checked before the file is decompressed. (Pillow's limit against
            decompression bombs, about 179 million pixels, holds as well; and no file over 1 GiB is opened.)
        seconds: the time limit of a file. JPEG, PNG and WebP files whose pixels, scans and pieces promise about a
            second at most (`decoding.light`) are decoded in the calling thread. All others are decoded in a process,
            which is killed at the limit (`decoding.pool`). All decoders of a process together take at most 1.5 GiB
            (`decoding.budget`); a thread waits for its share.

    Raises:
        Refused: the file is missing, empty, unreadable, a folder, not an image, truncated, damaged, too large or of a
            mode without a conversion; or it takes too long or crashes its decoder. A bad file raises nothing else.
    """
    with decoded(file, max_pixels=max_pixels, seconds=seconds) as picture:
        return picture.pixels


@contextlib.contextmanager
def decoded(
    file: str | os.PathLike[str] | Record,
    *,
    max_pixels: int = MAX_PIXELS,
    seconds: float | int = SECONDS,
    stop: threading.Event | None = None,
) -> Iterator[Picture]:
    """As `decode_image`, with the image's conversions; its memory counts until the end of the `with` block.

    Raises:
        Refused: as `decode_image`.
        Stopped: `stop` was set by another thread.
    """
    if stop is not None and stop.is_set():
        raise Stopped
    with contextlib.ExitStack() as leases:
        try:
            picture = _decode(file, max_pixels, seconds, stop, leases)
        except (Refused, Stopped):
            raise
        except Exception as error:  # decoders raise any type of error for damaged files
            raise Refused(reason_of(error)) from error
        yield picture


def encode_png(path: str | os.PathLike[str], image: UInt8[np.ndarray, "h w 3"]) -> None:
    """Write an RGB image losslessly as PNG, atomically. The folder must exist."""
    atomic.write_bytes(path, png_bytes(image))


def png_bytes(image: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """Encode an RGB image as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def _decode(
    file: str | os.PathLike[str] | Record,
    max_pixels: int,
    seconds: float | int,
    stop: threading.Event | None,
    leases: contextlib.ExitStack,
) -> Picture:
    with open_file(file) as stream:
        size = stream.getbuffer().nbytes if isinstance(stream, io.BytesIO) else os.fstat(stream.fileno()).st_size
        head = stream.read(kinds.HEAD)
        if not kinds.formats_of(head):
            raise Refused(kinds.fault_of_name(name_of(file)) or kinds.name_of_content(head) or "not an image")
        if light.may_be_light(head, size):
            # The lease is taken anew: holding a part of the memory while asking for more could deadlock.
            with contextlib.suppress(light.TooMuchWork), contextlib.ExitStack() as lease:
                if picture := _decode_here(head + stream.read(), name_of(file), max_pixels, lease):
                    leases.push(lease.pop_all())
                    return picture
    return DECODERS.decode(file, max_pixels, seconds, stop, leases)


def _decode_here(content: bytes, name: str, max_pixels: int, leases: contextlib.ExitStack) -> Picture | None:
    """Decode in this thread, which cannot be interrupted; None for a file that might take long."""
    signed = manifest.is_in(content)
    if signed and manifest.reader():  # whose compiled code only a process may run
        return None

    def lend(size: tuple[int, int], kind: str) -> None:
        leases.enter_context(budget.MEMORY.lease(budget.needed(size[0] * size[1], kind, len(content))))

    if canvas := kinds.webp_canvas(content[: kinds.HEAD]):  # the WebP library allocates it when the file is opened
        check_size(*canvas, max_pixels)
        if not light.is_light(canvas):
            return None
        lend(canvas, "WEBP")
    with opened(light.Metered(io.BytesIO(content), light.reads(len(content))), name) as image:
        check(image, max_pixels)
        if not light.is_light(image.size, light.scans(content) if image.format in ("JPEG", "MPO") else 1):
            return None
        if not canvas:
            lend(image.size, image.format or "")
        picture = picture_of(image)
        return picture._replace(claims=(*picture.claims, manifest.NOT_INSTALLED)) if signed else picture
