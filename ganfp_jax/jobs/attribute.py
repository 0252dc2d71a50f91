"""The job `attribute`: a checkpoint and any images -> a verdict for each, on the console and in files.

Threads decode images and choose their tiles while the network classifies those of the images before, a few batches at a
time. The list of images lies in a file and the verdicts are written in parts, so that memory does not grow with their
number, and a run that was stopped goes on.
"""

import contextlib
import functools
import hashlib
import json
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ganfp_jax.attribution import map_files, parts, stability, summary
from ganfp_jax.attribution.attributor import FEW as FEW_TILES
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.maps import map_sources
from ganfp_jax.attribution.predictions import LINES, PREDICTIONS
from ganfp_jax.attribution.verdict import Attribution
from ganfp_jax.attribution.voting import check_vote
from ganfp_jax.data.claims import manifest
from ganfp_jax.data.decode import ImageFile, Picture, Refused
from ganfp_jax.data.entries import IMAGE, REJECTED
from ganfp_jax.data.identified import Identified
from ganfp_jax.data.inventory import Inventory, Listed, taken
from ganfp_jax.data.looks import Look, Looked, decode_and_look, together, unchanged
from ganfp_jax.data.preprocess import check_resize
from ganfp_jax.data.shards import Shard
from ganfp_jax.data.tiles import Tiling, check_windows
from ganfp_jax.data.views import resolve_views
from ganfp_jax.run import console
from ganfp_jax.run.config_keys import require
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import Bar, compiles, progress
from ganfp_jax.run.threads import ending, result

if TYPE_CHECKING:
    from ganfp_jax.attribution.evidence_files import EvidenceFolder

FEW = 30  # images that the console shows one by one
SOME = 5  # refused files that the console names
PICTURES_WITH_MAPS = 4  # decoded at once, since a map, or the verdicts on many forms, take longer than a verdict
BATCHES_AHEAD = 4  # batches decoded at once, and as many while the network works
SOME_NOT_USED = 3  # exit status
# Keys that a verdict or its page depends on, which the command on the page has.
DECISIVE = (
    *("checkpoint", "views", "rule", "resize", "tiles", "map_windows", "min_luma_std", "column", "evidence"),
    "stability",
)


class Judged(NamedTuple):
    """The result for some of the images: verdicts of the readable ones, reasons of the others."""

    verdicts: list[tuple[Listed, Attribution, dict[str, Any]]]
    """With what the JSON lines say of each image besides: the `file:` address `uri`, which also opens an image whose
    name is escaped; the file `map`; its `stability`; of a page of evidence, `sha256` of the image and the files `page`
    and `pdf`."""
    rejected: list[tuple[Listed, str]]


class Decoded(NamedTuple):
    """What there is to see in some of the images."""

    files: Sequence[ImageFile]
    looked: Looked
    forms: Mapping[int, Mapping[str, Look]]
    """Position in the list of files -> its processed forms (`attribution.stability`), where they are asked for."""


def run(config: dict[str, Any], workdir: Path) -> int:
    """The job `attribute`.

    Returns:
        The exit status: 0 where every file got a verdict, else 3.

    Raises:
        UserError: there is no image or no network, the settings do not fit, or the run folder has parts of other work.
    """
    require(config, "checkpoint")
    check_resize(config["resize"])
    _tiling(config).check()
    check_windows(config["map_windows"], config["maps"] or config["evidence"])
    check_vote(config["views"], config["rule"], config["batch_size"])
    if config["part_size"] < 1:
        raise UserError(f"config.part_size is {config['part_size']}; give the number of images a part, 1 or more")
    is_map = functools.partial(map_files.is_map, folder=config["maps"])
    with taken(config["images"], Shard.parse(config["shard"]), workdir, config["column"], is_map) as inventory:
        attributor = Attributor.load(config["checkpoint"])
        config = {**config, "views": config["views"] or attributor.default_views}
        evidence = _evidence(attributor, config)
        shown = _judge_all(attributor, inventory, config, workdir, evidence)
    done, alone = parts.done(workdir), not config["shard"]
    if alone:  # configs/merge.py joins shards
        parts.join([done], workdir)
    refused = _tell(attributor, config, workdir, done, shown)
    if evidence is not None and alone:
        asked = [config["images"]] if isinstance(config["images"], str) else config["images"]
        listed = evidence.write_index(workdir / LINES, parts.counts(done)[0], parts.refusals(done, refused), asked)
        print(f"evidence: {listed}")
    if alone:
        parts.remove(workdir)
    return SOME_NOT_USED if refused else 0


