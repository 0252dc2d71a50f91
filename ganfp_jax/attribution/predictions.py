"""What is said of each image, as jobs and the web page write and read it: predictions.csv, predictions.jsonl."""

import csv
import io
import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from ganfp_jax.attribution.evaluation import Evaluation
from ganfp_jax.attribution.unknown_images import UnknownImages
from ganfp_jax.attribution.verdict import Attribution
from ganfp_jax.data import reports
from ganfp_jax.data.cells import cell, text_of
from ganfp_jax.report.table import ImageRow
from ganfp_jax.run import atomic
from ganfp_jax.run.run_folder import write_json

METRICS = "metrics.json"
PREDICTIONS = "predictions.csv"
LINES = "predictions.jsonl"
REJECTED = "rejected.csv"
NOTES = "notes.csv"


def header(classes: Sequence[str]) -> list[str]:
    """The columns of predictions.csv: a probability for each class, then what the verdict rests on."""
    rests = ["verdict", "margin", "distance", "typicality", "sources", "tiles"]
    return ["image", "target", "predicted", "confidence", "votes", *classes, *rests]


def row(name: str, verdict: Attribution, target: str = "") -> list[str]:
    """A line of predictions.csv; its name is a `cell`, its target empty where none is known.

    `sources` is a JSON list, as `votes` is an object; it and `typicality` are empty where none was learned.
    """
    confidence, *numbers = (f"{p:.6f}" for p in (verdict.confidence, verdict.margin, verdict.distance))
    votes = json.dumps(verdict.votes)
    probabilities = [f"{p:.6f}" for p in verdict.probabilities.values()]
    typical = ["", ""]
    if verdict.typicality is not None:
        typical = [f"{verdict.typicality:.6f}", json.dumps(verdict.sources)]
    rests = [verdict.verdict, *numbers, *typical, str(verdict.tiles)]
    return [cell(name), target, verdict.predicted, confidence, votes, *probabilities, *rests]


def header_of_files(classes: Sequence[str]) -> list[str]:
    """The columns of predictions.csv of files that may say how they were made: those of `header`, and `claims`."""
    return [*header(classes), "claims"]


def row_of_file(name: str, verdict: Attribution) -> list[str]:
    """A line of such a table."""
    return [*row(name, verdict), claims_cell(verdict)]


def claims_cell(verdict: Attribution) -> str:
    """What a file says of its own making: a JSON list, a disagreement at its end; "" where it says nothing."""
    told = [*verdict.claims, *filter(None, [verdict.disagreement])]
    return json.dumps(told, ensure_ascii=False) if told else ""


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
        "typicality": None if verdict.typicality is None else round(verdict.typicality, 6),
        "sources": list(verdict.sources),
        "tiles": verdict.tiles,
        "claims": list(verdict.claims),
        "disagreement": verdict.disagreement,
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


def predictions_csv(evaluation: Evaluation) -> str:
    """The text of predictions.csv: one row an image."""
    classes = evaluation.metrics["classes"]
    targets = (classes[target] for target in evaluation.targets)
    return _table(classes, zip(evaluation.names, evaluation.verdicts, targets, strict=True))


def _table(classes: Sequence[str], answers: Iterable[tuple[str, Attribution, str]]) -> str:
    """The text of a CSV file: a header, and a row for each (name, verdict, target)."""
    return csv_text(itertools.chain([header(classes)], itertools.starmap(row, answers)))


def write_tables(folder: Path, evaluation: Evaluation) -> None:
    """Writes predictions.csv, rejected.csv and notes.csv; the metrics.json of an earlier evaluation goes first."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / METRICS).unlink(missing_ok=True)
    atomic.write_bytes(folder / PREDICTIONS, predictions_csv(evaluation).encode())
    reports.write_rejected(folder / REJECTED, evaluation.rejected)
    reports.write_notes(folder / NOTES, evaluation.notes.items())


def forget_unknown(folder: Path) -> None:
    """Removes the tables that `write_unknown` wrote for an earlier evaluation."""
    for name in (PREDICTIONS, REJECTED, NOTES):
        (folder / name).unlink(missing_ok=True)


def write_unknown(folder: Path, unknown: UnknownImages) -> None:
    """Writes the tables of images of unknown sources, as `write_tables`; the target of each is its kind."""
    folder.mkdir(parents=True, exist_ok=True)
    targets = (cell(unknown.folder.classes[kind]) for kind in unknown.kinds)
    answers = zip(unknown.names, unknown.verdicts, targets, strict=True)
    atomic.write_bytes(folder / PREDICTIONS, _table(unknown.classes, answers).encode())
    reports.write_rejected(folder / REJECTED, unknown.rejected)
    reports.write_notes(folder / NOTES, unknown.notes.items())


def write_metrics(folder: Path, evaluation: Evaluation) -> None:
    """Writes metrics.json, after the tables: where it stands, these are complete."""
    write_json(folder / METRICS, evaluation.metrics)


def write_outputs(folder: Path, evaluation: Evaluation) -> None:
    """Writes the tables and the metrics."""
    write_tables(folder, evaluation)
    write_metrics(folder, evaluation)


def image_rows(evaluation: Evaluation) -> list[ImageRow]:
    """One row an image for the per-image table."""
    classes = evaluation.metrics["classes"]
    return [
        ImageRow(name, classes[target], verdict.predicted, dict(verdict.votes))
        for name, target, verdict in zip(evaluation.names, evaluation.targets, evaluation.verdicts, strict=True)
    ]
