"""A cheap audit of some files of each source, which generation, training and evaluation run."""

from collections import Counter
from pathlib import Path

import numpy as np

from ganfp_jax.audit.facts import KINDS, VAGUE, histogram, is_stretched, words
from ganfp_jax.data.decode import ImageFile, decode_image, open_header
from ganfp_jax.data.labelled import LabelledFolder

FILES = 50  # most files per source
FEWEST = 5  # least files of a source; fewer say nothing
DIFFERENCE = 0.5  # least difference of a fact's shares in two sources, which is no chance
MAX_PIXELS = 2**20  # most pixels of an image whose values are read, so that the check stays quick
STRETCHED = "values span exactly 0 to 255"
FOLLOWING = ("compression", "metadata")  # kinds that differ wherever the format does


def quick_check(folder: LabelledFolder) -> list[str]:
    """The facts that tell the sources of a labelled set apart, one line each; none where files are written alike.

    It compares format, dimensions, compression settings, metadata and the per-image stretch between the sources, in at
    most 50 files of each, evenly over its listing. The job `audit` finds more and measures how far each fact leads.
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
    """Print the lines of `quick_check` as warnings, and return them."""
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
    except Exception:  # of any type, for a damaged file, which the reader of all files reports
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
