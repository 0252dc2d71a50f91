"""The job `baselines`: a labelled folder -> the accuracy of each cheap method, by number of training images."""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.baselines import beside
from ganfp_jax.baselines.images import FolderImages, first_at_random
from ganfp_jax.data import labelled, perturb, reports
from ganfp_jax.metrics.statistics import accuracy_block
from ganfp_jax.report import wording
from ganfp_jax.report.baselines_figure import draw_low_data
from ganfp_jax.report.figures import png
from ganfp_jax.report.leak import leak_box, leak_of
from ganfp_jax.report.table import csv_text, text_table
from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress
from ganfp_jax.run.run_folder import write_json

COLUMNS = (
    *("method", "condition", "images_per_source", "correct", "total", "accuracy", "ci95_low", "ci95_high"),
    *("seconds_fit", "seconds_predict"),
)
NETWORK = "network"  # the name of its row in the table


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `baselines`."""
    perturbations, seed = config["perturb"], config["seed"]
    beside.check(config)
    methods = beside.methods_of(config["methods"], config["immunised_methods"])
    for perturbation in perturbations:
        perturb.check_perturbation(perturbation)
    attributor = Attributor.load(config["checkpoint"]) if config["checkpoint"] else None
    resolution = config["resolution"]
    if attributor and attributor.resolution != resolution:
        raise UserError(
            f"config.resolution is {resolution}, but the network of config.checkpoint takes images of side "
            f"{attributor.resolution}; give the same"
        )
    root, layout = config["data"]["root"], config["data"]["layout"]
    known = attributor.classes if attributor else None
    train_folder = labelled.open_labelled(root, split="train", classes=known, layout=layout)
    classes = train_folder.classes
    test_folder = labelled.open_labelled(root, split="test", classes=classes, layout=layout)
    if train_folder.root == test_folder.root:
        raise UserError(f"{train_folder.root} is not split; give a config.data.root with train/ and test/ inside")
    train, test = (
        FolderImages.read(labelled.Images(folder, resolution, config["data"]["resize"]))
        for folder in (train_folder, test_folder)
    )
    reports.report_rejected([*train.rejected, *train_folder.left_out, *test.rejected, *test_folder.left_out], workdir)
    per_source = np.bincount(train.labels, minlength=len(classes))
    if missing := [name for name, number in zip(classes, per_source, strict=True) if not number]:
        raise UserError(
            f"{train_folder.root} has no usable image of {', '.join(missing)}; see data.resize, rejected.csv"
        )
    present = int(per_source.min())
    counts = usable_counts(config["train_counts"], present)
    rows = []
    _clear_of_others(workdir / "fits", config)
    with progress(len(methods) * len(counts), "baselines", "fit") as bar:
        for called, name, immunised in methods:
            for count in counts:
                path = workdir / "fits" / f"{called}-{count}.json"  # a stopped run may have left it
                if not path.exists():
                    few = train.part(first_at_random(train.labels, count, seed))
                    few = few.immunised(seed, config["immunise"]) if immunised else few
                    measured = measure(name, count, few, test, classes, perturbations, seed)
                    write_json(path, [row | {"method": called} for row in measured])
                rows += json.loads(path.read_text())
                bar.update(1)
    if attributor:
        rows += measure_network(attributor, test, perturbations, seed)
    write_outputs(workdir, {"classes": list(classes), "images_per_source": counts, "seed": seed, "rows": rows})


def _clear_of_others(fits: Path, config: Mapping[str, Any]) -> None:
    """Removes the fits of a run with another config."""
    begun_with, config = fits / "config.json", json.loads(json.dumps(config))
    if not begun_with.is_file() or json.loads(begun_with.read_text()) != config:
        shutil.rmtree(fits, ignore_errors=True)
        fits.mkdir(parents=True)
        write_json(begun_with, config)


def usable_counts(wanted: Sequence[int], present: int) -> list[int]:
    """Returns the numbers of training images a source, in ascending order; too large ones are cut and reported.

    Raises:
        UserError: there is no number, or one is below 1.
    """
    if not wanted or min(wanted) < 1:
        raise UserError(f"config.train_counts is {tuple(wanted)}; give one number of images or more, each 1 or more")
    for count in wanted:
        if count > present:
            print(f"config.train_counts asks for {count:,} images a source; there are {present:,}, which are taken")
    return sorted({min(count, present) for count in wanted})


def measure(
    name: str,
    count: int,
    train: FolderImages,
    test: FolderImages,
    classes: Sequence[str],
    perturbations: Sequence[str],
    seed: int,
) -> list[dict[str, Any]]:
    """Fits one baseline on `count` training images a source; returns a row of results for each condition."""
    clock = time.perf_counter()
    fitted = train.fit(name, classes, seed)
    spent, rows = time.perf_counter() - clock, []
    for answer in beside.ask(fitted, test, perturbations, seed):
        rows.append({
            "method": name,
            "condition": answer.condition,
            "images_per_source": count,
            **accuracy_block(test.labels, answer.predicted, classes),
            "settings": dict(fitted.model.settings),
            "seconds_fit": spent,
            "seconds_predict": answer.seconds,
        })  # fmt: skip
    return rows


def measure_network(
    attributor: Attributor, test: FolderImages, perturbations: Sequence[str], seed: int
) -> list[dict[str, Any]]:
    """Measures the single view of the network on the same images; its number of training images is unknown here."""
    attributor.vote(test.images[:1], "identity")  # compile before the clock runs
    rows = []
    with progress(len(perturbations), "network", "condition") as bar:
        for perturbation in perturbations:
            images = perturb.perturb(test.images, perturbation, seed, test.numbers)
            clock = time.perf_counter()
            predicted = np.asarray(attributor.vote(images, "identity").predicted)
            rows.append({
                "method": NETWORK,
                "condition": perturb.label(perturbation),
                "images_per_source": None,
                **accuracy_block(test.labels, predicted, attributor.classes),
                "settings": {},
                "seconds_fit": None,
                "seconds_predict": time.perf_counter() - clock,
            })  # fmt: skip
            bar.update(1)
    return rows


def write_outputs(workdir: Path, results: Mapping[str, Any]) -> None:
    """Writes low_data.png, baselines.csv and, last, baselines.json, and prints the tables."""
    atomic.write_bytes(workdir / "low_data.png", png(draw_low_data, results))
    atomic.write_bytes(workdir / "baselines.csv", table_csv(results["rows"]).encode())
    write_json(workdir / "baselines.json", dict(results))
    if leak := leak_of([{"name": row["method"], "metrics": row} for row in results["rows"]]):
        print(leak_box(leak) + "\n")
    for condition in dict.fromkeys(row["condition"] for row in results["rows"]):
        print(f"{wording.condition_label(condition)} test images\n")
        print(table(results, condition) + "\n")
    print(f"table: {workdir / 'baselines.csv'}  figure: {workdir / 'low_data.png'}")


def table_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns the text of baselines.csv: one row for each method, number of training images and condition."""
    written = []
    for row in rows:
        low, high = (f"{bound:.6f}" for bound in row["ci95"])
        seconds = {key: "" if row[key] is None else f"{row[key]:.3f}" for key in ("seconds_fit", "seconds_predict")}
        written.append({**row, "accuracy": f"{row['accuracy']:.6f}", "ci95_low": low, "ci95_high": high, **seconds})
    return csv_text(COLUMNS, written)


def table(results: Mapping[str, Any], condition: str) -> str:
    """Formats one line a method: its accuracy by number of training images, and interval and times of the last."""
    counts, rows = results["images_per_source"], [r for r in results["rows"] if r["condition"] == condition]
    lines = []
    for name in dict.fromkeys(row["method"] for row in rows):
        by_count = {row["images_per_source"]: row for row in rows if row["method"] == name}
        last = by_count.get(counts[-1]) or by_count[None]
        few = [wording.percent(by_count[count]["accuracy"]) if count in by_count else "" for count in counts[:-1]]
        seconds = ["" if last[key] is None else f"{last[key]:.1f}" for key in ("seconds_fit", "seconds_predict")]
        numbers = (wording.percent(last["accuracy"]), wording.interval(last["ci95"]), f"{last['total']:,}", *seconds)
        lines.append((wording.baseline_label(name), *few, *numbers))
    heads = ["method", *(f"{count:,}" for count in counts), "95%", "n", "s to fit", "s to answer"]
    return text_table(heads, lines, align="<" + ">" * (len(heads) - 1))
