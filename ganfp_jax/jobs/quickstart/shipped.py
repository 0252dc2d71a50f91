"""A study of a shipped set: its generators make a test set, its network and its baselines name the sources.

All photographs are test images. Only the first stage continues where it was stopped.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ganfp_jax import baselines
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.baselines.images import FolderImages
from ganfp_jax.data import labelled, perturb
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.interop import shipped
from ganfp_jax.interop.load import load
from ganfp_jax.jobs.quickstart import parts
from ganfp_jax.report.wording import listed
from ganfp_jax.run.errors import UserError


def open_study(config: Mapping[str, Any], workdir: Path) -> parts.Study:
    """A study whose networks come shipped.

    Raises:
        UserError: the shipped set is unknown, or the images do not allow the tests.
    """
    for perturbation in config["conditions"]:
        perturb.check_perturbation(perturbation)
    attributor = Attributor.load(config["shipped"])
    attributor.check_vote(config["views"], config["rule"])
    check(config, attributor)
    study = parts.Study({**config, "resolution": attributor.resolution}, workdir)
    study.attributor, study.facts = lambda: attributor, lambda: facts(study.config)
    study.stages = [
        parts.Stage("make the test set", lambda: make_images(study)),
        parts.Stage("name the sources", lambda: evaluate_tests(study), resumes=False),
        parts.Stage("ask the baselines", lambda: ask_baselines(study), resumes=False),
    ]
    return study


def check(config: Mapping[str, Any], attributor: Attributor) -> None:
    """Raises UserError unless the tests can be made of `count` images of each source that the network knows."""
    if max(config["course_counts"], default=0) >= config["count"]:
        raise UserError(
            f"config.count is {config['count']}; give more than the course tests' {max(config['course_counts'])} "
            "images of a source, or other config.course_counts"
        )
    if strange := [name for name in config["course_sources"] if name not in attributor.classes]:
        raise UserError(f"config.course_sources has {strange[0]!r}; choose from {', '.join(attributor.classes)}")


def make_images(study: parts.Study) -> None:
    """Writes images/test; images of older weights of a generator are made anew."""
    config = study.config
    samplers = {sampler.source_name: sampler for sampler in map(Sampler, shipped.generators(config["shipped"]))}
    done = {
        source
        for source, origin in parts.made_already(study, "test").items()
        if source not in samplers or origin.get("digest") == samplers[source].origin["digest"]
    }
    loaders = {source: lambda source=source: samplers[source] for source in samplers}
    count, seed = config["count"], config["seed"]
    parts.write_split(study, "test", loaders, done, photographs="all", count=count, seed=seed, batch_size=50)


def evaluate_tests(study: parts.Study) -> None:
    """Evaluates the network in every test."""
    attributor, config = study.attributor(), study.config
    folder = labelled.open_labelled(study.images, split="test", classes=attributor.classes)
    for test in tests(config, folder):
        target = study.workdir / "evaluation" / f"{test.condition}-{len(test.indices)}"
        row = parts.evaluation_row(
            attributor, folder, test, target, rule=config["rule"], batch_size=config["batch_size"]
        )
        study.evaluations.append(row)


def ask_baselines(study: parts.Study) -> None:
    """Evaluates the shipped baselines, which have the network's training images, in every test."""
    config, fitted = study.config, baselines.read(shipped.baselines(study.config["shipped"]))
    folder = labelled.open_labelled(study.images, split="test", classes=study.attributor().classes)
    for test in tests(config, folder):
        images = FolderImages.read(labelled.Images(folder, config["resolution"]).part(test.indices))
        study.baselines += parts.baseline_rows(fitted, images, [test.perturbation], folder.classes, test.count)


def tests(config: Mapping[str, Any], folder: labelled.LabelledFolder) -> list[parts.Test]:
    """Returns the course project's tests, then all images under every condition."""
    course = [folder.classes.index(name) for name in config["course_sources"]]
    asked = [("none", count, course) for count in config["course_counts"]]
    every = list(range(len(folder.classes)))
    asked += [(perturbation, config["count"], every) for perturbation in dict.fromkeys(config["conditions"])]
    found = []
    for perturbation, count, sources in asked:
        indices = parts.first_of_each(folder, count)
        indices = indices[np.isin(folder.labels[indices], sources)]
        found.append(parts.Test(config["shipped"], config["views"], perturbation, count, indices))
    return found


def facts(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the report's facts on the networks; its first test is of all images under the first condition."""
    name, condition = config["shipped"], config["conditions"][0]
    generators = [load(generator) for generator in shipped.generators(name)]
    return {
        "main": {
            "network": name,
            "condition": perturb.label(condition),
            "count": config["count"],
            "views": config["views"],
            "rule": config["rule"],
        },
        "immunised": "with JPEGs",  # the network saw more
        "steps": {generator.about["source_name"]: generator.origin["step"] for generator in generators}
        | {f"VisNet ({name})": load(name).origin["step"]},
        "method": (
            f"The generators and the network are those of the shipped set {name}, trained on other "
            "photographs; the baselines are logistic regressions on some of the images that the network saw. "
            f"The real test images are {config['resolution']}x{config['resolution']} crops of photographs that "
            f"none of them has seen, reduced by {config['photos']['reduction']:g}. The tests with "
            f"{listed([str(count) for count in config['course_counts']])} images of a source are the course "
            f"project's, of three sources: {listed(config['course_sources'])}."
        ),
    }
