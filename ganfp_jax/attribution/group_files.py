"""The lists of the files of each group, and the commands that enrol them."""

import os
from collections.abc import Sequence
from pathlib import Path

from ganfp_jax.attribution.grouping import Grouping
from ganfp_jax.attribution.traces import FEWEST
from ganfp_jax.run import atomic
from ganfp_jax.run.command import command


def write_lists(found: Grouping, workdir: Path) -> list[Path | None]:
    """Writes `group-<number>.txt` of each group, as `data.lists.paths_of` reads it; lists of an earlier run go.

    Returns:
        Each list; None of a group with fewer files than a source is enrolled from, as of images in archives.
    """
    for old in workdir.glob("group-*.txt"):
        old.unlink()
    return [_write(workdir / f"group-{number}.txt", [member.file for member in members if member.file])
            for number, members in enumerate(found.groups, 1)]  # fmt: skip


def _write(path: Path, files: Sequence[str]) -> Path | None:
    if not files:
        return None
    whole = [os.fsencode(Path(file).absolute()) for file in files]
    end = b"\0" if any(b"\n" in name for name in whole) else b"\n"
    atomic.write_bytes(path, b"".join(name + end for name in whole))
    return path if len(files) >= FEWEST else None


def enrolments(lists: Sequence[Path | None], checkpoint: str, root: str) -> list[str]:
    """The command that enrols each group under a name; "" for a group that cannot be enrolled."""
    return [_enrolment(path, number, checkpoint, root) if path else "" for number, path in enumerate(lists, 1)]


def _enrolment(path: Path, number: int, checkpoint: str, root: str) -> str:
    settings = {"checkpoint": checkpoint, "data": {"root": root}, "images": f"@{path}", "name": f"unknown-{number}"}
    return command("enrol", settings, workdir=f"runs/enrol-{number}")
