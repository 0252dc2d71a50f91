"""The job `audit`: a labelled folder -> facts that give its classes away without a fingerprint, and duplicates."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ganfp_jax.audit import duplicates, equalise
from ganfp_jax.audit.sample import list_files, read_sample
from ganfp_jax.audit.verdict import Finding, judge, overall
from ganfp_jax.data import labelled, reports
from ganfp_jax.data.cells import cell
from ganfp_jax.data.decode import ImageFile, decode_image, png_bytes
from ganfp_jax.data.preprocess import fit
from ganfp_jax.report import wording
from ganfp_jax.report.audit_figure import draw_audit
from ganfp_jax.report.figures import png
from ganfp_jax.report.grid import image_grid
from ganfp_jax.report.table import csv_text, text_table
from ganfp_jax.run import atomic
from ganfp_jax.run.config_keys import require
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import write_json

COLUMNS = (*("kind", "verdict", "total", "accuracy", "ci95_low", "ci95_high", "chance", "p", "p_holm", "says"),)
SHOWN_PAIRS = 32  # pairs in duplicates.png
SHOWN_SIDE = 64  # pixels of an image there


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `audit`."""
    root, copy = config["data"]["root"], config["equalise"]
    check(config)
    require(config, "data.root")
    folders = labelled.open_splits(root, config["data"]["layout"])
    classes = next(iter(folders.values())).classes
    files = list_files(folders)
    facts, sample, rejected = read_sample(
        files, len(classes), root=root, **{key: config[key] for key in ("files_per_source", "folds", "seed")}
    )
    findings = judge(
        facts,
        np.array([file.label for file in sample]),
        classes,
        [file.origin for file in sample],
        **{key: config[key] for key in ("folds", "alpha", "min_gain", "seed")},
    )
    prints = duplicates.take_prints([file.path for file in files])
    left_out = [
        (f"{split}/{name}".lstrip("/"), why) for split, folder in folders.items() for name, why in folder.left_out
    ]
    refused = dict([*rejected, *((files[place].name, why) for place, why in prints.refused)])
    reports.report_rejected([*refused.items(), *left_out], workdir)
    usable = [files[place] for place in prints.read]
    pairs = duplicates.find(
        prints,
        [file.name for file in usable],
        [file.split for file in usable],
        [classes[file.label] for file in usable],
        config["duplicates"]["distance"],
    )
    results = {
        "root": str(root),
        "classes": list(classes),
        "files": len(files),
        "files_tested": len(sample),
        "verdict": overall(findings),
        "kinds": [row(finding) for finding in findings],
        "duplicates": {"compared": len(usable), "distance": config["duplicates"]["distance"]} | count_pairs(pairs),
        "shared_photographs": duplicates.shared_photographs(folders),
    }
    write_outputs(workdir, results, pairs, {file.name: file.path for file in usable})
    print(summary(results))
    print(f"table: {workdir / 'audit.csv'}  figure: {workdir / 'audit.png'}  pairs: {workdir / 'duplicates.csv'}")
    if copy:
        settings = config["equalised"]
        stretch = settings["stretch"] == "all" or (
            settings["stretch"] == "auto" and any(f.kind == "stretch" and f.verdict == "leak" for f in findings)
        )
        for line in equalise.write(folders, Path(copy), seed=config["seed"], **settings | {"stretch": stretch}):
            print(line)


def check(config: Mapping[str, Any]) -> None:
    """Raises UserError for impossible settings."""
    equalise.check(config["equalise"], config["data"]["root"], **config["equalised"])
    if not 2 <= config["folds"] <= config["files_per_source"]:
        raise UserError(
            f"config.folds is {config['folds']}, config.files_per_source {config['files_per_source']}; give 2 folds or "
            "more, and at least as many files"
        )
    if not (0 < config["alpha"] < 1 and 0 <= config["min_gain"] < 1):
        raise UserError(
            f"config.alpha is {config['alpha']}, config.min_gain {config['min_gain']}; give shares between 0 and 1"
        )
    if not 0 <= config["duplicates"]["distance"] < 64:
        raise UserError(f"config.duplicates.distance is {config['duplicates']['distance']}; give 0 to 63 bits")


