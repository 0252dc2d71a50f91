"""One training step of the attribution network as a pure function of (state, batch, key)."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import optax
from jaxtyping import Array, PyTree

from ganfp_jax.data.values import to_signed
from ganfp_jax.data.views import random_view
from ganfp_jax.training.objectives import classification
from ganfp_jax.training.state import AttributionState, NetworkState

Metrics = dict[str, Array]


def make_attribution_step(
    network: nn.Module,
    optimizer: optax.GradientTransformation,
    augment: str,
    *,
    nobody: bool = False,
    logit_norm: float = 0.0,
) -> Callable[[AttributionState, dict[str, Array], jax.Array], tuple[AttributionState, Metrics]]:
    """The step that minimises the softmax cross-entropy of random views of the batch.

    Args:
        network: images (N, R, R, 3) in [-1, 1] -> logits (N, K); `train=True` updates its statistics, if any.
        optimizer: optimiser of the network.
        augment: "none", "mirror" (published) or "d4" (all eight flips and quarter turns).
        nobody: some images are of no known source; their label is negative. The loss is that of K + 1 classes, of which
            the last is nobody and has the logit 0. The accuracy is that of the others, among K.
        logit_norm: the temperature of LogitNorm, whose loss is that of logits of one length; 0 for the logits' own.
            Nobody's logit has no length, so it goes without `nobody`.

    Returns:
        step(state, batch, key) -> (state, metrics). `batch` has uint8 `image` (N, R, R, 3) and int32 `label` (N,).
    """
    loss_of = classification.cross_entropy_or_nobody if nobody else classification.cross_entropy
    accuracy = classification.accuracy_of_known if nobody else classification.accuracy

    def step(state: AttributionState, batch: dict[str, Array], key: jax.Array) -> tuple[AttributionState, Metrics]:
        images = to_signed(random_view(batch["image"], key, augment))

        def loss_fn(params: PyTree) -> tuple[Array, tuple[Array, PyTree]]:
            variables = {"params": params, **state.network.stats}
            logits: Any
            logits, stats = network.apply(variables, images, train=True, mutable=list(state.network.stats))
            scaled = classification.normalise(logits, logit_norm) if logit_norm else logits
            return loss_of(scaled, batch["label"]).mean(), (logits, stats)

        (loss, (logits, stats)), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.network.params)
        updates, opt_state = optimizer.update(grads, state.network.opt_state, state.network.params)
        params = optax.apply_updates(state.network.params, updates)
        metrics = {
            "loss": loss,
            "accuracy": accuracy(logits, batch["label"]),
            "grad_norm": optax.tree.norm(grads),
        }
        return AttributionState(state.step + 1, NetworkState(params, stats, opt_state)), metrics

    return step
