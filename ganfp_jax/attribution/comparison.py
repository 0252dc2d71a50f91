"""Networks beside each other on the same images: what perturbations do to their answers, and what immunising helps."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from ganfp_jax.attribution import predictions
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.data import labelled, perturb
from ganfp_jax.metrics.statistics import holm, vote_changes
from ganfp_jax.run.command import command
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import CONFIG, read_config

CLEAN = "none"  # the perturbation that every other one is compared with
PLAIN, IMMUNISED = "plain", "immunised"  # networks that have a role; any others have names of their own
# What a plain and an immunised network must share to be compared.
TRAINED_ALIKE = ("seed", "resolution", "model", "augment", "num_steps", "batch_size", "optimizer")

METHOD = {
    "mcnemar_p": (
        "exact McNemar test of the network's answers to the attacked images against its answers to the clean ones, "
        "which wrong_to_right and right_to_wrong count"
    ),
    "holm_p": "Holm's correction of mcnemar_p over all attacks on one network",
    "against_plain": (
        "the same test against the answers of the network plain to the same images; holm_p is over all of them, the "
        "clean images included"
    ),
    "psnr": (
        "10 log10 (255^2 / mean squared error), in dB, over all values of all images; a crop moves every pixel, so its "
        "value says how much has changed, not how much of it is seen"
    ),
    "strength": "of a range and in the combination each image has its own, by the seed and its place in the folder",
    "independence": "McNemar, Holm and Wilson take images for independent, which crops of one photograph are not",
}


@dataclasses.dataclass(frozen=True)
class Answers:
    """What one network said of N images under one perturbation."""

    names: Sequence[str]
    targets: Int[np.ndarray, " n"]
    predicted: Int[np.ndarray, " n"]
    metrics: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> "Answers":
        """Reads what `predictions.write_outputs` has left."""
        metrics = json.loads((folder / predictions.METRICS).read_text())
        return cls(*predictions.read(folder / predictions.PREDICTIONS, metrics["classes"]), metrics)


def psnr(images: labelled.Images, perturbations: Sequence[str]) -> dict[str, float | None]:
    """How much each perturbation changes the images, which are clean, in dB; None where it changes nothing.

    10 log10(255^2 / mean squared error) over all values of all images.
    """
    squares, values = dict.fromkeys(perturbations, 0), 0
    for chunk in images.chunks("strength of the attacks"):
        values += chunk.images.size
        for name in perturbations:
            perturbed = perturb.perturb(chunk.images, name, images.seed, numbers=chunk.kept)
            squares[name] += int(np.square(perturbed.astype(np.int32) - chunk.images).sum(dtype=np.int64))
    return {name: 10 * math.log10(255**2 * values / square) if square else None for name, square in squares.items()}


def compare(
    answers: Mapping[str, Mapping[str, Answers]], strengths: Mapping[str, float | None]
) -> list[dict[str, Any]]:
    """A row of results for every network and perturbation, clean images first.

    Args:
        answers: network -> perturbation -> its answers; of the same images in the same order.
        strengths: of `psnr`.

    Returns:
        Rows with the columns of robustness.csv, `correct`, `per_class`, `confusion`, `holm_p` (None for clean images),
        and `against_plain` with `wrong_to_right`, `right_to_wrong`, `mcnemar_p` and `holm_p`, or None for the plain
        network and without it.
    """
    rows = []
    for network, by_perturbation in answers.items():
        of_network = []
        for perturbation, given in by_perturbation.items():
            metrics = given.metrics
            of_network.append({
                "network": network,
                "attack": perturb.label(perturbation),
                "accuracy": metrics["accuracy"],
                "ci95_low": metrics["ci95"][0],
                "ci95_high": metrics["ci95"][1],
                "single_view_accuracy": metrics["single_view"]["accuracy"],
                "n": metrics["total"],
                **vote_changes(given.targets, by_perturbation[CLEAN].predicted, given.predicted),
                "psnr": strengths[perturbation],
                "images_per_second": metrics["images_per_second"],
                "correct": metrics["correct"],
                "per_class": metrics["per_class"],
                "confusion": metrics["confusion"],
                "against_plain": None,
            })  # fmt: skip
            if PLAIN in answers and network != PLAIN:
                plain = answers[PLAIN][perturbation].predicted
                of_network[-1]["against_plain"] = vote_changes(given.targets, plain, given.predicted)
        _correct([row for row in of_network if row["attack"] != perturb.label(CLEAN)])
        _correct([row["against_plain"] for row in of_network if row["against_plain"]])
        rows += [{"holm_p": None, **row} for row in of_network]
    return rows


def _correct(tests: Sequence[dict[str, Any]]) -> None:
    """Adds Holm's correction to each of some tests."""
    for test, p in zip(tests, holm([test["mcnemar_p"] for test in tests]), strict=True):
        test["holm_p"] = p


def training_of(checkpoint: str) -> dict[str, Any] | None:
    """How a network was trained, where its run folder says: `augment`, and `immunise` with share and perturbations."""
    if not (Path(checkpoint) / CONFIG).is_file():
        return None
    config = read_config(Path(checkpoint))
    return {key: config[key] for key in ("augment", "immunise")} if "immunise" in config else None


def training_command(name: str, immunised: str, root: str | Path) -> str:
    """The command that trains a network as `name` needs it on images in `root`, into the run folder runs/`name`.

    The plain one is trained as that in the run folder `immunised` was, or more than immunising would tell them apart.
    """
    immunise: dict[str, Any] = {"perturbations": (perturb.COMBINATION,)}
    trained: dict[str, Any] = {}
    if name == PLAIN:
        immunise = {"share": 0.0, "perturbations": ()}
        if training_of(immunised):
            trained = read_config(Path(immunised))
    settings = {key: trained[key] for key in TRAINED_ALIKE if key in trained}
    settings |= {"data": {"root": str(root)}, "immunise": immunise}
    return command("attribution", settings, workdir=f"runs/{name}")


def check_roles(training: Mapping[str, Mapping[str, Any] | None]) -> None:
    """Raises UserError where the plain network was immunised, or the immunised one was not.

    Args:
        training: network -> what `training_of` says of it.
    """
    for name, wanted in ((PLAIN, False), (IMMUNISED, True)):
        known = training.get(name)
        if known and bool(known["immunise"]["share"]) is not wanted:
            share, how = known["immunise"]["share"], ", ".join(known["immunise"]["perturbations"]) or "none"
            raise UserError(
                f"config.{name} was trained with {share:.0%} perturbed images ({how}), so it is not {name}; give "
                "another run folder, or name this one in config.networks"
            )


def resolution_and_classes(networks: Mapping[str, Attributor]) -> tuple[int, tuple[str, ...]]:
    """Those that all networks share, since only then they meet the same images.

    Raises:
        UserError: they do not share them.
    """
    (first, one), *others = networks.items()
    for name, other in others:
        if (other.resolution, other.classes) != (one.resolution, one.classes):
            raise UserError(
                f"the networks {first} and {name} do not know the same sources at the same size: "
                f"{', '.join(one.classes)} at {one.resolution}, {', '.join(other.classes)} at {other.resolution}; "
                "compare networks of one labelled folder"
            )
    return one.resolution, one.classes
