"""How sure is a vote, and from where on is it sure enough? The rule behind the verdict "unsure".

A vote is as sure as its margin. (Of the scores compared on 2,000 images and 108 mistakes of the study's network,
margin, probability, margin of the logits and entropy tell mistakes from right answers equally well, ROC-AUC 0.910 to
0.917; the distance of the fingerprint does worse, 0.896, and so does the share of votes, 0.749: most mistakes are
unanimous.)
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ganfp_jax.attribution.typicality import Typical
from ganfp_jax.attribution.verdict import SCORES, STRANGENESS, UNSURE, Rule
from ganfp_jax.data.views import single_view
from ganfp_jax.run.errors import UserError

CONFIDENCE = 0.95  # of the bound on the error rate
FORGIVEN = 2  # mistakes that the smallest set of images which is looked at can have


def where_unsure(threshold: float) -> str:
    """Where a verdict is "unsure", in words: a margin below 0 is no lead, but a majority that overrules the mean.

    Args:
        threshold: of a `Calibration`, -1 to 1.
    """
    if threshold > 0:
        return f"where the margin is under {threshold:.3g}"
    if threshold > -1:
        overruled = "" if threshold == 0 else f" by more than {-threshold:.3g}"
        return f"only where the mean probability of another source is higher{overruled}"
    return "nowhere: every verdict stands"


@dataclasses.dataclass(frozen=True)
class Calibration:
    """From which margin on a network's verdicts are wrong no more often than stated, and how that was found.

    Attributes:
        threshold: verdicts with a smaller margin are "unsure"; below 0 only those are in which a majority of views
            overrules their mean by more.
        error_rate: the share of the decided images that may be wrong, between 0 and 1.
        confidence: of the statement that no more are.
        views, rule: of the vote; it says nothing of others.
        images: how many labelled images it was found on.
        decided: how many of them have the margin.
        wrong: how many of those were attributed wrongly.
        ci95: Wilson's interval for `wrong` of `decided`.
        upper: the upper bound for it (`upper_bound`), at most `error_rate`.
        per_class: `images`, `decided` and `wrong` of each source.
        digest: of the weights (`ganfp_jax.interop.weights.digest`).
        dependence: of the tiles of one picture, 0 to 1 (`attribution.tiles`); None where the pictures had one tile.
        images_digest: of the images it was found on (`data.labelled.digest`); "" where it does not say.
        spared: a source of whose images none was decided wrongly (`choose_sparing`); "" for none.
        spared_threshold: of verdicts that name it, in place of `threshold`; None where it is the same.
        perturbation: how the images were shown, by its name in `data.perturb.perturb`.
        typicality: how strange images of each source are for it; None where that was not learned, as in older files.
    """

    threshold: float
    error_rate: float
    confidence: float
    views: tuple[str, ...]
    rule: str
    images: int
    decided: int
    wrong: int
    ci95: tuple[float, float]
    upper: float
    per_class: Mapping[str, Mapping[str, int]]
    digest: str
    dependence: float | None = None
    images_digest: str = ""
    spared: str = ""
    typicality: Typical | None = None
    spared_threshold: float | None = None
    perturbation: str = "none"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it, and as `from_dict` takes it."""
        values = dataclasses.asdict(self) | {"views": list(self.views), "ci95": list(self.ci95)}
        values["typicality"] = None if self.typicality is None else self.typicality.to_dict()
        # They are absent from the files of earlier versions.
        absent = {"dependence": None, "images_digest": "", "spared": "", "typicality": None, "spared_threshold": None}
        absent["perturbation"] = "none"
        return {name: value for name, value in values.items() if name not in absent or value != absent[name]}

    @property
    def sha256(self) -> str:
        """Which calibration this is: SHA-256 of `to_dict` as JSON with sorted keys."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    @classmethod
    def from_dict(cls, value: Any) -> "Calibration":
        """The calibration that `to_dict` wrote.

        Raises:
            UserError: something else.
        """
        try:
            views, ci95 = value["views"], value["ci95"]
            typical = Typical.from_dict(value["typicality"]) if "typicality" in value else None
            found = cls(**value | {"views": tuple(views), "ci95": tuple(ci95), "typicality": typical})
            own = found.threshold if found.spared_threshold is None else found.spared_threshold
            numbers = [found.threshold, own, found.error_rate, found.confidence, found.upper, *ci95]
            counts = [found.images, found.decided, found.wrong]
            dependence = 0.0 if found.dependence is None else found.dependence
            sound = (
                all(type(number) in (int, float) and -1 <= number <= 1 for number in numbers)
                and all(type(count) is int and count >= 0 for count in counts)
                and all(
                    isinstance(text, str)
                    for text in (
                        found.rule,
                        found.digest,
                        found.images_digest,
                        found.spared,
                        found.perturbation,
                        *views,
                    )
                )
                and isinstance(found.per_class, dict)
                and type(dependence) in (int, float)
                and 0 <= dependence <= 1
                and (typical is None or (typical.score in SCORES and SCORES[typical.score].by_source))
            )
        except (TypeError, KeyError, ValueError, OverflowError):
            sound = False
        if not sound:
            raise UserError("the calibration is damaged; calibrate the network again with configs/calibrate.py")
        return found

    @property
    def typical(self) -> Typical | None:
        """The p-values that verdicts need; None without, or where a source has too few photographs for the rate."""
        return None if self.typicality is None or self.typicality.too_few else self.typicality

    def rules(self, classes: Sequence[str]) -> tuple[Rule | Typical, ...]:
        """What it says of a vote: a margin under the threshold is not enough for a verdict, nor are strange images.

        Args:
            classes: of the vote, in its order, which `per_class` loses in a file.
        """
        margin = Rule("margin", self.thresholds(classes), UNSURE)
        return (margin,) if self.typical is None else (self.typical, margin)

    def thresholds(self, classes: Sequence[str]) -> tuple[float, ...]:
        """The margin that a verdict needs which names each of the classes."""
        own = self.threshold if self.spared_threshold is None else self.spared_threshold
        return tuple(own if name == self.spared else self.threshold for name in classes)

    @property
    def where_unsure(self) -> str:
        """Where a verdict is "unsure", in words."""
        if self.spared_threshold is None:
            return where_unsure(self.threshold)
        return f"of {self.spared} {where_unsure(self.spared_threshold)}, of the others {where_unsure(self.threshold)}"

    def is_for(self, views: Sequence[str], rule: str) -> bool:
        """Whether it is of a vote of these views, in any order, by this rule; strangeness is of one view's distance."""
        of_one = self.typicality is not None and self.typicality.score == STRANGENESS
        same = not of_one or views[single_view(views)] == self.views[single_view(self.views)]
        return same and (set(self.views), self.rule) == (set(views), rule)


