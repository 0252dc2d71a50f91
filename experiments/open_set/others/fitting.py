"""What the small models share: batches of real images, the loop of steps, and stored values of what a network draws."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, PyTree, UInt8

from ganfp_jax.run.progress import compiles, progress

Images = UInt8[np.ndarray, "n r r 3"]
Draw = Callable[[int, int], Images]
"""draw(count, seed) -> images; a shorter set need not be the beginning of a longer one."""
State = TypeVar("State")
Step = Callable[[State, Float[Array, "b r r 3"], Array], tuple[State, Float[Array, ""]]]
"""step(state, real images in -1 to 1, random key) -> the next state and the loss."""

TELL_EVERY = 50  # steps between two losses that are shown, since each has to be waited for


def batches(images: Images, size: int, seed: int) -> Iterator[Float32[np.ndarray, "b r r 3"]]:
    """Yields random images without end, half of them mirrored, as values from -1 to 1."""
    rng = np.random.default_rng(seed)
    while True:
        chosen = images[rng.integers(len(images), size=size)]
        mirrored = rng.random((size, 1, 1, 1)) < 0.5
        yield np.where(mirrored, chosen[:, :, ::-1], chosen).astype(np.float32) / 127.5 - 1


def fit(state: State, step: Step[State], images: Images, *, name: str, steps: int, batch_size: int, seed: int) -> State:
    """Returns the state after so many steps, and tells how far it is.

    Args:
        state: the first state; its memory is used again.
        step: a pure function.
        images: what is learned.
        name: the text before the progress.
        steps: number of steps.
        batch_size: images a step.
        seed: of the batches and of the step's keys.
    """
    advance, key = compiles(jax.jit(step, donate_argnums=0)), jax.random.key(seed)
    with progress(steps, name, "step") as bar:
        for i, batch in zip(range(steps), batches(images, batch_size, seed), strict=False):
            state, loss = advance(state, batch, jax.random.fold_in(key, i))
            bar.update()
            if i % TELL_EVERY == 0:
                bar.set_postfix(loss=f"{float(loss):.3g}", refresh=False)
    return state


def apply(module: nn.Module, params: PyTree, *inputs: Array | np.ndarray) -> Any:
    """What a network without other variables says."""
    return module.apply({"params": params}, *inputs)


def to_stored(images: Float[Array, "n r r 3"]) -> Images:
    """Values from -1 to 1 as the nearest of 0 to 255; what lies outside is clipped."""
    return np.asarray(jnp.clip(jnp.rint(127.5 * images + 127.5), 0, 255).astype(jnp.uint8))


def doublings(resolution: int, smallest: int = 4) -> int:
    """How many times `smallest` is doubled to reach a resolution."""
    return (resolution // smallest).bit_length() - 1
