"""The verdict on each kind of fact: a classifier of its own, cross-validated and tested against chance."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from ganfp_jax.audit.facts import KINDS, VAGUE, Facts, columns
from ganfp_jax.metrics.groups import deal
from ganfp_jax.metrics.statistics import bootstrap_weights, holm, percentile_interval, wilson_interval
from ganfp_jax.report import wording

LEAVES = 32
RARE = 0.03  # least share of the files in a leaf of the tree
REPEATS = 1000  # repeats of the bootstrap
LONG = 60  # characters of a word that are shown

Verdict = Literal["leak", "warning", "nothing found"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """The result of one kind of fact as a classifier.

    Attributes:
        kind: a key of `KINDS`.
        accuracy: cross-validated accuracy. Every source has the same weight in every fold, so predicting one source for
            all files is right at chance, whatever the photographs of a fold are.
        total: number of files tested, equally many of every source.
        ci95: Wilson's interval of the accuracy. Where several files come from one photograph, it is the wider of that
            and a bootstrap of whole photographs.
        chance: accuracy of a guess.
        p: probability that a guess is right as often (one-sided, binomial). This and Wilson's interval use a smaller
            number of files (see `_answers`).
        p_holm: p after Holm's correction for the number of kinds.
        verdict: "leak", "warning" (found, but it depends on the picture too) or "nothing found".
        says: the most telling feature, in two of the sources.
    """

    kind: str
    accuracy: float
    total: int
    ci95: tuple[float, float]
    chance: float
    p: float
    p_holm: float
    verdict: Verdict
    says: str


def judge(
    facts: Sequence[Facts],
    labels: Int[np.ndarray, " n"],
    classes: Sequence[str],
    groups: Sequence[str],
    *,
    folds: int,
    alpha: float,
    min_gain: float,
    seed: int,
) -> list[Finding]:
    """Tests every kind and returns the findings in the order of `KINDS`.

    A decision tree is trained on all folds but one and tested on that one, for each fold. Files of one group are in one
    fold, whatever their sources, so that differences of photographs do not pass for differences of sources, and a
    photograph that all sources show is not learned as another source's. There are at most as many folds as
    any source has groups. (The files of a source with a single group are groups of their own, since that group cannot
    be held out.)

    A kind is found where its corrected p is at most `alpha`, its interval lies above chance, and its accuracy exceeds
    chance by `min_gain`, since many files make even a harmless difference significant.

    Args:
        facts: facts of N files, equally many of each class.
        labels: class index of each file.
        classes: the K class names.
        groups: origin of each file (`sample.File`).
        folds: 2 or more, at most the number of files per class.
        alpha: probability, over all kinds together, of a false finding.
        min_gain: least gain over chance, as a share of files, 0 to 1.
        seed: 0 to 2**32 - 1.
    """
    chance, group_of = 1 / len(classes), _numbered(labels, groups)
    folds = min(folds, *(len(np.unique(group_of[labels == label])) for label in np.unique(labels)))
    fold_of = _folds(labels, group_of, folds, seed)
    cells = np.bincount(labels * folds + fold_of, minlength=len(classes) * folds)
    weights = len(labels) / (len(classes) * folds * cells[labels * folds + fold_of])
    answers = _answers(weights, folds)
    tables = {kind: columns(kind, facts) for kind in KINDS}
    rights = {kind: _predict(table[1], labels, fold_of, seed) == labels for kind, table in tables.items()}
    # Rounded, since the weights' last digit could make an accuracy exceed 1.
    accuracies = {kind: round(float((weights * right).mean()), 12) for kind, right in rights.items()}
    p_values = {kind: _p_value(accuracy, answers, chance) for kind, accuracy in accuracies.items()}
    corrected = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    findings = []
    for kind, (names, values) in tables.items():
        ci95 = _interval(rights[kind], weights, labels, group_of, answers, seed)
        found = corrected[kind] <= alpha and ci95[0] > chance and accuracies[kind] - chance >= min_gain
        findings.append(
            Finding(
                kind=kind,
                accuracy=accuracies[kind],
                total=len(labels),
                ci95=ci95,
                chance=chance,
                p=p_values[kind],
                p_holm=corrected[kind],
                verdict=("leak" if KINDS[kind].leak else "warning") if found else "nothing found",
                says=_describe(names, values, labels, classes, seed),
            )
        )
    return findings


def overall(findings: Sequence[Finding]) -> str:
    """Returns the verdict in one sentence."""
    leaks, warnings = (
        [KINDS[finding.kind].what for finding in findings if finding.verdict == verdict]
        for verdict in ("leak", "warning")
    )
    first = f"LEAK: the classes are given away by {wording.listed(leaks)}" if leaks else "No leak found"
    if not warnings:
        return f"{first}."
    second = f"{'they can also' if leaks else 'the classes can'} be told apart by {wording.listed(warnings)}"
    return f"{first}; {second}, which may be the pictures' doing: give these accuracies beside a classifier's."


def _numbered(labels: Int[np.ndarray, " n"], groups: Sequence[str]) -> Int[np.ndarray, " n"]:
    """The group number of each file; the files of a class with a single group are groups of their own."""
    _, group_of = np.unique(np.asarray(groups), return_inverse=True)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if np.ptp(group_of[members]) == 0:
            group_of[members] = group_of.max() + 1 + np.arange(len(members))
    return group_of


def _folds(
    labels: Int[np.ndarray, " n"], group_of: Int[np.ndarray, " n"], folds: int, seed: int
) -> Int[np.ndarray, " n"]:
    """The fold of each file; all folds share every class as evenly as its groups allow."""
    rng = np.random.RandomState(seed)
    fold_of = np.zeros(len(labels), int)
    pairs = np.unique(np.stack([group_of, labels]), axis=1)
    several = np.flatnonzero(np.bincount(pairs[0]) > 1)  # groups with files of several classes
    shared = np.isin(group_of, several)
    fold_of[shared] = deal(group_of[shared], folds, rng)
    for label in np.unique(labels):
        members = np.flatnonzero((labels == label) & ~shared)
        fold_of[members] = deal(group_of[members], folds, rng)
    return fold_of


def _tree(values: Float[np.ndarray, "n f"], labels: Int[np.ndarray, " n"], seed: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(
        max_leaf_nodes=LEAVES, min_samples_leaf=RARE, class_weight="balanced", random_state=seed
    )
    return tree.fit(values, labels)


def _predict(
    values: Float[np.ndarray, "n f"],
    labels: Int[np.ndarray, " n"],
    fold_of: Int[np.ndarray, " n"],
    seed: int,
) -> Int[np.ndarray, " n"]:
    """The class that a tree predicts for each file of a fold it has not seen; the first class without features."""
    predicted = np.full(len(labels), labels.min())
    if not values.shape[1]:
        return predicted
    for fold in np.unique(fold_of):
        held_out = fold_of == fold
        predicted[held_out] = _tree(values[~held_out], labels[~held_out], seed).predict(values[held_out])
    return predicted


def _answers(weights: Float[np.ndarray, " n"], folds: int) -> float:
    """The number of independent answers that the cross-validated accuracy is worth, which is less than that of files.

    Trees of different folds share most of their training files, so their errors depend on each other. The variance is
    1 + folds / (folds - 1) times as large (Nadeau and Bengio 2003); without this, clean folders would be found guilty
    three times as often as `alpha` says. Uneven weights increase the variance too (Kish).
    """
    return float(weights.sum() ** 2 / (weights**2).sum()) / (1 + folds / (folds - 1))


def _p_value(accuracy: float, answers: float, chance: float) -> float:
    from scipy.special import betainc  # SciPy is slow to import

    right = accuracy * answers
    # The tail of the binomial distribution, for a fractional number of trials.
    return float(betainc(right, answers - right + 1, chance)) if right else 1.0


def _interval(
    right: Bool[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"],
    labels: Int[np.ndarray, " n"],
    group_of: Int[np.ndarray, " n"],
    answers: float,
    seed: int,
) -> tuple[float, float]:
    whole = max(1, round(answers))
    low, high = wilson_interval(min(whole, round(whole * float((weights * right).mean()))), whole)
    if len(np.unique(group_of)) < len(right):  # the crops of one photograph depend on each other
        drawn = bootstrap_weights(group_of, REPEATS, np.random.RandomState(seed))
        bounds = percentile_interval([_mean_recall(right, labels, weights * times) for times in drawn])
        low, high = (min(low, bounds[0]), max(high, bounds[1])) if bounds else (low, high)
    return low, high


def _mean_recall(
    right: Bool[np.ndarray, " n"], labels: Int[np.ndarray, " n"], weights: Float[np.ndarray, " n"]
) -> float | None:
    """The mean recall of the classes, so that no draw favours a class; None if a class is missing."""
    totals = np.bincount(labels, weights)
    return float((np.bincount(labels, weights * right) / totals).mean()) if totals.all() else None


def _describe(
    names: Sequence[str],
    values: Float[np.ndarray, "n f"],
    labels: Int[np.ndarray, " n"],
    classes: Sequence[str],
    seed: int,
) -> str:
    """The feature that a tree uses most, or its most telling equal, and the two sources where it differs most."""
    if not np.ptp(values, axis=0).any():
        return "all files alike"
    best = values[:, [int(_tree(values, labels, seed).feature_importances_.argmax())]]
    # Words that always occur together are the same to a tree; the least vague one stands for all.
    same = np.flatnonzero((values == best).all(0) | (values == 1 - best).all(0)).tolist()
    column = min(same, key=lambda k: (names[k].startswith(VAGUE), k))
    means = [float(values[labels == label, column].mean()) for label in range(len(classes))]
    most, least = int(np.argmax(means)), int(np.argmin(means))
    name = names[column] if len(names[column]) <= LONG else f"{names[column][: LONG - 3]}..."
    if set(np.unique(values[:, column])) <= {0.0, 1.0}:
        return f"{name} in {means[most]:.0%} of {classes[most]}, {means[least]:.0%} of {classes[least]}"
    return f"{name} {_number(means[most])} in {classes[most]}, {_number(means[least])} in {classes[least]} (means)"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
