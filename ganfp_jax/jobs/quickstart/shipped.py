"""A study of a shipped set: its generators make a test set, its network and its baselines name the sources.

All photographs are test images. The network is asked about images of generators that it does not know, too. Only the
first stage continues where it was stopped.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganfp_jax import baselines
from ganfp_jax.attribution import open_set, pictures
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import Evaluation
from ganfp_jax.attribution.predictions import write_unknown
from ganfp_jax.attribution.unknown_images import ask_unknown
from ganfp_jax.baselines.images import FolderImages
from ganfp_jax.data import labelled, manifests, perturb
from ganfp_jax.data.unknown import open_unknown
from ganfp_jax.generation.folders import write_generated
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.interop import shipped
from ganfp_jax.interop.load import load
from ganfp_jax.jobs.quickstart import parts
from ganfp_jax.report.wording import listed
from ganfp_jax.run.errors import UserError

UNKNOWN = "unknown"  # the folder of images of generators that the network does not know, and of the answers on them


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
    """Writes images/test, and unknown/ by generators that the network does not know."""
    config = study.config
    samplers = [Sampler(name) for name in shipped.generators(config["shipped"])]
    loaders = {sampler.source_name: lambda sampler=sampler: sampler for sampler in samplers}
    count, seed = config["count"], config["seed"]
    done = up_to_date(study.images / "test", samplers)
    parts.write_split(study, "test", loaders, done, photographs="all", count=count, seed=seed, batch_size=50)
    unknown = [Sampler(name) for name in shipped.unknown_generators(config["shipped"])]
    done = up_to_date(study.workdir / UNKNOWN, unknown)
    for sampler in unknown:
        if sampler.source_name not in done:
            write_generated(sampler, study.workdir / UNKNOWN, count=count, seed=seed, batch_size=50)


def up_to_date(root: Path, samplers: Sequence[Sampler]) -> set[str]:
    """The sources of a folder that need not be made: those that older weights of a generator did not make."""
    made = (manifests.read_manifest(root) or {"sources": {}})["sources"]
    digests = {sampler.source_name: sampler.origin["digest"] for sampler in samplers}
    return {source for source, origin in made.items() if digests.get(source) in (None, origin.get("digest"))}


def evaluate_tests(study: parts.Study) -> None:
    """Evaluates the network in every test."""
    attributor, config = study.attributor(), study.config
    folder = labelled.open_labelled(study.images, split="test", classes=attributor.classes)
    for test in tests(config, folder):
        target = study.workdir / "evaluation" / f"{test.condition}-{len(test.indices)}"
        settings = {"rule": config["rule"], "batch_size": config["batch_size"]}
        answers = parts.carry_out_test(attributor, folder, test, target, **settings)
        study.evaluations.append(parts.evaluation_row(test, answers, folder))
        if (test.count, test.perturbation) == (config["count"], config["conditions"][0]):
            study.unknown = ask_about_unknown(study, answers, folder)


def ask_about_unknown(study: parts.Study, known: Evaluation, folder: labelled.LabelledFolder) -> dict[str, Any] | None:
    """Asks the network about images of generators that it does not know, as far as the set has any.

    Args:
        study: the study.
        known: its answers on all images under the first condition.
        folder: these images.

    Returns:
        The report's part.
    """
    config, attributor = study.config, study.attributor()
    if not shipped.unknown_generators(config["shipped"]):
        return None
    unknown = open_unknown(study.workdir / UNKNOWN)
    images = labelled.Images(unknown, attributor.resolution, perturbation=config["conditions"][0])
    vote = {key: config[key] for key in ("views", "rule", "batch_size")}
    answers = ask_unknown(attributor, images, **vote)
    write_unknown(study.workdir / "evaluation" / UNKNOWN, answers)
    return pictures.unknown_part(open_set.measure(known, folder, answers, seed=config["seed"]), images, answers)


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
