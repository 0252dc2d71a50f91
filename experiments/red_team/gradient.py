"""The white-box attack: projected gradient descent (Madry et al. 2018) in JAX, on all views of a vote at once."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, UInt8

from ganfp_jax.attribution.voting import NetworkFn
from ganfp_jax.data.values import to_signed
from ganfp_jax.data.views import apply_view, resolve_views

Attack = Callable[[Any, UInt8[np.ndarray, "n h w 3"], Integer[np.ndarray, " n"], int], UInt8[np.ndarray, "n h w 3"]]
REACH = 2.5  # budgets that all steps together could cover, so that an image can cross its budget and come back
BATCH = 25  # images a call


def target_loss(logits: Float[Array, "v n k"], targets: Integer[Array, " n"], *, nobody: bool) -> Float[Array, " n"]:
    """How far each image is from being its target's: -log of the target's probability, in the mean over views.

    Args:
        logits: of V views of N images for K sources.
        targets: index of the source that each image should be taken for.
        nobody: whether "nobody", with a logit of 0, is one more source that the target has to beat.
    """
    if nobody:
        logits = jnp.pad(logits, ((0, 0), (0, 0), (0, 1)))
    chosen = jnp.take_along_axis(logits, targets[None, :, None], axis=-1)[..., 0]
    return (jax.nn.logsumexp(logits, axis=-1) - chosen).mean(0)


def make_attack(network_fn: NetworkFn, views: str | Sequence[str], *, steps: int, nobody: bool) -> Attack:
    """Makes `(variables, images, targets, budget) -> images`, changed by at most `budget` levels a value.

    Each of the steps goes by the sign of the loss's gradient; the first starts from the images themselves. The result
    is rounded to whole levels, as a file has them. Without `nobody` an image may end up far from every source.

    Args:
        network_fn: as for `voting.make_vote`.
        views: as for `ganfp_jax.data.views.resolve_views`; the loss is the mean over them.
        steps: 1 or more.
        nobody: as for `target_loss`.
    """
    names = resolve_views(views)

    def loss(changed: Array, variables: Any, targets: Array) -> Array:
        signed = to_signed(changed)
        seen = jnp.concatenate([apply_view(signed, view) for view in names])
        logits = network_fn(variables, seen)[0].reshape(len(names), len(changed), -1)
        return target_loss(logits, targets, nobody=nobody).sum()

    @jax.jit
    def step(variables: Any, changed: Array, images: Array, targets: Array, budget: Array) -> Array:
        gradient = jax.grad(loss)(changed, variables, targets)
        moved = changed - REACH / steps * budget * jnp.sign(gradient)
        return jnp.clip(jnp.clip(moved, images - budget, images + budget), 0, 255)

    def attack(variables: Any, images: np.ndarray, targets: np.ndarray, budget: int) -> np.ndarray:
        found = []
        for start in range(0, len(images), BATCH):
            part = slice(start, start + BATCH)
            given = images[part].astype(np.float32)
            changed = given
            for _ in range(steps):  # a loop in the program would be slower on a CPU
                changed = step(variables, changed, given, targets[part], np.float32(budget))
            found.append(np.rint(np.asarray(changed)).astype(np.uint8))
        return np.concatenate(found)

    return attack
