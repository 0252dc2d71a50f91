"""The job `merge`: the parts of all shards of `attribute` -> the files of one run of it."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ganfp_jax.attribution import parts, summary
from ganfp_jax.attribution.predictions import LINES, PREDICTIONS
from ganfp_jax.data.shards import Shard
from ganfp_jax.run.config_keys import require
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress

SOME = 5  # refused files that the console names, and shards that an error does
SOME_NOT_USED = 3  # exit status, as of `attribute`
OWN = ("shard", "parts", "ends")  # settings in which the shards of one work differ


class Run(NamedTuple):
    """What one shard's run has left."""

    workdir: Path
    settings: dict[str, Any]
    done: list[Path]

    @property
    def shard(self) -> Shard:
        """Which share of the images it has."""
        return Shard.parse(self.settings["shard"])


def run(config: dict[str, Any], workdir: Path) -> int:
    """The job `merge`.

    Returns:
        The exit status: 0 where every file got a verdict, else 3.

    Raises:
        UserError: there are no shards, some of them or of their parts are missing, or they are not of one work.
    """
    require(config, "parts")
    shards = find(Path(config["parts"]))
    check(shards, config["parts"])
    done = [part for shard in shards for part in shard.done]
    counts, refused = parts.counts(done)
    with progress(None, "merge", "row", delay=2.0) as bar:
        parts.join([shard.done for shard in shards], workdir, bar.update)
    print(summary.counts_table(counts, shards[0].settings["classes"]), end="\n\n")
    refusals = summary.refused_lines(parts.refusals(done, SOME), refused, workdir / parts.REFUSED)
    for line in [*summary.claims_lines(parts.told(done)), *refusals]:
        print(line)
    print(f"predictions: {workdir / PREDICTIONS} and {workdir / LINES}")
    return SOME_NOT_USED if refused else 0


def find(folder: Path) -> list[Run]:
    """Finds the run folders with parts in a folder, in the order of their shards.

    Raises:
        UserError: there are none, or one of them is damaged.
    """
    workdirs = [file.parent.parent for file in folder.glob(f"*/{parts.FOLDER}/{parts.SETTINGS}")]
    if not workdirs:
        raise UserError(
            f"{folder} has no shards in it; give the folder in which the run folders of configs/attribute.py with "
            "--config.shard=i/n lie"
        )
    runs = [Run(workdir, parts.read_settings(workdir), parts.done(workdir)) for workdir in sorted(workdirs)]
    return sorted(runs, key=lambda run: run.shard)


def check(runs: Sequence[Run], folder: str) -> None:
    """Raises unless the shards are those of one work, each once and whole.

    Raises:
        UserError: they are not; it says what differs or what is missing.
    """
    for one, other in itertools.pairwise(runs):
        if one.shard == other.shard:
            raise UserError(f"{other.workdir} and {one.workdir} are the same shard; take one of them out of {folder}")
        if differing := parts.differences(_common(one), _common(other)):
            raise UserError(f"{other.workdir} is other work than {one.workdir}: {differing}; take one out of {folder}")
    if missing := [*_absent(runs), *_unfinished(runs)]:
        more = f" and {len(missing) - SOME} more" if len(missing) > SOME else ""
        raise UserError(
            f"{folder} is not complete: {', '.join(missing[:SOME])}{more}; run those again, then merge once more"
        )


def _common(run: Run) -> Mapping[str, Any]:
    return {key: value for key, value in run.settings.items() if key not in OWN} | {"shards": run.shard.of}


def _absent(runs: Sequence[Run]) -> list[str]:
    count = runs[0].shard.of
    there = {run.shard.number for run in runs}
    return [f"shard {index}/{count} is missing" for index in range(count) if index not in there]


def _unfinished(runs: Sequence[Run]) -> list[str]:
    return [
        f"shard {run.settings['shard']} in {run.workdir} has {len(run.done)} of {run.settings['parts']} parts"
        for run in runs
        if len(run.done) < run.settings["parts"]
    ]
