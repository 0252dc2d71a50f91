"""ProGAN's growing schedule as a list of stages (Karras et al., ICLR 2018, as run by the published training)."""

import dataclasses
import math
from collections.abc import Callable, Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ganfp_jax.run.errors import UserError


@dataclasses.dataclass(frozen=True)
class Stage:
    """Steps [first, last) at one resolution, which is blended with the one below until `fade_until`.

    `level` counts halvings from the full resolution, so the networks run at `resolution >> level`.
    """

    level: int
    batch_size: int
    learning_rate: float
    first: int
    fade_until: int
    last: int


def plan_stages(
    *,
    resolution: int,
    first_resolution: int,
    fade_kimg: float,
    stable_kimg: float,
    total_kimg: float,
    batch_size: Mapping[str, int],
    learning_rate: Mapping[str, float],
) -> list[Stage]:
    """The stages of a growing run: stable at `first_resolution`, then fade-in and stable at each doubling.

    Lengths are in thousands of real images; the last resolution is stable until `total_kimg`. `batch_size` and
    `learning_rate` have one entry per resolution, "4" to the full one.

    Raises:
        UserError: a resolution has no entry, or `total_kimg` ends before the growing does.
    """
    if not 4 <= first_resolution <= resolution:
        raise UserError(f"growing.first_resolution {first_resolution} is not between 4 and the resolution {resolution}")
    stages: list[Stage] = []
    step, images = 0, 0.0
    for size in (2**k for k in range(int(math.log2(first_resolution)), int(math.log2(resolution)) + 1)):
        if str(size) not in batch_size or str(size) not in learning_rate:
            raise UserError(f"growing.batch_size and growing.learning_rate need an entry for resolution {size}")
        fade = 0.0 if size == first_resolution else 1000 * fade_kimg
        stable = 1000 * stable_kimg if size < resolution else 1000 * total_kimg - images - fade
        if stable <= 0:
            raise UserError(
                f"growing.total_kimg {total_kimg:g} ends before the growing does ({(images + fade) / 1000:g})"
            )
        batch = batch_size[str(size)]
        if batch < 1:
            raise UserError(f"growing.batch_size of resolution {size} is {batch}; give 1 or more")
        fade_until = step + math.ceil(fade / batch)
        last = fade_until + math.ceil(stable / batch)
        stages.append(
            Stage(int(math.log2(resolution // size)), batch, learning_rate[str(size)], step, fade_until, last)
        )
        step, images = last, images + fade + stable
    return stages


def make_fade(stage: Stage, repeats: int) -> Callable[[Int[Array, ""]], Float[Array, ""]]:
    """fade(step) -> the share of the resolution below, which falls from 1 to 0 during the fade-in and then stays 0.

    It changes every `repeats` steps (4 in the published training).
    """

    def fade(step: Int[Array, ""]) -> Float[Array, ""]:
        passed = (step - stage.first) // repeats * repeats
        return jnp.clip(
            1.0 - passed / max(stage.fade_until - stage.first, 1), 0.0, float(stage.fade_until > stage.first)
        )

    return fade
