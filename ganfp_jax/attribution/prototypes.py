"""What a few images of a new source are compared with, and from where on an image is given to it: arrays to arrays.

Rows are traces (`models.enrolled.join_traces`), one a view of a tile of a picture. A source's prototype is the mean of
its pictures. The axes are those in which pictures of one known source vary most, by the shrunk covariance of Ledoit and
Wolf ("A well-conditioned estimator for large-dimensional covariance matrices", 2004). Only the first `AXES` are kept,
or a third as many as there are pictures, since the others are known too badly to divide by.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer

from ganfp_jax.models.enrolled import leads, project

AXES = 200
FOLDS = 5  # parts of the known pictures, of which each is judged by axes and prototypes of the others
DRAWS = 20  # sets of each known source's pictures that no new one may look more divided than


class Traces(NamedTuple):
    """Traces of the pictures of one source."""

    values: Float[np.ndarray, "r t"]
    slack: Float[np.ndarray, " r"]
    """By how much the logits of the known sources together exceed the highest of them."""
    pictures: Integer[np.ndarray, " r"]
    """Of which picture each row is, 0 to P - 1."""

    @property
    def means(self) -> Float[np.ndarray, "p t"]:
        """The mean of each picture's rows."""
        totals = np.zeros((self.pictures.max() + 1, self.values.shape[1]))
        np.add.at(totals, self.pictures, self.values)
        return totals / np.bincount(self.pictures)[:, None]


class Space(NamedTuple):
    """The axes in which sources are compared, and the known sources in it."""

    center: Float[np.ndarray, " t"]
    axes: Float[np.ndarray, "t a"]
    """Divided by the deviations, so that pictures of one source vary by 1 in each."""
    prototypes: Float[np.ndarray, "k t"]
    """Of the known sources, as traces."""


def learn_space(pictures: Sequence[Float[np.ndarray, "_ t"]]) -> Space:
    """The space of known sources, by the mean traces of each one's pictures."""
    from sklearn.covariance import ledoit_wolf  # takes a while to import

    prototypes = np.stack([of.mean(0) for of in pictures])
    rest = np.concatenate([of - mean for of, mean in zip(pictures, prototypes, strict=True)])
    scale = np.maximum(rest.std(0), 1e-6)  # a trace that never varies decides nothing
    covariance, _ = ledoit_wolf(rest / scale, assume_centered=True)
    count = min(AXES, len(rest) // 3, len(covariance))
    variances, axes = np.linalg.eigh(covariance)
    kept = axes[:, -count:] / np.sqrt(np.maximum(variances[-count:], 1e-9)) / scale[:, None]
    return Space(prototypes.mean(0), kept, prototypes)


def lead_of(
    rows: Float[np.ndarray, "r t"], space: Space, enrolled: Float[np.ndarray, "j t"]
) -> Float[np.ndarray, "r j"]:
    """The lead of each enrolled source over the known ones, of each row."""
    points = project(np.concatenate([space.prototypes, enrolled]), space.center, space.axes)
    return np.asarray(leads(project(rows, space.center, space.axes), points, len(enrolled)))


def choose_thresholds(
    known: Sequence[Traces],
    groups: Sequence[Integer[np.ndarray, " _"]],
    enrolled: Float[np.ndarray, "j t"],
    rate: float,
) -> Float[np.ndarray, " j"]:
    """The lowest thresholds at which no known source has more than the share `rate` of its rows given away.

    Each picture is judged in the space of others, and so are all pictures of one photograph.

    Args:
        known: of each known source.
        groups: the photograph of each of its pictures.
        enrolled: prototypes of the enrolled sources.
        rate: between 0 and 1.
    """
    means = [of.means for of in known]
    folds = [np.unique(numbers, return_inverse=True)[1] % FOLDS for numbers in groups]
    gains: list[list[np.ndarray]] = [[] for _ in known]
    for fold in range(FOLDS):
        space = learn_space([mean[of != fold] for mean, of in zip(means, folds, strict=True)])
        for gain, of, part in zip(gains, known, folds, strict=True):
            rows = part[of.pictures] == fold
            gain.append(lead_of(of.values[rows], space, enrolled) + of.slack[rows, None])
    return np.max([np.quantile(np.concatenate(gain), 1 - rate, axis=0) for gain in gains], axis=0)


def found_again(new: Traces, space: Space, threshold: float) -> Bool[np.ndarray, " p"]:
    """Which pictures of a new source most of their rows give to it, where it was enrolled from the others alone."""
    means, found = new.means, np.zeros(len(new.means), bool)
    for picture in range(len(means)):
        rows = new.pictures == picture
        others = np.delete(means, picture, axis=0).mean(0)
        gain = lead_of(new.values[rows], space, others[None])[:, 0] + new.slack[rows]
        found[picture] = (gain > threshold).mean() > 0.5
    return found


def two_groups(
    pictures: Float[np.ndarray, "p t"], known: Sequence[Float[np.ndarray, "_ t"]], space: Space
) -> Bool[np.ndarray, " p"] | None:
    """Which pictures are in the smaller of two groups, where they fall into two; else None.

    They do where they look more divided (`_divide`) than each of `DRAWS` sets of as many pictures of any one source.
    They are compared where the known sources differ, since in all axes the noise of few pictures hides two groups: two
    sources that differ elsewhere are not told apart.
    """
    apart = (space.prototypes - space.center) @ space.axes
    across = space.axes @ np.linalg.svd(apart, full_matrices=False)[2][: len(known) - 1].T
    rng, count = np.random.default_rng(0), len(pictures)
    members, division = _divide((pictures - space.center) @ across)
    for of in known:
        points = (of - space.center) @ across
        for _ in range(DRAWS):
            drawn = points[rng.choice(len(points), min(count, len(points)), replace=False)]
            if _divide(drawn)[1] >= division:
                return None
    return members if members.mean() <= 0.5 else ~members


def _divide(points: Float[np.ndarray, "p a"]) -> tuple[Bool[np.ndarray, " p"], float]:
    """The best two groups (k-means), and their distance in deviations along the line between their means."""
    from sklearn.cluster import KMeans  # takes a while to import

    members = KMeans(2, n_init=4, random_state=0).fit_predict(points) == 1
    if min(members.sum(), (~members).sum()) < 2:
        return members, 0.0
    one, other = points[members], points[~members]
    line = one.mean(0) - other.mean(0)
    along = np.concatenate([(of - of.mean(0)) @ line for of in (one, other)])
    deviation = math.sqrt(float((along**2).sum()) / (len(points) - 2))
    return members, float(line @ line) / max(deviation, 1e-9)
