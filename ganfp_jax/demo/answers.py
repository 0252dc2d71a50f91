"""Uploaded files -> verdicts, as a part of a web page, CSV and JSON. It does not import the library that serves it."""

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

from ganfp_jax.attribution import predictions, promises
from ganfp_jax.attribution.attributor import FEW, Attributor, batch_size_for
from ganfp_jax.attribution.beside import with_claims
from ganfp_jax.attribution.sentences import percents, sentence
from ganfp_jax.attribution.tiles import on_pictures, strongest
from ganfp_jax.attribution.verdict import Attribution, attributions
from ganfp_jax.data.cells import cell
from ganfp_jax.data.decode import Refused, decoded, png_bytes
from ganfp_jax.data.looks import Look, look
from ganfp_jax.data.tiles import TILING
from ganfp_jax.data.views import apply_view, resolve_views
from ganfp_jax.demo.maps import Whole, whole
from ganfp_jax.demo.uploads import Limits, Upload
from ganfp_jax.report import wording
from ganfp_jax.report.grid import data_uri
from ganfp_jax.report.signed import signed_picture, vector_as_rows

if TYPE_CHECKING:
    import jinja2

RULE = "majority"
MIN_SECONDS = 0.5  # for decoding a file after the files before it took all of the time
WINDOWS = 320  # of the maps of all files together
LEAST_WINDOWS = 48  # of a map
PERCENTILE = 99.5  # of the absolute values shown; it is drawn at full strength


@dataclasses.dataclass(frozen=True)
class Row:
    """The answer about one file: a verdict with its pictures, or the reason that there is none."""

    name: str
    refused: str = ""
    attribution: Attribution | None = None
    image: str = ""
    """The image as the network receives it, or the tile that speaks most for the source; all pictures are `data:`
    addresses."""
    whole: Whole | None = None
    """The whole picture and its map, where it is larger than the network."""
    views: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """View -> the image in that view."""
    fingerprint: str = ""
    responses: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Source -> the product of the image's fingerprint with the source's."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answers about the files of one upload, in their order."""

    classes: tuple[str, ...]
    views: tuple[str, ...]
    resize: str
    rows: Sequence[Row]
    fingerprint_limit: float = 0.0
    """The absolute value that the pictures of fingerprints draw at full strength."""
    response_limit: float = 0.0

    @property
    def attributions(self) -> Iterator[tuple[str, Attribution]]:
        """Yields the name and the attribution of every file that has one."""
        return ((row.name, row.attribution) for row in self.rows if row.attribution)


def answer(attributor: Attributor, uploads: Sequence[Upload], resize: str, limits: Limits) -> Answer:
    """Attributes the images among `uploads` by a vote over the views that the network was trained on.

    Args:
        resize: what is done with images of another size: "crop" (tiles, and a map) or "area" (reduced); see
            `ganfp_jax.data.looks.look`.

    Raises:
        UserError: the network gives NaN. Bad files raise nothing: the answer holds the reasons.
    """
    views = resolve_views(attributor.default_views)
    rows = [Row(upload.name, upload.refused) for upload in uploads]
    looks = _look_at(uploads, rows, attributor.resolution, resize, limits)
    if not looks:
        return Answer(attributor.classes, views, resize, rows)
    tiles = np.concatenate([look.tiles for look in looks.values()])
    vote = attributor.vote(tiles, views, RULE, batch_size_for(len(tiles)))
    found = on_pictures(list(looks.values()), vote, attributor.classes, attributor.dependence(views, RULE))
    rules = attributor.rules_for(views, RULE)
    voted = attributions(found.vote, rules, attributor.classes, views, found.notes, found.tiles)
    verdicts = [with_claims(verdict, look.claims) for verdict, look in zip(voted, looks.values(), strict=True)]
    images = tiles[strongest(vote, [len(look.tiles) for look in looks.values()], found.vote)]
    fingerprints = attributor.fingerprints(images)
    responses = np.stack([fingerprints.responses(i) for i in range(len(images))])
    fingerprint_limit, response_limit = _limit(fingerprints.images), _limit(responses)
    for i, ((number, shown), image) in enumerate(zip(looks.items(), images, strict=True)):
        rows[number] = Row(
            name=uploads[number].name,
            attribution=verdicts[i],
            image=data_uri(png_bytes(image)),
            whole=None if shown.sweep is None else whole(attributor, shown.sweep, views, RULE),
            views={view: data_uri(png_bytes(np.array(apply_view(image[None], view)[0]))) for view in views},
            fingerprint=_picture(fingerprints.images[i], fingerprint_limit),
            responses={
                source: _picture(response, response_limit)
                for source, response in zip(attributor.classes, responses[i], strict=True)
            },
        )
    return Answer(attributor.classes, views, resize, rows, fingerprint_limit, response_limit)


