"""Whether a few images can be of one source at all: they are neither copies of one nor of two generators."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ganfp_jax.attribution.prototypes import Space, Traces, two_groups
from ganfp_jax.run.errors import UserError

ALIKE = 0.02  # of the variance of one known source's images, below which images are copies of one
SOME = 3  # files that an error names


class Advice(NamedTuple):
    """What the errors end with."""

    alike: str
    apart: str


def check_one_source(
    names: Sequence[str],
    new: Traces,
    known: Sequence[Float[np.ndarray, "_ t"]],
    space: Space,
    advice: Advice,
    *,
    mixed: bool,
) -> None:
    """Raises UserError where images are all alike, or fall into two groups.

    Args:
        names: of the images.
        new: their traces.
        known: mean traces of the pictures of each known source.
        space: of the known sources.
        advice: what to do.
        mixed: two groups are no error.
    """
    means = new.means
    check_different(means, known, space, advice.alike)
    if not mixed and (apart := two_groups(means, known, space)) is not None:
        some = [name for name, member in zip(names, apart, strict=True) if member]
        more = f" and {len(some) - SOME} more" if len(some) > SOME else ""
        raise UserError(
            f"these fall into two groups, {len(some)} images ({', '.join(some[:SOME])}{more}) and the other "
            f"{len(names) - len(some)}, as of two generators; {advice.apart}"
        )


def check_different(
    means: Float[np.ndarray, "p t"], known: Sequence[Float[np.ndarray, "_ t"]], space: Space, advice: str
) -> None:
    """Raises UserError where images, by their mean traces, are all alike; `advice` says what to do."""
    share = _variance(means, space) / min(_variance(of, space) for of in known)
    if share < ALIKE:
        raise UserError(
            f"the images are all alike (they vary by {share:.1%} of what images of one known source do); {advice}"
        )


def _variance(means: Float[np.ndarray, "p t"], space: Space) -> float:
    return float((((means - means.mean(0)) @ space.axes) ** 2).sum() / (len(means) - 1))
