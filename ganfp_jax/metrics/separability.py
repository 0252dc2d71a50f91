"""The separability of sources in any feature space: fingerprints, pixels or spectra.

There are two measures. `frechet_ratio` says whether classes lie farther apart than two halves of one class.
`pair_verification` says whether two images are more alike when one source made both. `separability` gives both for one
feature space, and again for one class split at random. The latter must be at chance, since a fingerprint is a property
of the source, not of the picture.

Crops of one photograph are not independent. Give their photograph as `groups`: then a photograph is split, resampled
and left out as a whole, and two of its crops are never a pair.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ganfp_jax.metrics.groups import deal, halves, split, units_of
from ganfp_jax.metrics.statistics import area, basic_interval, bootstrap_weights, equal_error_rate, roc

MOST_IMAGES = 400  # images of a class in the Frechet ratio
MOST_IN_PAIRS = 200  # images of a class in the pairs; five classes make half a million pairs
MOST_OF_ALL, MOST_OF_ALL_IN_PAIRS = 4000, 2000  # images of all classes, since tables of pairs grow with their square
SPLITS = 6
BLOCKS = 10
REPLICATES = 200
ROC_POINTS = 200
FEWEST = 4  # least images of a class; with fewer a half has no covariance
CHANCE = {"frechet_ratio": 1.0, "auc": 0.5, "eer": 0.5}


# --- Frechet distance ratio


def frechet_from_gram(gram: Float[np.ndarray, "n n"], a: Int[np.ndarray, " p"], b: Int[np.ndarray, " q"]) -> float:
    """The Frechet distance of the vectors `a` and `b` (indices) from the inner products of all vectors.

    It is |m_a - m_b|^2 + tr(A + B - 2 (A B)^(1/2)) with unbiased covariances. For centred data X (p, D) and Y (q, D)
    the non-zero eigenvalues of A B = X'X Y'Y / ((p-1)(q-1)) are the squared singular values of X Y' over (p-1)(q-1). So
    the trace of the root is the nuclear norm of X Y', a p by q matrix however long the vectors are, over
    sqrt((p-1)(q-1)). The value is that of `metrics.distances.frechet_distance`, which decomposes matrices of D by D.

    Subtract the overall mean before taking inner products; vectors far from zero lose digits otherwise.
    """
    p, q = len(a), len(b)
    aa, bb, ab = gram[np.ix_(a, a)], gram[np.ix_(b, b)], gram[np.ix_(a, b)]
    between = aa.mean() + bb.mean() - 2 * ab.mean()
    within = (np.trace(aa) - aa.sum() / p) / (p - 1) + (np.trace(bb) - bb.sum() / q) / (q - 1)
    centred = ab - ab.mean(0) - ab.mean(1, keepdims=True) + ab.mean()  # X Y'
    root = np.linalg.svd(centred, compute_uv=False).sum() / math.sqrt((p - 1) * (q - 1))
    return max(0.0, float(between + within - 2 * root))


def frechet_ratio(
    features: Float[np.ndarray, "n d"],
    labels: Int[np.ndarray, " n"],
    num_classes: int,
    *,
    seed: int,
    groups: Int[np.ndarray, " n"] | None = None,
    per_class: int = MOST_IMAGES,
    splits: int = SPLITS,
    blocks: int = BLOCKS,
) -> dict[str, Any]:
    """The mean Frechet distance between classes over the mean distance between two halves of one class.

    Each class gives the same number of images (`per_class`, or as many as the smallest class has), which are split at
    random into halves A and B of h images each. `intra` is the mean over classes of FD(A, B). `inter` is the mean over
    unordered pairs of classes of FD(A, A') and FD(B, B'). So every distance is of two sets of h images, and both means
    have the bias of the Frechet distance, which grows with D / h. Both are averages over `splits` random splits.

    If all classes have one distribution, the expected ratio is 1 (up to the curvature of a quotient). `intra` is only
    that bias and falls as 1/h, so the ratio of classes that differ grows with h. Compare ratios only at the same
    `images_per_half`.

    The interval is for the mean of this ratio over new images *at the same h*. A bootstrap would not give it: doubled
    images act as a smaller sample, which about doubles `intra`. Instead each class is cut into `blocks` blocks, and one
    block of one class at a time is left out of the same splits. The variance of log(ratio) is the sum of the classes'
    jackknife variances. A t quantile with Satterthwaite's degrees of freedom gives the interval, symmetric in the
    logarithm. It is conservative, since a jackknife overstates the variance of squared differences
    (experiments/fingerprints has its coverage).

    Args:
        features: one row per image.
        labels: class index of each image, 0 to K - 1.
        num_classes: K, two or more.
        seed: seed of the choice, the splits and the blocks.
        groups: see `groups.units_of`. A group stands in one half and one block. Halves whose groups differ in size
            are cut to the smallest half of all.
        per_class: most images of each class.
        splits: number of random splits.
        blocks: number of blocks of a class; fewer where it has fewer groups.

    Returns:
        `value`, `ci95` [low, high] or None, `inter`, `intra`, `n` (images used), `images_per_half`. Where the ratio
        does not exist, `value` and `ci95` are None and `reason` says why. Where only the interval does not exist,
        `reason` says that.

    Raises:
        ValueError: labels or groups do not fit the features, features are not finite, or there are fewer than two
            classes, splits or blocks.
    """
    from threadpoolctl import threadpool_limits

    _check(features, labels, groups)
    if num_classes < 2 or splits < 1 or blocks < 2:
        raise ValueError(f"{num_classes} classes, {splits} splits, {blocks} blocks: give at least 2, 1 and 2")
    if len(labels) and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(f"class indices outside 0..{num_classes - 1}")
    rng = np.random.default_rng(seed)
    each = min(per_class, *np.bincount(labels, minlength=num_classes).tolist())
    each -= each % 2
    if each < FEWEST:
        return _no_value(len(labels), f"a Frechet ratio needs {FEWEST} images of each class, the smallest gives {each}")
    chosen = np.concatenate([rng.choice(np.flatnonzero(labels == c), each, False) for c in range(num_classes)])
    units = units_of(labels, groups)[chosen]
    members = np.arange(len(chosen)).reshape(num_classes, each)
    counts = [len(np.unique(units[member])) for member in members]
    if min(counts) < 2:
        return _no_value(len(chosen), "a class of a single group cannot be split into halves")
    block_of = np.concatenate([deal(units[m], min(blocks, c), rng) for m, c in zip(members, counts, strict=True)])
    sides = [[split(units[m], block_of[m], rng) for m in members] for _ in range(splits)]
    h = min(int(np.bincount(side, minlength=2).min()) for split in sides for side in split)
    if h < 2:
        return _no_value(len(chosen), "the groups of a class leave fewer than 2 images for one of its halves")
    # parts[split][class][side] has the indices of h images.
    parts = [
        [[rng.permutation(m[side == s])[:h] for s in (0, 1)] for m, side in zip(members, split, strict=True)]
        for split in sides
    ]
    x = features[chosen].astype(np.float64)
    x -= x.mean(0)
    # A second BLAS thread does not speed up a few hundred rows, and slows them on a busy machine.
    with threadpool_limits(1, user_api="blas"):
        gram = x @ x.T
        distances = np.stack([_distances(gram, part) for part in parts])  # (splits, K, K)
        inter, intra = _inter_intra(distances)
        spread = np.trace(gram) / len(gram)
        if not intra > 1e-9 * spread:
            return _no_value(len(chosen), "the images of a class do not differ in these features")
        value = inter / intra
        block: dict[str, Any] = {
            "value": value,
            "ci95": None,
            "inter": inter,
            "intra": intra,
            "n": 2 * h * num_classes,
            "images_per_half": h,
        }
        variances, freedoms = [], []
        for c in range(num_classes):
            logs = []
            for left_out in range(min(blocks, counts[c])):
                kept = [[ids[block_of[ids] != left_out] for ids in part[c]] for part in parts]
                if min(len(ids) for pair in kept for ids in pair) < 2:
                    return {**block, "reason": "too few images or groups for an interval"}
                changed = np.stack(
                    [
                        _distances(gram, [*part[:c], pair, *part[c + 1 :]], distance, c)
                        for part, pair, distance in zip(parts, kept, distances, strict=True)
                    ]
                )
                numerator, denominator = _inter_intra(changed)
                if not min(numerator, denominator) > 0:
                    return {**block, "reason": "a distance of zero without one block: no interval"}
                logs.append(math.log(numerator / denominator))
            variances.append((len(logs) - 1) ** 2 / len(logs) * float(np.var(logs, ddof=1)))
            freedoms.append(len(logs) - 1)
    block["ci95"] = _log_interval(value, variances, freedoms)
    return block


def _distances(
    gram: np.ndarray, part: Sequence[Sequence[np.ndarray]], known: np.ndarray | None = None, only: int | None = None
) -> np.ndarray:
    """Distances (K, K): of a class's halves on the diagonal, of two classes above it; `only` limits them to a class."""
    table = np.zeros((len(part), len(part))) if known is None else known.copy()
    for i in range(len(part)):
        for j in range(i, len(part)):
            if only is not None and only not in (i, j):
                continue
            if i == j:
                table[i, i] = frechet_from_gram(gram, part[i][0], part[i][1])
            else:
                table[i, j] = np.mean([frechet_from_gram(gram, part[i][s], part[j][s]) for s in (0, 1)])
    return table