def _look_at(
    uploads: Sequence[Upload], rows: list[Row], resolution: int, resize: str, limits: Limits
) -> dict[int, Look]:
    """What the network is shown of each file that can be used; of the others, `rows` gets the reason."""
    end, looks = time.monotonic() + limits.seconds, {}
    tiling = TILING._replace(windows=max(WINDOWS // max(len(uploads), 1), LEAST_WINDOWS) if resize == "crop" else 0)
    for number, upload in enumerate(uploads):
        if upload.refused:
            continue
        try:
            left = max(MIN_SECONDS, end - time.monotonic())  # many slow files must not block the page
            with decoded(upload, max_pixels=limits.pixels, seconds=left) as picture:
                looks[number] = look(picture, resolution, resize, tiling)
                if picture.pixels.shape[:2] == (resolution, resolution):
                    looks[number] = looks[number]._replace(sweep=None)  # its map would be one cell
        except Refused as reason:
            rows[number] = Row(upload.name, str(reason))
    return looks


def warm_up(attributor: Attributor, limits: Limits) -> None:
    """Compiles everything that `answer` runs, for many images and for few, before the first request.

    Raises:
        UserError: the network gives NaN.
    """
    side = attributor.resolution
    image = Upload("noise.png", png_bytes(np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)))
    for count in (FEW + 1, 1):
        answer(attributor, [image] * count, "crop", limits)


def _limit(values: np.ndarray) -> float:
    return float(np.percentile(np.abs(values), PERCENTILE)) or 1.0


def _picture(values: np.ndarray, limit: float) -> str:
    """Draws a fingerprint or response, (F,) or (R, R, 3), in colours."""
    picture: UInt8[np.ndarray, "h w 3"] = signed_picture(vector_as_rows(values) if values.ndim == 1 else values, limit)
    return data_uri(png_bytes(picture))


def to_csv(answer: Answer) -> str:
    """Returns the columns of an evaluation's predictions.csv, then a note or the reason of a refusal, then claims."""
    columns = predictions.header(answer.classes)
    lines = [
        [*predictions.row(row.name, found), found.note, "", predictions.claims_cell(found)]
        if (found := row.attribution)
        else [cell(row.name), *[""] * len(columns), row.refused, ""]
        for row in answer.rows
    ]
    return predictions.csv_text([[*columns, "note", "refused", "claims"], *lines])


def to_json(answer: Answer) -> str:
    """Returns one JSON object: the settings, and `images`, whose objects are as the lines of predictions.jsonl."""
    images = [
        predictions.record(row.name, verdict)
        if (verdict := row.attribution)
        else {"image": row.name, "refused": row.refused}
        for row in answer.rows
    ]
    about = {"classes": answer.classes, "views": answer.views, "rule": RULE, "resize": answer.resize}
    return json.dumps({**about, "images": images}, ensure_ascii=False, indent=2) + "\n"


def summary(answer: Answer) -> str:
    """Returns, for example, "2 verdicts: SNGAN 1, real 1; 1 file refused"."""
    counts: dict[str, int] = {}
    for _, attribution in answer.attributions:
        counts[attribution.verdict] = counts.get(attribution.verdict, 0) + 1
    return wording.summary(counts, sum(bool(row.refused) for row in answer.rows))


def to_html(answer: Answer) -> str:
    """Writes the answer as a part of a page with pictures, bars and downloads; the page fetches nothing."""
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
    """Writes the head of the page: its purpose, the sources that the network knows, and the limits of an upload."""
    return _template("about").render(title=title, words=words_about(attributor), limits=limits.words())


def failure_html(words: str) -> str:
    """Writes the reason that there is no answer."""
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
    """Returns the page's sentences about the network."""
    views, side = resolve_views(attributor.default_views), attributor.resolution
    calibration = attributor.calibration_for(views, RULE)
    typical = None if calibration is None else calibration.typical
    if calibration is None:
        certainty = "It is not calibrated, so it never says “unsure”."
    else:
        lead, where = calibration.threshold, calibration.where_unsure
        if lead > 0 and calibration.spared_threshold is None:
            where = f"where a source leads by less than {100 * lead:.1f} points"
        certainty = (
            f"It says “unsure” {where}; of its "
            "other verdicts on images like those of its calibration "
            f"no more than {100 * calibration.error_rate:g}% are wrong ({100 * calibration.confidence:g}% confidence)."
        )
    if typical is not None:
        certainty += f" {promises.promised(typical)}"
    others = (
        "gives one of these names to every image, whatever made it"
        if typical is None
        else "calls an image “unknown” that is like none of them, as not every image of another source is"
    )
    return (
        f"The network knows the sources {wording.listed(attributor.classes)}, at {side}x{side} pixels, and {others}. "
        f"Of a larger picture it looks at up to {TILING.tiles} tiles, "
        f"wherever the picture is not flat. It is shown {len(views)} view{'s' * (len(views) != 1)} of "
        f"each, which vote. {certainty}"
    )
