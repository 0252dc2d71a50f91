"""Whether one generator made two sets of pictures: a score, and the likelihood ratio that it stands for. Arrays only.

A reference of K pictures is compared with a case of n. The score is the log-likelihood-ratio of two normal
distributions, in axes in which pictures of one source vary by 1 each and sources by what was found among the known ones
("two-covariance model", Brümmer and de Villiers, "The speaker partitioning problem", 2010). Only its order counts:
trials of K and n pictures of known sources say what each score is worth (`metrics.ratios.fit_pav`). So a case is judged
as a whole, however much its pictures depend on each other.

The known pictures are dealt into four quarters, whole photographs each. Scores of trials come from axes that were
learned from the other half of them, and a trial's reference and case lie in different quarters.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer

from ganfp_jax.attribution.prototypes import learn_space
from ganfp_jax.metrics.groups import deal
from ganfp_jax.metrics.ratios import Pav, elub, fit_pav
from ganfp_jax.metrics.reliability import cllr, least_cllr
from ganfp_jax.metrics.statistics import bootstrap_weights, percentile_interval
from ganfp_jax.run.errors import UserError

UNSEEN = 0.1
"""The share of the sources' variance that is taken to be the same in all axes, since unseen sources differ elsewhere."""
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


class System(NamedTuple):
    """What makes likelihood ratios of scores, and how good these are."""

    scorer: Scorer
    sizes: Sizes
    pav: Pav
    repeated: list[Pav]
    """Learned from bootstrap samples of photographs."""
    bounds: tuple[float, float]
    """Of the logarithm of the ratio, by `metrics.ratios.elub`."""
    independent: int
    ratios: Float[np.ndarray, " m"]
    """Logarithms of the ratios of trials that had no part in what they were calibrated by."""
    same: Bool[np.ndarray, " m"]
    validity: dict[str, dict[str, float | list[float] | None]]
    """`cllr` and `cllr_min` of these, each with `value` and `ci95`."""

    def log_ratio(
        self, reference: Float[np.ndarray, "k t"], case: Float[np.ndarray, "n t"]
    ) -> tuple[float, list[float] | None]:
        """The logarithm of the ratio of a reference and a case, by their traces, within the bounds, and its interval."""
        score = self.scorer.scores(*(self.scorer.points(of).mean(0)[None] for of in (reference, case)), self.sizes)
        found = [float(np.clip(pav(score), *self.bounds)[0]) for pav in (self.pav, *self.repeated)]
        return found[0], percentile_interval(found[1:])

    def of_trials(self, trials: Trials) -> Float[np.ndarray, " m"]:
        """The logarithms of the ratios of scores, within the bounds."""
        return np.clip(self.pav(trials.scores), *self.bounds)


