"""The job `attribute`: a checkpoint and any images -> a verdict for each, on the console and in files.

Threads decode images and choose their tiles while the network classifies those of the images before, a few batches at a
time, so that memory does not grow with their number.
"""

import codecs
import collections
import contextlib
import csv
import functools
import glob
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from ganfp_jax.attribution import map_files, promises
from ganfp_jax.attribution.attributor import Attributor, batch_size_for
from ganfp_jax.attribution.maps import map_sources
from ganfp_jax.attribution.predictions import LINES, PREDICTIONS, header, record, row
from ganfp_jax.attribution.verdict import NOTHING, UNKNOWN, UNSURE, Attribution, doubt
from ganfp_jax.attribution.voting import check_vote
from ganfp_jax.data import reports
from ganfp_jax.data.listing import is_folder, printable, walk
from ganfp_jax.data.looks import Looked, decode_and_look, together
from ganfp_jax.data.preprocess import check_resize
from ganfp_jax.data.tiles import Tiling
from ganfp_jax.interop.weights import CALIBRATION
from ganfp_jax.report import wording
from ganfp_jax.report.table import text_table
from ganfp_jax.run import atomic, console
from ganfp_jax.run.config_keys import require
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import compiles, progress
from ganfp_jax.run.threads import ending, result

FEW = 30  # images that the console shows one by one
SOME = 5  # refused files that the console names
PICTURES_WITH_MAPS = 4  # decoded at once, since a map takes longer than a verdict
BATCHES_AHEAD = 4  # batches decoded at once, and as many while the network works
SOME_NOT_USED = 3  # exit status
# Reasons that do not count as refusals: a folder may hold other files beside its images.
_BESIDE = ("not an image by its name", "is a folder")


class Found(NamedTuple):
    """The image files that a user named."""

    paths: list[str]
    """Texts, not `Path`, since there may be millions."""
    rejected: list[tuple[str, str]]
    """(name, reason) of the named files that cannot be used."""
    beside: list[tuple[str, str]]
    """(name, reason) of other files in the folders of images."""


class Judged(NamedTuple):
    """The result for some of the images: verdicts of the readable ones, reasons of the others."""

    verdicts: list[tuple[str, Attribution]]
    extras: list[dict[str, str]]
    """What the JSON lines say of each image besides: the `file:` address `uri`, which also opens an image whose name is
    escaped, and the file `map`."""
    rejected: list[tuple[str, str]]


def run(config: dict[str, Any], workdir: Path) -> int:
    """The job `attribute`.

    Returns:
        The exit status: 0 where every file got a verdict, else 3.

    Raises:
        UserError: there is no image or no network, or the settings do not fit.
    """
    require(config, "checkpoint")
    check_resize(config["resize"])
    _tiling(config).check()
    check_vote(config["views"], config["rule"], config["batch_size"])
    found = find(config["images"])
    attributor = Attributor.load(config["checkpoint"])
    config = {**config, "views": config["views"] or attributor.default_views}
    rejected, notes = list(found.rejected), {}
    counts: collections.Counter[str] = collections.Counter()
    shown: list[tuple[str, Attribution]] = []
    with contextlib.ExitStack() as stack:
        table = stack.enter_context(atomic.writer(workdir / PREDICTIONS))
        lines = stack.enter_context(atomic.writer(workdir / LINES))
        rows = csv.writer(codecs.getwriter("utf-8")(table), lineterminator="\n")
        rows.writerow(header(attributor.classes))
        _emit_rejected(rejected)
        for part in judge(attributor, found.paths, config):
            for (name, verdict), extra in zip(part.verdicts, part.extras, strict=True):
                rows.writerow(row(name, verdict))
                line = record(name, verdict) | extra
                console.emit(line)
                lines.write(f"{json.dumps(line, ensure_ascii=False)}\n".encode())
                counts[verdict.verdict] += 1
                if verdict.note:
                    notes[name] = verdict.note
            _emit_rejected(part.rejected)
            rejected += part.rejected
            shown = (shown + part.verdicts)[: FEW + 1]
    reports.write_rejected(workdir / "rejected.csv", [*rejected, *found.beside])
    reports.write_notes(workdir / "notes.csv", notes)
    if len(shown) > FEW:
        print(counts_table(counts, attributor.classes), end="\n\n")
    elif shown:
        print(verdict_table(shown), end="\n\n")
    if shown:
        print(*closing_lines(attributor, config), sep="\n")
    for name, reason in rejected[:SOME]:
        print(f"{name}: {reason}")
    if rejected:
        files = "1 file" if len(rejected) == 1 else f"{len(rejected)} files"
        print(f"{files} could not be used: {workdir / 'rejected.csv'}")
    print(f"predictions: {workdir / PREDICTIONS} and {workdir / LINES}")
    if config["maps"]:
        print(f"maps: {config['maps']}")
    return SOME_NOT_USED if rejected else 0


