"""Fingerprints of images and of sources, and their interactions, for every attribution network.

An attribution network answers by an inner product: logit[n, k] = <image fingerprint n, model fingerprint k> + bias[k].
In the classifier (`models.visnet`) the image fingerprint is the last feature vector, and the model fingerprint is the
weight vector that multiplies it. In the fingerprint network (`models.fingerprint_net`) both have the size of an image.
The elementwise product of the two is the response: it shows where in the fingerprint a logit comes from.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, PyTree, UInt8

from ganfp_jax.data.values import to_signed
from ganfp_jax.run.errors import UserError


@runtime_checkable
class AttributionNetwork(Protocol):
    """The methods of a linen network that `read_fingerprints` calls."""

    @property
    def apply(self) -> Any:
        """Linen's `apply`; with method="fingerprints_and_logits" it gives image fingerprints (N, *F), logits (N, K)."""

    def model_fingerprints(self, params: Mapping[str, Any]) -> tuple[Any, Any]:
        """Model fingerprints (*F, K) and biases (K,)."""


def make_logits(network: AttributionNetwork) -> Callable[[PyTree, Float[Array, "n h w 3"]], Any]:
    """logits(variables, images in [-1, 1]) -> (N, K), without the distances of `make_logits_and_distances`."""
    return lambda variables, images: network.apply(variables, images, method="fingerprints_and_logits")[1]


def make_logits_and_distances(
    network: AttributionNetwork,
) -> Callable[[PyTree, Float[Array, "n h w 3"]], tuple[Any, Any]]:
    """answer(variables, images in [-1, 1]) -> logits (N, K) and `nearest_distance` (N,), from one forward pass.

    `ganfp_jax.attribution.voting.make_vote` votes and measures distances with it. `answer` raises UserError for a
    network whose logits are a map (`latent_res`).
    """

    def answer(variables: PyTree, images: Float[Array, "n h w 3"]) -> tuple[Any, Any]:
        fingerprints, logits = network.apply(variables, images, method="fingerprints_and_logits")
        _refuse_map(logits)
        return logits, nearest_distance(fingerprints, network.model_fingerprints(variables["params"])[0])

    return answer


def nearest_distance(images: Float[Array, "n ..."], models: Float[Any, "... k"]) -> Float[Array, " n"]:
    """The distance of each image fingerprint from the nearest source's: 1 - the highest cosine similarity.

    It ignores the scale of a fingerprint and the biases of the logits. It is 0 for the direction of a source, 1 for a
    fingerprint orthogonal to all sources or of zeros, and at most 2, for an opposite direction.

    Args:
        images: image fingerprints (N, *F).
        models: model fingerprints (*F, K), as in `Fingerprints.models`.
    """
    flat = images.reshape(images.shape[0], math.prod(images.shape[1:]))  # (N, F)
    sources = jnp.asarray(models).reshape(flat.shape[1], -1)  # (F, K)
    lengths = jnp.linalg.norm(flat, axis=1, keepdims=True) * jnp.linalg.norm(sources, axis=0, keepdims=True)  # (N, K)
    return 1 - (flat @ sources / jnp.maximum(lengths, jnp.finfo(lengths.dtype).tiny)).max(axis=1)


def _refuse_map(logits: Any) -> None:
    if logits.ndim != 2:
        raise UserError(
            "this network answers with a map of logits (model.latent_res); votes and fingerprints need one a source"
        )


@dataclasses.dataclass(frozen=True)
class Fingerprints:
    """The fingerprints of N images and of the K sources that a network knows, as NumPy arrays.

    *F is (F,) for the classifier and (R, R, 3) for the fingerprint network.
    """

    images: Float32[np.ndarray, "n ..."]
    """The image fingerprints, (N, *F)."""
    models: Float32[np.ndarray, "... k"]
    """The model fingerprints, (*F, K), scaled as the network's last layer scales them."""
    bias: Float32[np.ndarray, " k"]
    logits: Float32[np.ndarray, "n k"]
    """The network's own logits."""

    @functools.cached_property
    def interactions(self) -> Float32[np.ndarray, "n k"]:
        """The inner products of all images and all sources: the sums of the responses, or the logits less the bias."""
        return self.images.reshape(len(self.images), -1) @ self.models.reshape(-1, self.models.shape[-1])

    def responses(self, index: int, sources: Sequence[int] | None = None) -> Float32[np.ndarray, "k ..."]:
        """The elementwise products, (K, *F), of image `index` and the model fingerprints of all sources or of some."""
        models = self.models if sources is None else self.models[..., list(sources)]
        return np.moveaxis(self.images[index][..., None] * models, -1, 0)

    @property
    def size(self) -> int:
        """The number of values in a fingerprint."""
        return math.prod(self.images.shape[1:])


def read_fingerprints(
    network: AttributionNetwork,
    variables: Mapping[str, Any],
    images: UInt8[np.ndarray, "n h w 3"],
    batch_size: int = 64,
) -> Fingerprints:
    """Compute the fingerprints of images of the network's own size, 0 to 255, in batches of one compiled shape.

    Raises:
        UserError: there are no images, or the network's logits are a map (`latent_res`) or NaN.
    """
    if not len(images):
        raise UserError("there are no images to take fingerprints of")
    fingerprints, logits = [], []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        filled = np.pad(batch, ((0, batch_size - len(batch)), (0, 0), (0, 0), (0, 0)), mode="edge")
        f, z = _read(network, variables, filled)
        fingerprints.append(np.asarray(f)[: len(batch)])
        logits.append(np.asarray(z)[: len(batch)])
    _refuse_map(logits[0])
    models, bias = network.model_fingerprints(variables["params"])
    result = Fingerprints(np.concatenate(fingerprints), np.asarray(models), np.asarray(bias), np.concatenate(logits))
    if not np.isfinite(result.logits).all():
        raise UserError("the network gives logits that are not finite: its training has diverged, use an earlier one")
    return result


@functools.partial(jax.jit, static_argnums=0)
def _read(
    network: Any, variables: Mapping[str, Any], images: UInt8[Array, "n h w 3"]
) -> tuple[Float[Array, "n ..."], Float[Array, "n ... k"]]:
    return network.apply(variables, to_signed(images), method="fingerprints_and_logits")