def _evidence(attributor: Attributor, config: Mapping[str, Any]) -> "EvidenceFolder | None":
    """The folder of the pages of evidence; None where none is asked for."""
    if not config["evidence"]:
        return None
    from ganfp_jax.attribution.evidence_files import EvidenceFolder  # verdicts do not wait for what pages need

    settings = {key: config[key] for key in DECISIVE}
    return EvidenceFolder(Path(config["evidence"]), attributor, settings, pdfs=config["evidence_pdf"])


def _judge_all(
    attributor: Attributor,
    inventory: Inventory,
    config: dict[str, Any],
    workdir: Path,
    evidence: "EvidenceFolder | None",
) -> list[tuple[str, Attribution]]:
    """Writes the parts that are not done; returns the first few of the verdicts."""
    settings = _settings(attributor, inventory, config)
    before = {part.name: part for part in parts.begin(workdir, settings)}
    if evidence is not None:
        evidence.begin()
    shown: list[tuple[str, Attribution]] = []
    judge = make_judge(attributor, config, inventory, evidence)
    done = min(len(before) * config["part_size"], inventory.images)
    with progress(inventory.images, "attribute", "image", done, delay=2.0) as bar:
        for number, entries in enumerate(inventory.parts(config["part_size"])):
            if (name := parts.name_of(number)) in before:
                _emit_again(before[name])
                continue
            with parts.writing(workdir, name, settings) as part:
                _reject(part, [entry for entry in entries if entry.kind != IMAGE])
                for judged in judge([entry for entry in entries if entry.kind == IMAGE], bar):
                    _write(part, judged)
                    shown = (shown + [(image.name, verdict) for image, verdict, _ in judged.verdicts])[: FEW + 1]
    parts.settle(workdir, settings)
    return shown


def _write(part: parts.Part, judged: Judged) -> None:
    for image, verdict, extra in judged.verdicts:
        console.emit(part.add(image, verdict, extra))
    for image, reason in judged.rejected:
        console.emit(part.reject(image, reason))


def _settings(attributor: Attributor, inventory: Inventory, config: Mapping[str, Any]) -> dict[str, Any]:
    """What the verdicts follow from, how many parts there will be, and where they end."""
    known = attributor.calibration
    calibration = json.dumps(None if known is None else known.to_dict(), sort_keys=True)
    looked = ("rule", "resize", "tiles", "min_luma_std", "maps", "map_windows", "evidence", "stability")
    keys = (*looked, "batch_size", "part_size", "shard")
    ends = inventory.ends(config["part_size"])
    return {
        "network": attributor.digest,
        "calibration": hashlib.sha256(calibration.encode()).hexdigest(),
        "classes": list(attributor.classes),
        "views": list(resolve_views(config["views"])),
        "claims": manifest.reader() or "without C2PA",
        **{key: config[key] for key in keys},
        "images": inventory.digest,
        "parts": len(ends),
        "ends": hashlib.sha256(json.dumps(ends).encode()).hexdigest(),
    }


def _reject(part: parts.Part, entries: Sequence[Listed]) -> None:
    for entry in entries:
        line = part.reject(entry, entry.reason)
        if entry.kind == REJECTED:
            console.emit(line)


def _emit_again(part: Path) -> None:
    """Prints what an earlier run has found, where results are printed."""
    if console.emits():
        for line in parts.records(part):
            console.emit(line)


def _tell(
    attributor: Attributor,
    config: Mapping[str, Any],
    workdir: Path,
    done: Sequence[Path],
    shown: Sequence[tuple[str, Attribution]],
) -> int:
    """Tells the results; returns how many files could not be used."""
    counts, refused = parts.counts(done)
    if counts.total() > FEW or counts.total() > len(shown):
        print(summary.counts_table(counts, attributor.classes), end="\n\n")
    elif shown:
        print(summary.verdict_table(shown), end="\n\n")
    if counts:
        print(*summary.closing_lines(attributor, config), *summary.claims_lines(parts.told(done)), sep="\n")
    alone = not config["shard"]
    place = workdir / (parts.REFUSED if alone else parts.FOLDER)
    print(*summary.refused_lines(parts.refusals(done, SOME), refused, place), sep="\n", end="\n" if refused else "")
    if alone:
        print(f"predictions: {workdir / PREDICTIONS} and {workdir / LINES}")
    else:
        print(f"parts of shard {config['shard']}: {workdir / parts.FOLDER}; configs/merge.py joins those of all shards")
    if config["maps"]:
        print(f"maps: {config['maps']}")
    return refused


