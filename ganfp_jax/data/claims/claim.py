"""One claim of a file, and IPTC's words for how an image was made."""

from typing import NamedTuple

MADE = "made"  # by a generator
CAPTURED = "captured"  # by a camera
_MOST_LETTERS = 60


class Claim(NamedTuple):
    """What one place in a file says of how the image was made."""

    text: str
    """One line, with the place: "text 'parameters': Stable Diffusion web UI"."""
    kind: str = ""
    """`MADE`, `CAPTURED`, or "" where it says neither, or says it without being valid."""
    maker: str = ""
    """The tool, where it is named."""


_KINDS = {
    **dict.fromkeys(
        ("algorithmicMedia", "compositeSynthetic", "compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia"),
        MADE,
    ),
    **dict.fromkeys(("computationalCapture", "digitalCapture", "negativeFilm", "positiveFilm", "print"), CAPTURED),
    **dict.fromkeys(
        (
            *("algorithmicallyEnhanced", "composite", "compositeCapture", "dataDrivenMedia", "digitalArt"),
            *("digitalCreation", "humanEdits", "minorHumanEdits", "screenCapture", "softwareImage", "virtualRecording"),
        ),
        "",
    ),
}
_TERMS = {term.casefold(): term for term in _KINDS}


def term_of(word: str) -> str:
    """Returns the term of IPTC's vocabulary of digital source types that a word or an address ends with, else ""."""
    return _TERMS.get(word.rpartition("/")[2].casefold(), "")


def kind_of(terms: list[str]) -> str:
    """Returns what several terms of that vocabulary say together: what was made counts more than what was captured."""
    kinds = {_KINDS[term] for term in terms}
    return next((kind for kind in (MADE, CAPTURED) if kind in kinds), "")


def printed(text: object) -> str:
    """Returns a stranger's text as a part of one line: without control characters, and cut."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)[:1000]).split())
    return line if len(line) <= _MOST_LETTERS else f"{line[:_MOST_LETTERS]}..."
