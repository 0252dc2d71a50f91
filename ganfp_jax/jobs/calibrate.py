"""The job `calibrate`: a checkpoint and labelled images -> from which margin on its verdicts can be relied on.

What is found stands in `calibration.json` in the checkpoint's run folder, where `interop.weights.load` finds it, and
travels in the header of every file that is exported from there.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.certainty import (
    CONFIDENCE,
    Calibration,
    check_enough,
    check_rate,
    choose_threshold,
    where_unsure,
)
from ganfp_jax.attribution.evaluation import Evaluation, evaluate
from ganfp_jax.attribution.verdict import margins
from ganfp_jax.attribution.voting import check_vote
from ganfp_jax.data import labelled
from ganfp_jax.interop.weights import CALIBRATION, FILE, load, write_file
from ganfp_jax.metrics.statistics import wilson_interval
from ganfp_jax.report import wording
from ganfp_jax.report.table import text_table
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import write_json
from ganfp_jax.training import known_images


def calibrate(
    attributor: Attributor,
    folder: labelled.LabelledFolder | str | Path,
    *,
    views: str | Sequence[str] = "",
    rule: str = "majority",
    error_rate: float = 0.01,
    min_decided: float = 0.0,
    resize: str = "crop",
    batch_size: int = 32,
) -> Calibration:
    """Finds from which margin on at most `error_rate` of the verdicts on such images are wrong, with 95 % confidence.

    Args:
        folder: labelled images that the network was not trained on, opened with its classes; or where they lie.
        views, rule: of the vote; no views are the network's default ones.
        error_rate: the share of decided images that may be wrong, between 0 and 1.
        min_decided: the share of images that are to be decided at least.
        resize, batch_size: as for `evaluation.evaluate`.

    Raises:
        UserError: as `evaluation.evaluate` and `certainty.choose_threshold`.
    """
    if not isinstance(folder, labelled.LabelledFolder):
        folder = labelled.open_labelled(folder, classes=attributor.classes)
    check_rate(error_rate, min_decided)
    check_enough(len(folder), error_rate)
    views = views or attributor.default_views
    images = labelled.Images(folder, attributor.resolution, resize)
    evaluation = evaluate(attributor, images, views=views, rule=rule, batch_size=batch_size)
    return from_evaluation(attributor, evaluation, error_rate, min_decided)


def from_evaluation(
    attributor: Attributor, evaluation: Evaluation, error_rate: float, min_decided: float = 0.0
) -> Calibration:
    """The calibration for the vote of an evaluation.

    Raises:
        UserError: as `certainty.choose_threshold`.
    """
    vote, targets = evaluation.vote, evaluation.targets
    predicted = np.asarray(vote.predicted)
    scores, wrong = margins(np.asarray(vote.probabilities), predicted), predicted != targets
    choice = choose_threshold(scores, wrong, error_rate, min_decided=min_decided)
    decided = scores >= choice.threshold

    def counts(label: int) -> dict[str, int]:
        mine = targets == label
        found = {"images": mine, "decided": mine & decided, "wrong": mine & decided & wrong}
        return {name: int(which.sum()) for name, which in found.items()}

    return Calibration(
        threshold=choice.threshold,
        error_rate=error_rate,
        confidence=CONFIDENCE,
        views=tuple(evaluation.metrics["views"]),
        rule=evaluation.metrics["rule"],
        images=len(targets),
        decided=choice.decided,
        wrong=choice.wrong,
        ci95=wilson_interval(choice.wrong, choice.decided),
        upper=choice.upper,
        per_class={name: counts(label) for label, name in enumerate(attributor.classes)},
        digest=attributor.digest,
    )


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `calibrate`.

    Raises:
        UserError: no network, no labelled images, or no margin that keeps the error rate.
    """
    if not config["checkpoint"]:
        raise UserError("config.checkpoint is empty; give a trained network: --config.checkpoint=RUN_FOLDER")
    check_vote(config["views"], config["rule"], config["batch_size"])
    check_rate(config["error_rate"], config["min_decided"])
    attributor = Attributor.load(config["checkpoint"], calibrated=False)
    data = config["data"]
    folder = labelled.open_labelled(Path(data["root"]), split="test", classes=attributor.classes, layout=data["layout"])
    check_enough(len(folder), config["error_rate"])
    if warning := known_images.warning_of(config["checkpoint"], folder):
        print(f"warning: {warning}")
    evaluation = evaluate(
        attributor,
        labelled.Images(folder, attributor.resolution, data["resize"]),
        views=config["views"] or attributor.default_views,
        rule=config["rule"],
        batch_size=config["batch_size"],
    )
    labelled.report_rejected(evaluation.rejected, workdir)
    labelled.report_notes(evaluation.notes, workdir)
    calibration = from_evaluation(attributor, evaluation, config["error_rate"], config["min_decided"])
    write_json(workdir / CALIBRATION, calibration.to_dict())
    print(summary(calibration))
    checkpoint = Path(config["checkpoint"])
    if checkpoint.is_dir():
        write_json(checkpoint / CALIBRATION, calibration.to_dict())
        print(f"\ncalibration: {checkpoint / CALIBRATION}; configs/attribute.py finds it there")
        return
    weights = load(checkpoint, "attribution", calibrated=False)
    about = weights.about | {"calibration": calibration.to_dict()}
    write_file(workdir / FILE, dataclasses.replace(weights, about=about))
    print(f"\ncalibrated weights: {workdir / FILE}; {checkpoint} is left as it is")


def summary(calibration: Calibration) -> str:
    """What was found, for the console."""
    share = calibration.wrong / calibration.decided
    rows = [
        (name, counts["images"], counts["decided"], counts["wrong"]) for name, counts in calibration.per_class.items()
    ]
    rows.append(("all", calibration.images, calibration.decided, calibration.wrong))
    return "\n\n".join([
        text_table(["source", "images", "decided", "of them wrong"], rows, align="<>>>"),
        f"{calibration.rule} of {len(calibration.views)} view{'s' * (len(calibration.views) != 1)}. "
        f"Unsure {where_unsure(calibration.threshold)}. "
        f"{wording.percent(calibration.decided / calibration.images)} of the images are decided, "
        f"{wording.percent(share)} of those wrongly (95 %: {wording.interval(calibration.ci95)}); with "
        f"{calibration.confidence:.0%} confidence no more than {100 * calibration.error_rate:g}% of such images are.",
    ])  # fmt: skip
