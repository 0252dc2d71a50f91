"""The likelihood ratio that the score of two sets of pictures stands for, learned from trials. Arrays only.

Trials of as many pictures of known sources say what each score is worth (`metrics.ratios.fit_pav`), so only the scores'
order counts, and a case is judged as a whole, however much its pictures depend on each other.

The known pictures are dealt into four quarters, whole photographs each. Scores of trials come from axes that were
learned from the other half of them, and a trial's reference and case lie in different quarters.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer

from ganfp_jax.attribution.trials import (
    Pool,
    Scorer,
    Sizes,
    Trials,
    count_independent,
    draw,
    learn_scorer,
    quarters,
    resampled,
)
from ganfp_jax.metrics.ratios import Pav, elub, fit_pav
from ganfp_jax.metrics.reliability import cllr, least_cllr
from ganfp_jax.metrics.statistics import percentile_interval
from ganfp_jax.run.errors import UserError


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
        """The logarithm of the ratio of a reference and a case, by their traces, within the bounds; its interval."""
        first, second = (self.scorer.points(of).mean(0)[None] for of in (reference, case))
        score = self.scorer.scores(first, second, self.sizes)
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
    halves = [_Half.of(pool, quarter // 2 == half, quarter % 2) for half in (0, 1) if set(quarter // 2) == {0, 1}]
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
    samples = [sample for sample in zip(*again, strict=True) if all(map(_has_both, sample))]
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
    made = {int(label) for of in trials for label in of.sources[of.same, 0]}
    lacking = [label for label in np.unique(pool.labels) if int(label) not in made]
    if lacking or not all(map(_has_both, trials)):
        label = int(lacking[0]) if lacking else int(pool.labels[0])
        mine = pool.labels == label
        raise UserError(
            f"config.data.root has {mine.sum()} images of {names[label]} that can be used, of "
            f"{len(np.unique(pool.groups[mine]))} photographs: too few to try {sizes.reference} against {sizes.case} "
            "in each quarter of them; give more, of 4 photographs or more, or a lower config.most"
        )


def _has_both(trials: Trials) -> bool:
    return bool(trials.same.any() and not trials.same.all())


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
