"""An attribution network with further sources, each enrolled from a few images, without training.

The trained network stays as it is. Beside it stand traces of images: its fingerprints, and the spectra of blocks, which
keep what a network that never saw a source may have learned to ignore. In axes in which traces of one source vary by 1
each, every source is a point, its prototype. An enrolled source's lead is the log-odds of the linear discriminant:

    lead = log N(trace; its prototype, 1) - max over the trained sources of log N(trace; theirs, 1)

and its logit exceeds what the trained network says of all its sources together by lead - threshold. So the trained
sources share what is left among them as before, and the threshold says how rarely their images are given away.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from ganfp_jax.models.fingerprints import AttributionNetwork
from ganfp_jax.models.network import Count, Network
from ganfp_jax.models.visnet_moments import BLOCK, block_log_dct, to_ycc
from ganfp_jax.run.errors import UserError

AnyArray = Array | np.ndarray


class Enrolled(Network):
    """Images in [-1, 1] to logits, one per source: the trained sources first, then the enrolled ones.

    Attributes:
        resolution: side of the images, that of the trained network.
        num_classes: number K of all sources.
        base: the trained network, of fewer sources.
        num_axes: number A of axes in which traces are compared.
    """

    smallest: ClassVar[int] = BLOCK
    num_classes: int
    base: Network
    num_axes: Count

    @nn.nowrap
    def check(self) -> None:
        """Raises `UserError` unless the base is an attribution network of this size with fewer sources."""
        if not isinstance(self.base, AttributionNetwork) or isinstance(self.base, Enrolled):
            raise UserError("base is no trained attribution network")
        if self.base.resolution != self.resolution or self.num_enrolled() < 1:
            raise UserError("base has another resolution, or as many sources")

    @nn.nowrap
    def num_enrolled(self) -> int:
        """The number J of enrolled sources."""
        known: Any = self.base
        return int(self.num_classes - known.num_classes)

    def __call__(self, images: Float[Array, "n h w 3"], train: bool = False) -> Float[Array, "n k"]:
        """Return logits; nothing of this network is trained."""
        del train
        return self.fingerprints_and_logits(images)[1]

    @nn.compact
    def fingerprints_and_logits(
        self, images: Float[Array, "n h w 3"]
    ) -> tuple[Float[Array, "n ..."], Float[Array, "n k"]]:
        """Return the trained network's fingerprints (N, *F) and the logits (N, K) of all sources."""
        trained: Any = self.base
        fingerprints, logits = trained.fingerprints_and_logits(images)
        traces = join_traces(fingerprints, images)  # (N, T)
        size, zeros = traces.shape[-1], nn.initializers.zeros
        center = self.param("center", zeros, (size,))
        axes = self.param("axes", zeros, (size, self.num_axes))
        prototypes = self.param("prototypes", zeros, (size, self.num_classes))
        thresholds = self.param("thresholds", zeros, (self.num_enrolled(),))
        points = project(prototypes.T, center, axes)
        lead = leads(project(traces, center, axes), points, self.num_enrolled())
        together = jax.nn.logsumexp(logits, axis=-1, keepdims=True)
        return fingerprints, jnp.concatenate([logits, together + lead - thresholds[None]], axis=-1)

    @nn.nowrap
    def model_fingerprints(self, params: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return (W, b): the model fingerprints (*F, K), one per source, and the biases (K,).

        An enrolled source's is the part of its linear discriminant that multiplies the image's fingerprint.
        """
        trained: Any = self.base
        models, bias = trained.model_fingerprints(params["base"])
        axes, center = params["axes"], params["center"]
        enrolled = params["prototypes"][:, -self.num_enrolled() :] - center[:, None]
        directions = axes @ (axes.T @ enrolled)  # (T, J)
        shape = models.shape[:-1]
        own = directions[: int(np.prod(shape))].reshape(*shape, -1)
        return jnp.concatenate([models, own], axis=-1), jnp.concatenate([bias, -params["thresholds"]])


def join_traces(fingerprints: Float[Array, "n ..."], images: Float[Array, "n h w 3"]) -> Float[Array, "n t"]:
    """The traces of images: their fingerprints, and the mean log-DCT of their 16x16 blocks.

    Of the spectra, frequencies (u, v) and (v, u) are averaged, so that turns and mirroring change nothing.
    """
    spectra = block_log_dct(to_ycc(images)).mean((1, 2)).reshape(-1, BLOCK, BLOCK, 3)
    rows, columns = np.triu_indices(BLOCK)
    spectra = ((spectra + spectra.swapaxes(1, 2)) / 2)[:, rows, columns]
    return jnp.concatenate([fingerprints.reshape(len(images), -1), spectra.reshape(len(images), -1)], axis=-1)


def project(
    traces: Float[AnyArray, "n t"], center: Float[AnyArray, " t"], axes: Float[AnyArray, "t a"]
) -> Float[Array, "n a"]:
    """Traces as points in axes in which those of one source vary by 1 each."""
    return jnp.matmul(jnp.asarray(traces) - center[None], axes, precision="highest")


def leads(points: Float[AnyArray, "n a"], prototypes: Float[AnyArray, "k a"], enrolled: int) -> Float[Array, "n j"]:
    """The log-odds of each enrolled source, the last ones of all, against the likeliest of the others."""
    scores = jnp.matmul(points, prototypes.T, precision="highest") - (prototypes**2).sum(-1)[None] / 2
    return scores[:, -enrolled:] - scores[:, :-enrolled].max(-1, keepdims=True)
