"""Nearest neighbours on pixels: they measure what resemblance to the training images alone gives away.

The method is a baseline of Yu, Davis and Fritz (2019). The numbers of neighbours are those of Frank et al. (2020), up
to 33 (reference spec, section 8.10).
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from ganfp_jax.baselines import method
from ganfp_jax.baselines.linear import pixels

NEIGHBOURS = (1, 3, 5, 9, 17, 33)
CHUNK = 512  # images at a time, so that the distances take little memory


def fit(training: method.Training) -> method.Model:
    """Keeps the training images, with the number of neighbours that is best on held-out ones.

    The score of a class is its share of the k nearest images (Euclidean distance); the nearer images break ties.
    """
    k, accuracy = 1, None
    mask = method.held_out(training)
    if mask.any():
        kept, compared = training.part(~mask), training.part(mask)
        nearest = _searcher(kept)(compared.samples, min(max(NEIGHBOURS), len(kept.labels)))
        choices = {
            k: method.accuracy(_votes(nearest[:, :k], training.num_classes), compared.labels)
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
    """search(images, k) -> the labels of the k nearest training images, the nearest first."""
    known = pixels(training.samples)
    lengths = (known**2).sum(axis=1)

    def search(images: method.Images, k: int) -> Int[np.ndarray, "n k"]:
        neighbours = np.empty((len(images), k), np.int64)
        for first in range(0, len(images), CHUNK):
            # Squared distances without each image's own length, in single precision, since scikit-learn's double
            # precision is slower.
            distances = lengths - 2 * pixels(images[first : first + CHUNK]) @ known.T
            near = np.argpartition(distances, k - 1, axis=1)[:, :k]
            order = np.take_along_axis(distances, near, axis=1).argsort(axis=1, kind="stable")
            neighbours[first : first + CHUNK] = np.take_along_axis(near, order, axis=1)
        return training.labels[neighbours]

    return search


def _votes(nearest: Int[np.ndarray, "n k"], num_classes: int) -> Float[np.ndarray, "n c"]:
    """Shares of the neighbours' votes; nearer ones weigh more, by less than one vote in all, which breaks ties."""
    k = nearest.shape[1]
    weights = 1 + (k - np.arange(k)) / (2 * k**2)
    votes = np.stack([(nearest == label) @ weights for label in range(num_classes)], axis=1)
    return votes / weights.sum()
