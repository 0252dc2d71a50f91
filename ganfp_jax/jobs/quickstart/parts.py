"""A study: its stages, its images, its tests, its results and its report, wherever its networks come from.

A test set of crops of photographs and of as many images of every generator is named by attribution networks and by
baselines. `scratch` trains all of them, `shipped` takes them as they come.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from ganfp_jax.attribution import pictures
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import Evaluation, evaluate, per_photograph
from ganfp_jax.attribution.pictures import wrong_images
from ganfp_jax.attribution.predictions import image_rows, write_outputs
from ganfp_jax.baselines import FittedBaseline, beside
from ganfp_jax.baselines.images import FolderImages
from ganfp_jax.data import labelled, manifests, perturb
from ganfp_jax.data.decode import encode_png
from ganfp_jax.generation.folders import write_generated, write_photographs
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.report import open_set_tables
from ganfp_jax.report.grid import image_grid
from ganfp_jax.report.leak import leak_box, leak_of
from ganfp_jax.report.pages import write_page
from ganfp_jax.report.table import ImageRow, per_image_table, summary_table
from ganfp_jax.run.provenance import provenance
from ganfp_jax.run.run_folder import write_json

FEW = 10  # images a source, up to which the results list every image


class Stage(NamedTuple):
    """A part of a study.

    A stage that begins anew after a stop (`resumes` False) has the time of its last run.
    """

    name: str
    do: Callable[[], None]
    resumes: bool = True


@dataclasses.dataclass(frozen=True)
class Test:
    """One test of one network: `count` images a source, at `indices` of the test images."""

    network: str
    views: str
    perturbation: str
    count: int
    indices: Int[np.ndarray, " n"]

    @property
    def condition(self) -> str:
        """The report's name of the perturbation."""
        return perturb.label(self.perturbation)


@dataclasses.dataclass
class Study:
    """A study in its run folder, and what only those know who made it: `scratch` or `shipped`."""

    config: dict[str, Any]
    workdir: Path
    stages: list[Stage] = dataclasses.field(default_factory=list)
    """The work before the results."""
    attributor: Callable[[], Attributor] = dataclasses.field(init=False)
    """The network of the test that the report begins with."""
    facts: Callable[[], dict[str, Any]] = dataclasses.field(init=False)
    """`main` (network, condition, views, rule and count of that test), `steps` of every training, `method` and
    `immunised` (how the immunised baselines were, as a report has it)."""
    evaluations: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """One row a test, as a `report.results.EvaluationPage` has them; the stages append to it."""
    baselines: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """The rows of the baselines."""
    unknown: dict[str, Any] | None = None
    """The report's part on images of generators that the network does not know (`report.results.Unknown`), if any."""

    @property
    def images(self) -> Path:
        """The labelled image set: test/, and train/ where networks are trained here."""
        return self.workdir / "images"

    def seconds(self) -> dict[str, float]:
        """Returns the seconds of each stage so far, over all runs of this study."""
        path = self.workdir / "stages.json"
        return json.loads(path.read_text()) if path.exists() else {}


def carry_out(study: Study) -> None:
    """Does every stage, then writes and prints the results."""
    fingerprints: dict[str, Any] = {}
    last = Stage("take fingerprints", lambda: fingerprints.update(take_fingerprints(study)), resumes=False)
    stages = [*study.stages, last]
    for number, stage in enumerate(stages, 1):
        print(f"== stage {number} of {len(stages)}: {stage.name}", flush=True)
        clock = time.perf_counter()
        try:
            stage.do()
        finally:
            spent = study.seconds()
            spent[stage.name] = (spent.get(stage.name, 0.0) if stage.resumes else 0.0) + time.perf_counter() - clock
            write_json(study.workdir / "stages.json", spent)
    publish(study, fingerprints)


# --- Images


def made_already(study: Study, split: str) -> dict[str, Any]:
    """Returns the sources of a split, each with its origin."""
    return (manifests.read_manifest(study.images / split) or {"sources": {}})["sources"]


