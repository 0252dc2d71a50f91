"""The limits of the device: its measured rates of multiplying and of copying."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmark.row import Cost

REPEATS = 7


class Rates(NamedTuple):
    """Operations and bytes per second, each the best of several runs."""

    flops: float
    bytes: float

    def seconds(self, cost: Cost) -> float:
        """The shortest possible time of a call of that cost, which multiplies while it copies."""
        return max(cost.flops / self.flops, cost.bytes / self.bytes)


def measure_rates(dtype: str, side: int = 2048, megabytes: int = 256) -> Rates:
    """Times the product of two square matrices, in `dtype`, and the copy of an array larger than the caches.

    On CPU it also times NumPy's product and takes the better time, since the limit is the machine's.
    """
    a = jnp.asarray(np.random.default_rng(0).normal(size=(side, side)), dtype)
    product = jax.jit(lambda a: a @ a)
    seconds = _best(lambda: product(a).block_until_ready())
    if jax.default_backend() == "cpu":
        host: Any = np.random.default_rng(0).normal(size=(side, side)).astype(np.float32)
        seconds = min(seconds, _best(lambda: host @ host))
    source = jnp.zeros(megabytes * 2**20 // 4, jnp.float32)
    copy = jax.jit(jnp.negative)  # reads the array and writes as much
    copied = _best(lambda: copy(source).block_until_ready())
    return Rates(2 * side**3 / seconds, 2 * megabytes * 2**20 / copied)


def _best(call: Callable[[], object]) -> float:
    """The shortest time of several calls after a first one, which does not count."""
    call()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
