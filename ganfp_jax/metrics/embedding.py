"""Fingerprints on a plane, to be looked at: t-SNE (van der Maaten and Hinton 2008)."""

import numpy as np
from jaxtyping import Float

from ganfp_jax.run.errors import UserError

COMPONENTS = 50  # t-SNE sees this many principal components, as its authors advise: faster, and less noise
FEWEST = 4


def tsne(features: Float[np.ndarray, "n d"], seed: int, perplexity: float | int = 30) -> Float[np.ndarray, "n 2"]:
    """Points on a plane whose neighbours are the features' neighbours; distances between far groups mean nothing.

    Each feature vector is brought to length 1 first. The network's verdict is a comparison of dot products with the
    same vector, so (but for the bias) its length changes no answer, only the confidence; and to standardise every
    feature instead would make the ones that hardly vary, hence mostly noise, as loud as the others.

    A function of its arguments: it starts from the principal components and runs on one thread. 1,000 vectors of 512
    features take five to ten seconds.

    Args:
        features: N vectors, at least 4, of at least two values.
        seed: of the randomised principal components.
        perplexity: how many neighbours count; at most (N - 1) / 3.

    Raises:
        UserError: fewer than 4 vectors or one value each.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    number, dimension = features.shape
    if number < FEWEST or dimension < 2:
        raise UserError(f"t-SNE needs at least {FEWEST} vectors of two values; these are {number} of {dimension}")
    length = np.linalg.norm(features, axis=1, keepdims=True)
    directions = features / np.where(length > 0, length, 1)
    # Threads add their sums in the order in which they end, and t-SNE makes much of the last digit.
    with threadpool_limits(1):
        if min(number, dimension) > COMPONENTS:
            directions = PCA(COMPONENTS, svd_solver="randomized", random_state=seed).fit_transform(directions)
        perplexity = min(perplexity, (number - 1) / 3)
        embedding = TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
        return embedding.fit_transform(directions.astype(np.float32))
