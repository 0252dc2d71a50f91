"""How a verdict stands up to what may have happened to the file: the verdicts on processed forms of one picture.

A form is the picture after one processing of `LADDER`, such as JPEG of quality 60, and its verdict is the one that the
tool would give to a file that was processed so: its tiles are chosen anew. The forms are made on the host. All
their tiles, and all views of these, share the calls of the compiled vote.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ganfp_jax.attribution.attributor import MANY, Attributor
from ganfp_jax.attribution.verdict import Attribution
from ganfp_jax.data.decode import Picture, Refused
from ganfp_jax.data.looks import Look, look
from ganfp_jax.data.perturb import JPEG_BLOCK, family_of, perturb
from ganfp_jax.data.tiles import Tiling

UNPROCESSED = "none"
LADDER: Mapping[str, tuple[str, ...]] = {
    "jpeg": tuple(f"jpeg{quality}" for quality in (95, 90, 85, 80, 75, 70, 60, 50, 40, 30)),
    "reduced": tuple(f"rescale{factor}" for factor in (0.95, 0.9, 0.8, 0.7, 0.6, 0.5)),
    "enlarged": tuple(f"rescale{factor}" for factor in (1.05, 1.1, 1.25, 1.5, 2)),
    "cropped": tuple(f"crop{percent}" for percent in (2, 5, 10, 20)),
    "blurred": tuple(f"blur{sigma}" for sigma in (0.25, 0.5, 0.75, 1, 1.5, 2)),
}
"""Family -> processings from mild to strong, by their names in `data.perturb`; with the picture itself, 32 forms.

"cropped" cuts away so many percent of each side and enlarges the rest to the old size.
"""
FORMS = 1 + sum(map(len, LADDER.values()))
MIDDLE = 2048  # pixels; of a larger picture its middle is processed, which bounds memory and time


def forms(picture: Picture, resolution: int, resize: str, tiling: Tiling) -> dict[str, Look]:
    """Makes all forms of a picture; no processing draws anything that depends on another picture.

    Args:
        picture: of any size; of what is larger than `MIDDLE` on a side, the middle is taken.
        resolution, resize, tiling: as for `data.looks.look`; no form has a map.

    Returns:
        Processing -> what a network is shown of that form, in the order of `LADDER`, `UNPROCESSED` first. A form that
        the network cannot be shown, such as one that is reduced below its resolution, is absent.

    Raises:
        Refused: the network cannot be shown the picture itself.
        UserError: `resize` is unknown.
    """
    pixels, plain = middle(picture.pixels), tiling._replace(windows=0)
    found = {UNPROCESSED: look(Picture(pixels, ()), resolution, resize, plain)}
    for name in (name for names in LADDER.values() for name in names):
        try:
            found[name] = look(Picture(perturb(pixels[None], name)[0], ()), resolution, resize, plain)
        except Refused:
            continue
    return found


def strength(processing: str) -> str:
    """Returns the strength of a processing: of rescaling in percent of the size, else the number in its name."""
    family = family_of(processing)
    number = processing.removeprefix(family)
    return f"{100 * float(number):g}" if family == "rescale" else number


def middle(pixels: np.ndarray) -> np.ndarray:
    """Cuts out the middle of a large picture; it begins where JPEG's blocks do."""
    starts = [max(length - MIDDLE, 0) // 2 // JPEG_BLOCK * JPEG_BLOCK for length in pixels.shape[:2]]
    return pixels[starts[0] : starts[0] + MIDDLE, starts[1] : starts[1] + MIDDLE]


class Rung(NamedTuple):
    """The verdict on one form."""

    processing: str
    """By its name in `data.perturb`."""
    verdict: str
    share: float
    """Of the views of all tiles, those that choose the source which the unprocessed picture was voted to be of."""
    probability: float
    """Of that source."""


@dataclasses.dataclass(frozen=True)
class Stability:
    """How a verdict stands up to processing.

    Attributes:
        own: on the picture, or on its middle (`MIDDLE`), as it is.
        source: what was voted for there.
        curves: family of `LADDER` -> its rungs from mild to strong; without families of which no form can be shown.
    """

    own: Rung
    source: str
    curves: Mapping[str, tuple[Rung, ...]]

    @property
    def value(self) -> float:
        """The mean of `Rung.share` over each family, and over families: 0 to 1, 1 where no view ever changes."""
        return float(np.mean([np.mean([rung.share for rung in rungs]) for rungs in self.curves.values()]))

    @property
    def changes(self) -> dict[str, Rung | None]:
        """Family -> the mildest processing that changes the verdict; None where none does."""
        return {
            family: next((rung for rung in rungs if rung.verdict != self.own.verdict), None)
            for family, rungs in self.curves.items()
        }

    def record(self) -> dict[str, Any]:
        """As the JSON lines have it."""
        rungs = [self.own, *(rung for rungs in self.curves.values() for rung in rungs)]
        return {
            "source": self.source,
            "value": round(self.value, 6),
            "changed_by": {family: rung and rung.processing for family, rung in self.changes.items()},
            "verdicts": {rung.processing: rung.verdict for rung in rungs},
            "shares": {rung.processing: round(rung.share, 6) for rung in rungs},
        }


def judged(
    attributor: Attributor, shown: Mapping[str, Look], views: str | Sequence[str], rule: str, batch_size: int = MANY
) -> Stability | None:
    """The stability of the verdict on a picture by its `forms`, whose tiles share the calls of the vote.

    Args:
        attributor: the network.
        shown: the forms.
        views, rule, batch_size: as for `Attributor.judge`.

    Returns:
        None where there is nothing to see in the picture, or in the middle of a large one (`MIDDLE`).

    Raises:
        UserError: as `Attributor.judge`.
    """
    return of_verdicts(list(shown), attributor.judge(list(shown.values()), views, rule, batch_size))


def of_verdicts(names: Sequence[str], verdicts: Sequence[Attribution]) -> Stability | None:
    """The stability of the verdict on a picture, by the verdicts on its forms. Pure.

    Args:
        names: of the forms, as `forms` has them.
        verdicts: on each.

    Returns:
        None where there is nothing to see in the picture, or in the middle of a large one (`MIDDLE`).
    """
    found = dict(zip(names, verdicts, strict=True))
    own = found[UNPROCESSED]
    if not own.tiles:
        return None
    curves = {
        family: tuple(_rung(name, found[name], own.predicted) for name in ladder if name in found)
        for family, ladder in LADDER.items()
    }
    there = {family: rungs for family, rungs in curves.items() if rungs}
    return Stability(_rung(UNPROCESSED, own, own.predicted), own.predicted, there)


def _rung(name: str, verdict: Attribution, source: str) -> Rung:
    """What the verdict on a form says of a source: nothing where there is nothing to see."""
    if not verdict.tiles:
        return Rung(name, verdict.verdict, 0.0, 0.0)
    share = verdict.votes.get(source, 0) / sum(verdict.votes.values())
    return Rung(name, verdict.verdict, share, verdict.probabilities[source])
