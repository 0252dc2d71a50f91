"""Trials of sets of pictures whose sources are known: did one generator make both? Arrays only.

A reference of K pictures is compared with a case of n. The score is the log-likelihood-ratio of two normal
distributions, in axes in which pictures of one source vary by 1 each and sources by what was found among the known ones
("two-covariance model", Brümmer and de Villiers, "The speaker partitioning problem", 2010).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer

from ganfp_jax.attribution.prototypes import learn_space
from ganfp_jax.metrics.groups import deal
from ganfp_jax.metrics.statistics import bootstrap_weights

UNSEEN = 0.1
"""The share of the sources' variance that is taken to be even over all axes, since unseen sources differ elsewhere."""
QUARTERS = 4


class Pool(NamedTuple):
    """Pictures of known sources."""

    values: Float[np.ndarray, "p t"]
    """Mean traces, or points of a `Scorer`."""
    labels: Integer[np.ndarray, " p"]
    groups: Integer[np.ndarray, " p"]
    """The photograph of each, by the same number in all sources."""

    def part(self, which: Bool[np.ndarray, " p"] | Integer[np.ndarray, " q"]) -> "Pool":
        """Some of the pictures, perhaps several times."""
        return Pool(self.values[which], self.labels[which], self.groups[which])


class Sizes(NamedTuple):
    """The sizes of a trial."""

    reference: int
    """K pictures of the reference."""
    case: int
    """n pictures of the case."""


class Trials(NamedTuple):
    """Scores of pairs of sets whose sources are known."""

    scores: Float[np.ndarray, " m"]
    sources: Integer[np.ndarray, "m 2"]
    """Of the reference and of the case."""

    @property
    def same(self) -> Bool[np.ndarray, " m"]:
        """Whether one source made both."""
        return self.sources[:, 0] == self.sources[:, 1]


class Scorer(NamedTuple):
    """Axes in which pictures of one source vary by 1 each, and the sources by `between`."""

    center: Float[np.ndarray, " t"]
    axes: Float[np.ndarray, "t a"]
    between: Float[np.ndarray, " a"]

    def points(self, traces: Float[np.ndarray, "p t"]) -> Float[np.ndarray, "p a"]:
        """Traces as points in these axes."""
        return (traces - self.center) @ self.axes

    def scores(
        self, reference: Float[np.ndarray, "m a"], case: Float[np.ndarray, "m a"], sizes: Sizes
    ) -> Float[np.ndarray, " m"]:
        """The score of each pair of mean points: the higher, the more alike."""
        b = self.between
        of_reference, of_case = b + 1 / sizes.reference, b + 1 / sizes.case  # variances of the means
        rest = of_reference * of_case - b**2
        own = reference**2 @ (b**2 / (of_reference * rest)) + case**2 @ (b**2 / (of_case * rest))
        return (reference * case) @ (b / rest) - own / 2 + float(np.log(of_reference * of_case / rest).sum()) / 2


def learn_scorer(pool: Pool) -> Scorer:
    """The scorer of these pictures' sources; `values` are traces."""
    space = learn_space([pool.values[pool.labels == label] for label in np.unique(pool.labels)])
    apart = (space.prototypes - space.center) @ space.axes
    covariance = apart.T @ apart / len(apart)
    even = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    between, turn = np.linalg.eigh((1 - UNSEEN) * covariance + UNSEEN * even)
    return Scorer(space.center, space.axes @ turn, between)


def quarters(pool: Pool, rng: np.random.Generator) -> Integer[np.ndarray, " p"]:
    """Quarter 0 to 3 of each picture: photographs stay whole, and each source is shared as evenly as they allow."""
    dealt = np.full(pool.groups.max() + 1, -1)
    for label in np.unique(pool.labels):
        groups = pool.groups[(pool.labels == label) & (dealt[pool.groups] < 0)]
        dealt[groups] = deal(groups, QUARTERS, rng)
    return dealt[pool.groups]


def draw(
    pool: Pool, sides: Integer[np.ndarray, " p"], scorer: Scorer, sizes: Sizes, draws: int, rng: np.random.Generator
) -> Trials:
    """Draws trials of every source's reference with every source's case.

    Args:
        pool: pictures as points of the scorer.
        sides: 0 or 1 for each; the reference is of one side, the case of the other, and then the other way round.
        scorer, sizes: of the trials.
        draws: trials of each pair of sources and way round; none where a side has too few pictures of one.
        rng: chooses pictures.
    """
    scores, sources = [np.zeros(0)], [np.zeros((0, 2), np.int64)]
    for side in (0, 1):
        references = _sets(pool, sides == side, sizes.reference, draws, rng)
        cases = _sets(pool, sides != side, sizes.case, draws, rng)
        for one, reference in references.items():
            for other, case in cases.items():
                scores.append(scorer.scores(reference, case, sizes))
                sources.append(np.tile([one, other], (draws, 1)))
    return Trials(np.concatenate(scores), np.concatenate(sources))


def _sets(
    pool: Pool, which: Bool[np.ndarray, " p"], size: int, draws: int, rng: np.random.Generator
) -> dict[int, Float[np.ndarray, "d a"]]:
    """The mean points of random sets of `size` different pictures of each source that has so many."""
    found = {}
    for label in np.unique(pool.labels):
        points = pool.values[which & (pool.labels == label)]
        if len(points) >= size:
            chosen = rng.random((draws, len(points))).argsort(1)[:, :size]
            shares = np.zeros((draws, len(points)))
            np.put_along_axis(shares, chosen, 1 / size, 1)
            found[int(label)] = shares @ points
    return found


def count_independent(pool: Pool, sides: Integer[np.ndarray, " p"], sizes: Sizes) -> int:
    """How many trials of one source can be made of these pictures so that no two share a photograph."""

    def sets(which: np.ndarray, size: int) -> int:
        return min(len(np.unique(pool.groups[which])), int(which.sum()) // size)

    total = 0
    for label in np.unique(pool.labels):
        mine = pool.labels == label
        ways = (((sides == side) & mine, (sides != side) & mine) for side in (0, 1))
        total += max(min(sets(one, sizes.reference), sets(other, sizes.case)) for one, other in ways)
    return total


def resampled(
    pool: Pool, strata: Integer[np.ndarray, " p"], repeats: int, rng: np.random.Generator
) -> Iterator[tuple[Pool, Integer[np.ndarray, " p"]]]:
    """Yields bootstrap samples of photographs, and the stratum of each picture in them.

    Args:
        pool: the pictures.
        strata: of each; photographs are drawn anew within those of one source.
        repeats: how many samples.
        rng: draws them.
    """
    of_source = pool.labels * (strata.max() + 1) + strata
    for weights in bootstrap_weights(pool.groups, repeats, rng, of_source):
        drawn = np.repeat(np.arange(len(weights)), weights.astype(int))
        yield pool.part(drawn), strata[drawn]
