"""Pseudo-unknowns: images of no known source, made of known ones or drawn, so that a network learns to say "none".

A network that was trained on its sources alone has to give every image to one of them. Shown these as well, it learns
what its sources are not. Each is another random network's, or another drawing, so there is nothing to learn by heart.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, UInt8

from ganfp_jax.data.pseudo_unknown import drawings, networks
from ganfp_jax.run.errors import UserError

Image = UInt8[np.ndarray, "h w 3"]

KINDS: dict[str, Callable[[np.random.RandomState, Image], Image]] = {
    "convolutions": networks.convolutions,
    "upsampling": networks.upsampling,
    "textures": networks.textures,
    "drawings": drawings.drawing,
}
"""Name -> what makes an image of that kind, of the size of a known one, by a seed."""


def check(share: float, kinds: Sequence[str]) -> None:
    """Raises UserError unless `replace` takes these settings."""
    if not 0 <= share < 1 or (share > 0) != bool(kinds):
        raise UserError(
            f"pseudo_unknown: share {share:g} with kinds {', '.join(kinds) or 'none'}; give a share from 0 to below 1, "
            "and kinds where it is above 0"
        )
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise UserError(f"pseudo_unknown: there is no kind {unknown[0]!r}; choose from {', '.join(KINDS)}")


def replace(
    images: UInt8[np.ndarray, "n h w 3"],
    rng: np.random.Generator,
    *,
    share: float,
    kinds: Sequence[str],
    first: int = 0,
    total: int | None = None,
) -> tuple[UInt8[np.ndarray, "n h w 3"], Bool[np.ndarray, " n"]]:
    """Replaces each image by a pseudo-unknown with probability `share`.

    Args:
        images: a training batch, or a part of one; it is not changed.
        rng: the generator that draws the places, kinds and seeds.
        share: the probability of an image, 0 to below 1.
        kinds: keys of `KINDS`, each as probable as any other.
        first: the index at which the part begins in its batch.
        total: the number of images in the whole batch; the default is the length of `images`. The result for an image
            does not depend on the part.

    Returns:
        The images, and which of them are pseudo-unknowns.
    """
    total = len(images) if total is None else total
    drawn = rng.random(total) < share
    makers, seeds = rng.integers(len(kinds), size=total), rng.integers(2**32, size=total)
    part = slice(first, first + len(images))
    result, replaced = images.copy(), drawn[part]
    for i in np.flatnonzero(replaced):
        make = KINDS[kinds[makers[part][i]]]
        result[i] = make(np.random.RandomState(seeds[part][i]), images[i])
    return result, replaced
