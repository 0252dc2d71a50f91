"""Lists of refused and of changed image files: rejected.csv and notes.csv."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ganfp_jax.data.cells import cell, text_of
from ganfp_jax.run import atomic


def write_rejected(path: Path, rejected: Iterable[tuple[str, str]]) -> None:
    """Write the refused files and the reasons as the CSV `image,reason`."""
    _write_pairs(path, "reason", rejected)


def write_notes(path: Path, notes: Iterable[tuple[str, str]]) -> None:
    """Write the changed images and their changes as the CSV `image,note`."""
    _write_pairs(path, "note", notes)


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """Read a file of `write_rejected` or `write_notes`: (name, reason or note) of each image."""
    with path.open(newline="", encoding="utf-8") as lines:
        return pairs_of(lines)[1:]


def pairs_of(lines: Iterable[str]) -> list[tuple[str, str]]:
    """Read lines of such a file."""
    return [(text_of(name), text_of(words)) for name, words in csv.reader(lines)]


def report_rejected(rejected: Sequence[tuple[str, str]], workdir: Path) -> None:
    """Print the number of refused files and list them in the run folder; without any, an old list is removed."""
    (workdir / "rejected.csv").unlink(missing_ok=True)
    if rejected:
        write_rejected(workdir / "rejected.csv", rejected)
        print(f"{len(rejected)} files could not be used: {workdir / 'rejected.csv'}")


def report_notes(notes: Mapping[str, str], workdir: Path) -> None:
    """Print the number of changed images and list their changes in the run folder."""
    (workdir / "notes.csv").unlink(missing_ok=True)
    if notes:
        write_notes(workdir / "notes.csv", notes.items())
        name, note = next(iter(notes.items()))
        print(f"{len(notes)} images were not taken as they are ({name}: {note}): {workdir / 'notes.csv'}")


def _write_pairs(path: Path, column: str, pairs: Iterable[tuple[str, str]]) -> None:
    text = io.StringIO()
    rows = [(cell(name), cell(words)) for name, words in pairs]
    csv.writer(text, lineterminator="\n").writerows([("image", column), *rows])
    atomic.write_bytes(path, text.getvalue().encode())
