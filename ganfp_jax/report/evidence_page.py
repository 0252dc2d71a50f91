"""The page of evidence on one image, and the list of such pages."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from markupsafe import Markup

from ganfp_jax.data.decode import png_bytes
from ganfp_jax.report import figures, stability_figure, wording
from ganfp_jax.report.boxes import boxed, covered
from ganfp_jax.report.few import MOST
from ganfp_jax.report.grid import data_uri, picture_uri
from ganfp_jax.report.results import Page, Pixels
from ganfp_jax.report.source_map import Mapped, legend, overlay, swatch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMALL = 160  # pixels; smaller pictures are enlarged, and kept without loss


class SourceSaid(TypedDict):
    """What speaks for one source."""

    name: str
    votes: int
    probability: float
    p_value: float | None
    """How typical the image is of it; None where that is not known."""


class Measured(TypedDict):
    """What a calibration found on images of one source."""

    name: str
    images: int
    decided: int
    wrong: int
    photographs: int | None


class Stands(TypedDict):
    """How a verdict stands up to processing; each mapping is from a family to its steps, from mild to strong."""

    sentences: Sequence[str]
    source: str
    """What was voted for."""
    own: float
    """The share of the views that chose it before any processing, 0 to 1."""
    strengths: Mapping[str, Sequence[str]]
    shares: Mapping[str, Sequence[float]]
    same: Mapping[str, Sequence[bool]]
    """Whether the verdict is still the same."""


class EvidencePage(Page):
    """The page of evidence on one image."""

    name: str
    """Of the file."""
    verdict: str
    """In a word, as tables have it."""
    sentence: str
    """The same in one plain sentence."""
    promise: str
    """What such verdicts promise, in one sentence."""
    note: str
    """What was seen of the picture, and the doubts."""
    claims: Sequence[str]
    """What the file says of its own making."""
    disagreement: str
    """Where that and the verdict cannot both be all of the truth, one sentence."""
    numbers: str
    """What the verdict rests on, in sentences."""
    picture: Pixels
    """The whole picture, reduced where it is large."""
    size: Sequence[int]
    """Its height and width in pixels before that."""
    boxes: Any
    """(N, 4): top, left, bottom and right of what was looked at, in those pixels."""
    tiles: int
    """Parts that were looked at pixel for pixel; 0 where the picture was resized."""
    map: Mapped | None
    """Of a picture of several tiles."""
    stability: Stands | None
    """None where that was not asked for."""
    views: Mapping[str, str]
    """View -> the source that it chose."""
    sources: list[SourceSaid]
    unknown_rate: float | None
    """The p-value that an image needs to be typical of a source."""
    promises: Sequence[str]
    """All that is promised, in sentences."""
    measured: list[Measured]
    limits: Sequence[str]
    """What the tool cannot know, in sentences."""
    record: Mapping[str, Mapping[str, str]]
    """Heading -> fact -> its value: what was examined and with what."""


class IndexPage(Page):
    """The list of the pages of evidence; `pages` may be an iterator."""

    verdicts: Mapping[str, int]
    """Verdict -> images."""
    pages: Any
    """Of each image `name`, `verdict`, `note`, `sha256`, `page` and `pdf` (names of files, "" for none)."""
    refused: Sequence[Sequence[str]]
    """(name, reason)."""


def values(results: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the template's values of an `EvidencePage`."""
    percents = wording.percents([source["probability"] for source in results["sources"]])
    said = [source | {"percent": share} for source, share in zip(results["sources"], percents, strict=True)]
    shown = said if len(said) <= MOST else sorted(said, key=lambda source: -source["probability"])[:MOST]
    return {
        "pictures": _pictures(results),
        "sources": shown,
        "left_out": len(said) - len(shown),
        "curve": None if results["stability"] is None else Markup(figures.drawing(draw_stability, results)),
        "typical": any(source["p_value"] is not None for source in said),
        "photographs": any(source["photographs"] is not None for source in results["measured"]),
        "measured": [source for source in results["measured"] if source["images"]][:MOST],
    }


def draw_stability(results: Mapping[str, Any]) -> "Figure":
    """Draws the votes of an `EvidencePage` against the strength of each family of processings."""
    of = results["stability"]
    curve = stability_figure.Curve("", of["own"], of["shares"], of["same"])
    return stability_figure.draw(of["strengths"], [curve], f"views for {figures.shown(of['source'])}, %")


def _pictures(results: Mapping[str, Any]) -> dict[str, Any]:
    """The picture with its boxes, and its map with the legend, as `data:` addresses."""
    small = max(results["picture"].shape[:2]) < SMALL
    found = results["map"]
    marks = [] if found is None else legend(found)
    return {
        "seen": picture_uri(boxed(results["picture"], results["size"], results["boxes"]), small),
        "map": "" if found is None else picture_uri(overlay(found), small),
        "legend": [entry | {"uri": data_uri(png_bytes(swatch(entry["source"])))} for entry in marks],
        "small": small,
        "all_seen": bool(covered(results["size"], results["size"], results["boxes"]).all()),
        "wide": results["size"][1] > 1.6 * results["size"][0],
    }


def index_values(results: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the template's values of an `IndexPage`."""
    counts = {wording.trace_label(verdict): count for verdict, count in results["verdicts"].items()}
    return {"summary": wording.summary(counts, len(results["refused"]))}