def write_split(
    study: Study,
    split: str,
    generators: Mapping[str, Callable[[], Sampler]],
    done: Collection[str],
    *,
    photographs: str,
    count: int,
    seed: int,
    batch_size: int,
) -> None:
    """Writes a split's sources that are not `done`: crops of the photographs, and as many images of every generator.

    `generators` has what loads the generator of each source; `photographs` is a side of the photographs' split, as
    `data.sources.photos` takes it.
    """
    root, config = study.images / split, study.config
    if "real" not in done:
        photos = config["photos"] | {"split": photographs, "seed": seed}
        write_photographs(root, source_name="real", count=count, resolution=config["resolution"], photos=photos)
    for source, load in generators.items():
        if source not in done:
            write_generated(load(), root, count=count, seed=seed, batch_size=batch_size)


def first_of_each(folder: labelled.LabelledFolder, count: int) -> Int[np.ndarray, " n"]:
    """Returns the indices of the first `count` images of every source, in the order in which they were made."""
    made = np.array([int(Path(name).stem.rpartition("_")[2]) for name in folder.names])
    order = np.lexsort((made, folder.labels))
    return np.concatenate([order[folder.labels[order] == k][:count] for k in range(len(folder.classes))])


# --- Tests


def carry_out_test(
    attributor: Attributor, folder: labelled.LabelledFolder, test: Test, target: Path, *, rule: str, batch_size: int
) -> Evaluation:
    """Asks the network about the images of a test; the answers are written to `target`."""
    images = labelled.Images(folder, attributor.resolution, perturbation=test.perturbation).part(test.indices)
    evaluation = evaluate(attributor, images, views=test.views, rule=rule, batch_size=batch_size)
    write_outputs(target, evaluation)
    return evaluation


def evaluation_row(test: Test, evaluation: Evaluation, folder: labelled.LabelledFolder) -> dict[str, Any]:
    """Returns one row of the report's evaluations."""
    few = len(evaluation.names) <= FEW * len(folder.classes)
    return {
        "network": test.network,
        "condition": test.condition,
        "count": test.count,
        "views_name": test.views,
        "metrics": evaluation.metrics,
        "per_photograph": per_photograph(evaluation, folder),
        "wrong": wrong_images(evaluation),
        "rows": [row._asdict() for row in image_rows(evaluation)] if few else [],
    }


def baseline_rows(
    fitted: Mapping[str, FittedBaseline],
    images: FolderImages,
    perturbations: Sequence[str],
    classes: Sequence[str],
    count: int,
) -> list[dict[str, Any]]:
    """Returns the rows of baselines on a test with `count` images a source."""
    return [
        {"name": row["name"], "condition": row["condition"], "count": count, "metrics": row["metrics"]}
        for row in beside.measure(fitted, [images], perturbations, classes)
    ]


# --- Results


def take_fingerprints(study: Study) -> dict[str, Any]:
    """Returns the pictures of the page's last part, for the network and the test of its headline."""
    attributor, row = study.attributor(), main_row(study.evaluations, study.facts()["main"])
    test = labelled.open_labelled(study.images, split="test", classes=attributor.classes)
    images = labelled.Images(test, attributor.resolution, seed=study.config["seed"])
    return pictures.fingerprint_parts(attributor, images, row["metrics"])


