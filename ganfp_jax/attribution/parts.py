"""Verdicts in parts: a run that was stopped goes on with the first part that is not done, and shards can be joined.

    parts/settings.json     what the verdicts follow from, and how many parts there will be
    parts/000000/           one part: predictions.csv, predictions.jsonl, rejected.csv, notes.csv, part.json

A part is whole or absent. Its part.json has the place of every row in the files of all: [group, number], where the
groups follow each other and the numbers are those of the list of what was found. While all parts are removed, the
settings are called removed.json.
"""

import contextlib
import csv
import heapq
import itertools
import json
import operator
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from ganfp_jax.attribution.predictions import LINES, PREDICTIONS, header_of_files, record, row_of_file
from ganfp_jax.attribution.verdict import Attribution
from ganfp_jax.data import reports
from ganfp_jax.data.entries import BESIDE, IMAGE, REJECTED
from ganfp_jax.data.inventory import Listed
from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.reading import read_json
from ganfp_jax.run.run_folder import write_json

FOLDER = "parts"
SETTINGS = "settings.json"
_REMOVED = "removed.json"
_ABOUT = "part.json"
NOTES, REFUSED = "notes.csv", "rejected.csv"
FILES = (PREDICTIONS, LINES, REFUSED, NOTES)
ADDED = {"stability": False}
"""Settings that older parts do not have -> the value that describes those."""
"""The files of a part, and of all."""
_ORDER = {PREDICTIONS: PREDICTIONS, LINES: PREDICTIONS, REFUSED: REFUSED, NOTES: NOTES}
_GROUPS = {REJECTED: 0, IMAGE: 1, BESIDE: 2}
"""The order of rejected.csv: what was named and cannot be used, images that were refused, other files."""
_UNFINISHED = ".unfinished-part"

Place: TypeAlias = tuple[int, int]


class Part:
    """One part while its rows are written, in the order of the images."""

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        self._folder = folder
        self._table = (folder / PREDICTIONS).open("w", newline="", encoding="utf-8")
        self._lines = (folder / LINES).open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._table, lineterminator="\n")
        self._rows.writerow(header_of_files(classes))
        self._verdicts: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self._order: dict[str, list[Place]] = {PREDICTIONS: [], NOTES: []}
        self._notes: list[tuple[str, str]] = []
        self._rejected: list[tuple[Place, tuple[str, str]]] = []

    def add(self, image: Listed, verdict: Attribution, extra: Mapping[str, Any]) -> dict[str, Any]:
        """Writes a verdict; returns its line of predictions.jsonl, which ends with `extra`."""
        line = {**record(image.name, verdict), **extra}
        self._rows.writerow(row_of_file(image.name, verdict))
        self._lines.write(f"{json.dumps(line, ensure_ascii=False)}\n")
        self._verdicts[verdict.verdict] += 1
        self._told.update({"claims": bool(verdict.claims), "disagreements": bool(verdict.disagreement)})
        self._order[PREDICTIONS].append((0, image.number))
        if verdict.note:
            self._order[NOTES].append((0, image.number))
            self._notes.append((image.name, verdict.note))
        return line

    def reject(self, entry: Listed, reason: str) -> dict[str, str]:
        """Notes what cannot be used; returns its line of JSON."""
        self._rejected.append(((_GROUPS[entry.kind], entry.number), (entry.name, reason)))
        return {"image": entry.name, "reason": reason}

    def close(self) -> None:
        """Ends the files of verdicts."""
        self._table.close()
        self._lines.close()

    def finish(self) -> None:
        """Writes the other files."""
        self.close()
        self._rejected.sort(key=operator.itemgetter(0))
        reports.write_rejected(self._folder / REFUSED, [pair for _, pair in self._rejected])
        reports.write_notes(self._folder / NOTES, self._notes)
        order = self._order | {REFUSED: [place for place, _ in self._rejected]}
        about = {"verdicts": dict(self._verdicts), "told": dict(self._told), "order": order}
        (self._folder / _ABOUT).write_text(json.dumps(about), encoding="utf-8")


