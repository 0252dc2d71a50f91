"""The results of the protocol as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.open_set.images import REAL
from ganfp_jax.attribution.verdict import NOTHING, UNKNOWN, UNSURE
from ganfp_jax.data import perturb
from ganfp_jax.metrics.statistics import wilson_interval
from ganfp_jax.report import wording
from ganfp_jax.report.score_tables import SHARES, measured

Rows = Sequence[Mapping[str, Any]]
NUMBERS = ("auroc", "fpr95", "oscr", "ccr_at_fpr_1", "ccr_at_fpr_5", "ccr_at_fpr_10", "balanced_accuracy")
ALWAYS = ("maximum probability", "energy", "ViM")
WORDS = (UNSURE, UNKNOWN, NOTHING)


def scored(rows: Rows, score: str) -> str:
    """The numbers of one score: a line a kind or generator."""
    return _table(
        ["", "n", *(SHARES[key] for key in NUMBERS)],
        (
            [_name(row), f"{row['images']:,}", *(measured(row["scores"][score][key]) for key in NUMBERS)]
            for row in rows
            if "scores" in row
        ),
    )


def compared(rows: Rows, names: Sequence[str]) -> str:
    """The AUROC of every score: a line a kind or generator."""
    return _table(
        ["AUROC", *names],
        (
            [_name(row), *(wording.percent(row["scores"][name]["auroc"]["value"]) for name in names)]
            for row in rows
            if "scores" in row
        ),
    )


def of_trainings(rows: Rows) -> str:
    """Trainings beside each other: the accuracy on known images, and by kind AUROC and FPR95 of the score each chose.

    A line a training and kind; in the last columns the AUROC of scores that need no choice.
    """
    lines = []
    for name in dict.fromkeys(row["training"] for row in rows):
        mine = [row for row in rows if row["training"] == name]
        chosen = next(row["score"] for row in mine if row["side"] == "choice")
        right = {row["kind"]: wording.percent(row["accuracy"]) for row in mine if "accuracy" in row}
        for row in mine:
            if row["side"] in ("control", "test") and not row["generator"]:
                scores = row["scores"]
                others = (measured(scores[score]["auroc"]) if score in scores else "" for score in ALWAYS)
                numbers = (measured(scores[chosen][key]) for key in ("auroc", "fpr95"))
                lines.append([name, right["known"], right["JPEG 75"], chosen, row["kind"], *numbers, *others])
    heads = ["training", "clean", "JPEG 75", "chosen score", "kind", "AUROC", "FPR95", *ALWAYS]
    return _table(heads, iter(lines))


def called(rows: Rows) -> str:
    """What images of unknown sources were called: a line a kind or generator, in percent of its images."""
    return _table(
        ["called", "n", REAL, "a generator", *WORDS],
        (_called(row) for row in rows if row["side"] in ("development", "test")),
    )


def known(rows: Rows) -> str:
    """What known images were called, as they are and changed: the generated ones, then the real ones."""
    heads = ["named right", "another generator", REAL, UNSURE, UNKNOWN, "real ones: right", "a generator", *WORDS[:2]]
    return _table(["", *heads], (_known(row) for row in rows if "by_source" in row))


def photographs(rows: Rows) -> str:
    """What photographs that no training has seen were called, in percent with 95 % Wilson intervals."""
    of = [row for row in rows if row["side"] == "photographs"]
    return _table(["", "n", REAL, "a generator", *WORDS], map(_of_photographs, of))


def _of_photographs(row: Mapping[str, Any]) -> list[str]:
    counts, total = row["called"], row["images"]
    named = sum(number for name, number in counts.items() if name not in (REAL, *WORDS))
    numbers = [counts.get(REAL, 0), named, *(counts.get(word, 0) for word in WORDS)]
    shares = [f"{wording.percent(n / total)} ({wording.interval(wilson_interval(n, total))})" for n in numbers]
    return [f"{row['kind']}, {perturb.label(row['condition'])}", f"{total:,}", *shares]


def _called(row: Mapping[str, Any]) -> list[str]:
    counts, total = row["called"], row["images"]
    named = sum(number for name, number in counts.items() if name not in (REAL, *WORDS))
    shares = [counts[REAL], named, *(counts[word] for word in WORDS)]
    return [_name(row), f"{total:,}", *(wording.percent(share / total) for share in shares)]


def _known(row: Mapping[str, Any]) -> list[str]:
    sources = {name: dict(counts) for name, counts in row["by_source"].items()}
    real, generated = sources.pop(REAL), list(sources.items())
    total, all_real = sum(sum(counts.values()) for _, counts in generated), sum(real.values())
    right = sum(counts.get(name, 0) for name, counts in generated)
    others = {word: sum(counts.get(word, 0) for _, counts in generated) for word in (REAL, UNSURE, UNKNOWN, NOTHING)}
    another = total - right - sum(others.values())
    words = {word: real.get(word, 0) for word in WORDS}
    accused = all_real - real.get(REAL, 0) - sum(words.values())
    of_generated = [right, another, others[REAL], others[UNSURE], others[UNKNOWN]]
    of_real = [real.get(REAL, 0), accused, words[UNSURE], words[UNKNOWN]]
    shares = [*(count / total for count in of_generated), *(count / all_real for count in of_real)]
    return [row["kind"], *map(wording.percent, shares)]


def _name(row: Mapping[str, Any]) -> str:
    return row["generator"] or f"**{row['kind']}**, {row['side']}"


def _table(heads: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