def _emit_rejected(rejected: Sequence[tuple[str, str]]) -> None:
    for name, reason in rejected:
        console.emit({"image": name, "reason": reason})


def find(images: str | Sequence[str]) -> Found:
    """Finds the image files that a user named, each once, in the order named.

    Args:
        images: files, folders (all images in them, at any depth) or glob patterns ("**" for any depth); one or several.

    Raises:
        UserError: there is no image file.
    """
    asked = [images] if isinstance(images, str) else list(images)
    if not any(asked):
        raise UserError("no images: give --config.images=FILE, a folder or a pattern, or several of them after --")
    paths: dict[str, str] = {}
    rejected: dict[str, str] = {}
    beside: dict[str, str] = {}
    place = _places()
    with progress(None, "list", "file", delay=2.0) as bar:
        for name in filter(None, asked):
            matches = _matches(name, bar.update)
            if not matches:
                rejected[printable(name)] = "nothing matches this pattern" if _is_pattern(name) else "no such file"
            for match in matches:
                if not is_folder(match):
                    paths.setdefault(place(str(match)), str(match))
                    continue
                for path, reason in walk(match):
                    if not reason:
                        paths.setdefault(place(path), path)
                    else:
                        (beside if reason in _BESIDE else rejected)[printable(path)] = reason
                    bar.update()
    if not paths:
        name, reason = next(iter((rejected or beside or {printable(asked[0]): "no image file in it"}).items()))
        more = f" (and {len(rejected) - 1} more)" if len(rejected) > 1 else ""
        raise UserError(f"there are no images to attribute: {name}: {reason}{more}; give files, folders or patterns")
    return Found(list(paths.values()), list(rejected.items()), list(beside.items()))


def _places() -> Callable[[str], str]:
    """Returns a function that resolves the links in a file's folder: patterns follow links, even in circles."""

    @functools.cache  # every file of a folder asks for the same folder
    def resolved(folder: str) -> str:
        return str(Path(folder).resolve())

    def place(path: str) -> str:
        folder, name = os.path.split(path)
        there = f"{resolved(folder)}/{name}"
        return path if path == there else there  # equal texts share memory

    return place


def _matches(name: str, tick: Callable[[], object]) -> list[Path]:
    """Returns the path of that name or the matches of a pattern; `tick` is called after each."""
    if os.path.lexists(name):
        return [Path(name)]
    matches = []
    for match in glob.iglob(name, recursive=True) if _is_pattern(name) else ():  # noqa: PTH207
        matches.append(match)
        tick()
    return [Path(match) for match in sorted(matches)]


def _is_pattern(name: str) -> bool:
    return glob.has_magic(name)


def judge(attributor: Attributor, paths: Sequence[str | Path], config: dict[str, Any]) -> Iterator[Judged]:
    """Yields verdicts in pieces, in the order of `paths`, with a progress bar for work that takes over two seconds."""
    tiling = _tiling(config)
    size = (
        PICTURES_WITH_MAPS
        if config["maps"]
        else together(BATCHES_AHEAD * config["batch_size"], attributor.resolution, tiling)
    )
    starts = range(0, len(paths), size)
    done = 0
    pieces = ([Path(path) for path in paths[start : start + size]] for start in starts)

    stop = threading.Event()

    def decode(piece: Sequence[Path]) -> Looked:
        return decode_and_look(piece, attributor.resolution, config["resize"], tiling, stop=stop)

    verdicts_on = compiles(attributor.judge)
    with (
        ThreadPoolExecutor(1, thread_name_prefix="ahead") as ahead,
        ending(stop),
        progress(len(paths), "attribute", "image", delay=2.0) as bar,
    ):
        first = next(pieces)
        coming: Future[Looked] = ahead.submit(decode, first)
        following: list[Path] | None = first
        while following is not None:
            piece, following = following, next(pieces, None)
            looked = result(coming)
            if following is not None:
                coming = ahead.submit(decode, following)
            # few tiles should not wait for many, but each size is compiled
            batch_size = config["batch_size"] if len(starts) > 1 else _batch_size(looked, config["batch_size"])
            attributions = verdicts_on(looked.looks, config["views"], config["rule"], batch_size)
            names = [printable(str(path)) for path in piece]
            extras = [{"uri": piece[position].absolute().as_uri()} for position in looked.kept]
            for position, look, extra in zip(looked.kept, looked.looks, extras, strict=True):
                if look.sweep is not None:
                    found = map_sources(attributor, look.sweep, config["views"], config["rule"], config["batch_size"])
                    number, name = done + int(position) + 1, names[position]
                    extra["map"] = str(map_files.write(Path(config["maps"]), number, name, found, look.sweep.thumbnail))
            done += len(piece)
            yield Judged(
                verdicts=[
                    (names[position], verdict) for position, verdict in zip(looked.kept, attributions, strict=True)
                ],
                extras=extras,
                rejected=[(names[position], reason) for position, reason in looked.refused.items()],
            )
            bar.update(len(piece))


