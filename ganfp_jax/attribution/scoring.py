"""Answers of any tool -> its metrics, each with the interval of a finite test set; and two tools on the same images.

Images of one photograph depend on each other, so where it is known which ones these are, whole photographs (groups) are
drawn in the bootstrap. Where it is not, accuracies have Wilson's intervals, which take images for independent, and so
does the bootstrap of everything else.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ganfp_jax.attribution.tool_answers import ToolAnswers, are_probabilities
from ganfp_jax.metrics import measures
from ganfp_jax.metrics.open_set import open_set
from ganfp_jax.metrics.reliability import least_cllr, log_likelihood_ratio
from ganfp_jax.metrics.statistics import (
    accuracy_block,
    bootstrap_weights,
    holm,
    percentile_interval,
    proportion,
    vote_changes,
)
from ganfp_jax.run.errors import UserError

NONE = "none of these"
"""The last class of a confusion matrix: images of unknown sources, and answers that name no class."""

METHOD = {
    "accuracy": "of the images whose source the tool knows; an answer that names no class is wrong",
    "least_accuracy": "as if every rejected row were a wrong answer",
    "balanced_accuracy": "the mean of the accuracies of the classes that occur",
    "scores": (
        "one class against the rest, and the mean over the classes; average precision depends on the share of the class"
    ),
    "ece": "expected calibration error of the answer's probability, in bins of equal width (Guo et al. 2017)",
    "detection": (
        "real against all other known classes; Cllr takes the tool's prior for even over its classes, and "
        "probabilities to be at least 1e-6 from 0 and 1; the least Cllr that of the best ratios rising with a score "
        "(isotonic regression on these images)"
    ),
    "open_set": (
        "known against unknown images by the column config.columns.known, else by the highest score; CCR is the share "
        "of known images that are accepted and named rightly, OSCR the area under CCR over FPR, the share of unknown "
        "ones that are accepted; FPR95 is that share where 95 % of the known ones are accepted, and balanced accuracy "
        "the mean of CCR and the share of unknown ones that are not, there; average_precision is that of unknown "
        "images; at a rate below one of the negatives, such as 1 % of fewer than 100, none of them is accepted"
    ),
    "ci95": (
        "percentiles of a bootstrap of whole groups, or of images where no group is known; of accuracies Wilson's "
        "interval, or the wider of the two where groups are known"
    ),
    "pairs": "exact McNemar test, with Holm's correction over all pairs; it takes images for independent",
}


def score(answers: ToolAnswers, *, real: str, bins: int, repeats: int, seed: int) -> dict[str, Any]:
    """All metrics of one tool, as plain JSON-able data; `METHOD` says how they are computed.

    Args:
        answers: of one image or more whose source the tool knows.
        real: the class of photographs; detection asks whether an image is of any other class.
        bins: number of bins of the calibration error.
        repeats: repeats of the bootstrap.
        seed: seed of the bootstrap.

    Returns:
        `accuracy_block` of the images of known classes, whose `confusion` and `classes` have `NONE` at the end where a
        target or an answer is none of the classes; `images`, `rejected`, `least_accuracy`, `groups` (class -> their
        number; None where they are not known), `balanced_accuracy`; and three sections, each None where it makes no
        sense: `scores` with `ece` (None unless scores are probabilities), `detection` with `cllr` (likewise) and
        `cllr_min`, `open_set` with `cllr_min` and `called_none`, the share of `known` and `unknown` images that got no
        class. A measure is {"value", "ci95"}.
    """
    sections = _sections(answers, real, bins)
    units, strata = _units(answers)
    found = measures.with_intervals(
        lambda weights: {name: measure(weights) for name, measure in sections.items()},
        units,
        strata,
        repeats=repeats,
        seed=seed,
        label=answers.tool,
    )
    shares = found.pop("shares")
    block = _accuracies(answers, shares if answers.groups is not None else {"per_class": {}})
    return {
        **block,
        "images": len(answers.names),
        "rejected": len(answers.rejected),
        "least_accuracy": block["correct"] / (block["total"] + len(answers.rejected)),
        "groups": None if answers.groups is None else _groups_of(answers, units),
        "balanced_accuracy": shares["balanced_accuracy"],
        "scores": _scores_section(found),
        "detection": _detection_section(found, answers, real),
        "open_set": _open_set_section(found, answers),
    }


def compare(tools: Sequence[ToolAnswers], *, repeats: int, seed: int) -> list[dict[str, Any]]:
    """Every two tools on the images that both have answered, of sources that both know.

    Returns:
        For each pair `first`, `second` (names), `shared` (images), `vote_changes` from the first to the second,
        `holm_p` (corrected over all pairs) and `difference` of their accuracies, second minus first, with `ci95` by
        bootstrap of the first one's groups (the second's where it has none).

    Raises:
        UserError: two tools share no such image, or say that one is of different sources.
    """
    pairs = [_compare(*pair, repeats, seed) for pair in itertools.combinations(tools, 2)]
    corrected = holm([pair["mcnemar_p"] for pair in pairs])
    return [pair | {"holm_p": p} for pair, p in zip(pairs, corrected, strict=True)]


def _compare(first: ToolAnswers, second: ToolAnswers, repeats: int, seed: int) -> dict[str, Any]:
    a, b = _shared(first, second)
    right = [(tool.predicted == tool.targets)[chosen] for tool, chosen in ((first, a), (second, b))]
    gain = right[1].astype(float) - right[0]
    units, strata = _units(_part(first, a) if first.groups is not None else _part(second, b))
    drawn = [
        float((weights * gain).sum() / weights.sum())
        for weights in bootstrap_weights(units, repeats, np.random.RandomState(seed), strata)
    ]
    return {
        "first": first.tool,
        "second": second.tool,
        "shared": len(a),
        **vote_changes(np.ones(len(a), int), right[0].astype(int), right[1].astype(int)),
        "difference": {"value": float(gain.mean()), "ci95": percentile_interval(drawn)},
    }


def _shared(first: ToolAnswers, second: ToolAnswers) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
    """The places of the images that both have answered and whose sources both know, in the one and in the other."""
    place = {name: j for j, name in enumerate(second.names)}
    pairs = [(i, place[name]) for i, name in enumerate(first.names) if name in place]
    if not pairs:
        raise UserError(
            f"{first.tool} and {second.tool} share no image (the first ones are {first.names[0]!r} and "
            f"{second.names[0]!r}); write both with paths from one folder, or score them one by one"
        )
    if others := [(i, j) for i, j in pairs if first.truths[i] != second.truths[j]]:
        i, j = others[0]
        raise UserError(
            f"{first.tool} and {second.tool} disagree on the source of {len(others):,} images ({first.names[i]!r} is "
            f"{first.truths[i]!r} and {second.truths[j]!r}); give each image one target"
        )
    a, b = (np.array(places) for places in zip(*pairs, strict=True))
    both = (first.targets[a] < len(first.classes)) & (second.targets[b] < len(second.classes))
    if not both.any():
        raise UserError(f"{first.tool} and {second.tool} share no image of a source that both know; see config.classes")
    return a[both], b[both]


def _part(answers: ToolAnswers, chosen: Int[np.ndarray, " m"]) -> ToolAnswers:
    """The targets and groups of some images, as `_units` takes them."""
    groups = None if answers.groups is None else [answers.groups[i] for i in chosen]
    return answers._replace(targets=answers.targets[chosen], groups=groups)


def _units(answers: ToolAnswers) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"] | None]:
    """What is drawn as a whole, and the class within which it is drawn: None where a group has images of several."""
    if answers.groups is None:
        return np.arange(len(answers.targets)), answers.targets
    alone = (f"\0{i}" for i in range(len(answers.groups)))
    named = [group or own for group, own in zip(answers.groups, alone, strict=True)]
    names, units = np.unique(named, return_inverse=True)
    with_class = np.unique(np.stack([units, answers.targets]), axis=1).shape[1]
    return units, answers.targets if with_class == len(names) else None


def _groups_of(answers: ToolAnswers, units: Int[np.ndarray, " n"]) -> dict[str, int]:
    return {name: len(np.unique(units[answers.targets == k])) for k, name in enumerate(answers.classes)}


def _sections(answers: ToolAnswers, real: str, bins: int) -> dict[str, measures.Measure]:
    """The measures that make sense of these answers."""
    known, right = answers.targets < len(answers.classes), answers.predicted == answers.targets
    targets, classes = answers.targets[known], answers.classes
    sections = {"shares": measures.of(known, measures.closed_set(targets, answers.predicted[known], classes))}
    if answers.scores is not None:
        sections["scores"] = measures.of(known, measures.one_vs_rest(answers.scores[known], targets, classes))
        if are_probabilities(answers.scores):
            asked = known & (answers.predicted < len(classes))
            confidence = answers.scores[asked, answers.predicted[asked]]
            sections["ece"] = measures.of(asked, measures.calibration(confidence, right[asked], bins))
        if real in classes:
            evidence, ratios = _evidence(answers, real)
            of_fake = None if ratios is None else ratios[known]
            fake = targets != classes.index(real)
            sections["detection"] = measures.of(known, measures.detection(evidence[known], fake, of_fake))
    if answers.known is not None and not known.all():
        sections["open_set"] = open_set(answers.known, right, ~known)
    return sections


def _evidence(answers: ToolAnswers, real: str) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"] | None]:
    """How much each image seems generated, and where the scores are probabilities its log-likelihood-ratio."""
    scores, place = np.asarray(answers.scores), answers.classes.index(real)
    if not are_probabilities(scores):
        return np.delete(scores, place, axis=1).max(1) - scores[:, place], None
    generated = 1 - scores[:, place]
    return generated, log_likelihood_ratio(generated, 1 - 1 / len(answers.classes))


def _accuracies(answers: ToolAnswers, by_group: Mapping[str, Any]) -> dict[str, Any]:
    """`accuracy_block`; each interval is the wider of Wilson's and the one of whole groups, where that is known."""
    known, classes = answers.targets < len(answers.classes), list(answers.classes)
    outside = max(answers.targets.max(), answers.predicted.max()) == len(classes)
    names = [*classes, NONE] if outside else classes
    block = accuracy_block(answers.targets[known], answers.predicted[known], names)
    block["confusion"] = accuracy_block(answers.targets, answers.predicted, names)["confusion"]
    block["per_class"] = {name: block["per_class"][name] for name in classes}
    _widen(block, by_group.get("accuracy"))
    for name, share in block["per_class"].items():
        _widen(share, by_group["per_class"].get(name))
    return block


