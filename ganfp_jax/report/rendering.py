"""The common parts of the pages: templates, filters, pictures, confusion matrices, fingerprints."""

import functools
import io
import math
import os
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ganfp_jax.data.decode import png_bytes
from ganfp_jax.report import figures, wording
from ganfp_jax.report.fingerprint_figures import draw_embedding
from ganfp_jax.report.grid import data_uri
from ganfp_jax.run.errors import UserError

if TYPE_CHECKING:
    import jinja2

OTHERS = "another source"  # the column of answers that name no source on the page
BUFFERED = 1000  # pieces of a template that are written together
PICTURE_SIDE = 96  # the approximate size of a small picture in CSS pixels

FILTERS = {
    "number": "{:,}".format,
    "percent": wording.percent,
    "interval": wording.interval,
    "p_value": wording.p_value,
    "duration": wording.duration,
    "votes": wording.votes,
    "listed": wording.listed,
    "signed": wording.signed,
    "baseline_label": wording.baseline_label,
    "condition_label": wording.condition_label,
    "rule_label": wording.rule_label,
    "view_label": wording.view_label,
    "trace_label": wording.trace_label,
    "address": lambda name: urllib.parse.quote(os.fsencode(name)),
}


def pieces(template: str, **values: Any) -> Iterator[str]:
    r"""Renders a template of this package piece by piece; all values are escaped.

    So a long list may be an iterator, and is never in memory. A file name that is no UTF-8 has surrogates, which cannot
    be written; they become escapes such as "\udcff".
    """
    stream = _environment().get_template(template).stream(**values)
    stream.enable_buffering(BUFFERED)
    return (piece.encode(errors="backslashreplace").decode() for piece in stream)


@functools.cache
def _environment() -> "jinja2.Environment":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ganfp_jax", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    return environment


def confusion_matrix(
    title: str, metrics: Mapping[str, Any], classes: Sequence[str], sources: Sequence[str] | None = None
) -> dict[str, Any]:
    """Returns a confusion matrix for the macro `matrix`.

    Args:
        title: its caption.
        metrics: with "confusion", counts; rows target, columns predicted.
        classes: names in the order of rows and columns.
        sources: the classes in the matrix, by default all; a last column then counts answers that name others.
    """
    sources = classes if sources is None else sources
    place = {name: k for k, name in enumerate(classes)}
    columns = [place[name] for name in sources]
    rows = []
    for target, k in zip(sources, columns, strict=True):
        counts = metrics["confusion"][k]
        total = sum(counts)
        cells = [(name, counts[column]) for name, column in zip(sources, columns, strict=True)]
        if len(sources) < len(classes):
            cells.append((OTHERS, total - sum(count for _, count in cells)))
        shares = [{"count": count, "predicted": name, "share": count / max(total, 1)} for name, count in cells]
        rows.append({"target": target, "total": total, "cells": shares})
    return {"title": title, "rows": rows, "others": len(sources) < len(classes)}


def picture(pixels: UInt8[np.ndarray, "h w 3"], side: int = PICTURE_SIDE) -> dict[str, Any]:
    """Returns a picture for a page: its data, and its size on the page, a whole multiple of its own."""
    height, width = pixels.shape[:2]
    times = max(1, round(side / math.sqrt(height * width)))
    return {"uri": data_uri(png_bytes(np.ascontiguousarray(pixels))), "width": times * width, "height": times * height}


def png_picture(png: bytes | str | os.PathLike[str]) -> dict[str, Any]:
    """Returns a PNG, given by its bytes or its path, for a page: its data and its size in pixels.

    Raises:
        UserError: it cannot be read or is no PNG.
    """
    try:
        content = png if isinstance(png, bytes) else Path(png).read_bytes()
    except OSError as error:
        raise UserError(f"report: cannot read the picture {png!s}: {error.strerror}") from error
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as opened:
            width, height = opened.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        what = "given" if isinstance(png, bytes) else str(png)
        raise UserError(f"report: the picture {what} is not a PNG file; give one") from error
    return {"uri": data_uri(content), "width": width, "height": height}


def samples(of_sources: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the pictures of the sources, {source: {"picture": PNG, "caption"}}, for the macro `samples_of`."""
    return [
        {"source": source, "caption": sample["caption"], **png_picture(sample["picture"])}
        for source, sample in of_sources.items()
    ]


def response_row(sample: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """Returns an image, its fingerprint and its responses for the macro `responses`.

    Args:
        sample: a `results.Response`.
        classes: names in the order of its responses.
    """
    right = sample["predicted"] == sample["target"]
    cells = []
    for name, response, logit in zip(classes, sample["responses"], sample["logits"], strict=True):
        verdict = ("right" if right else "wrong") if name == sample["predicted"] else ""
        missed = name == sample["target"] and not right
        cells.append({"name": name, "logit": float(logit), "verdict": verdict, "missed": missed, **picture(response)})
    return {
        "name": sample["name"],
        "file": sample["name"].rsplit("/", 1)[-1],
        "target": sample["target"],
        "predicted": sample["predicted"],
        "right": right,
        "elsewhere": sample["predicted"] not in classes,
        "image": picture(sample["image"]),
        "fingerprint": picture(sample["fingerprint"]),
        "cells": cells,
    }


def fingerprint_map(embedding: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """Returns the map of image fingerprints for the macro `fingerprint_map`.

    Args:
        embedding: {"points": (N, 2), "labels": (N,) class indices, "wrong": (N,) bool}.
        classes: K names.
    """
    from markupsafe import Markup

    return {
        "drawing": Markup(figures.drawing(draw_embedding, {"embedding": embedding, "classes": classes})),
        "all": len(embedding["points"]),
        "wrong": int(np.sum(embedding["wrong"])),
        "sources": len(classes),
    }


def fingerprints(part: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Returns the part of a page on fingerprints for the macro `fingerprints`; None where there is none.

    Args:
        part: `results.Fingerprints`.
    """
    if part is None:
        return None
    classes = part["classes"]
    return {
        "classes": classes,
        "samples": [response_row(sample, classes) for sample in part["samples"]],
        "models": [picture(model) for model in part["models"]],
        "map": part["embedding"] and fingerprint_map(part["embedding"], part["mapped"]),
        "scales": part["scales"],
    }


def _map(found: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a `results.WholeMap` for the macro `wrong_images`."""
    marks = [{**entry, "uri": png_picture(entry["mark"])["uri"]} for entry in found["legend"]]
    return {**png_picture(found["picture"]), "legend": marks}


def wrong_image(image: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a wrong answer for the macro `wrong_images`.

    `ballots` has one entry for each view: "hit" for the target, "miss" for the wrong answer, "" for another class.
    `views` has the same entries where the views themselves are shown.

    Args:
        image: `results.Wrong`.
    """
    repaired = image["voted"] == image["target"]
    mistake = image["single"] if repaired else image["voted"]
    kinds = {image["target"]: "hit", mistake: "miss"}
    cast = sorted(image["votes"].items(), key=lambda vote: list(kinds).index(vote[0]) if vote[0] in kinds else 2)
    return {
        **image,
        **png_picture(image["picture"]),
        "repaired": repaired,
        "ballots": [kinds.get(name, "") for name, count in cast for _ in range(count)],
        "views": [
            {**view, **png_picture(view["picture"]), "kind": kinds.get(view["called"], "")}
            for view in image.get("views", ())
        ],
        "map": _map(image["map"]) if "map" in image else None,
    }
