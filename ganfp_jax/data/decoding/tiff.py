"""A check that Pillow reads a TIFF file correctly; `tests/data/test_tiff.py` compares it with another reader.

Pillow misreads some files that it opens. The accepted kinds were compared in every byte order, layout and compression.
All others are refused, since a wrong pixel looks like any other.
"""

from collections.abc import Mapping
from typing import Any

import PIL
from PIL import Image

from ganfp_jax.data.decoding.refused import Refused

# Older versions return uninitialised pixels for damaged TIFF files (experiments/reliability).
READS_TIFF = int(PIL.__version__.partition(".")[0]) >= 13

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = 254, 256, 257, 258, 259, 262, 277
_STRIP_ROWS, _STRIP_COUNTS, _PLANES, _TILE_WIDTH, _TILE_HEIGHT, _TILE_COUNTS = 278, 279, 284, 322, 323, 325
_SAMPLE_FORMAT, _SUBSAMPLING, _DNG = 339, 530, 50706
_WHITE_IS_ZERO, _YCBCR, _CIELAB = 0, 6, 8
_SEPARATE, _SIGNED, _SMALLER_VERSION, _NONE, _JPEG = 2, 2, 1, 1, 7

# None, CCITT, LZW, JPEG, deflate, PackBits, old deflate, LZMA, zstd.
_COMPRESSIONS = frozenset({_NONE, 2, 3, 4, 5, _JPEG, 8, 32773, 32946, 34925, 50000})
_SIXTEEN_BIT = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})


def check(image: Image.Image) -> None:
    """Raise for a TIFF file, opened and not decoded, that Pillow would misread.

    Raises:
        Refused: Pillow would misread it.
    """
    if not READS_TIFF:
        raise Refused(
            f"TIFF is unsafe with Pillow {PIL.__version__}: convert the file to PNG, or install Pillow 13 or newer"
        )
    if fault := _fault(image.tag_v2, image.mode):  # type: ignore[attr-defined]
        raise Refused(fault)


def _fault(tags: Mapping[int, Any], mode: str) -> str:
    """Returns the reason that Pillow would misread the first page; "" where it reads it correctly."""
    compression = tags.get(_COMPRESSION, 1)
    photometric = tags.get(_PHOTOMETRIC, _WHITE_IS_ZERO)  # Pillow's default
    if _DNG in tags or tags.get(_SUBFILE, 0) & _SMALLER_VERSION:
        return "the first page is only a smaller version of the image, as in a raw photograph (DNG, NEF, ARW)"
    if compression not in _COMPRESSIONS:
        return f"TIFF compression {compression} has no conversion to RGB"
    if 12 in tags.get(_BITS, ()):
        return "12-bit pixels have no conversion to RGB"
    if _SIGNED in tags.get(_SAMPLE_FORMAT, ()) and mode not in ("I", "F"):
        return "signed pixels have no defined white"
    if photometric == _WHITE_IS_ZERO and mode in _SIXTEEN_BIT:
        return "16-bit pixels that count from white have no conversion to RGB"
    if photometric == _CIELAB and compression == _JPEG:
        return "L*a*b* pixels in JPEG have no conversion to RGB"
    if photometric == _YCBCR and compression == _NONE and tags.get(_SUBSAMPLING, (2, 2)) != (1, 1):
        return "colours at a lower resolution without compression have no conversion to RGB"
    if tags.get(_PLANES, 1) == _SEPARATE and tags.get(_SAMPLES, 1) > 1 and (fault := _fault_of_planes(tags, mode)):
        return fault
    if compression == _NONE and _ends_early(tags):
        return "truncated file"
    return ""


def _fault_of_planes(tags: Mapping[int, Any], mode: str) -> str:
    """As `_fault`, for a file with separate planes."""
    if max(tags.get(_BITS, (1,))) > 8 and tags.get(_COMPRESSION, 1) == _NONE:  # Pillow takes each byte for a sample
        return "16-bit pixels in separate planes without compression have no conversion to RGB"
    if tags.get(_PHOTOMETRIC) == _CIELAB:  # the signs of a and b are lost
        return "L*a*b* pixels in separate planes have no conversion to RGB"
    if mode == "La":  # the division by alpha is left out
        return "grey pixels times alpha in separate planes have no conversion to RGB"
    return ""


def _ends_early(tags: Mapping[int, Any]) -> bool:
    """Whether strips or tiles are missing or too short: Pillow would read the data behind, or leave them black."""
    width, height, samples = tags[_WIDTH], tags[_HEIGHT], tags.get(_SAMPLES, 1)
    bits = (tuple(tags.get(_BITS, (1,))) * samples)[:samples]
    planes = bits if tags.get(_PLANES, 1) == _SEPARATE else (sum(bits),)
    if _TILE_COUNTS in tags:
        counts, across, down = tags[_TILE_COUNTS], tags[_TILE_WIDTH], tags[_TILE_HEIGHT]
        number = -(-width // across) * -(-height // down)
        needed = [_row_bytes(across, plane) * down for plane in planes for _ in range(number)]
    elif _STRIP_COUNTS in tags:
        counts, down = tags[_STRIP_COUNTS], min(tags.get(_STRIP_ROWS, height), height)
        rows = [min(down, height - first) for first in range(0, height, down)]
        needed = [_row_bytes(width, plane) * number for plane in planes for number in rows]
    else:
        return False
    return len(counts) < len(needed) or any(has < must for has, must in zip(counts, needed, strict=False))


def _row_bytes(width: int, bits: int) -> int:
    return -(-width * bits // 8)
