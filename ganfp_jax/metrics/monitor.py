"""The metrics that need no pretrained network, under names that fix how they were measured.

`swd256_32` is the sliced Wasserstein distance of 256 generated from 256 real images on the 32x32 level of the pyramid,
with all of `swd.PUBLISHED`; `swd256_mean` the mean over the levels. `ms_ssim256_3scales` is the multi-scale structural
similarity of 128 pairs out of 256 generated images, over three scales. Distances of sets of different size are not
comparable, hence the number in the name.
"""

import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8

from ganfp_jax.metrics import ms_ssim, swd
from ganfp_jax.run.errors import UserError

Monitor = Callable[[UInt8[np.ndarray, "n h w 3"]], dict[str, float]]


def swd_names(distances: dict[str, float], count: int) -> dict[str, float]:
    """{"swd_32": ...} -> {"swd256_32": ...}."""
    return {name.replace("swd_", f"swd{count}_", 1): value for name, value in distances.items()}


def diversity(
    images: UInt8[np.ndarray, "n h w 3"], *, seed: int, tick: Callable[[], object] = lambda: None
) -> dict[str, float]:
    """{"ms_ssim256_3scales": ...} of images among themselves."""
    name = f"ms_ssim{len(images)}_{ms_ssim.num_scales(images.shape[1])}scales"
    return {name: ms_ssim.ms_ssim(images, seed=seed, tick=tick)}


def make_monitor(real: UInt8[np.ndarray, "N h w 3"], *, seed: int = 0) -> Monitor:
    """monitor(generated): the metrics of n generated images against n of the real ones, for use while training.

    The real images are a draw without replacement by `seed`. Their side is worked out on the first call and kept: with
    256 images 67 MB for each level of the pyramid. A call with 256 images of 32x32 takes about 0.8 s on two CPU cores.

    Args:
        real: images, 0 to 255, N >= n.
        seed: of the draw, the windows, the directions and the pairs: every call measures at the same places, so that
            differences between calls are the generator's.

    Raises:
        UserError: (the monitor) fewer real than generated images, or another size.
    """

    @functools.lru_cache(maxsize=1)
    def real_side(count: int) -> list:
        chosen = np.random.RandomState(seed).permutation(len(real))[:count]
        return list(swd.projections(real[chosen], seed=seed))

    def monitor(generated: UInt8[np.ndarray, "n h w 3"]) -> dict[str, float]:
        count = len(generated)
        if count > len(real) or generated.shape[1:] != real.shape[1:]:
            raise UserError(
                f"quality of {count} images of {generated.shape[1:3]} against {len(real)} of {real.shape[1:3]}: give "
                "as many real ones, of the same size"
            )
        distances = swd.compare(real_side(count), swd.projections(generated, seed=seed))
        return swd_names(distances, count) | diversity(generated, seed=seed)

    return monitor
