"""Verdicts on images that were sent on in another size, as a person would ask for them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.baselines.images import FolderImages
from ganfp_jax.data import labelled, perturb

REAL = "real"
KINDS = ("right", "unsure", "other", REAL)
"""Of a verdict: the image's own source, none, a generator that did not make it, or the real one for a generated image.

Of a photograph, "right" is the real one and "other" a generator.
"""


class Way(NamedTuple):
    """How images were sent on, and how one of another size is fitted to the network."""

    perturbation: str
    resize: str = "crop"


WAYS = (
    Way("none"),
    Way("rescale1.5"),
    Way("rescale2"),
    Way("rescale1.5+jpeg75"),
    Way("rescale2+rescale0.5"),
    Way("rescale0.75+rescale1.34"),
    Way("rescale0.75", "area"),  # smaller than the network's: "crop" refuses them and names "area"
)


def verdicts(
    called: str, attributor: Attributor, images: labelled.Images, ways: Sequence[Way] = WAYS
) -> Iterator[dict[str, Any]]:
    """A row for each way: how many verdicts on the images of each source were of which kind."""
    known = FolderImages.read(images)
    classes = images.folder.classes
    for way in ways:
        shown = perturb.perturb(known.images, way.perturbation, 0, known.numbers)
        said = _words(attributor, shown, way)
        counts = {name: Counter(dict.fromkeys(KINDS, 0)) for name in classes}
        for label, word in zip(known.labels, said, strict=True):
            counts[classes[label]][_kind(classes[label], word, classes)] += 1
        yield {"method": called, **way._asdict(), "counts": {k: dict(c) for k, c in counts.items() if c.total()}}


def _words(attributor: Attributor, images: UInt8[np.ndarray, "n h w 3"], way: Way) -> list[str]:
    return [verdict.verdict for verdict in attributor.attribute(images, resize=way.resize)]


def _kind(source: str, word: str, classes: Sequence[str]) -> str:
    if word == source:
        return "right"
    if word not in classes:
        return "unsure"
    return REAL if word == REAL else "other"


def table(rows: Sequence[Mapping[str, Any]], *, generated: bool) -> str:
    """The shares in percent as Markdown: a line for each way and network, of generated images or of photographs."""
    kinds = KINDS if generated else KINDS[:-1]
    total = sum(_of(rows[0], generated).values())
    what = "generated images" if generated else "photographs"
    lines = [f"| {what}, n = {total:,} | network | {' | '.join(kinds)} |", f"|{'---|' * (2 + len(kinds))}"]
    for row in sorted(rows, key=lambda row: [*dict.fromkeys(_way(row) for row in rows)].index(_way(row))):
        counts = _of(row, generated)
        shares = " | ".join(f"{100 * counts[kind] / total:.1f}" for kind in kinds)
        lines.append(f"| {_way(row)} | {row['method']} | {shares} |")
    return "\n".join(lines)


def _of(row: Mapping[str, Any], generated: bool) -> Counter[str]:
    """The counts of all generators together, or of the photographs."""
    return sum((Counter(c) for name, c in row["counts"].items() if (name != REAL) == generated), Counter())


def _way(row: Mapping[str, Any]) -> str:
    fitted = "" if row["resize"] == "crop" else f", resize={row['resize']}"
    return perturb.in_words(perturb.label(row["perturbation"])) + fitted
