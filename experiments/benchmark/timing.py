"""Timing of several ways to do one thing, in turns, so that whatever slows the machine down slows them all."""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

MIN_ROUNDS = 3


class Spread(NamedTuple):
    """The median of a sample and the bounds between which 95 % of it lies."""

    median: float
    low: float
    high: float


def spread(values: Float[np.ndarray, " rounds"]) -> Spread:
    """The sample's quantiles 50, 2.5 and 97.5 %, interpolated."""
    return Spread(*(float(q) for q in np.quantile(values, (0.5, 0.025, 0.975))))


def ratio(times: Mapping[str, Float[np.ndarray, " rounds"]], name: str, reference: str) -> Spread:
    """How many times as long `name` takes as `reference`: a ratio a round, whose two times are neighbours in time."""
    return spread(times[name] / times[reference])


def take_turns(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    seconds: float,
    min_seconds: float = 0.05,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Float[np.ndarray, " rounds"]]:
    """Seconds a call, by name, in rounds A B C, A B C, ...

    Args:
        calls: each returns when its work is done, and has been called before: what it compiles would count.
        rounds: at most so many rounds.
        seconds: no round begins after so many seconds, but for the first three.
        min_seconds: in its turn a call is repeated until it has taken at least so long, judged by one call before the
            first round, and its time is the mean. One that is repeated is called once more before the clock starts:
            the caches, and for a while the cores, are still with the threads of the one before.
        clock: in seconds.
    """
    repeats = {}
    for name, call in calls.items():
        start = clock()
        call()
        repeats[name] = max(1, int(np.ceil(min_seconds / max(clock() - start, 1e-9))))
    times: dict[str, list[float]] = {name: [] for name in calls}
    began = clock()
    for done in range(rounds):
        if done >= MIN_ROUNDS and clock() - began > seconds:
            break
        for name, call in calls.items():
            if repeats[name] > 1:
                call()
            start = clock()
            for _ in range(repeats[name]):
                call()
            times[name].append((clock() - start) / repeats[name])
    return {name: np.array(values) for name, values in times.items()}
