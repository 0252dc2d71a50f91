"""Scores from the literature on open sets, beside those that verdicts rest on. All are high for known images.

None is tuned: settings are those of the publications, or stated here. What has to be fitted is fitted on calibration
images of the known sources alone.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Integer

from ganfp_jax.attribution.voting import Vote

GAMMA = 0.1  # of GEN
NEIGHBOURS = 10

Fingerprints = Float[np.ndarray, "n d"]
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
    """
    from sklearn.covariance import LedoitWolf
    from sklearn.neighbors import NearestNeighbors

    neighbours = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(targets))).fit(_of_length_1(fingerprints))
    means = np.stack([fingerprints[targets == k].mean(0) for k in np.unique(targets)])
    places = np.searchsorted(np.unique(targets), targets)
    within = LedoitWolf(assume_centered=True).fit(fingerprints - means[places])
    overall = LedoitWolf().fit(fingerprints)

    def scores(given: Fingerprints) -> dict[str, Float[np.ndarray, " n"]]:
        nearest = np.min([within.mahalanobis(given - mean) for mean in means], axis=0)
        return {
            "kNN": -neighbours.kneighbors(_of_length_1(given))[0][:, -1],
            "relative Mahalanobis": overall.mahalanobis(given) - nearest,
        }

    return scores


def _of_length_1(fingerprints: Fingerprints) -> Fingerprints:
    lengths = np.linalg.norm(fingerprints, axis=1, keepdims=True)
    return fingerprints / np.maximum(lengths, np.finfo(np.float32).tiny)
