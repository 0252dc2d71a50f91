"""The job `quickstart`: the shipped generators make a test set, the shipped network names the source of its images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganfp_jax import baselines
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import evaluate, image_rows, write_outputs
from ganfp_jax.baselines import beside
from ganfp_jax.baselines.images import CONDITIONS, FolderImages
from ganfp_jax.data import labelled, perturb
from ganfp_jax.generation.folders import write_generated, write_photographs
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.interop import shipped
from ganfp_jax.interop.weights import load
from ganfp_jax.jobs.evaluation_page import per_photograph, wrong_images
from ganfp_jax.jobs.quickstart.study import Study, first_of_each, image_counts, photographs, publish, sample_grids
from ganfp_jax.report.wording import listed
from ganfp_jax.run.errors import UserError


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `quickstart`.

    Raises:
        UserError: an unknown shipped set, or tests that the images do not allow.
    """
    for perturbation in config["conditions"]:
        perturb.check_perturbation(perturbation)
    attributor = Attributor.load(config["shipped"])
    attributor.check_vote(config["views"], config["rule"])
    check(config, attributor)
    study = Study({**config, "resolution": attributor.resolution}, workdir, num_stages=4)
    with study.stage("make the test set"):
        make_images(study)
    with study.stage("name the sources", resumes=False):
        folder = labelled.open_labelled(study.images, split="test", classes=attributor.classes)
        evaluations = [evaluate_test(study, attributor, folder, test) for test in tests(config, folder)]
    with study.stage("ask the baselines", resumes=False):
        baseline_rows = [row for test in tests(config, folder) for row in ask_baselines(study, folder, test)]
    write_results(study, attributor, folder, evaluations, baseline_rows)


def check(config: dict[str, Any], attributor: Attributor) -> None:
    """Raises UserError unless the tests can be made of `count` images of each source that the network knows."""
    if max(config["course_counts"], default=0) >= config["count"]:
        raise UserError(
            f"config.count is {config['count']}; give more than the course tests' {max(config['course_counts'])} "
            "images of a source, or other config.course_counts"
        )
    if strange := [name for name in config["course_sources"] if name not in attributor.classes]:
        raise UserError(f"config.course_sources has {strange[0]!r}; choose from {', '.join(attributor.classes)}")


def make_images(study: Study) -> None:
    """Writes images/test: crops of all embedded photographs, and as many images of every shipped generator."""
    config, root = study.config, study.images / "test"
    done = (labelled.read_manifest(root) or {"sources": {}})["sources"]
    count, seed = config["count"], config["seed"]
    if "real" not in done:
        photos = study.photos | {"split": "all", "seed": seed}
        write_photographs(root, source_name="real", count=count, resolution=config["resolution"], photos=photos)
    for name in shipped.generators(config["shipped"]):
        sampler = Sampler(name)
        if done.get(sampler.source_name, {}).get("digest") != sampler.origin["digest"]:  # or of older weights
            write_generated(sampler, root, count=count, seed=seed, batch_size=50)


def tests(config: dict[str, Any], folder: labelled.LabelledFolder) -> list[dict[str, Any]]:
    """The course project's tests, then all images under every condition: their count, perturbation, indices."""
    course = [folder.classes.index(name) for name in config["course_sources"]]
    found = []
    for count in config["course_counts"]:
        indices = first_of_each(folder, count)
        indices = indices[np.isin(folder.labels[indices], course)]
        found.append({"count": count, "perturbation": "none", "indices": indices})
    everything = first_of_each(folder, config["count"])
    return found + [
        {"count": config["count"], "perturbation": perturbation, "indices": everything}
        for perturbation in dict.fromkeys(config["conditions"])
    ]


def evaluate_test(
    study: Study, attributor: Attributor, folder: labelled.LabelledFolder, test: dict[str, Any]
) -> dict[str, Any]:
    """One row of the report's evaluations; the answers are written to evaluation/."""
    config, condition = study.config, CONDITIONS.get(test["perturbation"], test["perturbation"])
    evaluation = evaluate(
        attributor,
        folder,
        views=config["views"],
        rule=config["rule"],
        perturbation=test["perturbation"],
        batch_size=config["batch_size"],
        indices=test["indices"],
    )
    write_outputs(study.workdir / "evaluation" / f"{condition}-{len(test['indices'])}", evaluation)
    return {
        "network": config["shipped"],
        "condition": condition,
        "count": test["count"],
        "views_name": config["views"],
        "metrics": evaluation.metrics,
        "per_photograph": per_photograph(evaluation, folder),
        "wrong": wrong_images(evaluation),
        "rows": [row._asdict() for row in image_rows(evaluation)] if len(evaluation.names) <= 30 else [],
    }


def ask_baselines(study: Study, folder: labelled.LabelledFolder, test: dict[str, Any]) -> list[dict[str, Any]]:
    """What the shipped baselines, trained on the images that the network was trained on, make of the same test."""
    images = FolderImages.read(folder, study.config["resolution"], indices=test["indices"])
    fitted = baselines.read(shipped.baselines(study.config["shipped"]))
    return [
        {"name": row["name"], "condition": row["condition"], "count": test["count"], "metrics": row["metrics"]}
        for row in beside.measure(fitted, [images], [test["perturbation"]], folder.classes)
    ]


def write_results(
    study: Study,
    attributor: Attributor,
    folder: labelled.LabelledFolder,
    evaluations: Sequence[dict[str, Any]],
    baseline_rows: Sequence[dict[str, Any]],
) -> None:
    """Writes results.json and the report, and prints the tables."""
    config = study.config
    made = {name: load(name).origin for name in (config["shipped"], *shipped.generators(config["shipped"]))}
    steps = {load(name).about["source_name"]: made[name]["step"] for name in shipped.generators(config["shipped"])}
    main = next(row for row in evaluations if row["count"] == config["count"])
    course = listed(config["course_sources"])
    publish(
        study,
        {
            "title": "Which generator made this image?",
            "classes": list(folder.classes),
            "counts": {"train": {}, "test": image_counts(folder)},
            "photographs": {"train": [], "test": photographs(folder)},
            "main": {key: main[key] for key in ("network", "condition", "count")}
            | {"views": main["views_name"], "rule": config["rule"]},
            "evaluations": evaluations,
            "baselines": list(baseline_rows),
            "samples": sample_grids(study, steps, folder.classes),
            "steps": steps | {f"VisNet ({config['shipped']})": made[config["shipped"]]["step"]},
            "method": (
                f"The generators and the network are those of the shipped set {config['shipped']}, trained on other "
                "photographs; the baselines are logistic regressions on some of the images that the network saw. "
                f"The real test images are {config['resolution']}x{config['resolution']} crops of photographs that "
                f"none of them has seen, reduced by {config['photos']['reduction']:g}. The tests with "
                f"{listed([str(count) for count in config['course_counts']])} images of a source are the course "
                f"project's, of three sources: {course}."
            ),
        },
        attributor,
    )
