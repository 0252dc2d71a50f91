"""Groups of pictures of one source each, none of which is known, and how sure they are. Arrays only.

Pictures are points in axes in which those of one known source vary by 1 and sources by what `trials.Scorer` has found,
seen from the middle of the known sources. An axis counts by the share of its variance that is between sources, to the
power `POWER`: 0 would have all axes even, and a high one leaves those in which known sources differ. Two pictures are
the more unlike, the larger the angle between them. Groups are joined by complete linkage, as long as no two pictures of
one are more unlike than a threshold, so their number need not be known.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer

from ganfp_jax.attribution.trials import Scorer

ALONE = -1
LINKAGE = "complete"
POWER = 0.25
THRESHOLD = 0.95
"""All three were chosen on the development images of experiments/grouping."""
SMALLEST = 5
"""As many as a source is enrolled from."""


class Clusters(NamedTuple):
    """The groups of N pictures, the largest first."""

    labels: Integer[np.ndarray, " n"]
    """Of each picture its group, 0 to G - 1, or `ALONE`."""
    distances: Float[np.ndarray, " n"]
    """How unlike the mean of its group it is, 0 to 2; NaN of one that is alone."""
    silhouettes: Float[np.ndarray, " n"]
    """How much nearer its own group is than the next one, -1 to 1; NaN of one that is alone, and of a single group."""

    @property
    def number(self) -> int:
        """How many groups there are."""
        return int(self.labels.max(initial=ALONE)) + 1

    def members(self, group: int) -> Integer[np.ndarray, " _"]:
        """The pictures of a group, the most central first."""
        found = np.flatnonzero(self.labels == group)
        return found[np.argsort(self.distances[found], kind="stable")]


def cluster(
    scorer: Scorer,
    traces: Float[np.ndarray, "n t"],
    threshold: float = THRESHOLD,
    smallest: int = SMALLEST,
) -> Clusters:
    """Groups pictures by their traces.

    Args:
        scorer: the axes.
        traces: the mean traces of one or more pictures.
        threshold: groups are joined as long as no two of their pictures are more unlike.
        smallest: pictures in smaller groups are alone.
    """
    points = points_of(scorer, traces)
    unlike = unlikeness(points)
    labels = numbered(join(unlike, threshold), smallest)
    distances, silhouettes = (np.full(len(labels), np.nan) for _ in range(2))
    for group in range(labels.max() + 1):
        mine = labels == group
        distances[mine] = 1 - _directions(points[mine]) @ _directions(points[mine].mean(0)[None])[0]
    if labels.max() > 0:
        from sklearn.metrics import silhouette_samples

        mine = labels != ALONE
        silhouettes[mine] = silhouette_samples(unlike[np.ix_(mine, mine)], labels[mine], metric="precomputed")
    return Clusters(labels, distances, silhouettes)


def points_of(scorer: Scorer, traces: Float[np.ndarray, "n t"], power: float = POWER) -> Float[np.ndarray, "n a"]:
    """Traces as points, of which each axis counts by its share to a power."""
    return scorer.points(traces) * (scorer.between / (1 + scorer.between)) ** power


def unlikeness(points: Float[np.ndarray, "n a"]) -> Float[np.ndarray, "n n"]:
    """1 less the cosine of the angle between each two points: 0 for one direction, 2 for opposite ones."""
    directions = _directions(points)
    unlike = np.clip(1 - directions @ directions.T, 0, 2)
    np.fill_diagonal(unlike, 0)
    return unlike


def join(unlike: Float[np.ndarray, "n n"], threshold: float) -> Integer[np.ndarray, " n"]:
    """The number of each point's group, by complete linkage."""
    from sklearn.cluster import AgglomerativeClustering  # takes a while to import

    if len(unlike) == 1:
        return np.zeros(1, np.int64)
    joined = AgglomerativeClustering(None, metric="precomputed", linkage=LINKAGE, distance_threshold=threshold)
    return joined.fit_predict(unlike)


def numbered(labels: Integer[np.ndarray, " n"], smallest: int) -> Integer[np.ndarray, " n"]:
    """The same groups, the largest first; those with fewer than `smallest` members are none."""
    sizes = np.bincount(labels)
    order = np.argsort(-sizes, kind="stable")
    numbers = np.empty_like(order)
    numbers[order] = np.arange(len(order))
    return np.where(sizes[labels] < smallest, ALONE, numbers[labels])


def _directions(points: Float[np.ndarray, "n a"]) -> Float[np.ndarray, "n a"]:
    return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9)
