"""Losses: pure functions of arrays.

Every GAN objective is a module of plain functions. Its function `make(**settings)` binds a config's settings into an
`Objective`.
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
