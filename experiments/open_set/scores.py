"""Scores from the literature on open sets, beside those that verdicts rest on. All are high for known images.

None is tuned: settings are those of the publications, or stated here. What has to be fitted is fitted on calibration
images of the known sources alone.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Integer

from ganfp_jax.attribution.voting import Vote
from ganfp_jax.models.fingerprints import Fingerprints

GAMMA = 0.1  # of GEN
NEIGHBOURS = 10

PRINCIPAL = 512  # dimensions of ViM's principal space, or two thirds of the features where these are fewer than 768

Features = Float[np.ndarray, "n d"]
Detectors = Callable[[Fingerprints], dict[str, Float[np.ndarray, " n"]]]


def of_vote(vote: Vote) -> dict[str, Float[np.ndarray, " n"]]:
    """Scores of what a vote of several views gives: probabilities (their mean) and logits."""
    p = np.asarray(vote.probabilities, np.float64)
    return {"maximum probability": p.max(-1), "energy": energy(np.asarray(vote.view_logits)), "GEN": gen(p)}


def energy(logits: Float[np.ndarray, "v n k"]) -> Float[np.ndarray, " n"]:
    """The negative energy, log sum exp of the logits, in the mean over views (Liu et al. 2020, arXiv 2010.03759)."""
    return np.logaddexp.reduce(logits.astype(np.float64), axis=-1).mean(0)


def gen(probabilities: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " n"]:
    """The negative generalised entropy, -sum of (p (1 - p))^0.1 over all sources (Liu, Lochman and Zach, CVPR 2023)."""
    p = np.clip(probabilities, 0, 1)
    return -((p * (1 - p)) ** GAMMA).sum(-1)


def fit(fingerprints: Fingerprints, targets: Integer[np.ndarray, " n"]) -> Detectors:
    """Fits the scores of fingerprints on images of known sources.

    - kNN: minus the distance to the tenth nearest fingerprint, all of length 1 (Sun et al. 2022, arXiv 2204.06507).
    - relative Mahalanobis: the distance to the overall mean minus that to the nearest source's, each by a covariance
      of its own, shrunk after Ledoit and Wolf (Ren et al. 2021, arXiv 2106.09022).
    - ViM: the energy of the logits less that of a virtual one, which is the length of what the principal space leaves
      of a fingerprint, scaled to the logits (Wang et al. 2022, arXiv 2203.10807).
    """
    from sklearn.covariance import LedoitWolf
    from sklearn.neighbors import NearestNeighbors

    features = _flat(fingerprints)
    neighbours = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(targets))).fit(_of_length_1(features))
    means = np.stack([features[targets == k].mean(0) for k in np.unique(targets)])
    places = np.searchsorted(np.unique(targets), targets)
    within = LedoitWolf(assume_centered=True).fit(features - means[places])
    overall = LedoitWolf().fit(features)
    virtual = _fit_virtual_logit(fingerprints)

    def scores(given: Fingerprints) -> dict[str, Float[np.ndarray, " n"]]:
        features = _flat(given)
        nearest = np.min([within.mahalanobis(features - mean) for mean in means], axis=0)
        return {
            "kNN": -neighbours.kneighbors(_of_length_1(features))[0][:, -1],
            "relative Mahalanobis": overall.mahalanobis(features) - nearest,
            "ViM": energy(given.logits[None]) - virtual(features),
        }

    return scores


def _fit_virtual_logit(fingerprints: Fingerprints) -> Callable[[Features], Float[np.ndarray, " n"]]:
    """Fingerprints -> the virtual logit of ViM; its origin is where the last layer's logits are 0 with its bias."""
    features, models = _flat(fingerprints), _flat_models(fingerprints)
    origin = -np.linalg.pinv(models.T) @ fingerprints.bias
    centred = features - origin
    principal = min(PRINCIPAL, 2 * features.shape[1] // 3)
    rest = np.linalg.eigh(centred.T @ centred / len(centred))[1][:, : features.shape[1] - principal]  # the least first
    lengths = np.linalg.norm(centred @ rest, axis=1)
    scale = fingerprints.logits.max(1).mean() / max(lengths.mean(), np.finfo(np.float32).tiny)
    return lambda given: scale * np.linalg.norm((given - origin) @ rest, axis=1)


def _flat(fingerprints: Fingerprints) -> Features:
    return fingerprints.images.reshape(len(fingerprints.images), -1).astype(np.float64)


def _flat_models(fingerprints: Fingerprints) -> Float[np.ndarray, "d k"]:
    return fingerprints.models.reshape(-1, fingerprints.models.shape[-1]).astype(np.float64)


def _of_length_1(fingerprints: Features) -> Features:
    lengths = np.linalg.norm(fingerprints, axis=1, keepdims=True)
    return fingerprints / np.maximum(lengths, np.finfo(np.float32).tiny)
