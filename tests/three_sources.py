"""Points of three sources, whose distributions are known, for what is learned from pictures of known sources."""

import numpy as np

from ganfp_jax.attribution.trials import Pool

TRACES = 6
NAMES = ["real", "ProGAN", "SNGAN"]
PLACES = np.array([[0.0, 0, 0, 0, 0, 0], [6, 0, 0, 0, 0, 0], [0, 6, 0, 0, 0, 0]])


def pool(count=80, seed=0, photographs=40):
    """Pictures of three sources, as many of each, and of as many photographs."""
    rng = np.random.default_rng(seed)
    labels = np.arange(3).repeat(count)
    groups = np.tile(np.arange(count) % photographs, 3) + photographs * labels
    return Pool(PLACES[labels] + rng.standard_normal((3 * count, TRACES)), labels, groups)
