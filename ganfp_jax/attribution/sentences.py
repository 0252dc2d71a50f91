"""What is said of an image, in sentences that the web page and the page of evidence share."""

from collections.abc import Sequence
from typing import NamedTuple

from ganfp_jax.attribution.stability import LADDER, MIDDLE, Stability, strength
from ganfp_jax.attribution.verdict import NOTHING, UNKNOWN, UNSURE, Attribution, doubt
from ganfp_jax.report import wording
from ganfp_jax.report.wording import REAL


def generators(classes: Sequence[str]) -> list[str]:
    """The known sources but the real one."""
    return [name for name in classes if name != REAL]


def plain(attribution: Attribution, classes: Sequence[str]) -> str:
    """The verdict in one plain sentence, with the sources that it speaks of.

    Args:
        attribution: the verdict.
        classes: the known sources.
    """
    verdict, known = attribution.verdict, generators(classes)
    if verdict == NOTHING:
        return sentence(attribution)
    if verdict in (UNKNOWN, UNSURE):
        why = doubt(verdict, attribution.predicted, attribution.sources)
        why += f" ({wording.listed(classes)})" if verdict == UNKNOWN else ""
        return f"No source is named: {f'the image {why}' if why else _lead_too_small(attribution)}."
    if verdict == REAL and known:
        return f"No trace was found of the generators that this network knows: {wording.listed(known, 'or')}."
    one = f"one of the {len(known)} generators" if len(known) > 1 else "the only generator"
    return f"The image has traces like those of {verdict}, {one} that this network knows."


def _lead_too_small(attribution: Attribution) -> str:
    """Says of what the lead is too small."""
    if attribution.margin < 0:
        return f"{attribution.predicted} has the most votes, but another source is more probable"
    points = wording.percent(abs(attribution.margin)).removesuffix("%")
    return f"{attribution.predicted} is the most probable, but its lead of {points} points is too small"


def percents(attribution: Attribution) -> dict[str, str]:
    """Returns each source -> its mean probability, rounded so that all add up to a hundred."""
    probabilities = attribution.probabilities
    return dict(zip(probabilities, wording.percents(list(probabilities.values())), strict=True))


def sentence(attribution: Attribution) -> str:
    """Writes the verdict and its numbers in words."""
    if attribution.verdict == NOTHING:
        return "The picture is flat everywhere: there is no trace of any source to see."
    predicted, num_views = attribution.predicted, sum(attribution.votes.values())
    tiles = f" of {attribution.tiles} tiles" if attribution.tiles > 1 else ""
    votes = attribution.votes.get(predicted, 0)
    points = wording.percent(abs(attribution.margin)).removesuffix("%")  # no 100 points beside 99.9%
    lead = f"{points} points {'more' if attribution.margin >= 0 else 'less'} than the next source"
    numbers = (
        f"{votes} of {num_views} view{'s' * (num_views != 1)}{tiles} say{'s' * (votes == 1)} {predicted}; "
        f"its {'' if tiles else 'mean '}probability is {percents(attribution)[predicted]}, {lead}. "
        f"The {'mean ' if tiles else ''}distance of the fingerprint to the nearest source's is "
        f"{attribution.distance:.2f} (0 to 2)."
    )
    if attribution.typicality is not None:
        numbers += f" How typical it is of {predicted}, as a p-value: {wording.p_value(attribution.typicality)}."
    if attribution.verdict == predicted:
        return numbers
    why = doubt(attribution.verdict, predicted, attribution.sources)
    return f"The image {why}. {numbers}" if why else f"The lead is too small for a verdict. {numbers}"


class Processed(NamedTuple):
    """What was done to a picture, in words, with "{}" for the strength."""

    at: str
    up_to: str


PROCESSED = {
    "jpeg": Processed("saved as JPEG of quality {}", "saved as JPEG down to quality {}"),
    "reduced": Processed("reduced to {}%", "reduced down to {}%"),
    "enlarged": Processed("enlarged to {}%", "enlarged up to {}%"),
    "cropped": Processed("cropped by {}%", "cropped by up to {}%"),
    "blurred": Processed("blurred by {} pixels", "blurred by up to {} pixels"),
}
"""Family of `attribution.stability` -> its words."""


def stability(found: Stability) -> list[str]:
    """Says which mildest processing changes a verdict to what, under which it stays, and what could not be tried."""
    words: dict[str, list[str]] = {}
    for family, rung in found.changes.items():
        if rung is not None:
            words.setdefault(rung.verdict, []).append(PROCESSED[family].at.format(strength(rung.processing)))
    kept = [
        PROCESSED[family].up_to.format(strength(found.curves[family][-1].processing))
        for family, rung in found.changes.items()
        if rung is None
    ]
    said = [f"becomes {wording.trace_label(word)} where the picture is {_or(ways)}" for word, ways in words.items()]
    said += [f"stays the same where the picture is {_or(kept)}"] if kept else []
    missing = [family for family in LADDER if family not in found.curves]
    cannot = [f"{_or(missing).capitalize()}, it is not of a size that the network takes."] if missing else []
    subjects = ["The verdict", *["It"] * len(said)]
    return [*(f"{subject} {text}." for subject, text in zip(subjects, said, strict=False)), *cannot]


def middle(found: Stability, size: tuple[int, int]) -> list[str]:
    """Says which part of a large picture was processed, and what its own verdict is.

    Args:
        found: the stability.
        size: height and width of the picture.
    """
    if max(size) <= MIDDLE:
        return []
    height, width = (min(length, MIDDLE) for length in size)
    verdict = wording.trace_label(found.own.verdict)
    return [f"The middle {width}x{height} pixels were processed, of which the verdict is {verdict}."]


def _or(ways: Sequence[str]) -> str:
    return wording.listed(ways, "or")
