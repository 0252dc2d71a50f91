"""One training step of the image-sized fingerprint network as a pure function of (state, batch, key).

The order is the published one: the critic learns from one batch, the autoencoder from another, then the running average
is updated (spec section 6.5).
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import optax
from jaxtyping import Array, Float, PyTree

from ganfp_jax.data.values import to_signed
from ganfp_jax.data.views import random_view
from ganfp_jax.training.objectives import classification, fingerprint
from ganfp_jax.training.state import FingerprintState, NetworkState

Metrics = dict[str, Array]

# Streams of random keys within a step.
VIEW, MIX = 0, 1
# Batches of images that one step reads: the critic's and the autoencoder's.
BATCHES = 2


def make_fingerprint_step(
    *,
    network: nn.Module,
    critic: nn.Module,
    optimizer: optax.GradientTransformation,
    weights: fingerprint.LossWeights,
    ema_decay: float,
    augment: str,
) -> Callable[[FingerprintState, dict[str, Array], jax.Array], tuple[FingerprintState, Metrics]]:
    """The step: an update of the critic, of the autoencoder, and of the running average of its parameters.

    Args:
        network: images (N, R, R, 3) in [-1, 1] -> `models.fingerprint_net.Outputs`.
        critic: images -> scores (N,).
        optimizer: optimiser of both networks, which each have a state of their own.
        weights: weights of the losses' terms.
        ema_decay: decay in [0, 1): every step, average <- decay average + (1 - decay) parameters.
        augment: "none", "mirror" (published) or "d4" (all eight flips and quarter turns).

    Returns:
        step(state, batch, key) -> (state, metrics). `batch` has uint8 `image` (2 N, R, R, 3) and int32 `label` (2 N,):
        the critic takes images 0, 2, ... and the autoencoder the others, so that no image changes its device.
    """

    def run(params: PyTree, images: Array) -> Any:
        return network.apply({"params": params}, images)

    def score(params: PyTree, images: Array) -> Any:
        return critic.apply({"params": params}, images)

    def apply_update(network: NetworkState, grads: PyTree) -> NetworkState:
        updates, opt_state = optimizer.update(grads, network.opt_state, network.params)
        return NetworkState(optax.apply_updates(network.params, updates), network.stats, opt_state)

    def critic_update(
        state: FingerprintState, real: Float[Array, "n r r 3"], key: jax.Array
    ) -> tuple[FingerprintState, Metrics]:
        fake = run(state.network.params, real).reconstructions
        mix = jax.random.uniform(key, (len(real), 1, 1, 1))

        def loss_fn(params: PyTree) -> Array:
            return fingerprint.critic_loss(lambda x: score(params, x), real, fake, mix, weights).mean()

        loss, grads = jax.value_and_grad(loss_fn)(state.critic.params)
        metrics = {"critic_loss": loss, "critic_grad_norm": optax.tree.norm(grads)}
        return state.replace(critic=apply_update(state.critic, grads)), metrics

    def autoencoder_update(
        state: FingerprintState, images: Float[Array, "n r r 3"], labels: Array
    ) -> tuple[FingerprintState, Metrics]:
        def loss_fn(params: PyTree) -> tuple[Array, tuple[fingerprint.Terms, Array]]:
            outputs = run(params, images)
            scores = score(state.critic.params, outputs.reconstructions)
            terms = fingerprint.autoencoder_terms(images, labels, outputs.reconstructions, outputs.logits, scores)
            return fingerprint.autoencoder_loss(terms, weights).mean(), (terms, outputs.logits)

        (loss, (terms, logits)), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.network.params)
        metrics = {
            "autoencoder_loss": loss,
            "classification_loss": terms.classification.mean(),
            "reconstruction_error": terms.reconstruction.mean(),
            "adversarial_loss": terms.adversarial.mean(),
            "accuracy": classification.accuracy(logits, labels),
            "autoencoder_grad_norm": optax.tree.norm(grads),
        }
        return state.replace(network=apply_update(state.network, grads)), metrics

    def step(state: FingerprintState, batch: dict[str, Array], key: jax.Array) -> tuple[FingerprintState, Metrics]:
        images = to_signed(random_view(batch["image"], jax.random.fold_in(key, VIEW), augment))
        first, second = images.reshape(-1, BATCHES, *images.shape[1:]).swapaxes(0, 1)
        state, critic_metrics = critic_update(state, first, jax.random.fold_in(key, MIX))
        state, metrics = autoencoder_update(state, second, batch["label"][1::BATCHES])
        ema_params = optax.incremental_update(state.network.params, state.ema_params, 1 - ema_decay)
        return state.replace(step=state.step + 1, ema_params=ema_params), critic_metrics | metrics

    return step
