"""Eigenfaces: principal components of the pixels and a linear support vector machine.

The method is that of Turk and Pentland, "Eigenfaces for Recognition" (1991), a baseline of Yu, Davis and Fritz (2019).
The shares of variance and the values of C are those of Frank et al. (2020) (reference spec, section 8.10).
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from ganfp_jax.baselines import method
from ganfp_jax.baselines.linear import pixels

VARIANCES = (0.25, 0.5, 0.75, 0.95)
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
MOST_COMPONENTS = 256  # photographs of 32x32 need about 50 for 95 % of their variance
MOST_STEPS = 10_000


def fit(training: method.Training) -> method.Model:
    """Trains with the share of variance and the C that are best on held-out training images.

    There are at most `MOST_COMPONENTS` components, even where they explain less. The seed gives the random numbers of
    the singular value decomposition (Halko et al. 2011).
    """
    variance, penalty, accuracy = VARIANCES[-1], PENALTIES[-1], None
    mask = method.held_out(training)
    if mask.any():
        kept, compared = training.part(~mask), training.part(mask)
        components = _components(kept)
        known, unknown = (components.transform(pixels(part.samples)) for part in (kept, compared))
        choices = {}
        for share in VARIANCES:
            count = _count(components, share)
            for c in PENALTIES:
                machine = _machine(known[:, :count], kept, c)
                choices[share, c] = method.accuracy(_scores(machine, unknown[:, :count], training), compared.labels)
        variance, penalty = method.best(choices)
        accuracy = choices[variance, penalty]
    components = _components(training)
    count = _count(components, variance)
    machine = _machine(components.transform(pixels(training.samples))[:, :count], training, penalty)
    return method.Model(
        lambda images: _scores(machine, components.transform(pixels(images))[:, :count], training),
        {"variance": variance, "components": count, "C": penalty, "held_out_accuracy": accuracy},
    )


def _components(training: method.Training) -> Any:
    from sklearn.decomposition import PCA

    features = pixels(training.samples)
    count = min(MOST_COMPONENTS, *features.shape)
    with np.errstate(invalid="ignore"):  # equal images have no variance, so its shares are 0 / 0
        return PCA(count, svd_solver="randomized", iterated_power=3, random_state=training.seed).fit(features)


def _count(components: Any, variance: float) -> int:
    """The number of components that explain that share of the variance."""
    explained = np.cumsum(components.explained_variance_ratio_)
    return min(int((explained < variance).sum()) + 1, len(explained))


def _machine(features: Float[np.ndarray, "n f"], training: method.Training, penalty: float) -> Any:
    from sklearn.svm import LinearSVC

    # The primal problem has few unknowns, one per component, and needs no random number.
    return LinearSVC(C=penalty, dual=False, max_iter=MOST_STEPS).fit(features, training.labels)


def _scores(machine: Any, features: Float[np.ndarray, "n f"], training: method.Training) -> Float[np.ndarray, "n k"]:
    """Distances from the planes, one per class; for two classes scikit-learn gives only the second's."""
    distances = machine.decision_function(features)
    return np.stack([-distances, distances], axis=1) if training.num_classes == 2 else distances
