"""Uploaded files -> verdicts, as a piece of a web page, CSV and JSON. Knows nothing of the library that serves it."""

import base64
import dataclasses
import functools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from ganfp_jax.attribution import predictions
from ganfp_jax.attribution.attributor import FEW, Attributor
from ganfp_jax.attribution.certainty import where_unsure
from ganfp_jax.attribution.verdict import Attribution
from ganfp_jax.data.cells import cell
from ganfp_jax.data.decode import Refused, png_bytes
from ganfp_jax.data.preprocess import read_fitted
from ganfp_jax.data.views import apply_view, resolve_views
from ganfp_jax.demo.uploads import Limits, Upload
from ganfp_jax.report import wording
from ganfp_jax.report.grid import data_uri
from ganfp_jax.report.signed import signed_picture, vector_as_rows

if TYPE_CHECKING:
    import jinja2

RULE = "majority"
MIN_SECONDS = 0.5  # for decoding a file, where those before it took all of the time
PERCENTILE = 99.5  # of the sizes of the values shown: what is drawn at full strength


@dataclasses.dataclass(frozen=True)
class Row:
    """What is said about one file: a verdict with its pictures, or why there is none."""

    name: str
    refused: str = ""
    attribution: Attribution | None = None
    image: str = ""
    """The image as the network was shown it; this and all other pictures are `data:` addresses of PNG files."""
    views: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """View -> the image in that view."""
    fingerprint: str = ""
    responses: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Source -> the product of the image's fingerprint with the source's."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What is said about the files of one upload, in their order."""

    classes: tuple[str, ...]
    views: tuple[str, ...]
    resize: str
    rows: Sequence[Row]
    fingerprint_limit: float = 0.0
    """The size of a value that the pictures of fingerprints draw at full strength."""
    response_limit: float = 0.0

    @property
    def attributions(self) -> Iterator[tuple[str, Attribution]]:
        """Name and verdict of every file that has one."""
        return ((row.name, row.attribution) for row in self.rows if row.attribution)


def answer(attributor: Attributor, uploads: Sequence[Upload], resize: str, limits: Limits) -> Answer:
    """Attributes the images among `uploads` by a vote over the views that the network was trained on.

    Args:
        resize: what is done with images of another size, "crop" or "area"; see `ganfp_jax.data.preprocess.fit`.

    Raises:
        UserError: a network that gives NaN. Bad files raise nothing: they are in the answer with their reasons.
    """
    views = resolve_views(attributor.default_views)
    rows = [Row(upload.name, upload.refused) for upload in uploads]
    fitted: dict[int, tuple[np.ndarray, str]] = {}
    end = time.monotonic() + limits.seconds
    for number, upload in enumerate(uploads):
        if upload.refused:
            continue
        try:
            left = max(MIN_SECONDS, end - time.monotonic())  # one file after the other must not hold up the page
            fitted[number] = read_fitted(upload, attributor.resolution, resize, max_pixels=limits.pixels, seconds=left)
        except Refused as reason:
            rows[number] = Row(upload.name, str(reason))
    if not fitted:
        return Answer(attributor.classes, views, resize, rows)
    images = np.stack([image for image, _ in fitted.values()])
    attributions = attributor.attribute(images, views, RULE)
    fingerprints = attributor.fingerprints(images)
    responses = np.stack([fingerprints.responses(i) for i in range(len(images))])
    fingerprint_limit, response_limit = _limit(fingerprints.images), _limit(responses)
    for i, (number, (image, note)) in enumerate(fitted.items()):
        rows[number] = Row(
            name=uploads[number].name,
            attribution=dataclasses.replace(attributions[i], note=note),
            image=data_uri(png_bytes(image)),
            views={view: data_uri(png_bytes(np.array(apply_view(image[None], view)[0]))) for view in views},
            fingerprint=_picture(fingerprints.images[i], fingerprint_limit),
            responses={
                source: _picture(response, response_limit)
                for source, response in zip(attributor.classes, responses[i], strict=True)
            },
        )
    return Answer(attributor.classes, views, resize, rows, fingerprint_limit, response_limit)


def warm_up(attributor: Attributor, limits: Limits) -> None:
    """Compiles everything that `answer` runs, before anyone waits for it: for many images and for few.

    Raises:
        UserError: a network that gives NaN.
    """
    side = attributor.resolution
    image = Upload("noise.png", png_bytes(np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)))
    for count in (FEW + 1, 1):
        answer(attributor, [image] * count, "crop", limits)


def _limit(values: np.ndarray) -> float:
    return float(np.percentile(np.abs(values), PERCENTILE)) or 1.0


