"""Repeated images, exact or near, and photographs on both sides of the split.

Near duplicates have perceptual hashes of 64 bits that differ in few. On the study's 8,000 images of 32x32, 4 bits found
six, all crops of the same photograph as their partner; 6 bits found twelve more, of which five were not. JPEG copies of
test crops stay within 4 bits in 98 % (quality 90) to 92 % (quality 50) of cases, brighter and larger copies always, and
copies moved by a pixel in 30 %. Mirrored and turned copies are not found.
"""

import hashlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Int, UInt8, UInt64
from PIL import Image

from ganfp_jax.data import labelled, manifests
from ganfp_jax.data.decode import ImageFile, Refused, decoded
from ganfp_jax.data.sources import PHOTOS
from ganfp_jax.data.values import LUMA
from ganfp_jax.run.progress import progress
from ganfp_jax.run.threads import ending, results

FLAT = 3.0  # standard deviation of the luma below which the hash of an image is noise
_BLOCK = 512  # images compared with as many others at a time, which takes about 4 MB
_AT_A_TIME = 2**22  # values of an image that are summed at a time
_EXACT, _FAR = -1, 64


class Prints(NamedTuple):
    """The digests and hashes by which images are compared."""

    read: Int[np.ndarray, " n"]
    """Indices of the readable files."""
    digests: tuple[bytes, ...]
    """Digests of size and pixels."""
    hashes: UInt64[np.ndarray, " n"]
    """Perceptual hashes of 64 bits."""
    shaped: Bool[np.ndarray, " n"]
    """False for flat images, whose hashes are noise."""
    refused: tuple[tuple[int, str], ...]
    """(index, reason) of each other file."""


class Pair(NamedTuple):
    """An image and the earlier image that it repeats."""

    image: str
    repeats: str
    kind: Literal["exact", "near"]
    distance: int
    """Bits of 64 in which the perceptual hashes differ; 0 for exact pairs."""
    across_splits: bool
    across_sources: bool


def take_prints(files: Sequence[ImageFile]) -> Prints:
    """Decodes files and computes their digests and hashes, in threads, with a progress bar."""
    import imagehash

    digests: list[bytes] = [b""] * len(files)
    hashes, shaped = np.zeros(len(files), np.uint64), np.zeros(len(files), bool)
    refused: dict[int, str] = {}
    stop = threading.Event()

    def take(place: int) -> None:
        try:
            with decoded(files[place], stop=stop) as picture:
                image = picture.pixels
                digest = hashlib.sha256(repr(image.shape).encode())
                digest.update(image.data)
                digests[place] = digest.digest()
                bits = imagehash.phash(Image.fromarray(image)).hash
                hashes[place] = np.packbits(bits.ravel()).view(np.uint64)[0]
                shaped[place] = _luma_std(image) >= FLAT
        except Refused as reason:
            refused[place] = str(reason)

    def take_some(first: int) -> None:
        for place in range(first, min(first + 64, len(files))):
            take(place)
            bar.update()

    with (
        progress(len(files), "duplicates", "image") as bar,
        ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="prints") as pool,
        ending(stop),
    ):
        list(results(pool, take_some, range(0, len(files), 64)))  # list() raises the error of a task
    read = np.array([place for place in range(len(files)) if place not in refused], np.int64)
    return Prints(
        read=read,
        digests=tuple(digests[place] for place in read),
        hashes=hashes[read],
        shaped=shaped[read],
        refused=tuple(sorted(refused.items())),
    )