class Choice(NamedTuple):
    """What `choose_threshold` chose; of the images that are decided, `wrong` were."""

    threshold: float
    decided: int
    wrong: int
    upper: float


def choose_threshold(
    scores: Float[np.ndarray, " n"],
    wrong: Bool[np.ndarray, " n"],
    error_rate: float,
    confidence: float = CONFIDENCE,
    min_decided: float = 0.0,
) -> Choice:
    """The lowest threshold on a score of certainty above which no more than `error_rate` of the answers are wrong.

    Thresholds are tried from the surest image down, each as the test of one hypothesis: "of the images this sure, more
    than `error_rate` are wrong" is rejected where the upper Clopper-Pearson bound for the mistakes among them is not
    above the rate. The first that cannot be rejected ends the walk. As the order of the tests is fixed by the scores
    alone, the chance that the threshold before it is a false claim is at most 1 - `confidence`, however many were tried
    (fixed-sequence testing, as in Angelopoulos et al., "Learn then Test", arXiv 2110.01052): a plain rate, or the
    lowest threshold of all whose bound holds, would be the luckiest of thousands. The walk begins with as many images
    as are needed to forgive `FORGIVEN` mistakes, or as many of these as there are images for, since one mistake among
    the first few says little.

    Images count as independent, and as drawn like those that will be asked about.

    Args:
        scores: high where an answer is sure.
        wrong: which answers are wrong.
        error_rate: between 0 and 1, both excluded.
        confidence: likewise.
        min_decided: the share of the images that are to be decided at least, 0 to 1; the walk begins there.

    Raises:
        UserError: an impossible rate or share; too few images to show it; even the surest are wrong too often.
    """
    check_rate(error_rate, min_decided)
    total, needed = len(scores), check_enough(len(scores), error_rate, confidence)
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # images of one score are decided together
    counts, mistakes = ends + 1, np.cumsum(wrong[order])[ends]
    bounds = upper_bound(mistakes, counts, confidence)
    forgiving = (_images_to_forgive(wrongs, error_rate, confidence) for wrongs in range(FORGIVEN + 1))
    start = max(needed, *(images for images in forgiving if images <= total), math.ceil(min_decided * total))
    first = int(np.searchsorted(counts, start))
    held = bounds[first:] <= error_rate
    if not held[0]:
        raise UserError(
            f"no margin keeps the error rate at {error_rate:g}: {mistakes[first]} of the {counts[first]} surest of "
            f"{total} images are attributed wrongly, so it may be {bounds[first]:.2g}; calibrate for a higher "
            "config.error_rate, on more images, or another network"
        )
    last = first + (len(held) if held.all() else int(np.argmin(held))) - 1
    end = int(ends[last])
    below = ranked[end + 1] if end + 1 < total else ranked[end]  # half way, so that rounding decides nothing
    return Choice(float(ranked[end] + below) / 2, int(counts[last]), int(mistakes[last]), float(bounds[last]))