def row(finding: Finding) -> dict[str, Any]:
    """Returns a finding as in audit.json."""
    return {**asdict(finding), "ci95": list(finding.ci95)}


def count_pairs(pairs: Sequence[duplicates.Pair]) -> dict[str, int]:
    """Counts the images that repeat another, exactly and nearly, and those in another split or source."""
    counts = {kind: sum(pair.kind == kind for pair in pairs) for kind in ("exact", "near")}
    for kind in ("exact", "near"):
        of_kind = [pair for pair in pairs if pair.kind == kind]
        counts[f"{kind}_across_splits"] = sum(pair.across_splits for pair in of_kind)
        counts[f"{kind}_across_sources"] = sum(pair.across_sources for pair in of_kind)
    return counts


def write_outputs(
    workdir: Path, results: Mapping[str, Any], pairs: Sequence[duplicates.Pair], paths: Mapping[str, ImageFile]
) -> None:
    """Writes audit.csv, duplicates.csv, audit.png, duplicates.png if there are any and, last, audit.json."""
    rows = []
    for entry in results["kinds"]:
        low, high = (f"{bound:.6f}" for bound in entry["ci95"])
        rounded = {key: f"{entry[key]:.6f}" for key in ("accuracy", "chance")}
        rows.append(
            entry | rounded | {"ci95_low": low, "ci95_high": high} | {k: f"{entry[k]:.3g}" for k in ("p", "p_holm")}
        )
    atomic.write_bytes(workdir / "audit.csv", _csv(COLUMNS, rows))
    atomic.write_bytes(workdir / "duplicates.csv", _csv(duplicates.Pair._fields, [pair._asdict() for pair in pairs]))
    atomic.write_bytes(workdir / "audit.png", png(draw_audit, results))
    picture = workdir / "duplicates.png"
    picture.unlink(missing_ok=True)  # an earlier run on other files may have left it
    if pairs:
        worst = sorted(pairs, key=lambda pair: (not pair.across_splits, not pair.across_sources, pair.distance))
        images = [paths[name] for pair in worst[:SHOWN_PAIRS] for name in (pair.image, pair.repeats)]
        atomic.write_bytes(picture, png_bytes(image_grid(np.stack([_small(path) for path in images]), columns=8)))
    write_json(workdir / "audit.json", dict(results))


def summary(results: Mapping[str, Any]) -> str:
    """Formats the table of kinds, the verdict, duplicates and photographs for the console."""
    lines = [
        (
            entry["kind"],
            wording.percent(entry["accuracy"]),
            wording.interval(entry["ci95"]),
            wording.p_value(entry["p_holm"]),
            entry["verdict"],
            entry["says"],
        )
        for entry in results["kinds"]
    ]
    heads = ["told apart by", "accuracy", "95 %", "p (Holm)", "", "what differs most"]
    counts, photographs = results["duplicates"], results["shared_photographs"]
    chance = f"chance {wording.percent(1 / len(results['classes']))}, {results['files_tested']:,} files tested"
    twice = [
        f"{counts[kind]:,} of {counts['compared']:,} images repeat another one {words} "
        f"({counts[f'{kind}_across_splits']:,} one in the other split, "
        f"{counts[f'{kind}_across_sources']:,} one of another source)"
        for kind, words in (("exact", "pixel for pixel"), ("near", "nearly"))
    ]
    seen = f"photographs in train/ and test/: {', '.join(photographs)}" if photographs else ""
    table = text_table(heads, lines, align="<>>>")
    return "\n".join([table, "", results["verdict"], f"({chance})", *twice, *([seen] if seen else [])])


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    safe = ({key: cell(value) if isinstance(value, str) else value for key, value in row.items()} for row in rows)
    return csv_text(columns, safe).encode()


def _small(file: ImageFile) -> np.ndarray:
    return fit(decode_image(file), SHOWN_SIDE, "area")[0]
