"""The job `robustness`: attribution networks under perturbations -> robustness.csv, metrics.json, figure, page.

`evaluation.evaluate` measures every network under every perturbation on the same images. Each evaluation has its own
folder, so a stopped job continues with the missing ones.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.comparison import (
    CLEAN,
    IMMUNISED,
    METHOD,
    PLAIN,
    Answers,
    check_roles,
    compare,
    psnr,
    resolution_and_classes,
    training_command,
    training_of,
)
from ganfp_jax.attribution.evaluation import evaluate
from ganfp_jax.attribution.pictures import perturbed_grids
from ganfp_jax.attribution.predictions import write_outputs
from ganfp_jax.attribution.voting import check_vote
from ganfp_jax.audit.quick import report_leaks
from ganfp_jax.baselines import beside
from ganfp_jax.baselines.images import first_at_random
from ganfp_jax.data import labelled, perturb, reports
from ganfp_jax.data.views import resolve_views
from ganfp_jax.report import wording
from ganfp_jax.report.figures import png
from ganfp_jax.report.leak import leak_box, leak_of
from ganfp_jax.report.pages import write_page
from ganfp_jax.report.robustness_figure import draw_robustness
from ganfp_jax.report.table import csv_text, robustness_table
from ganfp_jax.run import atomic
from ganfp_jax.run.command import command
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress
from ganfp_jax.run.provenance import provenance
from ganfp_jax.run.run_folder import write_json

COLUMNS = (
    *("network", "attack", "accuracy", "ci95_low", "ci95_high", "single_view_accuracy", "n"),
    *("wrong_to_right", "right_to_wrong", "mcnemar_p", "psnr", "images_per_second"),
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")  # of a network, whose folder has this name


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `robustness`."""
    perturbations, checkpoints = _checked(config)
    training = {name: training_of(checkpoint) for name, checkpoint in checkpoints.items()}
    check_roles(training)
    networks = {name: _load(name, checkpoint, config) for name, checkpoint in checkpoints.items()}
    resolution, classes = resolution_and_classes(networks)
    root = Path(config["data"]["root"])
    folder = labelled.open_labelled(root, split="test", classes=classes, layout=config["data"]["layout"])
    _check_unchanged(networks, checkpoints, workdir)  # it writes, so the inputs are read before
    report_leaks(folder)
    images = labelled.Images(folder, resolution, config["data"]["resize"], seed=config["seed"])
    answers = _ask(networks, perturbations, images, config, workdir)
    images = images.part(folder.places(answers[next(iter(networks))][CLEAN].names))
    strengths = _once(workdir / "attacks.json", lambda: psnr(images, perturbations))
    baselines, reason = beside.rows_or_reason(
        config["baselines"],
        root,
        folder,
        lambda: _once(
            workdir / "baselines.json",
            lambda: beside.train_and_measure(config["baselines"], root, images, perturbations),
        ),
    )
    results = {
        "classes": list(classes),
        "views": list(resolve_views(config["views"])),
        "rule": config["rule"],
        "total": len(images),
        "per_source": np.bincount(folder.labels[images.indices], minlength=len(classes)).tolist(),
        "networks": [
            {"name": name, "checkpoint": str(checkpoints[name]), "training": training[name]} for name in networks
        ],
        "attacks": [
            {"attack": perturb.label(name), "family": perturb.family_of(name), "psnr": strengths[name]}
            for name in perturbations
        ],
        "rows": compare(answers, strengths),
        "baselines": baselines,
        "leak": leak_of(baselines),
        "immunised": wording.immunised_by(config["baselines"]["immunise"]),
        "method": METHOD,
    }
    write_tables(workdir, results)
    first = _folder_of(workdir, next(iter(networks)), CLEAN)  # all networks and perturbations have the same images
    reports.report_rejected(reports.read_pairs(first / "rejected.csv"), workdir)
    reports.report_notes(dict(reports.read_pairs(first / "notes.csv")), workdir)
    plain_command = "" if PLAIN in networks else training_command(PLAIN, config[IMMUNISED], root)
    report = write_page(
        "robustness",
        {
            **results,
            **provenance(),
            "title": "What attacks do to attribution",
            "command": command("robustness", config, whole=("networks",)),
            "config": config,
            "pictures": perturbed_grids(images, perturbations),
            "sentences": _sentences(config, folder, reason),
            "plain_command": plain_command,
        },
        workdir / "report" / "index.html",
    )
    if results["leak"]:
        print(leak_box(results["leak"]) + "\n")
    print(robustness_table(results))
    if plain_command:
        print(f"\nno plain network to compare with; to train one: {plain_command}")
    if reason:
        print(f"no baselines: {reason}")
    print(f"\ntable: {workdir / 'robustness.csv'}  figure: {workdir / 'robustness.png'}  report: {report}")