def choose_sparing(
    scores: Float[np.ndarray, " n"],
    wrong: Bool[np.ndarray, " n"],
    named: Bool[np.ndarray, " n"],
    spared: Bool[np.ndarray, " n"],
    error_rate: float,
    confidence: float = CONFIDENCE,
    min_decided: float = 0.0,
) -> tuple[Choice, Choice]:
    """Thresholds for the answers that name a source which is to be spared, and for those that name another.

    Each is that of `choose_threshold` among such answers, the second no lower than the first; and it is so high that no
    answer on an image of the source is wrong. N such images of independent origin then show, whatever the scores are,
    that with 95 % confidence no more than 1 - 0.05 ** (1 / N) of the next ones are answered wrongly: the threshold is
    the highest of N equal draws. To say the source is to accuse nobody, so that may take less.

    Args:
        scores, wrong, error_rate, confidence, min_decided: as for `choose_threshold`; both rates hold at once with this
            confidence.
        named: which answers name the source.
        spared: which images are of it.

    Raises:
        UserError: as `choose_threshold`, of either; or no other source would ever be named.
    """
    each = 1 - (1 - confidence) / 2
    own, other = (
        choose_threshold(scores[which], wrong[which], error_rate, each, min_decided) for which in (named, ~named)
    )
    scores, wrong, spared = scores[~named], wrong[~named], spared[~named]
    highest = max(scores[spared].max(initial=-np.inf), own.threshold)
    if highest < other.threshold:
        return own, other
    decided = scores > highest
    total, mistakes = int(decided.sum()), int((decided & wrong).sum())
    bound = float(upper_bound(mistakes, total, each)) if total else 1.0
    if bound > error_rate:
        raise UserError(
            f"the surest wrong answer on an image that is to be spared has a score of {highest:.3g}, and {total} of "
            f"the {len(scores)} answers that name another source a higher one; calibrate for a higher "
            "config.error_rate, spare no source, or take another network"
        )
    return own, Choice(float(highest + scores[decided].min()) / 2, total, mistakes, bound)


def check_rate(error_rate: float, min_decided: float) -> None:
    """Raises UserError unless the two are shares that `choose_threshold` takes."""
    if not 0 < error_rate < 1:
        raise UserError(f"config.error_rate is {error_rate}; give one between 0 and 1, such as 0.01")
    if not 0 <= min_decided <= 1:
        raise UserError(f"config.min_decided is {min_decided}; give a share of the images, 0 to 1")


def check_enough(total: int, error_rate: float, confidence: float = CONFIDENCE) -> int:
    """How many images without a mistake show an error rate, where `total` are as many; nothing is read for it.

    Raises:
        UserError: there are fewer.
    """
    needed = math.ceil(math.log(1 - confidence) / math.log(1 - error_rate))
    if total < needed:
        raise UserError(
            f"{total} images are too few to show an error rate of {error_rate:g}: that takes {needed} without a "
            "mistake; calibrate on more images, or for a higher config.error_rate"
        )
    return needed


def upper_bound(wrong: Any, total: Any, confidence: float = CONFIDENCE) -> Float[np.ndarray, "..."]:
    """The one-sided upper bound for a proportion of Clopper and Pearson (1934), elementwise: exact, never too low.

    Args:
        wrong: counts, 0 to `total`.
        total: counts, 1 or more.
        confidence: coverage, between 0 and 1.
    """
    from scipy.special import betaincinv  # takes a while to import

    wrong, total = np.asarray(wrong), np.asarray(total)
    bounds = betaincinv(wrong + 1, np.maximum(total - wrong, 1), confidence)
    return np.where(wrong == total, 1.0, bounds)


def _images_to_forgive(mistakes: int, error_rate: float, confidence: float) -> int:
    """The fewest images of which so many may be wrong and the bound still holds."""
    low, high = mistakes + 1, mistakes + 2
    while upper_bound(mistakes, high, confidence) > error_rate:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if upper_bound(mistakes, middle, confidence) <= error_rate else (middle + 1, high)
    return low
