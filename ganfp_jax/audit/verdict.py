"""Each kind of fact as a classifier of its own: cross-validated, tested against chance, and put into words."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from ganfp_jax.audit.facts import KINDS, Facts, columns
from ganfp_jax.metrics import bootstrap_weights, holm, percentile_interval, wilson_interval

LEAVES = 32
RARE = 0.03  # share of the files that a leaf of the tree must have
REPEATS = 1000  # of the bootstrap
LONG = 60  # letters of a word that are shown

Verdict = Literal["leak", "warning", "nothing found"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one kind of fact reaches as a classifier.

    Attributes:
        kind: a key of `KINDS`.
        correct: files that it named the source of while it was not trained on them.
        total: files tested, as many of every source.
        ci95: interval of the accuracy: Wilson's; the wider of that and a bootstrap of whole photographs where several
            files come from one.
        chance: accuracy of a guess.
        p: how often a guess is right as often (one-sided, binomial). This and Wilson's interval take the files for
            fewer than they are (`_inflation`).
        p_holm: the same, corrected by Holm for the number of kinds.
        verdict: "leak", "warning" (found, but it depends on the picture too) or "nothing found".
        says: the feature that tells most, in two of the sources.
    """

    kind: str
    correct: int
    total: int
    ci95: tuple[float, float]
    chance: float
    p: float
    p_holm: float
    verdict: Verdict
    says: str

    @property
    def accuracy(self) -> float:
        """The share of correct files."""
        return self.correct / self.total


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
    """Tests every kind; one finding each, in the order of `KINDS`.

    A decision tree is trained on all folds but one and asked about that one, each in turn. Files of one group are in
    one fold, so what tells photographs apart is not taken for what tells sources apart. A kind counts as found where
    its corrected p is at most `alpha`, its interval lies above chance, and it is right `min_gain` more often than
    chance: with many files the smallest difference is certain, and does no harm.

    Args:
        facts: of N files, as many of each class.
        labels: class index of each.
        classes: the K class names.
        groups: what each was taken from (`labelled.origins`).
        folds: 2 or more; at most the number of files a class.
        alpha: the chance, over all kinds together, of a finding where there is none.
        min_gain: share of files, 0 to 1.
        seed: 0 to 2**32 - 1.
    """
    chance = 1 / len(classes)
    held_out = _folds(labels, groups, folds, seed)
    tables = {kind: columns(kind, facts) for kind in KINDS}
    rights = {kind: _predict(table[1], labels, held_out, seed) == labels for kind, table in tables.items()}
    p_values = {kind: _p_value(int(right.sum()), len(right), chance, folds) for kind, right in rights.items()}
    corrected = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    findings = []
    for kind, (names, values) in tables.items():
        right = rights[kind]
        ci95 = _interval(right, labels, groups, folds, seed)
        found = corrected[kind] <= alpha and ci95[0] > chance and right.mean() - chance >= min_gain
        findings.append(
            Finding(
                kind=kind,
                correct=int(right.sum()),
                total=len(right),
                ci95=ci95,
                chance=chance,
                p=p_values[kind],
                p_holm=corrected[kind],
                verdict=("leak" if KINDS[kind].leak else "warning") if found else "nothing found",
                says=_describe(names, values, labels, classes, seed),
            )
        )
    return findings