def _inter_intra(distances: np.ndarray) -> tuple[float, float]:
    mean = distances.mean(0)
    return float(mean[np.triu_indices(len(mean), 1)].mean()), float(np.diagonal(mean).mean())


def _log_interval(value: float, variances: Sequence[float], freedoms: Sequence[int]) -> list[float] | None:
    from scipy.stats import t

    total = sum(variances)
    if not value > 0 or not total > 0:
        return None
    freedom = total**2 / sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
    factor = math.exp(min(700.0, t.ppf(0.975, freedom) * math.sqrt(total)))
    return [value / factor, value * factor]


# --- Same source or not


def cosine_matrix(vectors: Float[np.ndarray, "k d"]) -> Float[np.ndarray, "k k"]:
    """The cosine of every two rows, -1..1; a row of zeros has no direction and cosines of 0."""
    x = vectors.astype(np.float64)
    largest = np.abs(x).max(1, keepdims=True, initial=0.0)
    x = x / np.where(largest > 0, largest, 1.0)  # the squares of tiny entries would underflow
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    x = x / np.where(norms > 0, norms, 1.0)
    return np.clip(x @ x.T, -1.0, 1.0)


def _negative_distances(vectors: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import pdist, squareform

    return -squareform(pdist(vectors.astype(np.float64)))


SIMILARITIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "cosine": cosine_matrix,
    "negative_distance": _negative_distances,
}


