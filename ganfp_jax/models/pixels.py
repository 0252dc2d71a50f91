"""Conversions between stored values and a network's range, as in each generator's training and published images.

The config key `pixels` names a range: "signed" (ProGAN), "dithered" (SNGAN) or "unit" (CramerGAN, MMDGAN).
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from ganfp_jax.data.values import to_signed
from ganfp_jax.run.errors import UserError

Range = Literal["signed", "dithered", "unit"]
Encoding = Literal["plain", "published"]
RANGES = ("signed", "dithered", "unit")
ENCODINGS = ("plain", "published")


def check(*, pixels: str | None = None, encoding: str | None = None) -> None:
    """Raise `UserError` for an unknown range or encoding."""
    for key, value, choices in (("step.pixels", pixels, RANGES), ("encoding", encoding, ENCODINGS)):
        if value is not None and value not in choices:
            raise UserError(f"config.{key} {value!r} is unknown; choose one of {', '.join(choices)}")


def to_network(images: UInt8[Array, "n h w c"], key: jax.Array, pixels: Range) -> Float[Array, "n h w c"]:
    """Return stored values x in a network's range.

    "signed" is x / 127.5 - 1, in [-1, 1]. "dithered" is x / 128 - 1 plus U[0, 1/128) from `key`, in [-1, 1). "unit" is
    x / 255, in [0, 1].
    """
    if pixels == "signed":
        return to_signed(images)
    x = images.astype(jnp.float32)
    if pixels == "dithered":
        return x / 128 - 1 + jax.random.uniform(key, x.shape, maxval=1 / 128)
    return x / 255


def to_stored(images: Float[Array, "n h w c"], pixels: Range, encoding: Encoding = "plain") -> UInt8[Array, "n h w c"]:
    """Return a generator's images as stored values.

    "plain" clips and rounds to the nearest of the 256 values (half to even), for every range. A classifier then sees
    the generator's image and no trace of how the file was written.

    "published" repeats how the released images were written. ProGAN's are plain. SNGAN's are 127.5 x + 127.5, clipped
    and truncated, so half a value darker. Each of CramerGAN's and MMDGAN's is stretched to span 0 to 255, so that every
    file holds a 0 and a 255. That gives the source away without any fingerprint, so it is not the default; use it to
    compare with classifiers that were trained on such files.
    """
    if pixels == "unit" and encoding == "published":
        low, high = images.min((1, 2, 3), keepdims=True), images.max((1, 2, 3), keepdims=True)
        values = jnp.floor((images - low) * 255 / jnp.maximum(high - low, 1e-12) + 0.5)
    elif pixels == "dithered" and encoding == "published":
        values = jnp.floor(127.5 * images + 127.5)
    elif pixels == "unit":
        values = jnp.rint(255 * images)
    else:
        values = jnp.rint(127.5 * images + 127.5)
    return jnp.clip(values, 0, 255).astype(jnp.uint8)
