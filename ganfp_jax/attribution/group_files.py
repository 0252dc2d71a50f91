"""The lists of the files of each group, and the commands that enrol them."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganfp_jax.attribution.grouping import Grouping
from ganfp_jax.attribution.traces import FEWEST
from ganfp_jax.run import atomic
from ganfp_jax.run.command import command

AS_GROUPED = ("checkpoint", "data", "images_per_source", "resize", "tiles", "min_luma_std")
OURS = re.compile(r"group-[1-9][0-9]*\.txt")


def write_lists(found: Grouping, workdir: Path) -> list[Path | None]:
    """Writes `group-<number>.txt` of each group, as `data.lists.paths_of` reads it; lists of an earlier run go.

    Returns:
        Each list; None of a group with fewer files than a source is enrolled from, as of images in archives.
    """
    for old in workdir.glob("group-*.txt"):
        if OURS.fullmatch(old.name):
            old.unlink()
    return [_write(workdir / f"group-{number}.txt", [member.file for member in members if member.file])
            for number, members in enumerate(found.groups, 1)]  # fmt: skip


def _write(path: Path, files: Sequence[str]) -> Path | None:
    if not files:
        return None
    whole = [os.fsencode(Path(file).absolute()) for file in files]
    ends_a_line = any(b"\n" in name or name.endswith(b"\r") for name in whole)
    end = b"\0" if ends_a_line else b"\n"
    atomic.write_bytes(path, b"".join(name + end for name in whole))
    return path if len(files) >= FEWEST else None


def enrolments(lists: Sequence[Path | None], config: Mapping[str, Any]) -> list[str]:
    """The command that enrols each group under a name, seen as the config of the job saw it; "" where none can be."""
    return [_enrolment(path, number, config) if path else "" for number, path in enumerate(lists, 1)]


def _enrolment(path: Path, number: int, config: Mapping[str, Any]) -> str:
    settings = {key: config[key] for key in AS_GROUPED} | {"images": f"@{path}", "name": f"unknown-{number}"}
    return command("enrol", settings, workdir=f"runs/enrol-{number}")
