"""What is said of an image: a verdict, or why there is none; and how a verdict comes from a vote.

A verdict is the class of the vote, unless a rule forbids it: `Rule(score, threshold, word)` gives its word to images
whose score is on the wrong side of the threshold, and `typicality.Typical` forbids those that are typical of another
set of sources than the voted one alone. A further verdict is one rule, and one entry in `SCORES` where none of them
tells it. A picture that is flat everywhere has the verdict `NOTHING`, whatever the network makes of it.
"""

import dataclasses
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Integer

from ganfp_jax.attribution.typicality import Typical
from ganfp_jax.attribution.voting import Vote
from ganfp_jax.report import wording
from ganfp_jax.run.errors import UserError

UNSURE = "unsure"
UNKNOWN = "unknown"
NOTHING = "nothing to see"
SOME = 3  # refused images that an error names


def margins(probabilities: Float[np.ndarray, "n k"], predicted: Integer[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The lead of the class that a vote chose: its probability minus the highest of the others, -1 to 1.

    Negative where a majority of views overrules their mean; a network of one class has margins of 1.
    """
    chosen = np.take_along_axis(probabilities, predicted[:, None], axis=1)[:, 0]
    others = probabilities.copy()
    np.put_along_axis(others, predicted[:, None], 0.0, axis=1)
    return chosen - others.max(axis=1)


def strangeness(vote: Vote) -> Float[np.ndarray, "n k"]:
    """How strange each image is for each source: the probability that it is of others plus its fingerprint's distance.

    Both are 0 of a perfect example and bounded, so that neither drowns the other (a logarithm would). The probability
    says which source; the distance is the same for all sources and says if any: a network gives an image from
    elsewhere to one source or another, surely at times, though the fingerprint has little in common with any.
    """
    return 1 - np.asarray(vote.probabilities) + np.asarray(vote.distance)[:, None]


def novelty(vote: Vote) -> Float[np.ndarray, "n k"]:
    """How strange each image is for each source: the probability that it is another's or nobody's.

    It is for networks that were trained with pseudo-unknowns.
    """
    return 1 - np.asarray(vote.probabilities) * (1 - np.asarray(vote.nobody))[:, None]


class Score(NamedTuple):
    """A number that a vote gives each image, and where a verdict can stand on it."""

    of: Callable[[Vote], Float[np.ndarray, "n ..."]]
    stands: Callable[[Any, Any], Any]
    """(scores, threshold) -> which are on the right side: `operator.ge` of a score that is high where all is well."""
    by_source: bool = False
    """Whether each image has one for each source, `(N, K)`: `Typical` takes those, high where an image is strange."""


STRANGENESS = "strangeness"  # the score of the p-values
NOVELTY = "novelty"  # the same, of a network that was trained with pseudo-unknowns
SCORES: dict[str, Score] = {
    "margin": Score(lambda vote: margins(np.asarray(vote.probabilities), np.asarray(vote.predicted)), operator.ge),
    "distance": Score(lambda vote: np.asarray(vote.distance), operator.le),
    STRANGENESS: Score(strangeness, operator.le, by_source=True),
    NOVELTY: Score(novelty, operator.le, by_source=True),
}


class Rule(NamedTuple):
    """When an image gets `word` for a verdict instead of the class that the vote chose."""

    score: str  # one of `SCORES`
    threshold: float | Sequence[float]  # a score that is equal to it stands; or one for each class that may be chosen
    word: str


def decide(vote: Vote, rules: Sequence[Rule | Typical], tiles: Integer[np.ndarray, " n"] | None = None) -> list[str]:
    """The word of the first rule that forbids the verdict on each of N images; "" where the voted class stands.

    Args:
        vote: on the images.
        rules: the first one that forbids has its word.
        tiles: on how many tiles each verdict rests; it is `NOTHING` of 0. None for one tile an image.
    """
    words = np.full(len(vote.predicted), "", object)
    for rule in reversed(rules):
        if isinstance(rule, Typical):
            typical = p_values(rule, vote) > rule.unknown_rate
            mine = np.take_along_axis(typical, np.asarray(vote.predicted)[:, None], axis=1)[:, 0]
            words[~mine | (typical.sum(1) > 1)] = UNSURE
            words[~typical.any(1)] = UNKNOWN
        else:
            score, thresholds = SCORES[rule.score], np.asarray(rule.threshold)
            mine = thresholds[np.asarray(vote.predicted)] if thresholds.ndim else thresholds
            words[~score.stands(score.of(vote), mine)] = rule.word
    if tiles is not None:
        words[tiles == 0] = NOTHING
    return words.tolist()


def p_values(typical: Typical, vote: Vote) -> Float[np.ndarray, "n k"]:
    """How typical each image of a vote is of each source."""
    return typical.p_values(SCORES[typical.score].of(vote))


def doubt(verdict: str, predicted: str, sources: Sequence[str]) -> str:
    """Why the sources that an image is typical of forbid its verdict, as a predicate; "" where they do not.

    Args:
        verdict, predicted, sources: of an `Attribution`.
    """
    if verdict == UNKNOWN:
        return "is like none of the known sources"
    if verdict != UNSURE or tuple(sources) in ((), (predicted,)):
        return ""
    alone = len(sources) == 1
    return f"is like {sources[0]}, not like {predicted}" if alone else f"could be {wording.listed(sources, 'or')}"


@dataclasses.dataclass(frozen=True)
class Attribution:
    """The verdict on one image: the voted source, its probability, and how the views voted.

    Attributes:
        predicted: the source that the vote chose; where there is nothing to see, of the picture's centre.
        confidence: its probability, the mean over the views (of the rule mean_logit, the softmax of the mean logits);
            of several tiles, combined by `attribution.tiles.combine`.
        votes: how many views chose each source, those of all tiles together, without sources that none chose.
        probabilities: of every source.
        note: what the network saw of the picture and what was done to it, as in "64 tiles, 12.3% of 4000x3000; ProGAN
            in 3 of 64 tiles; turned upright", after the doubt, as in "could be real or ProGAN"; else "".
        verdict: `predicted`, or the word of the rule that forbids it (`decide`), such as "unsure" where the margin is
            smaller than the network's calibration asks for, or it is not typical of `predicted` alone; "unknown" where
            it is typical of no source; or "nothing to see" of a picture that is flat everywhere.
        margin: `confidence` minus the highest probability of another source, -1 to 1; negative where a majority
            of views overrules their mean.
        distance: the cosine distance of the image's fingerprint to the nearest source's, 0 to 2, as
            `fingerprints.nearest_distance` has it; of the view identity, or of the first where that has no vote. Of
            several tiles, their mean.
        views: what each view that was shown the image chose, in the order of the vote; of several tiles, by the
            probabilities of all.
        tiles: on how many tiles the verdict rests; 0 where there is nothing to see.
        typicality: how typical the image is of `predicted`, a p-value (`attribution.typicality`); None where the
            network has not learned that, and where there is nothing to see.
        sources: those that it is typical of, the most typical first; none of an "unknown" image, and where
            `typicality` is None.
        p_values: how typical it is of every source; empty where `typicality` is None.
        claims: what the file says of its own making, one line a place; the verdict knows nothing of them.
        disagreement: where a claim and the verdict cannot both be all of the truth, one sentence; else "".
    """

    predicted: str
    confidence: float
    votes: Mapping[str, int]
    probabilities: Mapping[str, float]
    note: str = ""
    verdict: str = dataclasses.field(kw_only=True)
    margin: float = dataclasses.field(kw_only=True)
    distance: float = dataclasses.field(kw_only=True)
    views: Mapping[str, str] = dataclasses.field(kw_only=True)
    tiles: int = dataclasses.field(kw_only=True, default=1)
    typicality: float | None = dataclasses.field(kw_only=True, default=None)
    sources: tuple[str, ...] = dataclasses.field(kw_only=True, default=())
    p_values: Mapping[str, float] = dataclasses.field(kw_only=True, default_factory=dict)
    claims: tuple[str, ...] = dataclasses.field(kw_only=True, default=())
    disagreement: str = dataclasses.field(kw_only=True, default="")


def attributions(
    vote: Vote,
    rules: Sequence[Rule | Typical],
    classes: Sequence[str],
    views: Sequence[str],
    notes: Sequence[str],
    tiles: Integer[np.ndarray, " n"] | None = None,
) -> Iterator[Attribution]:
    """The verdicts of a vote, one an image, in order.

    Args:
        vote: of N images, in NumPy arrays.
        rules: those that may forbid a verdict.
        classes: K names.
        views: V names, in the order of the vote.
        notes: what was done to each image.
        tiles: as for `decide`.
    """
    tiles = np.ones(len(notes), np.int64) if tiles is None else tiles
    scores = (SCORES[name].of(vote).tolist() for name in ("margin", "distance"))
    typical = _typical_of(vote, rules, classes, tiles)
    found = zip(vote.predicted, decide(vote, rules, tiles), notes, tiles.tolist(), typical, *scores, strict=True)
    for i, (k, word, note, number, (p, sources), margin, distance) in enumerate(found):
        yield Attribution(
            predicted=classes[k],
            confidence=float(vote.probabilities[i, k]),
            votes={name: int(n) for name, n in zip(classes, vote.votes[i], strict=True) if n},
            probabilities={name: float(p) for name, p in zip(classes, vote.probabilities[i], strict=True)},
            note="; ".join(filter(None, (doubt(word, classes[k], sources), note))),
            verdict=word or classes[k],
            margin=margin,
            distance=distance,
            views={v: classes[c] for v, c in zip(views, vote.view_predictions[:, i], strict=True) if c >= 0},
            tiles=number,
            typicality=p.get(classes[k]),
            sources=sources,
            p_values=p,
        )


def _typical_of(
    vote: Vote, rules: Sequence[Rule | Typical], classes: Sequence[str], tiles: Integer[np.ndarray, " n"]
) -> list[tuple[dict[str, float], tuple[str, ...]]]:
    """The p-value of each class for each image, and the classes that it is typical of, the most typical first."""
    rule = next((rule for rule in rules if isinstance(rule, Typical)), None)
    if rule is None:
        return [({}, ()) for _ in tiles]
    ordered = [
        (
            dict(zip(classes, p.tolist(), strict=True)),
            tuple(classes[j] for j in np.argsort(-p, kind="stable") if p[j] > rule.unknown_rate),
        )
        for p in p_values(rule, vote)
    ]
    return [found if number else ({}, ()) for found, number in zip(ordered, tiles, strict=True)]


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Why an image has no verdict. It shares no field with `Attribution`, so that it cannot pass for one.

    Attributes:
        image: the name of its file, or its place in the list, such as "image 3".
        reason: such as "not an image" or "is 20x20, smaller than 32x32; resize=area would enlarge it".
    """

    image: str
    reason: str

    def __str__(self) -> str:
        return f"{self.image}: {self.reason}"


class RefusedImagesError(UserError):
    """Some images, or all, cannot be used.

    Attributes:
        found: what was found out all the same: one entry an image, in order, a verdict or a refusal.
        refused: the refusals alone.
    """

    def __init__(self, found: "Sequence[Attribution | Refusal]") -> None:
        self.found = list(found)
        self.refused = [entry for entry in found if isinstance(entry, Refusal)]
        shown = "; ".join(map(str, self.refused[:SOME]))
        more = f"; and {len(self.refused) - SOME} more" if len(self.refused) > SOME else ""
        super().__init__(
            f"{len(self.refused)} of {len(self.found)} images cannot be used: {shown}{more}; leave out or convert what "
            'is refused, or ask with errors="collect"'
        )
