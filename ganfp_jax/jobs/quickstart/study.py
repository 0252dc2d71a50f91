"""What a study is made of and what is told of it: its folder, its clock, its pictures, its results and its report."""

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from ganfp_jax.attribution import pictures as page_pictures
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.data import labelled
from ganfp_jax.data.decode import encode_png
from ganfp_jax.report.grid import image_grid
from ganfp_jax.report.leak import leak_box, leak_of
from ganfp_jax.report.pages import write_page
from ganfp_jax.report.table import ImageRow, per_image_table, summary_table
from ganfp_jax.run.provenance import provenance
from ganfp_jax.run.run_folder import write_json
from ganfp_jax.training.stored import saved_steps


@dataclasses.dataclass
class Study:
    """A study or quickstart: its config, where it writes, and how long each stage took (kept across restarts)."""

    config: dict[str, Any]
    workdir: Path
    num_stages: int
    _begun: int = 0

    @property
    def images(self) -> Path:
        """The labelled image set, with train/ and test/."""
        return self.workdir / "images"

    @property
    def photos(self) -> dict[str, Any]:
        """How crops are taken from the photographs."""
        return self.config["photos"]

    @contextlib.contextmanager
    def stage(self, name: str, *, resumes: bool = True) -> Iterator[None]:
        """Says that a stage begins and adds the time it takes to `stages.json`.

        One that does not go on where it was, but begins anew (`resumes` False), has the time of its last run.
        """
        self._begun += 1
        print(f"== stage {self._begun} of {self.num_stages}: {name}", flush=True)
        clock = time.perf_counter()
        try:
            yield
        finally:
            spent = self.stages()
            spent[name] = (spent.get(name, 0.0) if resumes else 0.0) + time.perf_counter() - clock
            write_json(self.workdir / "stages.json", spent)

    def stages(self) -> dict[str, float]:
        """Seconds spent in each stage so far, over all runs of this study."""
        path = self.workdir / "stages.json"
        return json.loads(path.read_text()) if path.exists() else {}


def first_of_each(folder: labelled.LabelledFolder, count: int) -> Int[np.ndarray, " n"]:
    """Indices of the first `count` images of every source, in the order in which they were made."""
    made = np.array([int(Path(name).stem.rpartition("_")[2]) for name in folder.names])
    order = np.lexsort((made, folder.labels))
    return np.concatenate([order[folder.labels[order] == k][:count] for k in range(len(folder.classes))])


def photograph(name: str) -> str:
    """The photograph that a real image is a crop of: `real/chelsea_00012.png` -> `chelsea`."""
    return Path(name).stem.rpartition("_")[0]


def training_steps(study: Study) -> dict[str, int]:
    """Steps that every network was trained for, by source name or network."""
    folders = {study.config[name]["source_name"]: name for name in study.config["generators"]}
    folders |= {f"VisNet ({network})": f"visnet-{network}" for network in study.config["networks"]}
    return {what: saved_steps(study.workdir / folder)[-1] for what, folder in folders.items()}


def sample_grids(
    study: Study, steps: dict[str, int], classes: Sequence[str] | None = None
) -> dict[str, dict[str, str]]:
    """A picture of some test images of every source, in the order of `classes`, else of the manifest."""
    test = labelled.open_labelled(study.images, split="test", classes=classes)
    pictures, rows = {}, []
    for label, source in enumerate(test.classes):
        indices = first_of_each(test, 48)
        indices = indices[test.labels[indices] == label]
        images = labelled.decode_all(test, study.config["resolution"], indices=indices).images
        path = study.workdir / "samples" / f"{source}.png"
        path.parent.mkdir(exist_ok=True)
        encode_png(path, image_grid(images, columns=12, scale=2))
        rows.append(images[:12])
        made = f"after {steps[source]:,} training steps" if source in steps else "crops of the test photographs"
        pictures[source] = {"picture": str(path), "caption": f"the first {len(images)} test images, {made}"}
    encode_png(path.with_name("sources.png"), image_grid(np.concatenate(rows), columns=12, scale=2))
    return pictures


