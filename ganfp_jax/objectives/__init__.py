"""Losses: pure functions of arrays, per sample.

A GAN objective is a module with `critic_loss(real_scores, fake_scores, **settings)`,
`generator_loss(fake_scores)` and the constant `GRADIENT_PENALTY`: whether the critic's loss also wants
`gradient_penalty(norms, **settings)`.
"""

from types import ModuleType

from ganfp_jax.objectives import hinge, wgan_gp

OBJECTIVES: dict[str, ModuleType] = {"wgan_gp": wgan_gp, "hinge": hinge}