def learn(pool: Pool, names: Sequence[str], sizes: Sizes, *, draws: int, repeats: int, seed: int) -> System:
    """Learns what scores of a reference and a case of these sizes are worth, from pictures of known sources.

    Args:
        pool: the pictures by their traces.
        names: of the sources, by their labels.
        sizes: of reference and case.
        draws: trials of each pair of sources, half of the pictures and way round.
        repeats: bootstrap samples of photographs for the intervals. The axes stay the same in them.
        seed: of all draws.

    Raises:
        UserError: there are too few pictures or photographs of a source.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):  # more threads slow down such small matrices, most of all when busy
        return _learn(pool, names, sizes, draws, repeats, np.random.default_rng(seed))


def _learn(
    pool: Pool, names: Sequence[str], sizes: Sizes, draws: int, repeats: int, rng: np.random.Generator
) -> System:
    quarter = quarters(pool, rng)
    halves = [_Half.of(pool, quarter // 2 == half, quarter % 2) for half in (0, 1)]
    trials = [half.trials(sizes, draws, rng) for half in halves]
    _check_made(trials, pool, names, sizes)
    pavs = [fit_pav(of.scores, of.same) for of in trials]
    independent = sum(count_independent(half.pool, half.sides, sizes) for half in halves)
    ratios, same = _crossed(pavs, trials)
    bounds = elub(ratios, same, independent)
    again = [
        [half.with_(*sample).trials(sizes, draws, rng) for sample in resampled(half.pool, half.sides, repeats, rng)]
        for half in halves
    ]
    samples = list(zip(*again, strict=True))
    return System(
        scorer=learn_scorer(pool),
        sizes=sizes,
        pav=_joint(trials),
        repeated=[_joint(sample) for sample in samples],
        bounds=bounds,
        independent=independent,
        ratios=np.clip(ratios, *bounds),
        same=same,
        validity=validity([(np.clip(ratios, *bounds), same), *_clipped(pavs, samples, bounds)]),
    )


class _Half(NamedTuple):
    """Half of the pictures, as points in axes of the other half."""

    pool: Pool
    sides: Integer[np.ndarray, " p"]
    scorer: Scorer

    @classmethod
    def of(cls, pool: Pool, mine: Bool[np.ndarray, " p"], sides: Integer[np.ndarray, " p"]) -> "_Half":
        scorer = learn_scorer(pool.part(~mine))
        traces = pool.part(mine)
        return cls(traces._replace(values=scorer.points(traces.values)), sides[mine], scorer)

    def with_(self, pool: Pool, sides: Integer[np.ndarray, " p"]) -> "_Half":
        return self._replace(pool=pool, sides=sides)

    def trials(self, sizes: Sizes, draws: int, rng: np.random.Generator) -> Trials:
        return draw(self.pool, self.sides, self.scorer, sizes, draws, rng)


def _check_made(trials: Sequence[Trials], pool: Pool, names: Sequence[str], sizes: Sizes) -> None:
    """Raises UserError where a half has no trial of one source or of two, or no half has one of a certain source."""
    made = np.concatenate([of.sources[of.same, 0] for of in trials])
    lacking = [label for label in np.unique(pool.labels) if label not in made]
    if lacking or not all(of.same.any() and not of.same.all() for of in trials):
        label = int(lacking[0]) if lacking else int(pool.labels[0])
        mine = pool.labels == label
        raise UserError(
            f"config.data.root has {mine.sum()} images of {names[label]} that can be used, of "
            f"{len(np.unique(pool.groups[mine]))} photographs: too few to try {sizes.reference} against {sizes.case} in "
            "each quarter of them; give more, of 4 photographs or more, or a lower config.most"
        )


def _joint(trials: Sequence[Trials]) -> Pav:
    return fit_pav(np.concatenate([of.scores for of in trials]), np.concatenate([of.same for of in trials]))


def _crossed(pavs: Sequence[Pav], trials: Sequence[Trials]) -> tuple[Float[np.ndarray, " m"], Bool[np.ndarray, " m"]]:
    """The ratios of both halves' trials, each by what the other half's have taught."""
    ratios = [pav(of.scores) for pav, of in zip(pavs[::-1], trials, strict=True)]
    return np.concatenate(ratios), np.concatenate([of.same for of in trials])


def _clipped(
    pavs: Sequence[Pav], samples: Sequence[Sequence[Trials]], bounds: tuple[float, float]
) -> Iterator[tuple[Float[np.ndarray, " _"], Bool[np.ndarray, " _"]]]:
    for sample in samples:
        ratios, same = _crossed(pavs, sample)
        yield np.clip(ratios, *bounds), same


def validity(
    found: Sequence[tuple[Float[np.ndarray, " _"], Bool[np.ndarray, " _"]]],
) -> dict[str, dict[str, float | list[float] | None]]:
    """`cllr` and `cllr_min`, each with `value` and `ci95`.

    Args:
        found: logarithms of ratios of trials, and whether one source made both; then the same of bootstrap samples.
    """
    costs = {
        "cllr": [cllr(ratios, same, np.ones(len(same))) for ratios, same in found],
        "cllr_min": [least_cllr(ratios, same) for ratios, same in found],
    }
    return {name: {"value": of[0], "ci95": percentile_interval(of[1:])} for name, of in costs.items()}
