"""What one image file says beside its fingerprint: its container, how its values were written, plain statistics."""

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image

from ganfp_jax.baselines.metadata import RARE, num_bytes, tokens
from ganfp_jax.data.decode import ImageFile, decode_image


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of thing that may give a source away.

    Attributes:
        leak: whether what is found is the writer's doing and no property of the picture.
        what: its name in a sentence.
        numbers: the names of its numbers; empty for kinds made of words that a file says.
    """

    leak: bool
    what: str
    numbers: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    "format": Kind(True, "the file format"),
    "dimensions": Kind(True, "width and height"),
    "compression": Kind(True, "compression settings"),
    "metadata": Kind(True, "metadata"),
    "stretch": Kind(True, "values stretched to 0 and 255", ("stretched",)),
    "levels": Kind(True, "levels that are left out", ("share of levels left out",)),
    "bytes": Kind(False, "the size in bytes", ("bytes",)),
    "values": Kind(
        False,
        "the range of values",
        ("least value", "greatest value", "share of 0", "share of 255", "number of levels"),
    ),
    "colour": Kind(False, "the mean colour", ("mean red", "mean green", "mean blue")),
}
"""All kinds, by name. The first six are traces of how a file was written: whatever tells the sources apart by these is
a leak. The last three depend on the picture too, so they are a warning: a classifier may go by them."""

# The first word of a token (see `baselines.metadata.tokens`), or two where the first says too little.
_KIND_OF = {
    **dict.fromkeys(("suffix", "format", "magic", "mode", "frames", "unreadable"), "format"),
    "size": "dimensions",
    **dict.fromkeys(("coding", "huffman", "restart"), "compression"),
    **dict.fromkeys(("table", "sampling", "zlib", "text progressive", "text progression"), "compression"),
    **dict.fromkeys(("text interlace", "text compression"), "compression"),
}

VAGUE = ("order", "coding", "huffman", "chunk", "suffix")  # words that are named only where no other tells as much

_NEAR = np.array([1, 1, 1, 1, 0, 1, 1, 1, 1]) / 8  # the four levels on either side
_EXPECTED = 4  # values from which on an empty level is no chance: e**-4 of such levels would be empty
_FEW = 0.05  # share of left out levels that flat parts of a picture, or chance, may bring about


class Facts(NamedTuple):
    """What a file says: words by kind, and a number for each of the names of `KINDS[kind].numbers`."""

    words: Mapping[str, frozenset[str]]
    numbers: Mapping[str, tuple[float, ...]]


def read(file: ImageFile) -> Facts:
    """Reads a file's facts.

    Raises:
        Refused: it cannot be decoded.
    """
    image = decode_image(file)
    counts = histogram(image)
    seen = np.flatnonzero(counts)
    numbers = {
        "stretch": (float(is_stretched(counts)),),
        "levels": (left_out(counts),),
        "bytes": (float(num_bytes(file)),),
        "values": (
            *(float(seen[0]), float(seen[-1])),
            *(float(counts[0] / counts.sum()), float(counts[255] / counts.sum()), float(len(seen))),
        ),
        "colour": tuple(float(value) for value in image.mean((0, 1))),
    }
    return Facts(words(file), numbers)


def words(file: ImageFile) -> dict[str, frozenset[str]]:
    """The tokens of a file by kind, from its header; a file that cannot be opened says "unreadable"."""
    facts: dict[str, set[str]] = {kind: set() for kind, about in KINDS.items() if not about.numbers}
    for token in tokens(file):
        parts = re.split(r"[ =]", token, maxsplit=2)
        facts[_KIND_OF.get(" ".join(parts[:2])) or _KIND_OF.get(parts[0], "metadata")].add(token)
    return {kind: frozenset(of_kind) for kind, of_kind in facts.items()}


def histogram(image: UInt8[np.ndarray, "h w 3"]) -> Int[np.ndarray, " 256"]:
    """How often each level occurs, over all channels."""
    bands = np.reshape(Image.fromarray(image).histogram(), (-1, 256))  # NumPy's own would take 8 bytes for every value
    return bands.sum(0)


def is_stretched(counts: Int[np.ndarray, " 256"]) -> bool:
    """Whether an image was stretched to span 0 to 255: it holds both, and no more of them than of their neighbours.

    So were the published CramerGAN and MMDGAN images. Values that were cut off at 0 and 255, as of an overexposed
    photograph or a generator that draws beyond its range, pile up at the ends; such an image was not stretched.
    """
    low, high = counts[0], counts[255]
    few = low <= 3 + 2 * counts[1:4].max() and high <= 3 + 2 * counts[252:255].max()
    return bool(low and high and few)


def left_out(counts: Int[np.ndarray, " 256"]) -> float:
    """The share of levels that are empty though their neighbours are not, as fewer levels or a palette leave them.

    So does a stretch after rounding. Levels are counted where their four neighbours on either side hold four values or
    more on average, without the image's least and greatest value, where values that were cut off pile up. A share below
    a twentieth, which pictures as a camera or a generator makes them have too, is given as 0.
    """
    inner, seen = counts.astype(float), np.flatnonzero(counts)
    ends = [0, seen[0], seen[-1], 255]
    inner[ends] = 0
    counted = np.convolve(inner, _NEAR, "same") >= _EXPECTED
    counted[: seen[0]] = counted[seen[-1] :] = counted[ends] = False
    share = float((counted & (counts == 0)).sum() / max(1, counted.sum()))
    return share if share >= _FEW else 0.0


def columns(kind: str, facts: Sequence[Facts]) -> tuple[tuple[str, ...], Float[np.ndarray, "n f"]]:
    """The names and values of a kind's features, one row a file.

    Words become columns of 0 and 1; those that nearly no file says, or all say, are left out.
    """
    if KINDS[kind].numbers:
        return KINDS[kind].numbers, np.array([of_file.numbers[kind] for of_file in facts], float)
    counts = Counter(word for of_file in facts for word in of_file.words[kind])
    known = sorted(word for word, count in counts.items() if RARE * len(facts) <= count < len(facts))
    values = [[word in of_file.words[kind] for word in known] for of_file in facts]
    return tuple(known), np.array(values, float).reshape(len(facts), len(known))
