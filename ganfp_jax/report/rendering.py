"""What the pages of the report have in common: templates, filters, pictures, confusion matrices, fingerprints."""

import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ganfp_jax.data.decode import png_bytes
from ganfp_jax.report import figures, wording
from ganfp_jax.report.fingerprint_figures import draw_embedding
from ganfp_jax.report.grid import data_uri
from ganfp_jax.run.errors import UserError

OTHERS = "another source"  # the column of answers that name none of the sources shown
PICTURE_SIDE = 96  # about how large a small picture is shown, in CSS pixels

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
}


def render(template: str, **values: Any) -> str:
    r"""A template of this package as text; whatever is put into it is escaped.

    A file name that is no UTF-8 has surrogates, which no page can be written with; they become "\udcff".
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ganfp_jax", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    text = environment.get_template(template).render(**values)
    return text.encode(errors="backslashreplace").decode()


def confusion_matrix(
    title: str, metrics: Mapping[str, Any], classes: Sequence[str], sources: Sequence[str] | None = None
) -> dict[str, Any]:
    """A confusion matrix as the macro `matrix` draws it.

    Args:
        title: its caption.
        metrics: with "confusion", counts; rows target, columns predicted.
        classes: names in the order of rows and columns.
        sources: those of `classes` that it has, by default all; a last column then counts answers that name others.
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
    """A picture as the page needs it: its data, and its size there, a whole multiple of its own."""
    height, width = pixels.shape[:2]
    times = max(1, round(side / math.sqrt(height * width)))
    return {"uri": data_uri(png_bytes(np.ascontiguousarray(pixels))), "width": times * width, "height": times * height}


def png_picture(png: bytes | str | os.PathLike[str]) -> dict[str, Any]:
    """A PNG, its bytes or its path, as the page needs it: its data and its size in pixels.

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
    """The pictures of the sources, {source: {"picture": PNG, "caption"}}, as the macro `samples_of` draws them."""
    return [
        {"source": source, "caption": sample["caption"], **png_picture(sample["picture"])}
        for source, sample in of_sources.items()
    ]


def response_row(sample: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """An image, its fingerprint and its responses as the macro `responses` draws them.

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
    """The map of image fingerprints as the macro `fingerprint_map` draws it.

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
    """The part of a page on fingerprints as the macro `fingerprints` draws it; None where there is none.

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


def wrong_image(image: Mapping[str, Any]) -> dict[str, Any]:
    """A wrongly named image as the macro `wrong_images` draws it.

    Its `ballots` say of every view whether it voted for the target ("hit"), for the wrong answer ("miss") or for
    another class (""); so do its `views`, where the views themselves are shown.

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
    }