def make_judge(
    attributor: Attributor,
    config: Mapping[str, Any],
    inventory: Inventory,
    evidence: "EvidenceFolder | None" = None,
) -> Callable[[Sequence[Listed], Bar], Iterator[Judged]]:
    """Returns a function that yields the verdicts on some images in pieces, in order, and moves a bar.

    Args:
        attributor: names the sources.
        config: the job's.
        inventory: what there is in all.
        evidence: writes a page on each image; None for no pages.
    """
    tiling = _tiling(config)
    size = _pictures_at_once(config, attributor.resolution, tiling)
    at_once = not config["shard"] and inventory.images <= min(size, config["part_size"])
    verdicts_on = compiles(attributor.judge)

    def classify(piece: Sequence[Listed], seen: Decoded) -> Judged:
        looked = seen.looked
        # few tiles should not wait for many; but each size is compiled, and rounds in its own way
        batch_size = _batch_size(looked, config["batch_size"]) if at_once else config["batch_size"]
        attributions = verdicts_on(looked.looks, config["views"], config["rule"], batch_size)
        verdicts = []
        for position, look, verdict in zip(looked.kept.tolist(), looked.looks, attributions, strict=True):
            image, file = piece[position], seen.files[position]
            extra: dict[str, Any] = {"uri": image.uri}
            several, found, stands = look.counted > 1, None, None
            if look.sweep is not None and (config["maps"] or several):
                found = map_sources(attributor, look.sweep, config["views"], config["rule"], config["batch_size"])
                if config["maps"]:
                    place = Path(config["maps"])
                    written = map_files.write(place, image.number, image.name, found, look.sweep.thumbnail)
                    extra["map"] = str(written)
            if position in seen.forms:
                votes = config["views"], config["rule"], config["batch_size"]
                stands = stability.judged(attributor, seen.forms[position], *votes)
                extra["stability"] = None if stands is None else stands.record()
            if evidence is not None and isinstance(file, Identified):
                extra |= evidence.write(image.number, file, look, verdict, found if several else None, stands)
            verdicts.append((image, verdict, extra))
        return Judged(verdicts, [(piece[position], reason) for position, reason in looked.refused.items()])

    def judge(entries: Sequence[Listed], bar: Bar) -> Iterator[Judged]:
        pieces = [entries[start : start + size] for start in range(0, len(entries), size)]
        opened = _identified if evidence is not None else _file
        with contextlib.closing(_decoded(pieces, opened, attributor.resolution, config, tiling)) as decoded:
            for piece, seen in zip(pieces, decoded, strict=True):
                yield classify(piece, seen)
                bar.update(len(piece))

    return judge


def _file(entry: Listed) -> ImageFile:
    return entry.file


def _identified(entry: Listed) -> ImageFile:
    """The file of an entry, which will know what was read of it."""
    return Identified(entry.file, entry.path, str(entry.inside[1]) if entry.inside else entry.path)


def _decoded(
    pieces: Sequence[Sequence[Listed]],
    opened: Callable[[Listed], ImageFile],
    resolution: int,
    config: Mapping[str, Any],
    tiling: Tiling,
) -> Generator[Decoded, None, None]:
    """Yields the files of each piece and what is to be seen in them; the next piece is decoded meanwhile."""
    stop, resize = threading.Event(), config["resize"]

    def decode(piece: Sequence[Listed]) -> Decoded:
        files, forms = [opened(entry) for entry in piece], dict[int, Mapping[str, Look]]()

        def keep_forms(position: int, picture: Picture) -> Picture:
            with contextlib.suppress(Refused):  # what is looked at next says why
                forms[position] = stability.forms(picture, resolution, resize, tiling)
            return picture

        change = keep_forms if config["stability"] else unchanged
        return Decoded(files, decode_and_look(files, resolution, resize, tiling, change=change, stop=stop), forms)

    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as ahead, ending(stop):
        coming: Future[Decoded] | None = None
        for number, piece in enumerate(pieces):
            decoded = result(coming or ahead.submit(decode, piece))
            coming = ahead.submit(decode, pieces[number + 1]) if number + 1 < len(pieces) else None
            yield decoded


def _tiling(config: Mapping[str, Any]) -> Tiling:
    windows = config["map_windows"] if config["maps"] or config["evidence"] else 0
    return Tiling(config["tiles"], config["min_luma_std"], windows)


def _pictures_at_once(config: Mapping[str, Any], resolution: int, tiling: Tiling) -> int:
    """How many pictures are decoded at a time."""
    if config["stability"]:  # of each as many forms are kept
        return together(PICTURES_WITH_MAPS, resolution, tiling._replace(tiles=stability.FORMS * tiling.tiles))
    if tiling.windows:
        return PICTURES_WITH_MAPS
    return together(BATCHES_AHEAD * config["batch_size"], resolution, tiling)


def _batch_size(looked: Looked, most: int) -> int:
    """What a call takes; only a handful of tiles has its own size, so that the verdicts of shards are the same."""
    return most if sum(len(look.tiles) for look in looked.looks) > FEW_TILES else min(most, FEW_TILES)
