"""The job `study`: train generators, generate, train the attribution network, vote, report, all in one process.

Every stage leaves its result in the run folder and is skipped where that is complete, so a study that was stopped
goes on where it was.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganfp_jax import baselines
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import evaluate, image_rows, write_outputs
from ganfp_jax.attribution.voting import check_vote
from ganfp_jax.baselines import beside
from ganfp_jax.baselines.images import CONDITIONS, FolderImages
from ganfp_jax.data import labelled, perturb
from ganfp_jax.data.views import check_size, resolve_views
from ganfp_jax.generation.folders import write_generated, write_photographs
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.jobs import train as loop
from ganfp_jax.jobs.evaluation_page import per_photograph, wrong_images
from ganfp_jax.jobs.quickstart.study import Study, first_of_each, write_results
from ganfp_jax.run.run_folder import open_run, write_json


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `study`."""
    check(config)
    study = Study(config, workdir, num_stages=len(config["generators"]) + len(config["networks"]) + 4)
    for name in config["generators"]:
        with study.stage(f"train {config[name]['source_name']}"):
            train_generator(study, name)
    with study.stage("make the image set"):
        make_images(study)
    with study.stage("fit the baselines"):
        baselines = fit_baselines(study)
    for network in config["networks"]:
        with study.stage(f"train VisNet ({network})"):
            train_network(study, network)
    with study.stage("evaluate"):
        evaluations = [evaluation for network in config["networks"] for evaluation in evaluate_network(study, network)]
    write_results(study, evaluations, baselines)


def check(config: dict[str, Any]) -> None:
    """Raises UserError for what would be found wrong only after the training: how the networks are to be tested."""
    for views in config["view_sets"]:
        check_vote(views, config["rule"])
        check_size(resolve_views(views), config["resolution"])
    for perturbation in config["conditions"]:
        perturb.check_perturbation(perturbation)
    baselines.check([*config["baselines"], *config["immunised_baselines"]])


def train_generator(study: Study, name: str) -> None:
    """Trains one generator on the training photographs, in its own run folder."""
    config = study.config[name]
    photos = study.photos | {
        "split": "train",
        "count": study.config["gan_images"],
        "seed": study.config["seed"],
    }
    config = config | {
        "data": config["data"] | {"photos": photos},
        "seed": config["seed"] + study.config["seed"],
    }
    with open_run(study.workdir / name, config):
        loop.run(config, study.workdir / name)


def make_images(study: Study) -> None:
    """Writes train/ and test/: crops of the photographs, and as many images of every generator."""
    config = study.config
    for split, count, seed in (("train", config["train_count"], 1), ("test", max(config["test_counts"]), 2)):
        root = study.images / split
        done = (labelled.read_manifest(root) or {"sources": {}})["sources"]
        seed += 10 * config["seed"]  # seeds of the two splits never meet
        if "real" not in done:
            photos = study.photos | {"split": split, "seed": seed}
            write_photographs(root, source_name="real", count=count, resolution=config["resolution"], photos=photos)
        for name in config["generators"]:
            if config[name]["source_name"] not in done:
                write_generated(Sampler(study.workdir / name), root, count=count, seed=seed, batch_size=64)


def train_network(study: Study, network: str) -> None:
    """Trains the attribution network with one augmentation, in its own run folder."""
    config = study.config["attribution"]
    config = config | {
        "augment": network,
        "data": config["data"] | {"root": str(study.images)},
        "seed": config["seed"] + study.config["seed"],
    }
    workdir = study.workdir / f"visnet-{network}"
    with open_run(workdir, config):
        loop.run(config, workdir)


def evaluate_network(study: Study, network: str) -> Iterator[dict[str, Any]]:
    """Evaluates one network for each test size, condition and view set; what is done already is read back."""
    config = study.config
    # In the order in which the network knows them: a manifest's can change when a source is made again.
    classes = labelled.open_labelled(study.images, split="train").classes
    folder = labelled.open_labelled(study.images, split="test", classes=classes)
    attributor: Attributor | None = None
    for count in config["test_counts"]:
        for perturbation in config["conditions"]:
            for views in config["view_sets"]:
                condition = CONDITIONS.get(perturbation, perturbation)
                target = study.workdir / "evaluation" / f"{network}-{condition}-{views}-{count}"
                row = {"network": network, "condition": condition, "count": count, "views_name": views}
                if not (target / "study.json").exists():
                    attributor = attributor or Attributor.load(study.workdir / f"visnet-{network}")
                    evaluation = evaluate(
                        attributor,
                        folder,
                        views=views,
                        rule=config["rule"],
                        perturbation=perturbation,
                        indices=first_of_each(folder, count),
                    )
                    write_outputs(target, evaluation)
                    row |= {"metrics": evaluation.metrics, "per_photograph": per_photograph(evaluation, folder)}
                    row |= {
                        "wrong": wrong_images(evaluation),
                        "rows": [r._asdict() for r in image_rows(evaluation)] if count <= 10 else [],
                    }
                    write_json(target / "study.json", row)
                yield json.loads((target / "study.json").read_text())


def fit_baselines(study: Study) -> list[dict[str, Any]]:
    """What cheap methods reach on the same images; those that read files are not asked about perturbed ones.

    The networks' training images are immunised. So that a baseline is not beaten by that alone, some are fitted a
    second time on images immunised in the same way (once, where the networks' are perturbed anew in every batch).
    """
    path = study.workdir / "baselines.json"
    if path.exists():
        return json.loads(path.read_text())
    config, rows = study.config, []
    folder = labelled.open_labelled(study.images, split="test")
    known = labelled.open_labelled(study.images, split="train", classes=folder.classes)
    train = FolderImages.read(known, config["resolution"])
    tests = {
        count: FolderImages.read(folder, config["resolution"], indices=first_of_each(folder, count))
        for count in config["test_counts"]
    }
    immunise = config["attribution"]["immunise"]
    methods = beside.methods_of(config["baselines"], config["immunised_baselines"] if immunise["share"] else ())
    for called, fitted in beside.fit(methods, train, folder.classes, seed=config["seed"], immunise=immunise):
        for count, test in tests.items():
            rows += [
                {"name": called, "condition": row["condition"], "count": count, "metrics": row["metrics"]}
                for row in beside.measure({called: fitted}, [test], config["conditions"], folder.classes)
            ]
    write_json(path, rows)
    return rows