def pair_verification(
    features: Float[np.ndarray, "n d"],
    labels: Int[np.ndarray, " n"],
    *,
    seed: int,
    groups: Int[np.ndarray, " n"] | None = None,
    similarity: str = "cosine",
    centre: bool = True,
    replicates: int = REPLICATES,
    most: int = MOST_IN_PAIRS,
) -> dict[str, Any]:
    """Does the similarity of two images tell whether one source made both? The answer is over all pairs of images.

    The interval (`statistics.basic_interval`) comes from a bootstrap over images, not over pairs, since pairs share
    images. An image drawn w times multiplies the weight of its pairs by w, and is never paired with itself. The
    interval is too wide where the classes have one distribution. **Close to 1 it is too short**: such an AUC depends on
    rare images that most samples lack, and an AUC of exactly 1 has an interval of almost no width
    (experiments/fingerprints has its coverage).

    Args:
        features: one row per image.
        labels: class index of each image.
        seed: seed of the choice and of the bootstrap.
        groups: see `groups.units_of`. Two images of one group are no pair, since their picture makes them alike.
        similarity: a key of `SIMILARITIES`.
        centre: whether to subtract the mean of the images first. A part that all images share (activations that are
            never negative, the mean spectrum) otherwise brings every cosine close to 1 and hides the angles between
            the sources.
        replicates: replicates of the bootstrap.
        most: most images of each class, chosen at random.

    Returns:
        `auc` (area under the ROC curve, ties count half) and `eer` (the rate at which false acceptances equal false
        rejections, interpolated linearly), each {`value`, `ci95`}; `roc` {`false_positive`, `true_positive`} with at
        most 200 points; `n` (images), `same` and `different` (pairs). Where one kind of pair is missing, the values are
        None and `reason` says so.

    Raises:
        ValueError: labels or groups do not fit the features, features are not finite, or the similarity is unknown.
    """
    _check(features, labels, groups)
    if similarity not in SIMILARITIES:
        raise ValueError(f"unknown similarity {similarity!r}; choose from {', '.join(SIMILARITIES)}")
    rng = np.random.default_rng(seed)
    by_class = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    chosen = np.concatenate([np.zeros(0, np.int64), *(rng.permutation(own)[:most] for own in by_class)])
    labels, units = labels[chosen], units_of(labels, groups)[chosen]
    first, second = np.triu_indices(len(chosen), 1)
    apart = units[first] != units[second]
    first, second = first[apart], second[apart]
    same = labels[first] == labels[second]
    counts = {"n": len(chosen), "same": int(same.sum()), "different": int((~same).sum())}
    if not counts["same"] or not counts["different"]:
        missing = "one source" if not counts["same"] else "two sources"
        nothing = {"value": None, "ci95": None}
        return {"auc": nothing, "eer": nothing, "roc": None, **counts, "reason": f"no pair of images of {missing}"}
    x = features[chosen].astype(np.float64)
    scores = SIMILARITIES[similarity](x - x.mean(0) if centre else x)[first, second]
    order = np.argsort(-scores)
    first, second, same, scores = first[order], second[order], same[order], scores[order]
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)  # index of the last pair of each distinct score

    far, tpr = roc(same.astype(np.float64), (~same).astype(np.float64), ends)
    values = {"auc": area(far, tpr), "eer": equal_error_rate(far, tpr)}
    drawn: dict[str, list[float]] = {"auc": [], "eer": []}
    for weights in bootstrap_weights(units, replicates, rng, strata=labels):
        pair_weights = weights[first] * weights[second]
        accepted = np.where(same, pair_weights, 0.0)
        curve = roc(accepted, pair_weights - accepted, ends)
        drawn["auc"].append(area(*curve))
        drawn["eer"].append(equal_error_rate(*curve))
    thinned, smallest = _thin(far, tpr), 0.5 / min(counts["same"], counts["different"])
    return {
        **{
            name: {"value": value, "ci95": basic_interval(drawn[name], value, smallest=smallest)}
            for name, value in values.items()
        },
        "roc": {"false_positive": far[thinned].tolist(), "true_positive": tpr[thinned].tolist()},
        **counts,
    }


