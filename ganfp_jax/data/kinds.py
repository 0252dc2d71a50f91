"""Kinds of image files: which are read, which only have an image's name, and what a file without a reader is."""

import functools
from io import BufferedIOBase
from pathlib import PurePath
from typing import BinaryIO

from PIL import Image

READ_SUFFIXES = frozenset(
    {
        *(".apng", ".avif", ".bmp", ".gif", ".heic", ".heif", ".hif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
        *(".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
    }
)
"""Endings, in lower case, of the kinds that `decode_image` reads; it goes by the content."""

_RAW = frozenset(
    {
        *(
            ".3fr",
            ".arw",
            ".cr2",
            ".cr3",
            ".crw",
            ".dcr",
            ".dng",
            ".erf",
            ".gpr",
            ".iiq",
            ".kdc",
            ".mef",
            ".mos",
            ".mrw",
        ),
        *(".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
    }
)
_OTHERS = frozenset(
    {
        *(".bpg", ".dds", ".exr", ".hdr", ".heics", ".hdp", ".ico", ".jxl", ".jxr", ".pcx", ".pfm", ".psb", ".psd"),
        *(".qoi", ".ras", ".sgi", ".tga", ".wdp", ".xcf"),
    }
)
NOT_READ_SUFFIXES = _RAW | _OTHERS
"""Endings of images that nothing here reads. Their files are refused, and so counted and told, not passed over."""

IMAGE_SUFFIXES = READ_SUFFIXES | NOT_READ_SUFFIXES
"""Endings by which a file in a folder is taken for an image."""

# Formats are named, since Pillow would otherwise hand a file to any of its forty plugins: EPS starts Ghostscript, and
# formats without a signature, such as TGA, take arbitrary bytes for pixels. AVIF comes before HEIF, whose plugin might
# take it as well.
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP", "HEIF")
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def fault_of_name(name: str) -> str:
    """Why a file of this name is not opened; "" where it is."""
    suffix = PurePath(name).suffix.lower()
    if suffix in _RAW:  # some would be opened as the small preview that they begin with
        return f"raw photographs ({suffix}) are not read: convert it to PNG"
    return f"{suffix} files are not read: convert it to PNG" if suffix in _OTHERS else ""


@functools.cache
def formats() -> list[str]:
    """The formats that Pillow may try, by its names."""
    Image.init()
    try:
        import pillow_heif
    except ImportError:
        pass  # the extra `heic` is not installed
    else:
        pillow_heif.register_heif_opener()
    return [name for name in _FORMATS if name in Image.OPEN]


def name_of_content(stream: BinaryIO | BufferedIOBase) -> str:
    """What a file is that no plugin knows, as a reason; "" where its beginning does not tell."""
    stream.seek(0)
    head = stream.read(12)
    if head[4:8] == b"ftyp" and head[8:] in _HEIF_BRANDS and "HEIF" not in formats():
        return "HEIC is read where pillow-heif is installed: pip install 'ganfp_jax[heic]'"
    if head.startswith(b"\xff\x0a") or head == b"\0\0\0\x0cJXL \r\n\x87\n":
        return "JPEG XL is not read: convert it to PNG"
    if head.startswith(b"8BPS"):
        return "Photoshop files are not read: convert it to PNG"
    return ""