def write_results(study: Study, evaluations: Sequence[dict[str, Any]], baselines: list[dict[str, Any]]) -> None:
    """Writes results.json and the report, and prints the tables."""
    config, steps = study.config, training_steps(study)
    train, test = (labelled.open_labelled(study.images, split=split) for split in ("train", "test"))
    main = {
        "network": config["networks"][-1],
        "condition": "clean",
        "views": config["view_sets"][-1],
        "rule": config["rule"],
        "count": max(config["test_counts"]),
    }
    publish(
        study,
        {
            "title": "Which generator made this image?",
            "classes": list(test.classes),
            "counts": {"train": image_counts(train), "test": image_counts(test)},
            "photographs": {"train": photographs(train), "test": photographs(test)},
            "main": main,
            "evaluations": evaluations,
            "baselines": baselines,
            "samples": sample_grids(study, steps),
            "steps": steps,
            "method": (
                f"Crops of {config['resolution']}x{config['resolution']} pixels were taken from the photographs after "
                f"reducing them by {config['photos']['reduction']:g}; flat ones were refused. The generators saw crops "
                "of the training photographs only; their test images come from other seeds than their training images."
                + _immunisation(config["attribution"]["immunise"])
                + " Each network is named after the views that it was trained on."
            ),
        },
        Attributor.load(study.workdir / f"visnet-{main['network']}"),
    )


def publish(study: Study, results: dict[str, Any], attributor: Attributor) -> None:
    """Writes results.json and report/index.html, and prints the verdicts of small tests and a table of all.

    Args:
        study: what was done.
        results: a `report.results.EvaluationPage`, but for what the study itself knows: command, config, stages,
            provenance, and the wrong images of the evaluation that `main` names.
        attributor: the network of that evaluation; its fingerprints are taken for the page.
    """
    main, evaluations = results["main"], results["evaluations"]
    (headline,) = (row for row in evaluations if _is_of(row, main) and row["count"] == main["count"])
    folder = labelled.open_labelled(study.images, split="test", classes=attributor.classes)
    with study.stage("take fingerprints", resumes=False):
        fingerprints = page_pictures.fingerprint_parts(
            attributor, folder, folder.names, headline["metrics"], seed=study.config["seed"]
        )
    results = results | {
        "file": "results.json",
        "immunised": "as the networks",
        "leak": leak_of(results["baselines"]),
        "command": study.config["command"],
        **provenance(),
        "config": study.config,
        "wrong": [row | {"picture": str(study.images / "test" / row["name"])} for row in headline["wrong"]],
        "stages": [{"name": name, "seconds": seconds} for name, seconds in study.stages().items()],
    }
    write_json(study.workdir / "results.json", results)
    report = study.workdir / "report" / "index.html"
    wrong = page_pictures.with_views(headline["wrong"], folder, resolution=attributor.resolution)
    write_page("evaluation", results | {"wrong": wrong, "fingerprints": fingerprints}, report)
    if results["leak"]:
        print(leak_box(results["leak"]) + "\n")
    for row in evaluations:
        if _is_of(row, main) and row["rows"]:
            print(f"{row['network']}, {main['rule']} of the views {main['views']}:\n")
            print(per_image_table(ImageRow(**image) for image in row["rows"]) + "\n")
    print(summary_table(results))
    print(f"report: {report}")


def _is_of(row: dict[str, Any], main: dict[str, Any]) -> bool:
    """Whether an evaluation is of the headline's network, condition and views."""
    return (row["network"], row["condition"], row["views_name"]) == (main["network"], main["condition"], main["views"])


def image_counts(folder: labelled.LabelledFolder) -> dict[str, int]:
    """Images of every source."""
    return {name: int((folder.labels == k).sum()) for k, name in enumerate(folder.classes)}


def photographs(folder: labelled.LabelledFolder) -> list[str]:
    """The photographs that the real images are crops of, by name."""
    real = folder.classes.index("real")
    return sorted({photograph(name) for name, k in zip(folder.names, folder.labels, strict=True) if k == real})


def _immunisation(immunise: Mapping[str, Any]) -> str:
    if not immunise["share"]:
        return ""
    perturbations = ", ".join(immunise["perturbations"])
    return (
        f" Of the networks' training images {immunise['share']:.0%} were perturbed, anew in every batch "
        f"({perturbations}); none of the generators'."
    )
