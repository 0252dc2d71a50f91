"""Softmax cross-entropy and accuracy of a classifier."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


def cross_entropy(logits: Float[Array, "n k"], labels: Int[Array, " n"]) -> Float[Array, " n"]:
    """Return -log softmax(logits)[label] per sample, in nats."""
    log_probabilities = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log_probabilities, labels[:, None], axis=1)[:, 0]


def correct(logits: Float[Array, "n k"], labels: Int[Array, " n"]) -> Bool[Array, " n"]:
    """Return, per sample, whether the largest logit (the first of equals) is the label's."""
    return jnp.argmax(logits, axis=1) == labels


def accuracy(logits: Float[Array, "n k"], labels: Int[Array, " n"]) -> Float[Array, ""]:
    """Return the share of samples whose largest logit is the label's."""
    return jnp.mean(correct(logits, labels), dtype=jnp.float32)


def normalise(logits: Float[Array, "n k"], temperature: float) -> Float[Array, "n k"]:
    """Return the logits of LogitNorm: of length 1 / temperature (Wei et al. 2022, arXiv 2205.09310, equation 6)."""
    lengths = jnp.sqrt(jnp.square(logits).sum(axis=1, keepdims=True) + 1e-14)  # a length of 0 has no gradient
    return logits / (temperature * lengths)


def cross_entropy_or_nobody(logits: Float[Array, "n k"], labels: Int[Array, " n"]) -> Float[Array, " n"]:
    """Return `cross_entropy` of K + 1 classes, in nats: the last is nobody, with the logit 0 and any negative label."""
    with_nobody = jnp.pad(logits, ((0, 0), (0, 1)))
    return cross_entropy(with_nobody, jnp.where(labels < 0, logits.shape[1], labels))


def accuracy_of_known(logits: Float[Array, "n k"], labels: Int[Array, " n"]) -> Float[Array, ""]:
    """Return `accuracy` on the samples whose label is not negative; 0 where there are none."""
    return correct(logits, labels).sum() / jnp.maximum((labels >= 0).sum(), 1)