def _folds(
    labels: Int[np.ndarray, " n"], groups: Sequence[str], folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(trained on, asked about) index arrays; every class is spread as evenly over the folds as its groups allow."""
    rng = np.random.RandomState(seed)
    _, group_of = np.unique(np.asarray(groups), return_inverse=True)
    fold_of = np.zeros(len(labels), int)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        numbers, sizes = np.unique(group_of[own], return_counts=True)
        filled = np.zeros(folds, int)
        shuffled = rng.permutation(len(numbers))
        fold_of_group = np.zeros(group_of.max() + 1, int)
        for place in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:  # the large ones first
            fold = int(filled.argmin())
            filled[fold] += sizes[place]
            fold_of_group[numbers[place]] = fold
        fold_of[own] = fold_of_group[group_of[own]]
    return [(np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)) for fold in range(folds)]


def _tree(values: Float[np.ndarray, "n f"], labels: Int[np.ndarray, " n"], seed: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(
        max_leaf_nodes=LEAVES, min_samples_leaf=RARE, class_weight="balanced", random_state=seed
    )
    return tree.fit(values, labels)


def _predict(
    values: Float[np.ndarray, "n f"],
    labels: Int[np.ndarray, " n"],
    held_out: Sequence[tuple[np.ndarray, np.ndarray]],
    seed: int,
) -> Int[np.ndarray, " n"]:
    """The class named for each file by a tree that did not see it; the first class where there is nothing to go by."""
    predicted = np.full(len(labels), labels.min())
    if not values.shape[1]:
        return predicted
    for known, asked in held_out:
        if len(asked):
            predicted[asked] = _tree(values[known], labels[known], seed).predict(values[asked])
    return predicted


def _inflation(folds: int) -> float:
    """How many times the variance of a cross-validated accuracy is that of as many independent answers.

    Trees of different folds share most of their training files, so they err together (Nadeau and Bengio 2003). Without
    this, three times as many clean folders as `alpha` says would be found guilty.
    """
    return 1 + folds / (folds - 1)


def _p_value(correct: int, total: int, chance: float, folds: int) -> float:
    from scipy.special import betainc  # takes a while to import

    right, answers = correct / _inflation(folds), total / _inflation(folds)
    return float(betainc(right, answers - right + 1, chance)) if correct else 1.0  # the binomial tail, for any number


def _interval(
    right: Bool[np.ndarray, " n"], labels: Int[np.ndarray, " n"], groups: Sequence[str], folds: int, seed: int
) -> tuple[float, float]:
    answers = max(1, round(len(right) / _inflation(folds)))
    low, high = wilson_interval(round(answers * float(right.mean())), answers)
    _, group_of = np.unique(np.asarray(groups), return_inverse=True)
    if group_of.max() + 1 < len(right):  # crops of one photograph depend on each other
        drawn = bootstrap_weights(group_of, REPEATS, seed)
        bounds = percentile_interval([_mean_recall(right, labels, weights) for weights in drawn])
        low, high = (min(low, bounds[0]), max(high, bounds[1])) if bounds else (low, high)
    return low, high


def _mean_recall(
    right: Bool[np.ndarray, " n"], labels: Int[np.ndarray, " n"], weights: Float[np.ndarray, " n"]
) -> float | None:
    """The mean over the classes of the share that is right, so that no draw favours a class; None if one is missing."""
    totals = np.bincount(labels, weights)
    return float((np.bincount(labels, weights * right) / totals).mean()) if totals.all() else None


def _describe(
    names: Sequence[str],
    values: Float[np.ndarray, "n f"],
    labels: Int[np.ndarray, " n"],
    classes: Sequence[str],
    seed: int,
) -> str:
    """The feature that a tree goes by most, and the two sources in which it differs most."""
    if not np.ptp(values, axis=0).any():
        return "all files alike"
    column = int(_tree(values, labels, seed).feature_importances_.argmax())
    means = [float(values[labels == label, column].mean()) for label in range(len(classes))]
    most, least = int(np.argmax(means)), int(np.argmin(means))
    name = names[column] if len(names[column]) <= LONG else f"{names[column][: LONG - 3]}..."
    if set(np.unique(values[:, column])) <= {0.0, 1.0}:
        return f"{name} in {means[most]:.0%} of {classes[most]}, {means[least]:.0%} of {classes[least]}"
    return f"{name} {_number(means[most])} in {classes[most]}, {_number(means[least])} in {classes[least]} (means)"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