def _tiling(config: Mapping[str, Any]) -> Tiling:
    return Tiling(config["tiles"], config["min_luma_std"], config["map_windows"] if config["maps"] else 0)


def _batch_size(looked: Looked, most: int) -> int:
    return min(most, batch_size_for(sum(len(look.tiles) for look in looked.looks)))


def verdict_table(verdicts: Sequence[tuple[str, Attribution]]) -> str:
    """Formats one line an image for the console; typicality has a column where any image has one."""
    typical = any(verdict.typicality is not None for _, verdict in verdicts)

    def cells(name: str, verdict: Attribution) -> tuple[str, ...]:
        if verdict.verdict == NOTHING:
            return name, NOTHING, *[""] * (5 if typical else 4), verdict.note
        lead_too_small = verdict.verdict == UNSURE and not doubt(UNSURE, verdict.predicted, verdict.sources)
        return (
            name,
            f"{UNSURE} ({verdict.predicted}?)" if lead_too_small else verdict.verdict,
            wording.percent(verdict.confidence),
            f"{verdict.votes.get(verdict.predicted, 0)} of {sum(verdict.votes.values())}",
            f"{verdict.margin:.2f}",
            f"{verdict.distance:.2f}",
            *([wording.p_value(verdict.typicality)] if verdict.typicality is not None else []),
            verdict.note,
        )

    headers = ["image", "verdict", "probability", "votes", "margin", "distance", *["typicality"] * typical, "note"]
    return text_table(headers, [cells(*item) for item in verdicts], align=f"<<>>>>{'>' * typical}<")


def counts_table(counts: Mapping[str, int], classes: Sequence[str]) -> str:
    """Formats the number of images of each verdict for the console."""
    total = sum(counts.values())
    verdicts = [*classes, *(word for word in (UNSURE, UNKNOWN, NOTHING) if counts[word])]
    rows = [(name, counts[name], wording.percent(counts[name] / total)) for name in verdicts]
    return text_table(["verdict", "images", "share"], [*rows, ("all", total, "")], align="<>>")


def closing_lines(attributor: Attributor, config: Mapping[str, Any]) -> list[str]:
    """Says what the verdicts promise, and that there are other sources than the known ones."""
    calibration = attributor.calibration_for(config["views"], config["rule"])
    typical = None if calibration is None else calibration.typical
    return [
        calibration_line(attributor, config),
        *([] if typical is None else [promises.promised(typical)]),
        promises.about_sources(attributor.classes, typical),
    ]


def calibration_line(attributor: Attributor, config: Mapping[str, Any]) -> str:
    """Says in one line which verdicts are "unsure", or why none is."""
    known = attributor.calibration
    calibration = attributor.calibration_for(config["views"], config["rule"])
    if calibration is not None:
        return (
            f"{UNSURE}: {calibration.where_unsure}. No more than {100 * calibration.error_rate:g}% of the "
            "other verdicts on images like those of the calibration are wrong "
            f"({calibration.confidence:.0%} confidence)."
        )
    if known is not None:
        return (
            f"No verdict is {UNSURE}: the network was calibrated for {known.rule} of {', '.join(known.views)}, not for "
            "these views and this rule; vote with those, or calibrate for these with configs/calibrate.py."
        )
    stale = (Path(config["checkpoint"]) / CALIBRATION).is_file()
    why = f"its {CALIBRATION} is of other weights" if stale else "this network is not calibrated"
    return (
        f"No verdict is {UNSURE}: {why}; do that with labelled images: --config=configs/calibrate.py "
        f"--config.checkpoint={config['checkpoint']} --config.data.root=DIR"
    )
