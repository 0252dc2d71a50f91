"""predictions.csv and predictions.jsonl: what is said of each image, as jobs and the web page write and read it."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from ganfp_jax.attribution.verdict import Attribution
from ganfp_jax.data.cells import cell, text_of

PREDICTIONS = "predictions.csv"
LINES = "predictions.jsonl"


def header(classes: Sequence[str]) -> list[str]:
    """The columns of predictions.csv: a probability for each class, then what the verdict rests on."""
    return ["image", "target", "predicted", "confidence", "votes", *classes, "verdict", "margin", "distance"]


def row(name: str, verdict: Attribution, target: str = "") -> list[str]:
    """A line of predictions.csv; its name is a `cell`, its target empty where none is known."""
    confidence, *numbers = (f"{p:.6f}" for p in (verdict.confidence, verdict.margin, verdict.distance))
    votes = json.dumps(verdict.votes)
    probabilities = [f"{p:.6f}" for p in verdict.probabilities.values()]
    return [cell(name), target, verdict.predicted, confidence, votes, *probabilities, verdict.verdict, *numbers]


def record(name: str, verdict: Attribution) -> dict[str, Any]:
    """A line of predictions.jsonl, with the numbers of predictions.csv; where the file is known, its URI follows."""
    return {
        "image": name,
        "verdict": verdict.verdict,
        "predicted": verdict.predicted,
        "confidence": round(verdict.confidence, 6),
        "margin": round(verdict.margin, 6),
        "distance": round(verdict.distance, 6),
        "votes": dict(verdict.votes),
        "views": dict(verdict.views),
        "probabilities": {source: round(p, 6) for source, p in verdict.probabilities.items()},
        "note": verdict.note,
    }


def csv_text(lines: Iterable[Sequence[str]]) -> str:
    """Lines of cells as the text of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


class Predictions(NamedTuple):
    """What a predictions.csv says of N images whose targets are known."""

    names: list[str]
    targets: Int[np.ndarray, " n"]
    predicted: Int[np.ndarray, " n"]


def read(path: Path, classes: Sequence[str]) -> Predictions:
    """Reads names and, as indices of `classes`, targets and predictions, of this version or an earlier one."""
    index = {name: k for k, name in enumerate(classes)}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    targets, predicted = (np.array([index[row[column]] for row in rows], int) for column in ("target", "predicted"))
    return Predictions([text_of(row["image"]) for row in rows], targets, predicted)
