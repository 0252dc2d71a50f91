"""Losses: pure functions of arrays.

Every GAN objective is a module of plain functions and a function `make(**settings)` that binds the settings of a config
into an `Objective`.
"""

from collections.abc import Callable

from ganfp_jax.training.objectives import cramer, hinge, mmd, wgan_gp
from ganfp_jax.training.objectives.objective import Objective

OBJECTIVES: dict[str, Callable[..., Objective]] = {
    "wgan_gp": wgan_gp.make,
    "hinge": hinge.make,
    "cramer": cramer.make,
    "mmd": mmd.make,
}
