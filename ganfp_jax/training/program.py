"""A program: the first state of a training and its phases, which the loop runs."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, PyTree, UInt8

from ganfp_jax.data.batches import BatchByStep

Step = Callable[[PyTree, dict[str, Array], jax.Array], tuple[PyTree, dict[str, Array]]]
Begin = Callable[[PyTree, Mapping[str, Any]], PyTree]
"""(state at step 0, metadata of the program) -> the state with other weights, on the host."""


@dataclasses.dataclass(frozen=True)
class Phase:
    """Steps [first, last) that share one compiled step and one batch size.

    Attributes:
        step: (state, batch, key) -> (state, metrics), pure.
        batches: opens the data set when the phase begins.
        reset_at: steps before which `reset` is applied to the state.
        sample: state -> a few images, drawn from the same latents or images each time.
        sample_columns: images in a row of the grid; 0 for about as many as there are rows.
        evaluate: state -> metrics to watch during training.
        score: name of the metric of `evaluate` by which a checkpoint can be chosen, lower is better; "" for none. Every
            checkpoint is then evaluated.
        score_from: the step from which it is comparable.
        adapt: state -> state on the host, every `adapt_every` steps: a rule that measures the network's images.
    """

    first: int
    last: int
    step: Step
    batch_size: int
    batches: Callable[[], BatchByStep]
    reset_at: Sequence[int] = ()
    reset: Callable[[PyTree], PyTree] | None = None
    sample: Callable[[PyTree], UInt8[np.ndarray, "n h w 3"]] | None = None
    sample_columns: int = 0
    evaluate: Callable[[PyTree], dict[str, float]] | None = None
    score: str = ""
    score_from: int = 0
    adapt: Callable[[PyTree], PyTree] | None = None
    adapt_every: int = 0


@dataclasses.dataclass(frozen=True)
class Program:
    """A whole training.

    Attributes:
        init: key -> the state at step 0, pure.
        phases: in order, without gaps.
        metadata: JSON-able data, saved with every checkpoint.
        dead_after: steps for which a gradient may be 0, see `ganfp_jax.training.dead_gradients`; 0 for any number.
        cpu_options: XLA's options for the steps on CPU (see `ganfp_jax.run.compiler`).
    """

    init: Callable[[jax.Array], PyTree]
    phases: Sequence[Phase]
    metadata: dict[str, Any]
    dead_after: int = 0
    cpu_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def num_steps(self) -> int:
        """The number of steps of the whole training."""
        return self.phases[-1].last
