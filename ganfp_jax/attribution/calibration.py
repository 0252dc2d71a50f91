"""From labelled images to the margin from which on a network's verdicts can be relied on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.certainty import CONFIDENCE, Calibration, check_enough, check_rate, choose_threshold, spare
from ganfp_jax.attribution.evaluation import Evaluation, evaluate
from ganfp_jax.attribution.tiles import learn_dependence, reweighed
from ganfp_jax.attribution.verdict import SCORES
from ganfp_jax.data import labelled
from ganfp_jax.data.tiles import TILING, Tiling
from ganfp_jax.metrics.statistics import wilson_interval
from ganfp_jax.run.errors import UserError


def calibrate(
    attributor: Attributor,
    folder: labelled.LabelledFolder | str | Path,
    *,
    views: str | Sequence[str] = "",
    rule: str = "majority",
    error_rate: float = 0.01,
    min_decided: float = 0.0,
    spared: str = "",
    resize: str = "crop",
    batch_size: int = 32,
    tiling: Tiling = TILING,
) -> Calibration:
    """Finds from which margin on at most `error_rate` of the verdicts on such images are wrong, with 95 % confidence.

    Args:
        folder: labelled images that the network was not trained on, opened with its classes; or where they lie.
        views, rule: of the vote; no views are the network's default ones.
        error_rate: the share of decided images that may be wrong, between 0 and 1.
        min_decided: the share of images that are to be decided at least.
        spared: a source none of whose images may be decided wrongly, such as the real one; "" for none.
        resize, batch_size, tiling: as for `evaluation.evaluate`.

    Raises:
        UserError: as `evaluation.evaluate`, `certainty.choose_threshold` and `certainty.spare`; no such source.
    """
    if not isinstance(folder, labelled.LabelledFolder):
        folder = labelled.open_labelled(folder, classes=attributor.classes)
    check_rate(error_rate, min_decided)
    check_enough(len(folder), error_rate)
    check_spared(attributor, spared)
    views = views or attributor.default_views
    images = labelled.Images(folder, attributor.resolution, resize)
    evaluation = evaluate(attributor, images, views=views, rule=rule, batch_size=batch_size, tiling=tiling)
    return from_evaluation(attributor, evaluation, folder, error_rate, min_decided, spared)


def check_spared(attributor: Attributor, spared: str) -> None:
    """Raises UserError unless a source has this name, or it is ""."""
    if spared and spared not in attributor.classes:
        raise UserError(f"config.spared is {spared!r}; give one of {', '.join(attributor.classes)}, or nothing")


def found_on(calibration: Calibration, images: labelled.Images) -> bool:
    """Whether a calibration was found on these very images, unperturbed; False where it does not say on which."""
    known = calibration.images_digest
    return bool(known) and images.perturbation == "none" and _digest(images.folder) == known


def _digest(folder: labelled.LabelledFolder) -> str:
    return labelled.digest({"calibration": folder})


def from_evaluation(
    attributor: Attributor,
    evaluation: Evaluation,
    folder: labelled.LabelledFolder,
    error_rate: float,
    min_decided: float = 0.0,
    spared: str = "",
) -> Calibration:
    """The calibration for the vote of an evaluation of the images of a folder.

    Where enough pictures have several tiles, it first learns how much these depend on each other, and the margins are
    those of pictures whose tiles are weighed so. Pictures in which there is nothing to see are left out.

    Raises:
        UserError: as `certainty.choose_threshold` and `certainty.spare`.
    """
    vote, seen, dependence = evaluation.vote, np.ones(len(evaluation.targets), bool), None
    if (pictures := evaluation.pictures) is not None:
        seen = pictures.tiles > 0
        dependence = learn_dependence(pictures.evidence, pictures.tiles, evaluation.targets)
        vote = vote if dependence is None else reweighed(pictures, dependence)
    targets, wrong = evaluation.targets[seen], (np.asarray(vote.predicted) != evaluation.targets)[seen]
    scores = SCORES["margin"].of(vote)[seen]
    choice = choose_threshold(scores, wrong, error_rate, min_decided=min_decided)
    if spared:
        choice = spare(choice, scores, wrong, targets == attributor.classes.index(spared), error_rate)
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
        dependence=dependence,
        images_digest=_digest(folder),
        spared=spared,
    )
