"""What any tool said of images whose sources are known: a table of answers -> arrays, and the rows that are no use.

A row of a table names an image and its source, and has an answer, a score for each class, or both. A table of ours
(`attribution.predictions`) says itself which columns these are; of another one, a config names them.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ganfp_jax.attribution.predictions import PREDICTIONS, header
from ganfp_jax.data.cells import text_of
from ganfp_jax.data.listing import printable
from ganfp_jax.data.names import OUR_WORDS
from ganfp_jax.data.tables import Table, read_table
from ganfp_jax.run.errors import UserError

OURS = header(())[:5]
"""The first columns of a table of ours; those of the classes follow."""
ALIASES = {
    "path": ("image", "path", "file", "filename", "file_name"),
    "target": ("target", "label", "source"),
    "predicted": ("predicted", "prediction", "pred"),
    "group": ("group", "photograph"),
}
FAKE = "fake"  # the second class of a table with one score, where several sources are not real
MOST_CLASSES = 5_000  # a confusion matrix has the square of these cells


class Columns(NamedTuple):
    """The columns of a table; "" looks for the names in `ALIASES`."""

    path: str = ""
    target: str = ""
    predicted: str = ""
    scores: str = "*"
    """One column a class, "*" for its name, such as "p_*"; or one column, how much an image seems not real; or ""."""
    known: str = ""
    """A score that is high for images of known classes; by default the highest of the scores."""
    group: str = ""


class Task(NamedTuple):
    """What the words of a table mean."""

    classes: Sequence[str] = ()
    """The classes that the tools know; by default those with scores, or all that are targets."""
    unknown: Sequence[str] = ("unknown",)
    """Targets that no tool knows."""
    real: str = "real"
    threshold: float = 0.5
    """The least score with which an image is called not real, where a table has one score and no answers."""


class ToolAnswers(NamedTuple):
    """What one tool said of N images."""

    tool: str
    names: list[str]
    truths: list[str]
    """The source of each image, in the words of the table."""
    classes: tuple[str, ...]
    """The K classes that the tool knows."""
    targets: Int[np.ndarray, " n"]
    """Index of the true class; K where it is unknown to the tool."""
    predicted: Int[np.ndarray, " n"]
    """Index of the class that the tool named; K where it named none of them."""
    scores: Float[np.ndarray, "n k"] | None
    known: Float[np.ndarray, " n"] | None
    groups: list[str] | None
    """What each image was taken from; "" where that is not known."""
    rejected: list[tuple[str, str]]
    """(image, reason) of each row that is no use."""


def read_answers(path: Path, tool: str, columns: Columns, task: Task) -> ToolAnswers:
    """Reads the answers of one tool.

    A row is rejected where its cells do not fit the header, it has no image, no target or no answer, its image was in a
    row before, its target is none of the classes, or a score is no finite number. An answer that is none of the classes
    is kept: it is wrong, unless the image is of an unknown source.

    Args:
        path: a CSV file, or a folder with a predictions.csv.
        tool: its name in messages.
        columns: the columns of the table.
        task: what its words mean.

    Raises:
        UserError: the table cannot be read, lacks a column, has no row that is of use, or has too many classes.
    """
    return _Reader(read_table(path / PREDICTIONS if path.is_dir() else path), columns, task).read(tool)


class _Reader:
    """The columns of one table, found once."""

    def __init__(self, table: Table, columns: Columns, task: Task) -> None:
        self.table, self.task = table, task
        self.ours = table.header[: len(OURS)] == OURS
        self.path, self.target = (self._needed(columns, key) for key in ("path", "target"))
        self.predicted, self.group = (self._wanted(columns, key) for key in ("predicted", "group"))
        self.known = table.place(columns.known, "columns.known") if columns.known else None
        self.single = bool(columns.scores) and "*" not in columns.scores
        self.classes, self.scores = self._single(columns) if self.single else self._several(columns)
        if self.predicted is None and not self.scores:
            raise UserError(
                f"{table.path} has neither a column 'predicted' nor a score for each class; it has "
                f"{table.listed()}: name one with --config.columns.predicted=NAME or --config.columns.scores='p_*'"
            )
        if len(self.classes) > MOST_CLASSES:
            raise UserError(
                f"{table.path} has {len(self.classes):,} classes in its column {table.header[self.target]!r}, over the "
                f"limit of {MOST_CLASSES:,}; name the column of the sources with --config.columns.target=NAME"
            )

    def _needed(self, columns: Columns, key: str) -> int:
        name = getattr(columns, key) or self.table.first_of(ALIASES[key]) or ALIASES[key][0]
        return self.table.place(name, f"columns.{key}")

    def _wanted(self, columns: Columns, key: str) -> int | None:
        name = getattr(columns, key) or self.table.first_of(ALIASES[key])
        return None if name is None else self.table.place(name, f"columns.{key}")

    def _targets(self) -> set[str]:
        """The targets of all rows but the unknown ones."""
        width = len(self.table.header)
        found = {printable(cells[self.target].strip()) for _, cells in self.table.rows if len(cells) == width}
        return found - {"", *self.task.unknown}

    def _single(self, columns: Columns) -> tuple[tuple[str, ...], list[int]]:
        """Real and the other class, of a table with one score."""
        others = sorted(self._targets() - {self.task.real})
        names = (self.task.real, others[0] if len(others) == 1 else FAKE)
        return names, [self.table.place(columns.scores, "columns.scores")]

    def _several(self, columns: Columns) -> tuple[tuple[str, ...], list[int]]:
        """The classes, and the places of their scores: none in a table without scores."""
        table, pattern, targets = self.table, columns.scores, self._targets()
        names, fitting = list(self.task.classes), self._fitting(pattern, targets)
        if self.ours and not names:
            names = [name for name in table.header[len(OURS) :] if name.casefold() not in OUR_WORDS]
        if names:
            pattern = "" if pattern == "*" and not set(names) & set(table.header) else pattern
        elif len(fitting) > 1:
            names = fitting
        elif pattern in ("", "*"):
            names, pattern = sorted(targets), ""
        else:
            raise UserError(
                f"{table.path} has no two columns like {pattern!r}; it has {table.listed()}: name them with "
                "--config.columns.scores, * for the class"
            )
        places = [table.place(pattern.replace("*", name), "columns.scores") for name in names if pattern]
        return tuple(names), places

    def _fitting(self, pattern: str, targets: set[str]) -> list[str]:
        """The classes with a column of scores; of the pattern "*", which fits every column, those that are targets."""
        before, _, after = pattern.partition("*")
        fitting = [
            name[len(before) : len(name) - len(after)]
            for name in self.table.header
            if pattern and len(name) >= len(pattern) and name.startswith(before) and name.endswith(after)
        ]
        return fitting if pattern != "*" else [name for name in fitting if name in targets]

    def read(self, tool: str) -> ToolAnswers:
        rows, rejected = [], []
        first: dict[str, int] = {}  # image -> its line
        for line, cells in self.table.rows:
            name = self._name(cells)
            fault = f"stands in line {first[name]} already" if name in first else self._fault(cells, name)
            if fault:
                rejected.append((name, f"line {line}: {fault}"))
            else:
                first[name] = line
                rows.append((name, cells))
        if not rows:
            name, fault = rejected[0]
            raise UserError(
                f"{self.table.path}: none of {len(rejected):,} rows can be used; {name or 'the first'}: {fault}"
            )
        answers = self._answers(tool, rows, rejected)
        if answers.targets.min() == len(self.classes):
            raise UserError(
                f"{self.table.path}: all images are of unknown sources; see config.classes and config.unknown"
            )
        return answers

    def _name(self, cells: Sequence[str]) -> str:
        name = cells[self.path].strip() if self.path < len(cells) else ""
        name = text_of(name) if self.ours else name.replace("\\", "/")
        # Ours are escaped already, but what looks like ours may be a stranger's.
        return (name if self.ours and name.isprintable() else printable(name)).removeprefix("./")

    def _fault(self, cells: Sequence[str], name: str) -> str:
        """Why a row is no use, or ""."""
        if len(cells) != len(self.table.header):
            return f"it has {len(cells)} cells, the header {len(self.table.header)}"
        if not name:
            return "it names no image"
        if not (target := self._text(cells, self.target)):
            return "it has no target"
        if not self.single and target not in self.classes and target not in self.task.unknown:
            known = ", ".join(self.classes[:8]) + (", ..." if len(self.classes) > 8 else "")
            return f"its target {target[:80]!r} is none of the classes {known}, and not in config.unknown"
        if self.predicted is not None and not self._text(cells, self.predicted):
            return "it has no answer"
        wanted = self.scores if self.known is None else [*self.scores, self.known]
        wrong = [place for place in wanted if not math.isfinite(_number(cells[place]))]
        if wrong:
            return f"its {self.table.header[wrong[0]]!r} is {cells[wrong[0]][:40]!r}, no finite number"
        return ""

    def _text(self, cells: Sequence[str], place: int) -> str:
        return printable(cells[place].strip())

    def _answers(
        self, tool: str, rows: Sequence[tuple[str, Sequence[str]]], rejected: list[tuple[str, str]]
    ) -> ToolAnswers:
        truths = [self._text(cells, self.target) for _, cells in rows]
        scores = None
        if self.scores:
            scores = np.array([[_number(cells[place]) for place in self.scores] for _, cells in rows])
        if self.single and scores is not None:
            scores = np.hstack([1 - scores if _are_shares(scores) else -scores, scores])
        if self.predicted is not None:
            predicted = self._indices(self._text(cells, self.predicted) for _, cells in rows)
        elif self.single and scores is not None:
            predicted = (scores[:, 1] >= self.task.threshold).astype(int)
        else:
            predicted = np.asarray(scores).argmax(1)
        known = None if scores is None else scores.max(1)
        if self.known is not None:
            known = np.array([_number(cells[self.known]) for _, cells in rows])
        groups = None if self.group is None else [self._text(cells, self.group) for _, cells in rows]
        names = [name for name, _ in rows]
        targets = self._indices(truths)
        return ToolAnswers(tool, names, truths, self.classes, targets, predicted, scores, known, groups, rejected)

    def _indices(self, words: Iterable[str]) -> Int[np.ndarray, " n"]:
        """The classes of some words; of a table with one score, all that is neither real nor unknown is the other."""
        index = {name: k for k, name in enumerate(self.classes)}
        other = len(self.classes)
        unknown = dict.fromkeys(self.task.unknown, other)
        return np.array([unknown.get(word, index.get(word, 1 if self.single else other)) for word in words], int)


def are_probabilities(scores: Float[np.ndarray, "n k"] | None) -> bool:
    """Whether scores of classes are between 0 and 1, and sum to 1 for each image but for rounding."""
    return scores is not None and _are_shares(scores) and bool((np.abs(scores.sum(1) - 1) < 0.01).all())


def _are_shares(scores: np.ndarray) -> bool:
    return bool((scores >= 0).all() and (scores <= 1).all())


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