def _thin(far: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    """Indices of points that are evenly spaced along the curve, with both ends."""
    way = far + tpr
    return np.unique(np.append(np.searchsorted(way, np.linspace(0, way[-1], ROC_POINTS - 1)), [0, len(way) - 1]))


# --- One feature space


def control(
    features: Float[np.ndarray, "n d"], *, seed: int, groups: Int[np.ndarray, " n"] | None = None
) -> dict[str, Any]:
    """Both measures on two random halves of one class in the place of classes, beside the values of chance.

    Halves of one source must not be separable, whatever the pictures show. With `groups` no photograph is in both
    halves and no pair is of one photograph, so the expected values stay those of chance.

    Returns:
        `frechet_ratio`, `verification`, `expected` {`frechet_ratio`: 1, `auc`: 0.5, `eer`: 0.5}, `n`.
    """
    sides = halves(len(features), groups=groups, seed=seed)
    return {
        "frechet_ratio": frechet_ratio(features, sides, 2, seed=seed, groups=groups),
        "verification": pair_verification(features, sides, seed=seed, groups=groups),
        "expected": dict(CHANCE),
        "n": len(features),
    }


def between_groups(
    features: Float[np.ndarray, "n d"], groups: Int[np.ndarray, " n"], *, seed: int
) -> dict[str, Any] | None:
    """Both measures on one class with its groups (photographs) in the place of sources.

    A fingerprint that is a property of the source alone does not tell the photographs of one source apart. So any value
    above chance measures how much the features depend on the pictures.

    Returns:
        `frechet_ratio`, `verification`, `expected`, `n`, `groups` (their number); None with fewer than two groups of 4
        images or more.
    """
    names, counts = np.unique(groups[groups >= 0], return_counts=True)
    names = names[counts >= FEWEST]
    if len(names) < 2:
        return None
    kept = np.isin(groups, names)
    labels = np.searchsorted(names, groups[kept])
    return {
        "frechet_ratio": frechet_ratio(features[kept], labels, len(names), seed=seed),
        "verification": pair_verification(features[kept], labels, seed=seed),
        "expected": dict(CHANCE),
        "n": int(kept.sum()),
        "groups": len(names),
    }


def separability(
    features: Float[np.ndarray, "n d"],
    labels: Int[np.ndarray, " n"],
    classes: Sequence[str],
    *,
    seed: int,
    groups: Int[np.ndarray, " n"] | None = None,
    real: str | None = None,
) -> dict[str, Any]:
    """All measures of one feature space, as plain JSON-able data.

    Args:
        features: one row per image, such as a fingerprint, pixels or a log-spectrum.
        labels: class index of each image.
        classes: the K class names, two or more, in index order.
        seed: seed of everything random.
        groups: see `groups.units_of`.
        real: class of the controls; None for no controls.

    Returns:
        `n`, `dimension`, `frechet_ratio` (halves drawn image by image, as published; its interval is for other images
        of the same groups), `frechet_ratio_by_group` (no group is in both halves; seldom has enough groups for an
        interval), `verification` (of groups), `expected`, and two controls, which are None without `real`. `control`
        has the images of `real` in random halves; if it is not at chance, the measure is wrong. `photographs` has the
        groups of `real` as classes (see `between_groups`); it is None without such groups.

    Raises:
        ValueError: as `frechet_ratio`, or `real` is none of the classes.
    """
    if real is not None and real not in classes:
        raise ValueError(f"class {real!r} for the control is none of {', '.join(classes)}")
    _check(features, labels, groups)
    number = len(classes)
    most = max(FEWEST, min(MOST_IMAGES, MOST_OF_ALL // number))
    in_pairs = max(FEWEST, min(MOST_IN_PAIRS, MOST_OF_ALL_IN_PAIRS // number))
    block = {
        "n": len(features),
        "dimension": features.shape[1],
        "frechet_ratio": frechet_ratio(features, labels, number, seed=seed, per_class=most),
        "frechet_ratio_by_group": None
        if groups is None
        else frechet_ratio(features, labels, number, seed=seed, groups=groups, per_class=most),
        "verification": pair_verification(features, labels, seed=seed, groups=groups, most=in_pairs),
        "expected": dict(CHANCE),
    }
    if real is None:
        return block | {"control": None, "photographs": None}
    chosen = labels == classes.index(real)
    return block | {
        "control": control(features[chosen], seed=seed),
        "photographs": None if groups is None else between_groups(features[chosen], groups[chosen], seed=seed),
    }


def _check(features: np.ndarray, labels: np.ndarray, groups: np.ndarray | None) -> None:
    if len(features) != len(labels) or (groups is not None and len(groups) != len(labels)):
        raise ValueError(
            f"{len(features)} rows of features, {len(labels)} labels"
            + ("" if groups is None else f", {len(groups)} groups")
        )
    if not np.isfinite(features).all():
        raise ValueError("features hold values that are not finite")


def _no_value(n: int, reason: str) -> dict[str, Any]:
    return {"value": None, "ci95": None, "n": n, "reason": reason}
