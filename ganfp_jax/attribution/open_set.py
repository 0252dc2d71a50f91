"""Which scores tell images of unknown sources from known ones, and what the unknown ones are called.

Unknown sources are of kinds, which are never averaged: a mean over them depends on how many there happen to be of each.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer

from ganfp_jax.attribution.evaluation import Evaluation
from ganfp_jax.attribution.typicality import Typical
from ganfp_jax.attribution.unknown_images import UnknownImages
from ganfp_jax.attribution.verdict import NOTHING, SCORES, UNKNOWN, UNSURE, Attribution, Rule, p_values
from ganfp_jax.attribution.voting import Vote
from ganfp_jax.data import labelled
from ganfp_jax.data.unknown import generator_of
from ganfp_jax.metrics.measures import Weights, with_intervals
from ganfp_jax.metrics.open_set import curves, open_set

REPEATS = 1000
POINTS = 200  # of a curve that is drawn

Scores = Mapping[str, Float[np.ndarray, " n"]]


class Known(NamedTuple):
    """N images of known sources, which unknown ones are compared with."""

    scores: Scores
    """Name -> a score that is high for images of known sources."""
    right: Bool[np.ndarray, " n"]
    """Which are named rightly."""
    targets: Integer[np.ndarray, " n"]
    """The class of each."""
    groups: Integer[np.ndarray, " n"]
    """Images of one photograph have one number, others each their own; a group is of one class."""


def scores_of(vote: Vote, rules: Sequence[Rule | Typical] = ()) -> dict[str, Float[np.ndarray, " n"]]:
    """Every score of `SCORES` on the images of a vote, turned so that it is high for images of known sources.

    Of scores by source the best source's counts. With p-values among the rules, "typicality" is the highest of them.
    A score that the network has not learned to give is left out.
    """
    found = {}
    for name, score in SCORES.items():
        values = np.asarray(score.of(vote), np.float64)
        values = values if score.stands(1.0, 0.0) else -values
        if not np.isnan(values).all():
            found[name] = values.max(-1) if score.by_source else values
    typical = next((rule for rule in rules if isinstance(rule, Typical)), None)
    return found if typical is None else found | {"typicality": p_values(typical, vote).max(-1)}


def against(
    known: Known, scores: Scores, generators: Sequence[str], *, repeats: int = REPEATS, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """How well each score tells known images from the unknown ones of one kind.

    Args:
        known: the known images.
        scores: of the M unknown images, by the names of the known ones' scores.
        generators: the generator of each unknown image, or another group that is drawn as a whole in the bootstrap.
            Where there is only one, images are drawn, and the interval says nothing of other generators.
        repeats, seed: of the bootstrap, which draws known images within their class.

    Returns:
        Score -> the numbers of `metrics.open_set.open_set` as {"value", "ci95"}.
    """
    unknown = np.arange(len(known.targets) + len(generators)) >= len(known.targets)
    groups = np.unique(generators, return_inverse=True)[1]
    groups = groups if groups.any() else np.arange(len(generators))
    units = np.concatenate([known.groups, known.groups.max() + 1 + groups])
    strata = np.concatenate([known.targets, np.full(len(generators), known.targets.max() + 1)])
    right = np.concatenate([known.right, np.zeros(len(generators), bool)])
    measures = {
        name: open_set(np.concatenate([known.scores[name], of_unknown]), right, unknown)
        for name, of_unknown in scores.items()
    }

    def every(weights: Weights) -> dict[str, Any]:
        return {name: measure(weights) for name, measure in measures.items()}

    return with_intervals(every, units, strata, repeats=repeats, seed=seed, label="intervals")


def curve_points(known: Known, scores: Scores) -> dict[str, dict[str, list[float]]]:
    """The curves of each score for a figure: `fpr`, `tpr` and `ccr` at `POINTS` thresholds or fewer.

    Args:
        known, scores: as for `against`.
    """
    found = {}
    for name, of_unknown in scores.items():
        number = len(known.targets) + len(of_unknown)
        right = np.concatenate([known.right, np.zeros(len(of_unknown), bool)])
        unknown = np.arange(number) >= len(known.targets)
        at = curves(np.concatenate([known.scores[name], of_unknown]), right, unknown)(np.ones(number))
        assert at.accepted is not None and at.named is not None
        kept = np.unique(np.linspace(0, len(at.named.hits) - 1, POINTS).round().astype(int))
        arrays = {"fpr": at.named.false_positives, "tpr": at.accepted.hits, "ccr": at.named.hits}
        found[name] = {key: np.round(values[kept], 5).tolist() for key, values in arrays.items()}
    return found


def called(verdicts: Iterable[Attribution], classes: Sequence[str]) -> dict[str, int]:
    """How many images have each verdict: every known source, then "unsure", "unknown" and "nothing to see"."""
    counts = Counter(verdict.verdict for verdict in verdicts)
    return {name: counts[name] for name in (*classes, UNSURE, UNKNOWN, NOTHING)}


def known_images(evaluation: Evaluation, folder: labelled.LabelledFolder) -> Known:
    """The evaluated images of known sources; those of one photograph are a group where the manifest lists it."""
    origins = dict(zip(folder.names, labelled.origins(folder), strict=True))
    groups = np.unique([origins[name] for name in evaluation.names], return_inverse=True)[1]
    right = np.asarray(evaluation.vote.predicted) == evaluation.targets
    return Known(scores_of(evaluation.vote, evaluation.rules), right, evaluation.targets, groups)


class Measured(NamedTuple):
    """An open set, measured."""

    metrics: dict[str, Any]
    """`root`, `images`, `rejected`, `repeats`; `known` and, by name, `kinds`: `images`, what they were `called`, and of
    a kind `generators` (their number, None where the folders do not tell) and `scores`, the result of `against`."""
    curves: dict[str, dict[str, Any]]
    """Kind -> `curve_points`."""


def measure(
    evaluation: Evaluation, folder: labelled.LabelledFolder, unknown: UnknownImages, *, seed: int = 0
) -> Measured:
    """Measures images of unknown sources, by kind, against those of an evaluation.

    Args:
        evaluation: of images of known sources, by the same vote.
        folder: of those images.
        unknown: the answers for the unknown ones.
        seed: of the bootstrap.
    """
    known, verdicts = known_images(evaluation, folder), list(unknown.verdicts)
    scores, made_by = scores_of(unknown.pictures.vote, unknown.rules), list(map(generator_of, unknown.names))
    kinds, drawn = {}, {}
    for k, kind in enumerate(unknown.folder.classes):
        places = np.flatnonzero(unknown.kinds == k)
        if not len(places):  # none could be read
            continue
        mine, generators = {name: values[places] for name, values in scores.items()}, [made_by[i] for i in places]
        in_folders = any(name != unknown.names[i] for name, i in zip(generators, places.tolist(), strict=True))
        kinds[kind] = {
            "images": len(places),
            "generators": len(set(generators)) if in_folders else None,
            "called": called((verdicts[i] for i in places), unknown.classes),
            "scores": against(known, mine, generators, seed=seed),
        }
        drawn[kind] = curve_points(known, mine)
    metrics = {
        "root": str(unknown.folder.root),
        "images": len(unknown.names),
        "rejected": len(unknown.rejected),
        "repeats": REPEATS,
        "known": {"images": len(evaluation.names), "called": called(evaluation.verdicts, unknown.classes)},
        "kinds": kinds,
    }
    return Measured(metrics, drawn)