def publish(study: Study, fingerprints: Mapping[str, Any]) -> None:
    """Writes results.json and report/index.html, and prints the verdicts of small tests and a table of all."""
    attributor, facts = study.attributor(), study.facts()
    classes, wrong = attributor.classes, main_row(study.evaluations, facts["main"])["wrong"]
    splits = labelled.splits(study.images)
    folders = {split: labelled.open_labelled(study.images, split=split, classes=classes) for split in splits}
    results: dict[str, Any] = {
        "title": "Which generator made this image?",
        "classes": list(classes),
        "counts": {"train": {}} | {split: image_counts(folder) for split, folder in folders.items()},
        "photographs": {"train": []} | {split: photographs(folder) for split, folder in folders.items()},
        "main": facts["main"],
        "evaluations": study.evaluations,
        "baselines": study.baselines,
        "unknown": study.unknown and study.unknown["metrics"],
        "samples": sample_grids(study, facts["steps"], folders["test"]),
        "steps": facts["steps"],
        "method": facts["method"],
        "file": "results.json",
        "immunised": facts["immunised"],
        "leak": leak_of(study.baselines),
        "command": study.config["command"],
        **provenance(),
        "config": study.config,
        "wrong": [row | {"picture": str(study.images / "test" / row["name"])} for row in wrong],
        "stages": [{"name": name, "seconds": seconds} for name, seconds in study.seconds().items()],
    }
    write_json(study.workdir / "results.json", results)
    report = study.workdir / "report" / "index.html"
    wrong = pictures.with_views(wrong, labelled.Images(folders["test"], attributor.resolution))
    shown = {"wrong": wrong, "fingerprints": fingerprints, "unknown": study.unknown}
    write_page("evaluation", results | shown, report)
    print_results(results)
    print(f"report: {report}")


def print_results(results: Mapping[str, Any]) -> None:
    """Prints the leak, the verdicts of the small tests of the headline's kind, and tables of all tests."""
    main = results["main"]
    if results["leak"]:
        print(leak_box(results["leak"]) + "\n")
    for row in results["evaluations"]:
        if _is_of(row, main) and row["rows"]:
            print(f"{row['network']}, {main['rule']} of the views {main['views']}:\n")
            print(per_image_table(ImageRow(**image) for image in row["rows"]) + "\n")
    print(summary_table(results))
    if results["unknown"]:
        print(f"\n{open_set_tables.text(results['unknown'])}\n")


def main_row(evaluations: Sequence[dict[str, Any]], main: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the row of the test in the report's headline."""
    (row,) = (row for row in evaluations if _is_of(row, main) and row["count"] == main["count"])
    return row


def _is_of(row: Mapping[str, Any], main: Mapping[str, Any]) -> bool:
    """Whether an evaluation is of the headline's network, condition and views."""
    return (row["network"], row["condition"], row["views_name"]) == (main["network"], main["condition"], main["views"])


def sample_grids(study: Study, steps: Mapping[str, int], test: labelled.LabelledFolder) -> dict[str, dict[str, str]]:
    """Makes a picture of some test images of every source."""
    grids, rows = {}, []
    for label, source in enumerate(test.classes):
        indices = first_of_each(test, 48)
        indices = indices[test.labels[indices] == label]
        images = labelled.Images(test, study.config["resolution"]).part(indices).decode().images
        path = study.workdir / "samples" / f"{source}.png"
        path.parent.mkdir(exist_ok=True)
        encode_png(path, image_grid(images, columns=12, scale=2))
        rows.append(images[:12])
        made = f"after {steps[source]:,} training steps" if source in steps else "crops of the test photographs"
        grids[source] = {"picture": str(path), "caption": f"the first {len(images)} test images, {made}"}
    encode_png(path.with_name("sources.png"), image_grid(np.concatenate(rows), columns=12, scale=2))
    return grids


def image_counts(folder: labelled.LabelledFolder) -> dict[str, int]:
    """Counts the images of every source."""
    return {name: int((folder.labels == k).sum()) for k, name in enumerate(folder.classes)}


def photographs(folder: labelled.LabelledFolder) -> list[str]:
    """Returns the photographs of the real images, by file name: `real/chelsea_00012.png` -> `chelsea`."""
    real = folder.classes.index("real")
    names = [name for name, k in zip(folder.names, folder.labels, strict=True) if k == real]
    return sorted({Path(name).stem.rpartition("_")[0] for name in names})
