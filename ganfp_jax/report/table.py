"""Plain-text tables for the console: aligned in any monospace font."""

import csv
import io
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ganfp_jax.report import wording
from ganfp_jax.report.few import MOST

# The halves of one class should not be separable; what separates its photographs is no trace of a source.
CONTROLS = {"control": "real images in halves", "photographs": "real photographs as sources"}


MISTAKES = 10  # mistakes that are shown where there are too many sources for a confusion matrix


class ImageRow(NamedTuple):
    """The verdict on one image; an unknown target is "", and votes are counted by class name."""

    image: str
    target: str
    predicted: str
    votes: Mapping[str, int]


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Returns the text of a CSV file with a header; keys of a row beside `columns` are left out."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def text_table(headers: Sequence[str], rows: Iterable[Sequence[object]], align: str = "") -> str:
    """Formats an aligned table without a closing line break.

    Args:
        headers: one per column.
        rows: cells, written with `str`; control characters are escaped so that a file name cannot break the table.
        align: one letter a column, "<" or ">"; missing letters are "<".

    Raises:
        ValueError: a row is not as long as the headers.
    """
    table = [[_one_line(str(cell)) for cell in row] for row in (headers, *rows)]
    widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
    align = align.ljust(len(widths), "<")
    table.insert(1, ["-" * width for width in widths])
    return "\n".join("  ".join(_pad(*cell) for cell in zip(row, widths, align, strict=True)).rstrip() for row in table)


def per_image_table(rows: Iterable[ImageRow]) -> str:
    """Formats one line an image: its target, the predicted class, all votes, and a mark if it is wrong."""
    rows = list(rows)
    cells = [
        (row.image, row.target or "-", row.predicted, wording.votes(row.votes), "wrong" * _is_wrong(row))
        for row in rows
    ]
    lines = [text_table(["image", "target", "best class", "class counts", ""], cells)]
    known = [row for row in rows if row.target]
    if known:
        right = sum(not _is_wrong(row) for row in known)
        lines.append(f"\n{right} of {len(known)} right ({wording.percent(right / len(known))})")
    return "\n".join(lines)


def confusion_table(metrics: Mapping[str, Any]) -> str:
    """Formats the confusion matrix or, of more sources than a page shows, the most frequent mistakes.

    Args:
        metrics: with "confusion" (rows target, columns predicted) and "classes".
    """
    classes = metrics["classes"]
    if len(classes) <= MOST:
        lines = [(name, *counts) for name, counts in zip(classes, metrics["confusion"], strict=True)]
        return text_table(["target \\ best class", *classes], lines, align="<" + ">" * len(classes))
    counts = np.array(metrics["confusion"])
    totals = counts.sum(1)
    np.fill_diagonal(counts, 0)
    worst = [divmod(int(k), len(classes)) for k in np.argsort(-counts, axis=None, kind="stable")[:MISTAKES]]
    lines = [(classes[i], classes[j], f"{counts[i, j]:,}", f"{totals[i]:,}") for i, j in worst if counts[i, j]]
    heads = ["most frequent mistakes: target", "called", "images", "of"]
    return text_table(heads, lines, align="<<>>") if lines else "No mistake was made."


def summary_table(results: Mapping[str, Any]) -> str:
    """Formats every evaluation and every baseline of a `results.EvaluationPage`, one line each.

    The results need "immunised". Within a condition, networks come first in the given order, then the baselines on the
    same images.
    """
    rows = []
    for condition, count in conditions(results):
        for entry in results["evaluations"]:
            if (entry["condition"], entry["count"]) == (condition, count):
                metrics = entry["metrics"]
                changes = metrics["vote_changes"]
                rows.append((
                    condition,
                    f"network {entry['network']}",
                    f"{entry['views_name']}, {wording.rule_label(metrics['rule'])}",
                    metrics["total"],
                    wording.percent(metrics["single_view"]["accuracy"]),
                    wording.percent(metrics["accuracy"]),
                    wording.interval(metrics["ci95"]),
                    f"+{changes['wrong_to_right']} -{changes['right_to_wrong']}",
                ))  # fmt: skip
        for entry in results["baselines"]:
            if (entry["condition"], entry["count"]) == (condition, count):
                metrics = entry["metrics"]
                rows.append((
                    condition,
                    wording.baseline_label(entry["name"], results["immunised"]),
                    "-",
                    metrics["total"],
                    "-",
                    wording.percent(metrics["accuracy"]),
                    wording.interval(metrics["ci95"]),
                    "",
                ))  # fmt: skip
    headers = ["images", "method", "views, rule", "n", "one view", "accuracy", "95%", "repaired, broken"]
    return text_table(headers, rows, align="<<<>>>>>")


