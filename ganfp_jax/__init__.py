"""ganfp_jax tells which generator made an image: GAN fingerprints, attribution and voting in JAX.

>>> from ganfp_jax import Attributor
>>> attributor = Attributor.load("runs/attribution")
>>> (photo,) = attributor.attribute(["photo.png"], views="d4")
>>> photo.verdict in (*attributor.classes, "unsure", "unknown", "nothing to see")
True
>>> sum(photo.votes.values()) == photo.tiles * len(photo.views)
True
>>> photo.confidence == photo.probabilities[photo.predicted]
True
"""

import os
import sys

# `python -m` looks for every module in the current folder first, where a stranger's data may lie; `-m` is what the name
# of the program is until its module is found. The folder stays where it is that of this package.
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path and sys.path[0] == os.getcwd() != os.path.dirname(__path__[0]):  # noqa: PTH109, PTH120 - nothing is imported yet
    del sys.path[0]

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganfp_jax.attribution.attributor import Attributor
    from ganfp_jax.attribution.verdict import Attribution, Refusal, RefusedImagesError

__all__ = ["Attribution", "Attributor", "Refusal", "RefusedImagesError"]


def __getattr__(name: str) -> Any:
    # Imported at first use: `--help` and bad arguments must not wait for JAX.
    if name == "Attributor":
        from ganfp_jax.attribution.attributor import Attributor

        return Attributor
    if name in __all__:
        from ganfp_jax.attribution import verdict as verdicts

        return getattr(verdicts, name)
    raise AttributeError(f"module 'ganfp_jax' has no attribute {name!r}")
