"""The metrics that need no pretrained network, with names that say how they were measured.

`swd256_32` is the sliced Wasserstein distance of 256 generated images from 256 real ones on the 32x32 level of the
pyramid, with the protocol `swd.PUBLISHED`; `swd256_mean` is the mean over the levels. `ms_ssim256_3scales` is the
multi-scale structural similarity of 128 pairs of 256 generated images, over three scales. The names have the number of
images, since distances of sets of different sizes are not comparable.
"""

import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8

from ganfp_jax.metrics import ms_ssim, swd
from ganfp_jax.run.errors import UserError

Monitor = Callable[[UInt8[np.ndarray, "n h w 3"]], dict[str, float]]


def swd_names(distances: dict[str, float], count: int) -> dict[str, float]:
    """Rename {"swd_32": ...} to {"swd256_32": ...}."""
    return {name.replace("swd_", f"swd{count}_", 1): value for name, value in distances.items()}


def diversity(
    images: UInt8[np.ndarray, "n h w 3"], *, seed: int, tick: Callable[[], object] = lambda: None
) -> dict[str, float]:
    """Return {"ms_ssim256_3scales": ...}, the similarity of images among themselves."""
    name = f"ms_ssim{len(images)}_{ms_ssim.num_scales(images.shape[1])}scales"
    return {name: ms_ssim.ms_ssim(images, seed=seed, tick=tick)}


def make_monitor(real: UInt8[np.ndarray, "N h w 3"], *, seed: int = 0) -> Monitor:
    """monitor(generated): the metrics of n generated images against n of the real ones, for use while training.

    The n real images are drawn by `seed` without replacement. The first call computes their projections and keeps them:
    67 MB for each level of the pyramid with 256 images. The monitor raises UserError for fewer real than generated
    images and for another size.

    Args:
        real: N >= n images, 0 to 255.
        seed: seed of the draw, the windows, the directions and the pairs. Every call measures at the same places, so
            only the generator makes calls differ.
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
