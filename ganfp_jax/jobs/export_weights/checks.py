"""Checks of a vote that is exported: it is one, and it answers as this package does."""

from typing import Any

import jax
import numpy as np
from jaxtyping import UInt8

from ganfp_jax import models
from ganfp_jax.interop.weights import Weights
from ganfp_jax.models.fingerprints import make_logits
from ganfp_jax.run.errors import UserError


def refuse_map(weights: Weights) -> None:
    """Raises UserError where an attribution network answers with a map of logits; nothing is computed."""
    network: Any = models.create(**weights.model)
    side = weights.model["resolution"]
    image = jax.ShapeDtypeStruct((1, side, side, 3), np.float32)
    if jax.eval_shape(make_logits(network), weights.variables, image).ndim != 2:
        raise UserError("this network answers with a map of logits (model.latent_res); a vote needs one logit a source")


def noise(weights: Weights, count: int) -> UInt8[np.ndarray, "n r r 3"]:
    """Returns so many images of noise, the same ones always."""
    side = weights.model["resolution"]
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


def check_same(there: Any, here: Any, tolerance: float, checkpoint: str, library: str) -> str:
    """Compares logits of an exported vote with those of this package; returns what was found, for the console.

    Args:
        there, here: arrays (V, N, K) of the same images, exported and not.
        tolerance: of the largest logit, or of 1 where all are smaller.
        checkpoint, library: for the error: whose vote, and whose other version may do better.

    Raises:
        UserError: they differ by more.
    """
    there, here = np.asarray(there), np.asarray(here)
    difference = float(np.abs(there - here).max())
    if not difference <= tolerance * max(1.0, float(np.abs(here).max())):
        raise UserError(
            f"the program of {checkpoint} does not answer as its network does (logits differ by {difference:.2g}); "
            f"nothing is written, export it with another version of {library}"
        )
    count = here.shape[1]
    return f"compared on {count} images of noise: its logits differ by at most {difference:.2g} from those of ganfp_jax"
