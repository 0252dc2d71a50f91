"""The photographs that sources share: listed, named, digested, and reduced so that all sources have one size."""

import hashlib
import io
import zlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ganfp_jax.data import sources
from ganfp_jax.data.decode import reason_of
from ganfp_jax.data.listing import find_images, printable
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress

EMBEDDED = "embedded"
"""In the place of a folder: the photographs of installed packages, `data.sources.PHOTOS`."""
SIDES = 24
"""The sides of a reduced photograph are multiples of this, so that every scale in `restorer.SCALES` divides them."""
_LONGEST = 150  # bytes of a photograph's name, which leaves room for the place in the name of a file


class Photograph(NamedTuple):
    """A file that shows a photograph."""

    name: str
    """Unique, and usable in the name of a file."""
    path: Path
    digest: str
    """SHA-256 of the file."""
    file: str
    """Its path relative to the folder, for lists of refused files."""


def find(folder: str) -> tuple[list[Photograph], list[tuple[str, str]]]:
    """Lists the photographs of a folder and of the folders below it, in the order of their paths.

    Args:
        folder: the folder, or `EMBEDDED`.

    Returns:
        The photographs, and (file, reason) of all else.

    Raises:
        UserError: there is no such folder, or no image in it.
    """
    if folder == EMBEDDED:
        return [_digested(name, sources.photo_path(name), name) for name in sources.PHOTOS], []
    root = Path(folder)
    if not folder:
        raise UserError(
            "config.photographs is empty; give the folder of the photographs that the network works on, "
            f"--config.photographs=DIR, or {EMBEDDED} for a few that installed packages have"
        )
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: set config.photographs to a folder of photographs")
    with progress(None, "list", "file", delay=2.0) as bar:
        listing = find_images(root, bar.update)
    if not listing.images:
        raise UserError(f"{root} has no image file: set config.photographs to a folder of photographs")
    inside = [path.relative_to(root) for path in listing.images]
    rejected = [(printable(path.relative_to(root).as_posix()), reason) for path, reason in listing.left_out]
    photographs: list[Photograph] = []
    with progress(len(inside), "digest", "file", delay=2.0) as bar:
        for name, path in zip(_names(inside), inside, strict=True):
            file = printable(path.as_posix())
            try:
                photographs.append(_digested(name, root / path, file))
            except OSError as error:
                rejected.append((file, reason_of(error)))
            bar.update()
    return photographs, rejected


def reduced(photograph: UInt8[np.ndarray, "h w 3"], reduction: float, scale: int = 1) -> UInt8[np.ndarray, "H W 3"]:
    """Reduces a photograph by `reduction` times `scale`, in one step of Pillow's Lanczos filter.

    The sides of the result, enlarged by `scale`, are the same for all scales, and show the same: the largest box in the
    middle whose sides are multiples of `SIDES` times `reduction`.
    """
    height, width = (int(side / reduction) // SIDES * SIDES for side in photograph.shape[:2])
    top, left = (
        int(side - inner * reduction) // 2 for side, inner in zip(photograph.shape, (height, width), strict=False)
    )
    if min(height, width) < 1:
        return np.zeros((0, 0, 3), np.uint8)
    box = (left, top, left + width * reduction, top + height * reduction)
    image = Image.fromarray(photograph)
    return np.array(image.resize((width // scale, height // scale), Image.Resampling.LANCZOS, box=box))


def compressed(picture: UInt8[np.ndarray, "h w 3"], quality: int) -> UInt8[np.ndarray, "h w 3"]:
    """Returns a picture as a JPEG of this quality (Pillow's, chroma halved) shows it; 0 leaves it as it is."""
    if not quality:
        return picture
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def _digested(name: str, path: Path, file: str) -> Photograph:
    return Photograph(name, path, hashlib.sha256(path.read_bytes()).hexdigest(), file)


def _names(inside: list[Path]) -> list[str]:
    """Returns a name for each path: its parts joined by hyphens; a checksum tells apart what would be the same."""
    names = [printable("-".join(path.with_suffix("").parts)) for path in inside]
    often = Counter(name.casefold() for name in names)
    return [
        name if often[name.casefold()] == 1 and len(name.encode()) <= _LONGEST else _short(name, path)
        for name, path in zip(names, inside, strict=True)
    ]


def _short(name: str, path: Path) -> str:
    beginning = name.encode()[: _LONGEST - 9].decode(errors="ignore")
    return f"{beginning}~{zlib.crc32(path.as_posix().encode(errors='surrogateescape')):08x}"