def find(
    prints: Prints, names: Sequence[str], splits: Sequence[str], sources: Sequence[str], distance: int
) -> list[Pair]:
    """The pair of each image that repeats an earlier one: the closest in another split if any, else the closest.

    Args:
        prints: digests and hashes of the N readable images.
        names: name of each image.
        splits: "train", "test" or "" for each image.
        sources: class of each image.
        distance: most bits in which near duplicates may differ, 0 to 63; a negative number finds exact ones only.
    """
    number = len(prints.hashes)
    _, digest_of = np.unique(np.array([digest.hex() for digest in prints.digests]), return_inverse=True)
    _, split_of = np.unique(np.asarray(splits), return_inverse=True)
    limit = max(distance, _EXACT)
    pairs: list[Pair] = []
    with progress(number, "pairs", "image") as bar:
        for first in range(0, number, _BLOCK):
            block = np.arange(first, min(first + _BLOCK, number))
            anywhere, elsewhere = _Closest(len(block)), _Closest(len(block))
            for start in range(0, first + 1, _BLOCK):
                before = np.arange(start, min(start + _BLOCK, block[-1] + 1))
                bits = np.bitwise_count(prints.hashes[block, None] ^ prints.hashes[None, before]).astype(np.int8)
                bits[~(prints.shaped[block, None] & prints.shaped[None, before])] = _FAR
                bits[digest_of[block, None] == digest_of[None, before]] = _EXACT
                bits[before[None] >= block[:, None]] = _FAR
                anywhere.look(bits, start)
                bits[split_of[block, None] == split_of[None, before]] = _FAR
                elsewhere.look(bits, start)
            across = elsewhere.bits <= limit
            bits, partners = (np.where(across, *both) for both in zip(elsewhere, anywhere, strict=True))
            for row in np.flatnonzero(bits <= limit):
                place, partner = first + int(row), int(partners[row])
                pairs.append(
                    Pair(
                        image=names[place],
                        repeats=names[partner],
                        kind="exact" if bits[row] == _EXACT else "near",
                        distance=max(0, int(bits[row])),
                        across_splits=splits[place] != splits[partner],
                        across_sources=sources[place] != sources[partner],
                    )
                )
            bar.update(len(block))
    return pairs


class _Closest:
    """For each image of a block, the first of the closest images so far."""

    def __init__(self, number: int) -> None:
        self.bits = np.full(number, _FAR, np.int8)
        self.partners = np.zeros(number, np.int64)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter((self.bits, self.partners))

    def look(self, bits: Int[np.ndarray, "n m"], start: int) -> None:
        """Compares the block with the images from `start` on, which must follow all earlier ones."""
        best = bits.argmin(1)
        values = bits[np.arange(len(bits)), best]
        closer = values < self.bits
        self.bits[closer], self.partners[closer] = values[closer], start + best[closer]


def shared_photographs(folders: Mapping[str, labelled.LabelledFolder]) -> list[str]:
    """The photographs with crops in more than one split, sorted; they make a test easier than it looks.

    Manifests list the photographs. Embedded photographs of one scene, such as a stereo pair, count too.
    """
    seen: dict[str, dict[str, set[str]]] = {}
    for split, folder in folders.items():
        manifest = (
            manifests.read_manifest(folder.root) or manifests.read_manifest(folder.root.parent) or {"sources": {}}
        )
        embedded = {name for name, origin in manifest["sources"].items() if origin.get("source") == "photos"}
        for origin in set(labelled.origins(folder)) - set(folder.names):
            source, _, photograph = origin.partition("/")
            known = source in embedded and photograph in PHOTOS
            scene = PHOTOS[photograph].scene if known else photograph
            seen.setdefault(scene, {}).setdefault(split, set()).add(photograph)
    return sorted(
        {photograph for by in seen.values() if len(by) > 1 for photographs in by.values() for photograph in photographs}
    )


def _luma_std(image: UInt8[np.ndarray, "h w 3"]) -> float:
    sums = np.zeros(2)
    for rows in np.array_split(image, 1 + image.size // _AT_A_TIME):  # a large image in float64 takes 1.5 GB
        luma = rows @ np.array(LUMA)
        sums += luma.sum(), (luma**2).sum()
    mean, square = sums / (image.size / 3)
    return float(np.sqrt(max(0.0, square - mean**2)))
