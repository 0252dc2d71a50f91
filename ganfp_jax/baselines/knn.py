"""Nearest neighbours on pixels: what resemblance to the training images alone tells.

The method of the comparison in Yu, Davis and Fritz (2019); the numbers of neighbours are those that Frank et al. (2020)
tried, up to 33 (reference spec, section 8.10).
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from ganfp_jax.baselines import method
from ganfp_jax.baselines.linear import pixels

NEIGHBOURS = (1, 3, 5, 9, 17, 33)
CHUNK = 512  # images at a time, so that the distances take little room


def fit(training: method.Training) -> method.Model:
    """Keeps the training images, with the number of neighbours that is best for the held-out ones of them.

    The score of a class is its share of the k nearest (Euclidean distance); among equal shares the nearer images count.
    """
    k, accuracy = 1, None
    mask = method.held_out(training)
    if mask.any():
        kept, asked = training.part(~mask), training.part(mask)
        nearest = _searcher(kept)(asked.samples, min(max(NEIGHBOURS), len(kept.labels)))
        choices = {
            k: method.accuracy(_votes(nearest[:, :k], training.num_classes), asked.labels)
            for k in NEIGHBOURS
            if k <= nearest.shape[1]
        }
        k = method.best(choices)
        accuracy = choices[k]
    search = _searcher(training)
    return method.Model(
        lambda images: _votes(search(images, k), training.num_classes),
        {"neighbours": k, "held_out_accuracy": accuracy},
    )


def _searcher(training: method.Training) -> Callable[[method.Images, int], Int[np.ndarray, "n k"]]:
    """(images, k) -> the labels of the k nearest training images, the nearest first."""
    known = pixels(training.samples)
    lengths = (known**2).sum(axis=1)

    def search(images: method.Images, k: int) -> Int[np.ndarray, "n k"]:
        found = np.empty((len(images), k), np.int64)
        for first in range(0, len(images), CHUNK):
            # Squared distances but for each image's own length. In single precision: scikit-learn's double takes thrice
            # as long.
            distances = lengths - 2 * pixels(images[first : first + CHUNK]) @ known.T
            near = np.argpartition(distances, k - 1, axis=1)[:, :k]
            order = np.take_along_axis(distances, near, axis=1).argsort(axis=1, kind="stable")
            found[first : first + CHUNK] = np.take_along_axis(near, order, axis=1)
        return training.labels[found]

    return search


def _votes(nearest: Int[np.ndarray, "n k"], num_classes: int) -> Float[np.ndarray, "n c"]:
    """Shares of the votes of neighbours; an earlier one's weighs more by less than a whole vote in all."""
    k = nearest.shape[1]
    weights = 1 + (k - np.arange(k)) / (2 * k**2)
    votes = np.stack([(nearest == label) @ weights for label in range(num_classes)], axis=1)
    return votes / weights.sum()
