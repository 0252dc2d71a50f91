"""The cheap part of the audit, which generation, training and evaluation run: a glance at some files of each source."""

from collections import Counter
from pathlib import Path

import numpy as np

from ganfp_jax.audit.facts import KINDS, VAGUE, histogram, is_stretched, words
from ganfp_jax.data.decode import ImageFile, decode_image, open_header
from ganfp_jax.data.labelled import LabelledFolder

FILES = 50  # looked at a source
FEWEST = 5  # of fewer nothing is said
DIFFERENCE = 0.5  # between the shares of two sources that say a thing; so much is no chance
MAX_PIXELS = 2**20  # of an image whose values are looked at, which takes milliseconds then
STRETCHED = "values span exactly 0 to 255"
FOLLOWING = ("compression", "metadata")  # differ wherever the format does


def quick_check(folder: LabelledFolder) -> list[str]:
    """What tells the sources of a labelled set apart at a glance, one line each: nothing where files are written alike.

    Format, dimensions, compression settings, metadata and the per-image stretch of at most 50 files a source, evenly
    over its listing, compared between the sources. The job `audit` says how far each of them leads, and finds more.
    """
    shares: dict[str, dict[tuple[str, str], float]] = {}
    for label, name in enumerate(folder.classes):
        of_source = np.flatnonzero(folder.labels == label)
        if len(of_source) >= FEWEST:
            files = [
                folder.paths[i]
                for i in of_source[np.linspace(0, len(of_source) - 1, min(FILES, len(of_source))).astype(int)]
            ]
            counts = Counter(fact for file in files for fact in _facts_of(file))
            shares[name] = {fact: count / len(files) for fact, count in counts.items()}
    widest: dict[str, tuple[float, str, str, str]] = {}
    known = {fact for of_source in shares.values() for fact in of_source}
    for kind, word in sorted(known, key=lambda fact: (fact[1].startswith(VAGUE), fact)):
        by_share = sorted(shares, key=lambda name: shares[name].get((kind, word), 0.0))
        least, most = by_share[0], by_share[-1]
        difference = (shares[most].get((kind, word), 0.0) - shares[least].get((kind, word), 0.0), word, most, least)
        if difference[0] >= DIFFERENCE and (kind not in widest or difference[0] > widest[kind][0]):
            widest[kind] = difference
    kinds = [kind for kind in KINDS if kind in widest and not ("format" in widest and kind in FOLLOWING)]
    return [_line(folder.root, kind, *widest[kind][1:], shares) for kind in kinds]


def report_leaks(folder: LabelledFolder) -> list[str]:
    """Print what `quick_check` finds, and return it."""
    lines = quick_check(folder)
    for line in lines:
        print(f"warning: {line}")
    return lines


def _facts_of(file: ImageFile) -> set[tuple[str, str]]:
    facts = {(kind, word) for kind, of_kind in words(file).items() for word in of_kind}
    try:
        with open_header(file) as image:
            small = image.width * image.height <= MAX_PIXELS
        if small and is_stretched(histogram(decode_image(file))):
            facts.add(("stretch", STRETCHED))
    except Exception:  # of any type, for a damaged file; its header said so, and whoever reads all files lists it
        return facts
    return facts


def _line(
    root: Path, kind: str, word: str, most: str, least: str, shares: dict[str, dict[tuple[str, str], float]]
) -> str:
    first, second = (shares[name].get((kind, word), 0.0) for name in (most, least))
    word = word if len(word) <= 60 else f"{word[:57]}..."
    return (
        f"{root}: {KINDS[kind].what} can give the sources away: {word!r} in {first:.0%} of {most}, {second:.0%} of "
        f"{least}; configs/audit.py tests it and can write an equalised copy"
    )
