"""The images of unseen generators by their traces and verdicts, and draws of them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.enrolment import trained
from ganfp_jax.attribution.likelihood import pool_of
from ganfp_jax.attribution.traces import TILING, look_at_distinct, make_reader, read_known
from ganfp_jax.attribution.trials import Pool
from ganfp_jax.interop.load import load
from ganfp_jax.run import atomic


class Images(NamedTuple):
    """The images of one generator."""

    traces: np.ndarray
    """(n, t), of each the mean trace."""
    verdicts: np.ndarray
    """(n,)."""


class Network:
    """A network that gives verdicts and takes traces."""

    def __init__(self, checkpoint: str) -> None:
        """Loads it, by a run folder or the name of a shipped one."""
        weights = load(checkpoint, "attribution")
        model, variables, self.classes = trained(weights)
        self.attributor = Attributor.of(weights, checkpoint)
        self.read = make_reader(model, variables, self.attributor.augment)

    def known(self, root: Path, images_per_source: int, cache: Path) -> Pool:
        """The images of the known sources by their traces."""
        if not cache.exists():
            known = read_known(self.read, self.classes, [], root, images_per_source, "crop", "auto", TILING)
            _store(cache, **pool_of(known)._asdict())
        with np.load(cache) as stored:
            return Pool(**stored)

    def images(self, folder: Path, cache: Path) -> Images:
        """What the network sees in the images of a folder; those that are flat or copies are left out."""
        if not cache.exists():
            files = sorted(folder.glob("*.png"))
            looks = look_at_distinct(files, list(map(str, files)), self.read.resolution, "crop", TILING, {}).looks
            verdicts = np.array([verdict.verdict for verdict in self.attributor.judge(looks)], str)
            _store(cache, traces=self.read(looks).means if looks else np.zeros((0, 1)), verdicts=verdicts)
        with np.load(cache) as stored:
            return Images(**stored)


def _store(cache: Path, **arrays: np.ndarray) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    with atomic.writer(cache) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


class Drawn(NamedTuple):
    """Images of several generators, mixed."""

    traces: np.ndarray
    labels: np.ndarray
    """Of each the number of its generator."""


def draws(
    traces: Mapping[str, np.ndarray], generators: int, each: Sequence[int], count: int, seed: int
) -> Iterator[Drawn]:
    """Draws images of several generators, `count` times.

    Args:
        traces: of the images of every generator, by its name.
        generators: how many of them are in a draw.
        each: numbers of images of a generator, of which each gets a random one, or as many as there are.
        count: of the draws.
        seed: draws.
    """
    rng = np.random.default_rng([seed, generators])
    for _ in range(count):
        parts = []
        for name in rng.choice(list(traces), generators, replace=False):
            size = min(int(rng.choice(each)), len(traces[name]))
            parts.append(traces[name][rng.choice(len(traces[name]), size, replace=False)])
        yield Drawn(np.concatenate(parts), np.repeat(np.arange(generators), [len(part) for part in parts]))