def begin(workdir: Path, settings: Mapping[str, Any]) -> list[Path]:
    """Claims the parts of a run folder; returns those that are done, by earlier runs with the same settings.

    Raises:
        UserError: there are parts of other settings, or their settings are missing or damaged.
    """
    finished = done(workdir)
    if not finished or _were_being_removed(workdir):
        remove(workdir)
        return []
    known = read_settings(workdir)
    if differing := differences(known, settings):
        raise UserError(
            f"{workdir / FOLDER} holds {len(finished)} of {known['parts']} parts of other work: {differing}; "
            "choose another --workdir, or delete that folder"
        )
    return finished


def _were_being_removed(workdir: Path) -> bool:
    folder = workdir / FOLDER
    return (folder / _REMOVED).is_file() and not (folder / SETTINGS).exists()


def differences(known: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Says in what settings differ, such as "network (3f0c1a2b4d5e there, 77ab... now)"; "" where they are the same."""
    known, settings = ADDED | dict(known), ADDED | json.loads(json.dumps(settings))  # as they are read back
    keys = [key for key in {**known, **settings} if known.get(key) != settings.get(key)]
    return ", ".join(f"{key} ({_shown(known.get(key))} there, {_shown(settings.get(key))} now)" for key in keys)


def _shown(value: object) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text[:12] if len(text) in (32, 64) and text.isalnum() else text or "none"


@contextlib.contextmanager
def writing(workdir: Path, name: str, settings: Mapping[str, Any]) -> Iterator[Part]:
    """Gives the part of this name to write; it is there when the block ends without error."""
    unfinished = workdir / _UNFINISHED
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    part = Part(unfinished, settings["classes"])
    try:
        yield part
        part.finish()
        settle(workdir, settings)
        unfinished.replace(workdir / FOLDER / name)
    finally:
        part.close()
        shutil.rmtree(unfinished, ignore_errors=True)


def settle(workdir: Path, settings: Mapping[str, Any]) -> None:
    """Writes the settings, where they are not there."""
    if not (workdir / FOLDER / SETTINGS).is_file():
        (workdir / FOLDER).mkdir(exist_ok=True)
        write_json(workdir / FOLDER / SETTINGS, settings)


def name_of(number: int) -> str:
    """Returns the name of a part's folder."""
    return f"{number:06d}"


def done(workdir: Path) -> list[Path]:
    """Returns the folders of the parts that are done, in order."""
    parts = (file.parent for file in (workdir / FOLDER).glob(f"*/{_ABOUT}") if file.parent.name.isdigit())
    return sorted(parts, key=lambda part: int(part.name))


def read_settings(workdir: Path) -> dict[str, Any]:
    """Returns the settings of the parts in a run folder.

    Raises:
        UserError: they are missing or damaged.
    """
    path = workdir / FOLDER / SETTINGS
    try:
        known = read_json(path)
    except (OSError, ValueError) as error:
        raise _no_settings(path, getattr(error, "strerror", None) or str(error)) from error
    if not isinstance(known, dict) or not {"parts", "shard", "classes"} <= known.keys():
        raise _no_settings(path, "it holds other things")
    return known


def counts(parts: Iterable[Path]) -> tuple[Counter[str], int]:
    """Returns how many images have each verdict, and how many files that were named have none.

    Raises:
        UserError: a part is damaged.
    """
    verdicts: Counter[str] = Counter()
    refused = 0
    for part in parts:
        about = _read(part / _ABOUT)
        verdicts.update(about["verdicts"])
        refused += sum(group != _GROUPS[BESIDE] for group, _ in about["order"][REFUSED])
    return verdicts, refused


def told(parts: Iterable[Path]) -> Counter[str]:
    """Returns how many files say how they were made ("claims"), and how many of them disagree ("disagreements").

    Raises:
        UserError: a part is damaged.
    """
    files: Counter[str] = Counter()
    for part in parts:
        files.update(_read(part / _ABOUT).get("told", {}))  # parts of an earlier version count none
    return files


def refusals(parts: Sequence[Path], most: int) -> list[tuple[str, str]]:
    """Returns the first (name, reason) of files that were named and have no verdict.

    Raises:
        UserError: a part is damaged.
    """
    rows = (line for (group, _), line in _rows(parts, REFUSED) if group != _GROUPS[BESIDE])
    return reports.pairs_of(line.decode() for line in itertools.islice(rows, most))


def records(part: Path) -> Iterator[dict[str, Any]]:
    """Yields the lines of JSON of a part: what was named and cannot be used, verdicts, refused images.

    Raises:
        UserError: the part is damaged.
    """
    rejected = [
        (group, {"image": name, "reason": reason})
        for (group, _), (name, reason) in zip(
            _read(part / _ABOUT)["order"][REFUSED], reports.read_pairs(part / REFUSED), strict=True
        )
    ]
    yield from (line for group, line in rejected if group == _GROUPS[REJECTED])
    with (part / LINES).open("rb") as lines:
        yield from map(json.loads, lines)
    yield from (line for group, line in rejected if group == _GROUPS[IMAGE])


def join(shards: Sequence[Sequence[Path]], workdir: Path, tick: Callable[[], object] = lambda: None) -> None:
    """Writes the files of all from the parts of one or more shards, row by row, in the order of the list.

    Args:
        shards: the parts of each, in order; at least one part in all.
        workdir: where the files go; each replaces an older one in one step.
        tick: called after each row.

    Raises:
        UserError: a part is damaged.
    """
    anyone = next(part for parts in shards for part in parts)
    for name in FILES:
        with atomic.writer(workdir / name) as file:
            if name != LINES:
                file.write(_header(anyone / name))
            for _, line in heapq.merge(*(_rows(parts, name) for parts in shards), key=operator.itemgetter(0)):
                file.write(line)
                tick()


def remove(workdir: Path) -> None:
    """Removes the parts of a run folder, and nothing else that lies among them.

    The settings are renamed first and go last: so parts that a kill has left half removed are no work to go on with.
    """
    with contextlib.suppress(FileNotFoundError):
        (workdir / FOLDER / SETTINGS).replace(workdir / FOLDER / _REMOVED)
    for part in done(workdir):
        shutil.rmtree(workdir / _UNFINISHED, ignore_errors=True)
        part.replace(workdir / _UNFINISHED)
    shutil.rmtree(workdir / _UNFINISHED, ignore_errors=True)
    (workdir / FOLDER / _REMOVED).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it is not there, or holds something else
        (workdir / FOLDER).rmdir()


def _header(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.readline()


def _rows(parts: Sequence[Path], name: str) -> Iterator[tuple[Place, bytes]]:
    """Yields (place, line) of a file in all parts of one shard, in order."""
    for group in range(len(_GROUPS) if name == REFUSED else 1):
        for part in parts:
            order = _read(part / _ABOUT)["order"][_ORDER[name]]
            with (part / name).open("rb") as file:
                lines = itertools.islice(file, int(name != LINES), None)
                try:
                    yield from (
                        (tuple(place), line) for place, line in zip(order, lines, strict=True) if place[0] == group
                    )
                except ValueError as error:
                    raise _damaged(part / name, "it has another number of lines than were written") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads(path.read_bytes())  # a part may have places by the million
        return about
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error


def _no_settings(path: Path, why: str) -> UserError:
    return UserError(
        f"{path} cannot be read ({why}), so nobody knows what the parts beside it follow from; restore it, or begin "
        "anew with another --workdir"
    )


def _damaged(path: Path, why: str) -> UserError:
    return UserError(f"{path} is damaged ({why}); delete {path.parent} and run the same command again")