def _picture(values: np.ndarray, limit: float) -> str:
    """A fingerprint or response (F,) or (R, R, 3) as colours."""
    picture: UInt8[np.ndarray, "h w 3"] = signed_picture(vector_as_rows(values) if values.ndim == 1 else values, limit)
    return data_uri(png_bytes(picture))


def to_csv(answer: Answer) -> str:
    """The columns of the job attribute's predictions.csv, then its note or why a file was refused."""
    columns = predictions.header(answer.classes)
    lines = [
        [*predictions.row(row.name, found), found.note, ""]
        if (found := row.attribution)
        else [cell(row.name), *[""] * len(columns), row.refused]
        for row in answer.rows
    ]
    return predictions.csv_text([[*columns, "note", "refused"], *lines])


def to_json(answer: Answer) -> str:
    """One JSON object: what was asked, and `images`, objects like the lines of predictions.jsonl."""
    images = [
        predictions.record(row.name, verdict)
        if (verdict := row.attribution)
        else {"image": row.name, "refused": row.refused}
        for row in answer.rows
    ]
    about = {"classes": answer.classes, "views": answer.views, "rule": RULE, "resize": answer.resize}
    return json.dumps({**about, "images": images}, ensure_ascii=False, indent=2) + "\n"


def summary(answer: Answer) -> str:
    """ "2 verdicts: SNGAN 1, real 1; 1 file refused"."""
    counts: dict[str, int] = {}
    for _, found in answer.attributions:
        counts[found.verdict] = counts.get(found.verdict, 0) + 1
    given, refused = sum(counts.values()), sum(bool(row.refused) for row in answer.rows)
    said = f"{given} verdict{'s' * (given != 1)}: {wording.votes(counts)}" if given else "No verdict"
    return said + (f"; {refused} file{'s' * (refused != 1)} refused" if refused else "")


def percents(found: Attribution) -> dict[str, str]:
    """Source -> its mean probability, so rounded that all add up to a hundred."""
    return dict(zip(found.probabilities, wording.percents(list(found.probabilities.values())), strict=True))


def sentence(found: Attribution) -> str:
    """The verdict and the numbers behind it, in words."""
    votes, shown = found.votes.get(found.predicted, 0), sum(found.votes.values())
    points = wording.percent(abs(found.margin)).removesuffix("%")  # no 100 points beside 99.9%
    lead = f"{points} points {'more' if found.margin >= 0 else 'less'} than the next source"
    numbers = (
        f"{votes} of {shown} view{'s' * (shown != 1)} say{'s' * (votes == 1)} {found.predicted}; "
        f"its mean probability is {percents(found)[found.predicted]}, {lead}. "
        f"The distance of the fingerprint to the nearest source's is {found.distance:.2f} (0 to 2)."
    )
    if found.verdict == found.predicted:
        return numbers
    return f"The lead is too small for a verdict. {numbers}"


def to_html(answer: Answer) -> str:
    """The answer as a piece of a page: pictures, bars, and the downloads inside; nothing is fetched."""
    return _template("answer").render(
        answer=answer,
        summary=summary(answer),
        downloads={
            "CSV": ("attribution.csv", _address("text/csv", to_csv(answer))),
            "JSON": ("attribution.json", _address("application/json", to_json(answer))),
        },
    )


def _address(kind: str, text: str) -> str:
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(text.encode()).decode('ascii')}"


def about_html(title: str, attributor: Attributor, limits: Limits) -> str:
    """The head of the page: what it is, what the network knows, and what may be sent."""
    return _template("about").render(title=title, words=words_about(attributor), limits=limits.words())


def failure_html(words: str) -> str:
    """In the place of an answer: why there is none."""
    return _template("failure").render(words=words)


@functools.cache
def _template(name: str) -> "jinja2.Template":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"sentence": sentence, "percents": percents}
    return environment.get_template(f"{name}.html.j2")


def words_about(attributor: Attributor) -> str:
    """What the page says of the network."""
    views, side = resolve_views(attributor.default_views), attributor.resolution
    calibration = attributor.calibration_for(views, RULE)
    if calibration is None:
        certainty = "It is not calibrated, so it never says “unsure”."
    else:
        lead = calibration.threshold
        where = f"where a source leads by less than {100 * lead:.1f} points" if lead > 0 else where_unsure(lead)
        certainty = (
            f"It says “unsure” {where}; of its "
            "other verdicts on images like those of its calibration "
            f"no more than {100 * calibration.error_rate:g}% are wrong ({100 * calibration.confidence:g}% confidence)."
        )
    return (
        f"The network knows the sources {wording.listed(attributor.classes)}, at {side}x{side} pixels, and gives one "
        f"of these names to every image, whatever made it. It is shown {len(views)} view{'s' * (len(views) != 1)} of "
        f"each image, which vote. {certainty}"
    )
