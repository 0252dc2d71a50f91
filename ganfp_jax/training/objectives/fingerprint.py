"""The losses of the image-sized fingerprint network and its critic (Yu, Davis, Fritz 2019; spec section 6.4).

All losses are per sample; a step minimises their mean over its batch.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ganfp_jax.run.errors import UserError
from ganfp_jax.training.objectives import classification, penalties, wgan_gp

Images = Float[Array, "n h w c"]
PerSample = Float[Array, " n"]


@dataclasses.dataclass(frozen=True)
class LossWeights:
    """The weights of the losses' terms; the defaults are the published values.

    Attributes:
        class_weight, rec_weight, adversarial_weight: weights of the autoencoder's `Terms`.
        drift: weight of the squared scores of real images in the critic's loss.
        penalty_weight, penalty_target: weight and target of the critic's `penalties.gradient_penalty`.

    Raises:
        UserError: the target is not positive.
    """

    class_weight: float = 1.0
    rec_weight: float = 20.0
    adversarial_weight: float = 0.1
    drift: float = 0.001
    penalty_weight: float = 10.0
    penalty_target: float = 1.0

    def __post_init__(self) -> None:
        if self.penalty_target <= 0:
            raise UserError(f"config.objective.penalty_target is {self.penalty_target:g}; give a length above 0")


PUBLISHED = LossWeights()


class Terms(NamedTuple):
    """The terms of the autoencoder's loss, per sample and without weights."""

    classification: PerSample
    """The cross-entropy of the logits, in nats."""
    reconstruction: PerSample
    """The mean over pixels and channels of |reconstruction - image|."""
    adversarial: PerSample
    """The critic's score of the reconstruction, negated."""


def autoencoder_terms(
    images: Images, labels: Int[Array, " n"], reconstructions: Images, logits: Float[Array, "n k"], scores: PerSample
) -> Terms:
    """Return the three terms; `scores` are the critic's scores of the reconstructions."""
    return Terms(
        classification.cross_entropy(logits, labels),
        jnp.abs(reconstructions - images).mean((1, 2, 3)),
        wgan_gp.generator_loss(scores),
    )


def autoencoder_loss(terms: Terms, weights: LossWeights = PUBLISHED) -> PerSample:
    """Return class_weight CE + rec_weight mean|reconstruction - image| - adversarial_weight score."""
    return (
        weights.class_weight * terms.classification
        + weights.rec_weight * terms.reconstruction
        + weights.adversarial_weight * terms.adversarial
    )


def critic_loss(
    score: Callable[[Array], Array],
    real: Images,
    fake: Images,
    mix: Float[Array, "n 1 1 1"],
    weights: LossWeights = PUBLISHED,
) -> PerSample:
    """Return WGAN's loss with drift, plus the gradient penalty at real + (fake - real) mix.

    Args:
        score: the critic, images (N, H, W, C) -> scores (N,).
        real: real images.
        fake: reconstructions of the real images.
        mix: one value from U(0, 1) per sample.
        weights: weights of the drift and of the penalty.
    """
    norms = penalties.gradient_norm(score, penalties.interpolate(real, fake, mix))
    loss = wgan_gp.critic_loss(score(real), score(fake), weights.drift)
    return loss + penalties.gradient_penalty(norms, weights.penalty_weight, weights.penalty_target)
