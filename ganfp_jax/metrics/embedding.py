"""Fingerprints on a plane, for figures: t-SNE (van der Maaten and Hinton 2008)."""

import numpy as np
from jaxtyping import Float

from ganfp_jax.run.errors import UserError

COMPONENTS = 50  # principal components that t-SNE takes; its authors advise this for speed and less noise
FEWEST = 4


def tsne(features: Float[np.ndarray, "n d"], seed: int, perplexity: float | int = 30) -> Float[np.ndarray, "n 2"]:
    """Points on a plane whose neighbours are the features' neighbours; distances between far groups mean nothing.

    Each feature vector is scaled to length 1. The network compares inner products with the same vector, so (but for the
    bias) the length changes only the confidence. Standardising each feature instead would amplify features that hardly
    vary and are mostly noise.

    The result is a function of the arguments: t-SNE starts from the principal components and runs on one thread.

    Args:
        features: N vectors, at least 4, of at least two values.
        seed: seed of the randomised principal components.
        perplexity: number of neighbours that count, at most (N - 1) / 3.

    Raises:
        UserError: there are fewer than 4 vectors, or they have one value each.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    number, dimension = features.shape
    if number < FEWEST or dimension < 2:
        raise UserError(f"t-SNE needs at least {FEWEST} vectors of two values; these are {number} of {dimension}")
    length = np.linalg.norm(features, axis=1, keepdims=True)
    directions = features / np.where(length > 0, length, 1)
    # Several threads would sum in varying order, and t-SNE amplifies the last digit.
    with threadpool_limits(1):
        if min(number, dimension) > COMPONENTS:
            directions = PCA(COMPONENTS, svd_solver="randomized", random_state=seed).fit_transform(directions)
        perplexity = min(perplexity, (number - 1) / 3)
        embedding = TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
        return embedding.fit_transform(directions.astype(np.float32))
