"""The ways to group pictures that one was chosen from, and how right groups are."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from ganfp_jax.attribution import clusters
from ganfp_jax.attribution.trials import Pool, Scorer
from ganfp_jax.metrics.statistics import percentile_interval
from ganfp_jax.models.visnet_moments import BLOCK

Space = Callable[[np.ndarray], np.ndarray]

LINKAGES = ("average", "complete")
POWERS = (0.0, 0.1, 0.25, 0.5)
THRESHOLDS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05)
SPECTRUM = 3 * BLOCK * (BLOCK + 1) // 2  # of the traces, which end with it; before it stands the fingerprint


def spaces(pool: Pool, scorer: Scorer) -> dict[str, Space]:
    """By name what makes points of traces, by known images and the axes that these teach."""
    center, scale = pool.values.mean(0), np.maximum(pool.values.std(0), 1e-6)
    powers = {f"power {power}": functools.partial(clusters.points_of, scorer, power=power) for power in POWERS}
    return {
        **powers,
        "standardised": lambda traces: (traces - center) / scale,
        "standardised fingerprint": lambda traces: ((traces - center) / scale)[:, :-SPECTRUM],
        "standardised spectrum": lambda traces: ((traces - center) / scale)[:, -SPECTRUM:],
    }


def groups_at(points: np.ndarray, linkage: str) -> Iterator[np.ndarray]:
    """Yields the groups of points at each of `THRESHOLDS`, as `clusters.cluster` makes them."""
    unlike = squareform(clusters.unlikeness(points), checks=False)
    tree = hierarchy.linkage(unlike, linkage)
    for threshold in THRESHOLDS:
        labels = hierarchy.fcluster(tree, threshold, "distance") - 1
        yield clusters.numbered(labels, clusters.SMALLEST)


def measures(truth: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """How right groups are; each picture that is alone is a group of its own in `ari` and `nmi`."""
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    alone = labels == clusters.ALONE
    single = np.where(alone, labels.max() + 1 + np.arange(len(labels)), labels)
    count = int(labels.max()) + 1
    return {
        "ari": float(adjusted_rand_score(truth, single)),
        "nmi": float(normalized_mutual_info_score(truth, single)),
        "groups": float(count),
        "right_number": float(count == len(np.unique(truth))),
        "alone": float(alone.mean()),
    }


def summary(found: Sequence[Mapping[str, float]], repeats: int = 1000) -> dict[str, Any]:
    """The mean of each measure over draws, with the 95 % interval of a bootstrap of the draws."""
    again = np.random.default_rng(0).integers(0, len(found), (repeats, len(found)))
    values = {name: np.array([of[name] for of in found]) for name in found[0]}
    return {
        name: {"value": float(of.mean()), "ci95": percentile_interval(list(of[again].mean(1)))}
        for name, of in values.items()
    }
