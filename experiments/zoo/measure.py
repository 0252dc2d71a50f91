"""What networks and baselines say of the study's images, clean and perturbed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ganfp_jax import baselines
from ganfp_jax.attribution import calibration
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import Evaluation, evaluate, per_photograph
from ganfp_jax.attribution.verdict import decide
from ganfp_jax.baselines import beside
from ganfp_jax.baselines.images import FolderImages
from ganfp_jax.data import labelled, perturb
from ganfp_jax.interop import weights
from ganfp_jax.jobs import calibrate
from ganfp_jax.report import wording
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import write_json

VIEWS, RULE = "d4", "majority"
ERROR_RATE, UNKNOWN_RATE = 0.01, 0.05
SHOWN = "none|jpeg50-95"  # to the calibration
SPARED = "real"  # no photograph of it is taken for a generator's
CONDITIONS = ("none", "jpeg90", "jpeg75", "jpeg50")


def add_calibration(network: Path, valid: Path) -> None:
    """Writes what "unsure" and "unknown" rest on into the network's run folder, if there are images enough."""
    attributor = Attributor.load(network)
    try:
        calibrated = calibration.calibrate(
            attributor,
            valid,
            views=VIEWS,
            rule=RULE,
            error_rate=ERROR_RATE,
            unknown_rate=UNKNOWN_RATE,
            perturbation=SHOWN,
            spared=SPARED,
        )
        write_json(network / weights.CALIBRATION, calibrated.to_dict())
        print(calibrate.summary(calibrated))
    except UserError as error:  # as for :tiny; tests/interop/test_shipped.py checks that the shipped set has one
        print(f"{network} has no calibration: {error}")


def of_network(
    called: str, attributor: Attributor, folder: labelled.LabelledFolder, split: str
) -> Iterator[dict[str, Any]]:
    """Two rows for each condition: the vote, and one view."""
    for perturbation in CONDITIONS:
        images = labelled.Images(folder, attributor.resolution, perturbation=perturbation)
        evaluation = evaluate(attributor, images, views=VIEWS, rule=RULE)
        same = {"images": split, "perturbation": perturbation}
        more = {
            "images_per_second": evaluation.metrics["images_per_second"],
            "per_photograph": per_photograph(evaluation, folder),
        }
        vote = _kept(evaluation.metrics) | more | _decided(attributor, evaluation)
        yield {**same, "method": f"{called}, vote", **vote}
        yield {**same, "method": f"{called}, one view", **_kept(evaluation.metrics["single_view"])}


def of_baselines(
    cheap: Mapping[str, baselines.FittedBaseline], images: labelled.Images, split: str
) -> Iterator[dict[str, Any]]:
    """A row for each baseline and condition."""
    for row in beside.measure(cheap, [FolderImages.read(images)], CONDITIONS, images.folder.classes):
        perturbation = "none" if row["condition"] == perturb.label("none") else row["condition"]
        yield {"images": split, "perturbation": perturbation, "method": row["name"], **_kept(row["metrics"])}


def _decided(attributor: Attributor, evaluation: Evaluation) -> dict[str, int]:
    """A calibrated network's number of verdicts other than "unsure", and the number of these that are wrong."""
    if attributor.calibration is None:
        return {}
    predicted = np.asarray(evaluation.vote.predicted)
    sure = np.array([not word for word in decide(evaluation.vote, attributor.calibration.rules(attributor.classes))])
    wrong = predicted != evaluation.targets
    real = evaluation.targets == attributor.classes.index("real")
    counts = {"decided": sure, "decided_wrong": sure & wrong, "wrong": wrong}
    return {name: int(which.sum()) for name, which in counts.items()} | {
        f"real_{name}": int((which & real).sum()) for name, which in counts.items()
    }


def _kept(block: Mapping[str, Any]) -> dict[str, Any]:
    return {key: block[key] for key in ("accuracy", "correct", "total", "ci95", "per_class", "confusion")}


def table(rows: list[dict[str, Any]]) -> str:
    """The accuracies as Markdown: a line per method, a column per condition."""
    lines = []
    for split in dict.fromkeys(row["images"] for row in rows):
        of = [row for row in rows if row["images"] == split]
        conditions = list(dict.fromkeys(row["perturbation"] for row in of))
        lines += [
            f"| {split}, n = {of[0]['total']:,} | {' | '.join(conditions)} |",
            f"|{'---|' * (1 + len(conditions))}",
        ]
        for method in dict.fromkeys(row["method"] for row in of):
            cells = [
                f"{100 * row['accuracy']:.1f} ({wording.interval(row['ci95'])})"
                for row in of
                if row["method"] == method
            ]
            lines.append(f"| {method} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)
