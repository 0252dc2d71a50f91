"""From labelled images to the margin from which on a network's verdicts can be relied on, and to p-values by source."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Integer

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.certainty import (
    CONFIDENCE,
    Calibration,
    check_enough,
    check_rate,
    choose_sparing,
    choose_threshold,
)
from ganfp_jax.attribution.evaluation import Evaluation, evaluate
from ganfp_jax.attribution.tiles import learn_dependence, reweighed
from ganfp_jax.attribution.typicality import Typical, check_unknown_rate, learn, without_own
from ganfp_jax.attribution.verdict import NOVELTY, SCORES, STRANGENESS, p_values
from ganfp_jax.attribution.voting import Vote
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
    unknown_rate: float = 0.05,
    resize: str = "crop",
    batch_size: int = 32,
    tiling: Tiling = TILING,
    perturbation: str = "none",
) -> Calibration:
    """Finds from which margin on at most `error_rate` of the verdicts on such images are wrong, with 95 % confidence.

    Args:
        folder: labelled images that the network was not trained on, opened with its classes; or where they lie.
        views, rule: of the vote; no views are the network's default ones.
        error_rate: the share of decided images that may be wrong, between 0 and 1.
        min_decided: the share that is to be decided at least of the images that are like one source alone.
        spared: a source none of whose images may be decided wrongly, such as the real one; "" for none.
        unknown_rate: the share of each source's images, of new photographs, that may be found unlike it; 0 learns no
            p-values, and no verdict is "unknown".
        resize, batch_size, tiling: as for `evaluation.evaluate`.
        perturbation: how the images are shown, as for `data.perturb.perturb`, such as "none|jpeg50-95": what is
            promised is promised of images like these.

    Raises:
        UserError: as `evaluation.evaluate`, `certainty.choose_threshold` and `certainty.choose_sparing`; no such
            source; too few images are like one source alone.
    """
    if not isinstance(folder, labelled.LabelledFolder):
        folder = labelled.open_labelled(folder, classes=attributor.classes)
    check_rate(error_rate, min_decided)
    check_unknown_rate(unknown_rate)
    check_enough(len(folder), error_rate)
    check_spared(attributor, spared)
    views = views or attributor.default_views
    images = labelled.Images(folder, attributor.resolution, resize, perturbation)
    evaluation = evaluate(attributor, images, views=views, rule=rule, batch_size=batch_size, tiling=tiling)
    found = from_evaluation(attributor, evaluation, folder, error_rate, min_decided, spared, unknown_rate)
    return dataclasses.replace(found, perturbation=perturbation)


def check_spared(attributor: Attributor, spared: str) -> None:
    """Raises UserError unless a source has this name, or it is ""."""
    if spared and spared not in attributor.classes:
        raise UserError(f"config.spared is {spared!r}; give one of {', '.join(attributor.classes)}, or nothing")


def found_on(calibration: Calibration, images: labelled.Images) -> bool:
    """Whether a calibration was found on these very images, shown alike; False where it does not say on which."""
    known = calibration.images_digest
    return bool(known) and images.perturbation == calibration.perturbation and _digest(images.folder) == known


def _digest(folder: labelled.LabelledFolder) -> str:
    return labelled.digest({"calibration": folder})


def from_evaluation(
    attributor: Attributor,
    evaluation: Evaluation,
    folder: labelled.LabelledFolder,
    error_rate: float,
    min_decided: float = 0.0,
    spared: str = "",
    unknown_rate: float = 0.05,
    score: str = "",
) -> Calibration:
    """The calibration for the vote of an evaluation of the images of a folder.

    Where enough pictures have several tiles, it first learns how much these depend on each other, and the margins are
    those of pictures whose tiles are weighed so. Pictures in which there is nothing to see are left out. Then it learns
    how strange images of each source are for it; the margin is chosen among images that are like the voted source
    alone, each by the photographs other than its own.

    Args:
        attributor, evaluation, folder: the network, what it said of which images.
        error_rate, min_decided, spared, unknown_rate: as for `calibrate`.
        score: of strangeness by source, one of `SCORES`; "" for the one that fits the network's training.

    Raises:
        UserError: as `certainty.choose_threshold` and `certainty.choose_sparing`; too few images are like one source
            alone.
    """
    vote, seen, dependence = evaluation.vote, np.ones(len(evaluation.targets), bool), None
    if (pictures := evaluation.pictures) is not None:
        seen = pictures.tiles > 0
        dependence = learn_dependence(pictures.evidence, pictures.tiles, evaluation.targets)
        vote = vote if dependence is None else reweighed(pictures, dependence)
    targets, wrong = evaluation.targets[seen], (np.asarray(vote.predicted) != evaluation.targets)[seen]
    typical: Typical | None = None
    like_one = np.ones(len(targets), bool)
    if unknown_rate:
        photographs = _photographs(evaluation, folder)[seen]
        score = score or (NOVELTY if attributor.knows_nobody else STRANGENESS)
        typical, like_one = _learn(attributor.classes, vote, seen, targets, photographs, unknown_rate, score)
    if like_one.sum() < check_enough(len(targets), error_rate):
        raise UserError(
            f"{like_one.sum()} of {len(targets)} images are like the voted source alone: too few to show an error rate "
            f"of {error_rate:g}; calibrate with a higher config.unknown_rate, or 0, on more images, or another network"
        )
    margins = SCORES["margin"].of(vote)[seen]
    scores, mistakes = margins[like_one], wrong[like_one]
    voted = np.asarray(vote.predicted)[seen]
    named = np.array([name == spared for name in attributor.classes])[voted]
    if spared:
        mine = targets[like_one] == attributor.classes.index(spared)
        own, choice = choose_sparing(scores, mistakes, named[like_one], mine, error_rate, min_decided=min_decided)
    else:
        own = choice = choose_threshold(scores, mistakes, error_rate, min_decided=min_decided)
    decided = like_one & (margins >= np.where(named, own.threshold, choice.threshold))

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
        decided=int(decided.sum()),
        wrong=int((decided & wrong).sum()),
        ci95=wilson_interval(int((decided & wrong).sum()), int(decided.sum())),
        upper=max(own.upper, choice.upper),
        per_class={name: counts(label) for label, name in enumerate(attributor.classes)},
        digest=attributor.digest,
        dependence=dependence,
        images_digest=_digest(folder),
        spared=spared,
        typicality=typical,
        spared_threshold=own.threshold if spared else None,
    )


def _photographs(evaluation: Evaluation, folder: labelled.LabelledFolder) -> Integer[np.ndarray, " n"]:
    """The number of each image's photograph; an image of none that is listed has its own."""
    origins = dict(zip(folder.names, labelled.origins(folder), strict=True))
    return np.unique([origins[name] for name in evaluation.names], return_inverse=True)[1]


def _learn(
    classes: Sequence[str],
    vote: Vote,
    seen: Bool[np.ndarray, " n"],
    targets: Integer[np.ndarray, " m"],
    photographs: Integer[np.ndarray, " m"],
    unknown_rate: float,
    score: str,
) -> tuple[Typical, Bool[np.ndarray, " m"]]:
    """The p-values of each source, and which of the M images that were seen are like the voted source alone.

    Args:
        classes: K names.
        vote: on N images, of which M were seen.
        targets, photographs: of those.
        unknown_rate, score: of the p-values.
    """
    scores, mine = SCORES[score].of(vote)[seen], [targets == k for k in range(len(classes))]
    known = (
        learn(name, scores[of, k], photographs[of]) for k, (name, of) in enumerate(zip(classes, mine, strict=True))
    )
    typical = Typical(score, unknown_rate, tuple(known))
    if typical.too_few:
        return typical, np.ones(len(targets), bool)
    p = p_values(typical, vote)[seen]
    for k, of in enumerate(mine):
        p[of, k] = without_own(scores[of, k], photographs[of])
    like = p > unknown_rate
    voted = np.asarray(vote.predicted)[seen]
    return typical, like[np.arange(len(voted)), voted] & (like.sum(1) == 1)
