"""A trained generator that draws images by seed."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float32, PyTree, UInt8

from ganfp_jax import models
from ganfp_jax.interop.load import load
from ganfp_jax.interop.weights import digest
from ganfp_jax.models import pixels
from ganfp_jax.models.latents import draw_latents
from ganfp_jax.models.pixels import Encoding
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import compiles
from ganfp_jax.training.gan_step import make_sampler


class Sampler:
    """A trained generator, ready to draw images by seed.

    Attributes:
        source_name: the name of its class in labelled folders.
        batch_size: the fixed batch size of a generator that normalises by the batch it draws, else None.
        latents: the arguments of `draw_latents` other than the random generator and the count.
        origin: the generator's entry in the manifest.
    """

    def __init__(self, path: str | Path, encoding: Encoding = "plain") -> None:
        """Loads a generator.

        Args:
            path: the run folder of a GAN's training, or exported or imported weights; see `interop.load.load`.
            encoding: how images are stored, "plain" or "published"; see `ganfp_jax.models.pixels`.

        Raises:
            UserError: the encoding is unknown, or there is no generator, or it cannot be read.
        """
        pixels.check(encoding=encoding)
        weights = load(path, "generator")
        generator = models.create(**weights.model)
        variables = jax.device_put(weights.variables)
        self._params = variables.pop("params")
        self._stats = variables
        self._sample: Callable[[PyTree, Mapping[str, PyTree], np.ndarray], Array] = compiles(
            jax.jit(make_sampler(generator, {}, weights.about["pixels"], encoding))
        )
        self.latents: dict[str, Any] = weights.about["latents"]
        self.source_name: str = weights.about["source_name"]
        self.resolution: int = weights.model["resolution"]
        self.batch_size: int | None = weights.about["batch_size"]
        self.origin = {
            "generator": str(path),
            **({"step": weights.origin["step"]} if "step" in weights.origin else {}),
            "digest": digest(weights.variables),
            "encoding": encoding,
        }

    def stream(self, seed: int, count: int, batch_size: int) -> Iterator[UInt8[np.ndarray, "n h w 3"]]:
        """Yields batches of images, `count` images in all.

        Image i depends on the seed and on i alone, except where `self.batch_size` is set: it replaces `batch_size`, and
        image i depends on the latents of its whole batch.

        Raises:
            UserError: the batch size is below 1, or NumPy's generator does not take the seed.
        """
        if batch_size < 1:
            raise UserError(f"batch_size is {batch_size}; give 1 or more")
        if not 0 <= seed < 2**32:
            raise UserError(f"seed {seed} is no whole number from 0 to {2**32 - 1}")
        batch_size = self.batch_size or batch_size  # the last batch is drawn whole as well
        rng = np.random.RandomState(seed)
        for start in range(0, count, batch_size):
            z = draw_latents(rng, batch_size, **self.latents)
            yield self.draw(z, batch_size)[: count - start]

    def draw(self, latents: Float32[np.ndarray, "n d"], batch_size: int) -> UInt8[np.ndarray, "n h w 3"]:
        """Returns the images of one or more latents; the last batch is padded, so that only one shape is compiled."""
        batch_size = self.batch_size or batch_size
        images = []
        for start in range(0, len(latents), batch_size):
            z = latents[start : start + batch_size]
            filling = np.repeat(z[-1:], batch_size - len(z), axis=0)
            batch = self._sample(self._params, self._stats, np.concatenate([z, filling]))
            images.append(np.asarray(batch)[: len(z)])
        return np.concatenate(images)
