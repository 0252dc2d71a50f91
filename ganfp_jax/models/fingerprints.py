"""Fingerprints of images and of sources, and how they interact: the same for every attribution network.

An attribution network answers by a dot product: logit[n, k] = <image fingerprint n, model fingerprint k> + bias[k].
Of the classifier (`models.visnet`) the image fingerprint is its last feature and the model fingerprint the weights that
it is multiplied with; of the fingerprint network (`models.fingerprint_net`) both have the size of an image. The
elementwise product of the two, the response, shows where in the fingerprint a logit comes from.
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
    """What `read_fingerprints` needs of a (linen) network."""

    @property
    def apply(self) -> Any:
        """`apply(variables, images, method="fingerprints_and_logits")` -> image fingerprints (N, *F), logits (N, K)."""

    def model_fingerprints(self, params: Mapping[str, Any]) -> tuple[Any, Any]:
        """Model fingerprints (*F, K) and biases (K,)."""


def make_logits(network: AttributionNetwork) -> Callable[[PyTree, Float[Array, "n h w 3"]], Any]:
    """logits(variables, images in [-1, 1]), for whom the distances are of no use."""
    return lambda variables, images: network.apply(variables, images, method="fingerprints_and_logits")[1]


def make_logits_and_distances(
    network: AttributionNetwork,
) -> Callable[[PyTree, Float[Array, "n h w 3"]], tuple[Any, Any]]:
    """(variables, images in [-1, 1]) -> logits (N, K), `nearest_distance` (N,): one look for both.

    `ganfp_jax.attribution.voting.make_vote` votes and measures with it.

    Raises (the function): UserError for a network whose logits are a map (`latent_res`).
    """

    def answer(variables: PyTree, images: Float[Array, "n h w 3"]) -> tuple[Any, Any]:
        fingerprints, logits = network.apply(variables, images, method="fingerprints_and_logits")
        _refuse_map(logits)
        return logits, nearest_distance(fingerprints, network.model_fingerprints(variables["params"])[0])

    return answer


def nearest_distance(images: Float[Array, "n ..."], models: Float[Any, "... k"]) -> Float[Array, " n"]:
    """How far each image fingerprint is from that of the nearest source: 1 - the highest cosine similarity.

    The scale of a fingerprint does not count, nor do the biases of the logits. 0: it points where a source's does; 1:
    it has nothing in common with any; up to 2 for its contrary. A fingerprint of zeros has the distance 1.

    Args:
        images: (N, *F).
        models: (*F, K), as `Fingerprints.models`.
    """
    flat = images.reshape(images.shape[0], math.prod(images.shape[1:]))  # (N, F)
    sources = jnp.asarray(models).reshape(flat.shape[1], -1)  # (F, K)
    lengths = jnp.linalg.norm(flat, axis=1)[:, None] * jnp.linalg.norm(sources, axis=0)  # (N, K)
    return 1 - (flat @ sources / jnp.maximum(lengths, jnp.finfo(lengths.dtype).tiny)).max(axis=1)


def _refuse_map(logits: Any) -> None:
    if logits.ndim != 2:
        raise UserError(
            "this network answers with a map of logits (model.latent_res); votes and fingerprints need one a source"
        )


@dataclasses.dataclass(frozen=True)
class Fingerprints:
    """The fingerprints of N images and of the K sources that a network knows; NumPy arrays.

    *F is (F,) for the classifier, (R, R, 3) for the fingerprint network.
    """

    images: Float32[np.ndarray, "n ..."]
    """(N, *F): one of each image."""
    models: Float32[np.ndarray, "... k"]
    """(*F, K): one of each source, scaled as the network's last layer uses it."""
    bias: Float32[np.ndarray, " k"]
    logits: Float32[np.ndarray, "n k"]
    """As the network itself gives them."""

    @functools.cached_property
    def interactions(self) -> Float32[np.ndarray, "n k"]:
        """The inner products of all images with all sources: the sums of the responses; the logits less the bias."""
        return self.images.reshape(len(self.images), -1) @ self.models.reshape(-1, self.models.shape[-1])

    def responses(self, index: int, sources: Sequence[int] | None = None) -> Float32[np.ndarray, "k ..."]:
        """(K, *F): the elementwise products of image `index` with the model fingerprints of all sources, or of some."""
        models = self.models if sources is None else self.models[..., list(sources)]
        return np.moveaxis(self.images[index][..., None] * models, -1, 0)

    @property
    def size(self) -> int:
        """Values in a fingerprint."""
        return math.prod(self.images.shape[1:])


def read_fingerprints(
    network: AttributionNetwork,
    variables: Mapping[str, Any],
    images: UInt8[np.ndarray, "n h w 3"],
    batch_size: int = 64,
) -> Fingerprints:
    """Take the fingerprints of images of the network's own size, 0 to 255, in batches of one compiled shape.

    Raises:
        UserError: no images; a network whose logits are a map (`latent_res`), or that gives NaN.
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
