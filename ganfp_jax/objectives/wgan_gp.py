"""WGAN with gradient penalty and drift, as ProGAN trains (Gulrajani et al. 2017; Karras et al. 2018, appendix A.1).

Everything is per sample; the loss to minimise is the mean over the batch.
"""

from jaxtyping import Array, Float

GRADIENT_PENALTY = True  # the critic's loss is incomplete without `gradient_penalty`


def critic_loss(
    real_scores: Float[Array, " n"], fake_scores: Float[Array, " n"], drift: float = 0.001
) -> Float[Array, " n"]:
    """Return D(fake) - D(real) + drift D(real)^2, without the gradient penalty."""
    return fake_scores - real_scores + drift * real_scores**2


def generator_loss(fake_scores: Float[Array, " n"]) -> Float[Array, " n"]:
    """Return -D(fake)."""
    return -fake_scores


def gradient_penalty(norms: Float[Array, " n"], weight: float = 10.0, target: float = 1.0) -> Float[Array, " n"]:
    """Return weight / target^2 (norm - target)^2, for the critic's gradient norms between real and fake images."""
    return (weight / target**2) * (norms - target) ** 2