def _ask(
    networks: Mapping[str, Attributor],
    perturbations: Sequence[str],
    images: labelled.Images,
    config: Mapping[str, Any],
    workdir: Path,
) -> dict[str, dict[str, Answers]]:
    """Returns network -> perturbation -> answers; existing answers are read from the run folder."""
    folder = images.folder
    if config["count"]:
        images = images.part(first_at_random(folder.labels, config["count"], config["seed"]))
    answers: dict[str, dict[str, Answers]] = {name: {} for name in networks}
    with progress(len(networks) * len(perturbations), "robustness", "attack") as bar:
        for name, attributor in networks.items():
            for perturbation in perturbations:
                target = _folder_of(workdir, name, perturbation)
                if not (target / "metrics.json").exists():
                    evaluation = evaluate(
                        attributor,
                        images.under(perturbation),
                        views=config["views"],
                        rule=config["rule"],
                        batch_size=config["batch_size"],
                    )
                    write_outputs(target, evaluation)
                answers[name][perturbation] = Answers.read(target)
                bar.update(1)
    every = [given for by_perturbation in answers.values() for given in by_perturbation.values()]
    if any(given.names != every[0].names for given in every) or not set(every[0].names) <= set(folder.names):
        raise UserError(f"the images of {folder.root} have changed since {workdir} was begun; choose another --workdir")
    return answers


def _folder_of(workdir: Path, network: str, perturbation: str) -> Path:
    """Returns the folder of the answers of a network under a perturbation."""
    return workdir / "networks" / network / perturb.label(perturbation)


def write_tables(workdir: Path, results: Mapping[str, Any]) -> None:
    """Writes robustness.csv, robustness.png and, last, metrics.json."""
    atomic.write_bytes(workdir / "robustness.csv", csv_text(COLUMNS, results["rows"]).encode())
    atomic.write_bytes(workdir / "robustness.png", png(draw_robustness, results))
    write_json(workdir / "metrics.json", dict(results))


def _checked(config: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
    """Checks the config; returns the perturbations, `CLEAN` first, and the checkpoints by name."""
    perturbations = config["attacks"]
    if not perturbations or isinstance(perturbations, str):
        raise UserError("config.attacks needs a list of one or more: --config.attacks=\"('jpeg75', 'combination')\"")
    if twice := [name for name in perturbations if list(perturbations).count(name) > 1]:
        raise UserError(f"config.attacks names {twice[0]!r} twice; leave one out")
    for name in perturbations:
        perturb.check_perturbation(name)
    if list(perturbations) == [CLEAN]:
        raise UserError(f"config.attacks names {CLEAN!r} alone, the clean images; give an attack, such as jpeg75")
    if config["count"] < 0:
        raise UserError(f"config.count is {config['count']}; give the number of images of each source, or 0 for all")
    check_vote(config["views"], config["rule"], config["batch_size"])
    beside.check(config["baselines"])
    checkpoints = {name: config[name] for name in (PLAIN, IMMUNISED) if config[name]}
    for name, checkpoint in config["networks"].items():
        if not _NAME.fullmatch(name) or name in (PLAIN, IMMUNISED):
            raise UserError(
                f"config.networks: {name!r} is no name for a network; use letters, digits, '_', '-' and '.', and "
                f"neither {PLAIN} nor {IMMUNISED}"
            )
        if not checkpoint or not isinstance(checkpoint, str):
            raise UserError(f"config.networks.{name} is {checkpoint!r}; give a run folder or a file of weights")
        checkpoints[name] = checkpoint
    if not checkpoints:
        raise UserError(
            "no network: give --config.immunised=RUN_FOLDER, --config.plain=RUN_FOLDER or "
            "--config.networks=\"{'name': 'RUN_FOLDER'}\""
        )
    return list(dict.fromkeys([CLEAN, *perturbations])), checkpoints


def _load(name: str, checkpoint: str, config: Mapping[str, Any]) -> Attributor:
    try:
        return Attributor.load(checkpoint)
    except UserError as error:
        if Path(checkpoint).exists():
            raise
        key = name if name in (PLAIN, IMMUNISED) else f"networks.{name}"
        root = config["data"]["root"]
        if not Path(root).exists():
            raise UserError(
                f"config.{key} is {checkpoint}, which is not there, nor are the images in {root}; run "
                "configs/quickstart.py:scratch first, or give a network and --config.data.root=DIR"
            ) from error
        raise UserError(
            f"config.{key} is {checkpoint}, which is not there; give --config.{key}=runs/{name} after "
            f"{training_command(name, config[IMMUNISED], root)}"
        ) from error


def _check_unchanged(networks: Mapping[str, Attributor], checkpoints: Mapping[str, str], workdir: Path) -> None:
    """Raises UserError where answers in the run folder are of other weights than those of a network."""
    digests = {name: attributor.digest for name, attributor in networks.items()}
    begun_with = _once(workdir / "networks.json", lambda: digests)
    for name, digest in digests.items():
        if begun_with.get(name) != digest:
            raise UserError(
                f"the network {name} of {checkpoints[name]} has changed since {workdir} was begun; choose another "
                "--workdir"
            )


def _once(path: Path, make: Callable[[], Any]) -> Any:
    """Returns the result of `make`, or the one that a stopped run stored."""
    if not path.exists():
        write_json(path, make())
    return json.loads(path.read_text())


def _sentences(config: Mapping[str, Any], folder: labelled.LabelledFolder, no_baselines: str | None) -> list[str]:
    """Returns the page's sentences on the method that do not follow from the results."""
    sentences = [f"The images are from {folder.root}; the attacks draw with seed {config['seed']}."]
    if no_baselines:
        return [*sentences, f"No baselines: {no_baselines}."]
    section = config["baselines"]
    sentences.append(f"Baselines were trained on at most {section['images_per_source']:,} images of each source.")
    if section["immunised_methods"]:
        share, how = section["immunise"]["share"], wording.immunised_by(section["immunise"])
        sentences.append(f"Of the immunised ones' training images {share:.0%} were attacked {how}.")
    return sentences
