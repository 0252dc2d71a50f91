"""A study from scratch: generators, attribution networks and baselines are trained on photographs, in one process.

Every stage stores its result in the run folder and is skipped where that is complete, so a stopped study continues
where it was.
"""

import functools
import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ganfp_jax import baselines
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.voting import check_vote
from ganfp_jax.baselines import beside
from ganfp_jax.baselines.images import FolderImages
from ganfp_jax.data import labelled, perturb
from ganfp_jax.data.views import check_size, resolve_views
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.interop import start_from
from ganfp_jax.jobs.quickstart import parts
from ganfp_jax.run.run_folder import open_run, write_json
from ganfp_jax.training.programs import train_to_the_end
from ganfp_jax.training.stored import saved_steps


def open_study(config: dict[str, Any], workdir: Path) -> parts.Study:
    """A study whose networks are trained here, each in a run folder of its own.

    Raises:
        UserError: the tests of the networks are impossible, which would otherwise show only after the training.
    """
    for views in config["view_sets"]:
        check_vote(views, config["rule"])
        check_size(resolve_views(views), config["resolution"])
    for perturbation in config["conditions"]:
        perturb.check_perturbation(perturbation)
    baselines.check([*config["baselines"], *config["immunised_baselines"]])
    study = parts.Study(config, workdir)
    study.attributor = functools.cache(lambda: Attributor.load(workdir / f"visnet-{config['networks'][-1]}"))
    study.facts = lambda: facts(study)
    train_gan, train_classifier = partial(train_generator, study), partial(train_network, study)
    study.stages = [
        *(
            parts.Stage(f"train {config[name]['source_name']}", partial(train_gan, name))
            for name in config["generators"]
        ),
        parts.Stage("make the image set", partial(make_images, study)),
        parts.Stage("fit the baselines", partial(fit_baselines, study)),
        *(
            parts.Stage(f"train VisNet ({network})", partial(train_classifier, network))
            for network in config["networks"]
        ),
        parts.Stage("evaluate", partial(evaluate_tests, study)),
    ]
    return study


def train_generator(study: parts.Study, name: str) -> None:
    """Trains one generator on the training photographs."""
    config = study.config
    photos = config["photos"] | {"split": "train", "count": config["gan_images"], "seed": config["seed"]}
    train(study, name, config[name], data={"photos": photos})


def train_network(study: parts.Study, network: str) -> None:
    """Trains the attribution network with one augmentation."""
    config = study.config["attribution"] | {"augment": network}
    train(study, f"visnet-{network}", config, data={"root": str(study.images)})


def train(study: parts.Study, folder: str, config: dict[str, Any], data: Mapping[str, Any]) -> None:
    """Trains on `data` of the study, with its seed, in a run folder inside its own."""
    config = config | {"data": config["data"] | data, "seed": config["seed"] + study.config["seed"]}
    with open_run(study.workdir / folder, config):
        train_to_the_end(config, study.workdir / folder, start_from.read)


def make_images(study: parts.Study) -> None:
    """Writes images/train and images/test."""
    config = study.config
    generators = {config[name]["source_name"]: partial(Sampler, study.workdir / name) for name in config["generators"]}
    for split, count, seed in (("train", config["train_count"], 1), ("test", max(config["test_counts"]), 2)):
        seed += 10 * config["seed"]  # seeds of the two splits never meet
        done = parts.made_already(study, split)
        parts.write_split(study, split, generators, done, photographs=split, count=count, seed=seed, batch_size=64)


def fit_baselines(study: parts.Study) -> None:
    """Measures cheap methods on the same images.

    The networks' training images are immunised. For a fair comparison, some baselines are fitted a second time on
    images that are immunised in the same way (once, while the networks' images are perturbed anew in every batch).
    """
    path = study.workdir / "baselines.json"
    if not path.exists():
        write_json(path, list(_baselines(study)))
    study.baselines += json.loads(path.read_text())


def _baselines(study: parts.Study) -> Iterator[dict[str, Any]]:
    config, immunise = study.config, study.config["attribution"]["immunise"]
    folder = labelled.open_labelled(study.images, split="test")
    known = labelled.open_labelled(study.images, split="train", classes=folder.classes)
    train = FolderImages.read(labelled.Images(known, config["resolution"]))
    tested = labelled.Images(folder, config["resolution"])
    tests = {
        count: FolderImages.read(tested.part(parts.first_of_each(folder, count))) for count in config["test_counts"]
    }
    methods = beside.methods_of(config["baselines"], config["immunised_baselines"] if immunise["share"] else ())
    for called, fitted in beside.fit(methods, train, folder.classes, seed=config["seed"], immunise=immunise):
        for count, test in tests.items():
            yield from parts.baseline_rows({called: fitted}, test, config["conditions"], folder.classes, count)


def evaluate_tests(study: parts.Study) -> None:
    """Evaluates every network for each test size, condition and view set; existing results are read back."""
    # The classes have the network's order: that of a manifest can change when a source is made again.
    classes = labelled.open_labelled(study.images, split="train").classes
    folder = labelled.open_labelled(study.images, split="test", classes=classes)
    load = functools.cache(lambda network: Attributor.load(study.workdir / f"visnet-{network}"))
    for test in tests(study.config, folder):
        target = study.workdir / "evaluation" / f"{test.network}-{test.condition}-{test.views}-{test.count}"
        if not (target / "study.json").exists():
            rule = study.config["rule"]
            answers = parts.carry_out_test(load(test.network), folder, test, target, rule=rule, batch_size=32)
            write_json(target / "study.json", parts.evaluation_row(test, answers, folder))
        study.evaluations.append(json.loads((target / "study.json").read_text()))


def tests(config: Mapping[str, Any], folder: labelled.LabelledFolder) -> list[parts.Test]:
    """Every network, test size, condition and view set."""
    return [
        parts.Test(network, views, perturbation, count, parts.first_of_each(folder, count))
        for network in config["networks"]
        for count in config["test_counts"]
        for perturbation in config["conditions"]
        for views in config["view_sets"]
    ]


def facts(study: parts.Study) -> dict[str, Any]:
    """Returns the report's facts on the networks; its first test is that of the last one by the last view set."""
    config, immunise = study.config, study.config["attribution"]["immunise"]
    folders = {config[name]["source_name"]: name for name in config["generators"]}
    folders |= {f"VisNet ({network})": f"visnet-{network}" for network in config["networks"]}
    immunised = (
        f" Of the networks' training images {immunise['share']:.0%} were perturbed, anew in every batch "
        f"({', '.join(immunise['perturbations'])}); none of the generators'."
    )
    return {
        "immunised": "as the networks",
        "main": {
            "network": config["networks"][-1],
            "condition": "clean",
            "views": config["view_sets"][-1],
            "rule": config["rule"],
            "count": max(config["test_counts"]),
        },
        "steps": {what: saved_steps(study.workdir / folder)[-1] for what, folder in folders.items()},
        "method": (
            f"Crops of {config['resolution']}x{config['resolution']} pixels were taken from the photographs after "
            f"reducing them by {config['photos']['reduction']:g}; flat ones were refused. The generators saw crops "
            "of the training photographs only; their test images come from other seeds than their training images."
            + (immunised if immunise["share"] else "")
            + " Each network is named after the views that it was trained on."
        ),
    }
