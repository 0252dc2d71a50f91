"""Kinds of image files: those that are read, those that are refused by name, and names for unknown content."""

import functools
import importlib
import os

READ_SUFFIXES = frozenset(
    {
        *(".apng", ".avif", ".bmp", ".gif", ".heic", ".heif", ".hif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
        *(".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
    }
)
"""Suffixes, in lower case, of the kinds that `decode_image` reads; it recognises them by content."""

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
"""Suffixes of images that nothing here reads. Their files are refused, so that they are counted and reported."""

IMAGE_SUFFIXES = READ_SUFFIXES | NOT_READ_SUFFIXES
"""Suffixes by which a file in a folder is taken for an image."""

HEAD = 30  # bytes that identify a format, and give the size of a WebP

# The formats are listed, since Pillow would try all of its forty plugins: EPS starts Ghostscript, and formats without a
# signature, such as TGA, take arbitrary bytes for pixels.
_PLUGINS = {
    b"\xff\xd8\xff": ("JPEG", "Jpeg"), b"\x89PNG": ("PNG", "Png"), b"BM": ("BMP", "Bmp"), b"GIF8": ("GIF", "Gif"),
    b"II": ("TIFF", "Tiff"), b"MM": ("TIFF", "Tiff"), b"RIFF": ("WEBP", "WebP"),
    b"\xff\x4f\xff\x51": ("JPEG2000", "Jpeg2K"), b"\0\0\0\x0cjP  ": ("JPEG2000", "Jpeg2K"),
    **{b"P%c" % kind: ("PPM", "Ppm") for kind in b"0123456fy"},
}  # fmt: skip
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def fault_of_name(name: str) -> str:
    """Returns the reason that a file of this name is not opened; "" where it is."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a Path takes as long as a small image's header
    if suffix in _RAW:  # Pillow would open the small preview at the beginning of some
        return f"raw photographs ({suffix}) are not read: convert it to PNG"
    return f"{suffix} files are not read: convert it to PNG" if suffix in _OTHERS else ""


def formats_of(head: bytes) -> tuple[str, ...]:
    """Returns the formats, by Pillow's names, that a file with this head can have; their plugins are loaded."""
    if head[4:8] == b"ftyp":  # the plugin for HEIF would accept some AVIF as well
        return ("AVIF", "HEIF") if _heif() else ("AVIF",)
    for beginning, (name, plugin) in _PLUGINS.items():
        if head.startswith(beginning):
            importlib.import_module(f"PIL.{plugin}ImagePlugin")
            return (name,)
    return ()


@functools.cache
def _heif() -> bool:
    """Whether HEIC can be read; the plugins for HEIC and AVIF are loaded."""
    importlib.import_module("PIL.AvifImagePlugin")
    try:
        import pillow_heif
    except ImportError:  # the extra `heic` is not installed
        return False
    pillow_heif.register_heif_opener()
    return True


def webp_canvas(head: bytes) -> tuple[int, int] | None:
    """Returns the width and height in the head of a WebP; None for other files."""
    if len(head) < HEAD or head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return None
    match head[12:16]:
        case b"VP8X":
            return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF


def name_of_content(head: bytes) -> str:
    """Names a kind of file that no plugin reads by its head, as a reason; "" where the kind is unknown."""
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS and not _heif():
        return "HEIC is read where pillow-heif is installed: pip install 'ganfp_jax[heic]'"
    if head.startswith((b"\xff\n", b"\x00\x00\x00\x0cJXL ")):
        return "JPEG XL is not read: convert it to PNG"
    if head.startswith(b"8BPS"):
        return "Photoshop files are not read: convert it to PNG"
    return ""
