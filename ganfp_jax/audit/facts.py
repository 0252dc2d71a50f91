"""The facts of an image file beside its fingerprint: its container, the way its values were written, statistics."""

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
    """A kind of fact that may give a source away.

    Attributes:
        leak: whether the fact comes from the writer of the file and not from the picture.
        what: name of the kind in a sentence.
        numbers: names of its numbers; empty for kinds that consist of words.
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
"""All kinds, by name. The first six are traces of how a file was written; they leak if they tell the sources apart. The
last three depend on the picture too, so they only warn that a classifier may use them."""

# The first word of a token (see `baselines.metadata.tokens`), or the first two where one is ambiguous -> its kind.
_KIND_OF = {
    **dict.fromkeys(("suffix", "format", "magic", "mode", "frames", "unreadable"), "format"),
    "size": "dimensions",
    **dict.fromkeys(("coding", "huffman", "restart"), "compression"),
    **dict.fromkeys(("table", "sampling", "zlib", "text progressive", "text progression"), "compression"),
    **dict.fromkeys(("text interlace", "text compression"), "compression"),
}

VAGUE = ("order", "coding", "huffman", "chunk", "suffix")  # words that are reported only where no other tells as much

_NEAR = np.array([1, 1, 1, 1, 0, 1, 1, 1, 1]) / 8  # weights of the four levels on either side
_EXPECTED = 4  # expected values from which on an empty level is no chance: its probability is e**-4
_FEW = 0.05  # share of empty levels that flat parts of a picture, or chance, may cause


class Facts(NamedTuple):
    """The facts of a file: words by kind, and the numbers that `KINDS[kind].numbers` names."""

    words: Mapping[str, frozenset[str]]
    numbers: Mapping[str, tuple[float, ...]]


def read(file: ImageFile) -> Facts:
    """Reads the facts of a file.

    Raises:
        Refused: the file cannot be decoded.
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
    """The tokens of a file by kind, from its header; a file that cannot be opened has "unreadable"."""
    facts: dict[str, set[str]] = {kind: set() for kind, about in KINDS.items() if not about.numbers}
    for token in tokens(file):
        parts = re.split(r"[ =]", token, maxsplit=2)
        facts[_KIND_OF.get(" ".join(parts[:2])) or _KIND_OF.get(parts[0], "metadata")].add(token)
    return {kind: frozenset(of_kind) for kind, of_kind in facts.items()}


def histogram(image: UInt8[np.ndarray, "h w 3"]) -> Int[np.ndarray, " 256"]:
    """The count of each level, over all channels."""
    bands = np.reshape(Image.fromarray(image).histogram(), (-1, 256))  # NumPy would take 8 bytes per value
    return bands.sum(0)


def is_stretched(counts: Int[np.ndarray, " 256"]) -> bool:
    """Whether an image was stretched to span 0 to 255: it holds both, and no more of them than of their neighbours.

    The published CramerGAN and MMDGAN images were. Clipped values, as in an overexposed photograph or beyond a
    generator's range, pile up at 0 and 255; such an image was not stretched.
    """
    low, high = counts[0], counts[255]
    few = low <= 3 + 2 * counts[1:4].max() and high <= 3 + 2 * counts[252:255].max()
    return bool(low and high and few)


def left_out(counts: Int[np.ndarray, " 256"]) -> float:
    """The share of empty levels among full ones, which a palette, fewer levels or a stretch after rounding leave.

    A level counts where the four levels on either side hold four values or more on average. The image's least and
    greatest values do not count, since clipped values pile up there. A share below a twentieth is given as 0, since
    images of cameras and generators have it too.
    """
    inner, seen = counts.astype(float), np.flatnonzero(counts)
    ends = [0, seen[0], seen[-1], 255]
    inner[ends] = 0
    counted = np.convolve(inner, _NEAR, "same") >= _EXPECTED
    counted[: seen[0]] = counted[seen[-1] :] = counted[ends] = False
    share = float((counted & (counts == 0)).sum() / max(1, counted.sum()))
    return share if share >= _FEW else 0.0


def columns(kind: str, facts: Sequence[Facts]) -> tuple[tuple[str, ...], Float[np.ndarray, "n f"]]:
    """The names and values of a kind's features, one row per file.

    Words become columns of 0 and 1; words of almost no file, and of all files, are left out.
    """
    if KINDS[kind].numbers:
        return KINDS[kind].numbers, np.array([of_file.numbers[kind] for of_file in facts], float)
    counts = Counter(word for of_file in facts for word in of_file.words[kind])
    known = sorted(word for word, count in counts.items() if RARE * len(facts) <= count < len(facts))
    values = [[word in of_file.words[kind] for word in known] for of_file in facts]
    return tuple(known), np.array(values, float).reshape(len(facts), len(known))