def separability_table(metrics: Mapping[str, Any]) -> str:
    """Formats an inspection's accuracy, and the separability of each feature space beside its controls."""
    rows = []
    for space, block in metrics["separability"].items():
        for what, measured in ((space, block), *((f"  {name}", block[key]) for key, name in CONTROLS.items())):
            if measured is not None:
                pairs = measured["verification"]
                measures = (measured["frechet_ratio"], pairs["auc"], pairs["eer"])
                rows.append((what, *map(wording.measure, measures)))
    right = f"{wording.percent(metrics['accuracy'])} ({wording.interval(metrics['ci95'])}), n = {metrics['total']}"
    table = text_table(["", "Frechet ratio (95 %)", "pairs: ROC-AUC", "pairs: EER"], rows)
    return f"accuracy of one view: {right}\n\n{table}"


def votes_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The votes of an ablation on the images of one condition."""
    cells = [
        (
            row["views"],
            wording.rule_label(row["rule"]),
            row["num_views"],
            wording.percent(row["accuracy"]),
            wording.interval((row["ci95_low"], row["ci95_high"])),
            f"+{row['wrong_to_right']} -{row['right_to_wrong']}",
            wording.p_value(row["mcnemar_p"]),
            "" if row["holm_p"] is None else wording.p_value(row["holm_p"]),
            f"{row['images_per_second']:.0f}",
        )
        for row in rows
    ]
    headers = ["views", "rule", "n", "accuracy", "95%", "repaired, broken", "McNemar p", "Holm p", "images/s"]
    return text_table(headers, cells, align="<<>>>>>>>")


def doubt_table(doubt: Sequence[Mapping[str, Any]], rule: str) -> str:
    """How well disagreement and its control predict the errors of the single view and of the vote by `rule`."""

    def area(signal: Mapping[str, Any]) -> str:
        if signal["auroc"] is None:
            return "–"
        return f"{signal['auroc']:.3f}" + (" ({:.3f} to {:.3f})".format(*signal["ci95"]) if signal["ci95"] else "")

    cells = [
        (
            *(entry["views"], wording.rule_label(entry["errors_of"]), entry["errors"]),
            *(area(entry[signal]) for signal in ("disagreement", "control", "difference")),
        )
        for entry in doubt
        if entry["errors_of"] in ("single_view", rule)
    ]
    headers = ["views", "errors of", "wrong", "disagreement", "p(1-p) of one view", "difference"]
    return text_table(headers, cells, align="<<>>>>")


def robustness_table(results: Mapping[str, Any]) -> str:
    """Every row and every baseline of the job `robustness`, one line each.

    Args:
        results: the content of its metrics.json.
    """
    strengths = {entry["attack"]: entry["psnr"] for entry in results["attacks"]}
    lines = []
    for condition, strength in strengths.items():
        label, decibels = wording.condition_label(condition), "" if strength is None else f"{strength:.1f}"
        for row in results["rows"]:
            if row["attack"] == condition:
                changed = "" if row["holm_p"] is None else f"+{row['wrong_to_right']} -{row['right_to_wrong']}"
                p = "" if row["holm_p"] is None else wording.p_value(row["holm_p"])
                shares = (wording.percent(row["single_view_accuracy"]), wording.percent(row["accuracy"]))
                interval = wording.interval((row["ci95_low"], row["ci95_high"]))
                lines.append((label, decibels, row["network"], *shares, interval, changed, p))
        for entry in results["baselines"]:
            if entry["condition"] == condition:
                share, interval = entry["metrics"]["accuracy"], wording.interval(entry["metrics"]["ci95"])
                who = wording.baseline_label(entry["name"], results["immunised"])
                lines.append((label, decibels, who, "-", wording.percent(share), interval, "", ""))
    headers = ["attack", "PSNR", "method", "one view", "vote", "95%", "against clean", "Holm p"]
    return f"{results['total']} images\n\n{text_table(headers, lines, align='<><>>>>>')}"


def conditions(results: Mapping[str, Any]) -> list[tuple[str, int | None]]:
    """Returns the (condition, test images a source) pairs of evaluations and baselines, each once, in order."""
    entries = [*results["evaluations"], *results["baselines"]]
    return list(dict.fromkeys((entry["condition"], entry["count"]) for entry in entries))


def _is_wrong(row: ImageRow) -> bool:
    return bool(row.target) and row.predicted != row.target


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _width(text: str) -> int:
    """Returns the columns on a terminal: East Asian wide characters take two, combining marks none."""
    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def _pad(text: str, width: int, align: str) -> str:
    space = " " * (width - _width(text))
    return space + text if align == ">" else text + space
