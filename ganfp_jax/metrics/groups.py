"""Groups of dependent images, such as the crops of one photograph, which are split and dealt as a whole."""

import numpy as np
from jaxtyping import Int


def units_of(labels: Int[np.ndarray, " n"], groups: Int[np.ndarray, " n"] | None) -> Int[np.ndarray, " n"]:
    """The number 0, 1, ... of each image's unit, which is drawn as a whole: a group within its class, or one image.

    Args:
        labels: class index of each image.
        groups: images of a class with the same number form a group. An image with a negative number, and every image
            where `groups` is None, is a unit of its own.
    """
    if groups is None:
        return np.arange(len(labels))
    if len(groups) != len(labels):
        raise ValueError(f"{len(groups)} groups for {len(labels)} images")
    alone = groups < 0
    named = np.stack([labels, np.where(alone, np.arange(len(labels)), groups), alone], axis=1)
    return np.unique(named, axis=0, return_inverse=True)[1].reshape(-1)


def halves(num_images: int, *, groups: Int[np.ndarray, " n"] | None = None, seed: int) -> Int[np.ndarray, " n"]:
    """A random split of the images of one class: side 0 or 1 of each, with whole groups on one side.

    Each group, in random order, goes to the side that is smaller so far. So the sides differ by at most the largest
    group, or by one image without groups.
    """
    rng = np.random.default_rng(seed)
    return split(units_of(np.zeros(num_images, np.int64), groups), np.zeros(num_images, np.int64), rng)


def split(
    units: Int[np.ndarray, " n"], blocks: Int[np.ndarray, " n"], rng: np.random.Generator
) -> Int[np.ndarray, " n"]:
    """Side 0 or 1 of each image: units stay whole, and both sides share every block as evenly as they allow."""
    names, first, sizes = np.unique(units, return_index=True, return_counts=True)
    side_of = np.zeros(len(names), np.int64)
    totals = [0, 0]
    # A random order of the blocks, since the last unit of one and the first of the next take opposite sides.
    place = rng.permutation(int(blocks.max(initial=0)) + 1)
    for unit in sorted(rng.permutation(len(names)), key=lambda unit: place[blocks[first[unit]]]):
        side = int(rng.integers(2)) if totals[0] == totals[1] else int(totals[1] < totals[0])
        side_of[unit] = side
        totals[side] += int(sizes[unit])
    return side_of[np.searchsorted(names, units)]


def deal(
    units: Int[np.ndarray, " n"], count: int, rng: np.random.Generator | np.random.RandomState
) -> Int[np.ndarray, " n"]:
    """Block 0..count-1 of each image: units stay whole; each, the largest first, goes to the smallest block so far.

    scikit-learn's `StratifiedGroupKFold` does the same for all classes at once, in another order.
    """
    names, sizes = np.unique(units, return_counts=True)
    shuffled = rng.permutation(len(names))
    block_of = np.zeros(len(names), np.int64)
    totals = np.zeros(count, np.int64)
    for unit in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        block_of[unit] = totals.argmin()
        totals[block_of[unit]] += sizes[unit]
    return block_of[np.searchsorted(names, units)]