def _widen(share: dict[str, Any], measured: Mapping[str, Any] | None) -> None:
    if measured and measured["ci95"]:
        (low, high), (lowest, highest) = share["ci95"], measured["ci95"]
        share["ci95"] = [min(low, lowest), max(high, highest)]


def _scores_section(found: Mapping[str, Any]) -> dict[str, Any] | None:
    return {**found["scores"], "ece": found["ece"]["ece"] if "ece" in found else None} if "scores" in found else None


def _detection_section(found: Mapping[str, Any], answers: ToolAnswers, real: str) -> dict[str, Any] | None:
    if "detection" not in found:
        return None
    known = answers.targets < len(answers.classes)
    fake = answers.targets[known] != answers.classes.index(real)
    section = dict(found["detection"])
    if section["cllr"]["value"] is None:
        section["cllr"] = None
    return {**section, "cllr_min": least_cllr(_evidence(answers, real)[0][known], fake)}


def _open_set_section(found: Mapping[str, Any], answers: ToolAnswers) -> dict[str, Any] | None:
    if "open_set" not in found:
        return None
    unknown, nothing = answers.targets == len(answers.classes), answers.predicted == len(answers.classes)
    called = {
        name: proportion(int((nothing & chosen).sum()), int(chosen.sum()))
        for name, chosen in (("known", ~unknown), ("unknown", unknown))
    }
    return {**found["open_set"], "cllr_min": least_cllr(np.asarray(answers.known), ~unknown), "called_none": called}
