"""The job `calibrate`: a checkpoint and labelled images -> the margin and the p-values from which its verdicts stand.

The result is `calibration.json` in the checkpoint's run folder, where `interop.load.load` finds it. Exported files have
it in their header.
"""

import dataclasses
from pathlib import Path
from typing import Any

from ganfp_jax.attribution import promises
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.calibration import check_spared, from_evaluation
from ganfp_jax.attribution.certainty import Calibration, check_enough, check_rate
from ganfp_jax.attribution.evaluation import evaluate, open_images
from ganfp_jax.attribution.typicality import check_unknown_rate
from ganfp_jax.attribution.voting import check_vote
from ganfp_jax.data import reports
from ganfp_jax.data.tiles import Tiling
from ganfp_jax.interop.load import load
from ganfp_jax.interop.weights import CALIBRATION, FILE, write_file
from ganfp_jax.report import wording
from ganfp_jax.report.table import text_table
from ganfp_jax.run.config_keys import require
from ganfp_jax.run.run_folder import write_json
from ganfp_jax.training import known_images


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `calibrate`.

    Raises:
        UserError: there is no network, no labelled image, or no margin that keeps the error rate.
    """
    require(config, "checkpoint")
    tiling = Tiling(config["tiles"], config["min_luma_std"])
    tiling.check()
    check_vote(config["views"], config["rule"], config["batch_size"])
    check_rate(config["error_rate"], config["min_decided"])
    check_unknown_rate(config["unknown_rate"])
    attributor = Attributor.load(config["checkpoint"], calibrated=False)
    check_spared(attributor, config["spared"])
    images = open_images(attributor, **config["data"], perturbation=config["perturb"])
    check_enough(len(images), config["error_rate"])
    if warning := known_images.warning_of(config["checkpoint"], images.folder):
        print(f"warning: {warning}")
    evaluation = evaluate(
        attributor,
        images,
        views=config["views"] or attributor.default_views,
        rule=config["rule"],
        batch_size=config["batch_size"],
        tiling=tiling,
    )
    reports.report_rejected(evaluation.rejected, workdir)
    reports.report_notes(evaluation.notes, workdir)
    asked = {key: config[key] for key in ("error_rate", "min_decided", "spared", "unknown_rate")}
    found = from_evaluation(attributor, evaluation, images.folder, **asked)
    calibration = dataclasses.replace(found, perturbation=config["perturb"])
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
    """Formats the calibration for the console."""
    share = calibration.wrong / calibration.decided
    spared = f" No image of {calibration.spared} is decided wrongly." if calibration.spared else ""
    rows = [
        (name, counts["images"], counts["decided"], counts["wrong"]) for name, counts in calibration.per_class.items()
    ]
    rows.append(("all", calibration.images, calibration.decided, calibration.wrong))
    return "\n\n".join([
        text_table(["source", "images", "decided", "of them wrong"], rows, align="<>>>"),
        f"{calibration.rule} of {len(calibration.views)} view{'s' * (len(calibration.views) != 1)}. "
        f"Unsure {calibration.where_unsure}. "
        f"{wording.percent(calibration.decided / calibration.images)} of the images are decided, "
        f"{wording.percent(share)} of those wrongly (95% interval {wording.interval(calibration.ci95)}); with "
        f"{calibration.confidence:.0%} confidence no more than {100 * calibration.error_rate:g}% of such images are."
        f"{spared}",
        *filter(None, [promises.shown(calibration)]),
        *promises.paragraphs(calibration.typicality),
    ])  # fmt: skip
