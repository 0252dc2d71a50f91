"""What a line of the benchmark is made of."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ganfp_jax.run.errors import UserError

OURS = "ganfp_jax"


class Cost(NamedTuple):
    """What XLA counts for one call: floating-point operations of the program as written, bytes of it as compiled."""

    flops: float
    bytes: float


@dataclasses.dataclass(frozen=True)
class Row:
    """Competitors at one task.

    Attributes:
        name: kind, size and batch.
        images: of one call.
        makers: by name, ours first. Each builds its competitor and returns the call, which returns an answer when its
            work is done.
        check: looks at the answers of the competitors' first calls and raises UserError unless they did the same work.
        cost: of our program; None where there is not one program.
        lesser: those that do part of the work only, and are there to be compared with.
    """

    name: str
    images: int
    makers: Mapping[str, Callable[[], Callable[[], Any]]]
    check: Callable[[Mapping[str, Any]], None]
    cost: Callable[[], Cost] | None = None
    lesser: tuple[str, ...] = ()

    @property
    def ours(self) -> str:
        """The competitor that the others are compared with."""
        return next(iter(self.makers))


@dataclasses.dataclass(frozen=True)
class Options:
    """What holds for all rows.

    Attributes:
        dtype: of the arithmetic, "float32" or "bfloat16" (PyTorch: autocast).
        compile: whether PyTorch's compiled forms compete.
        torch: whether PyTorch competes at all.
        files: how many images the folder has.
    """

    dtype: str = "float32"
    compile: bool = True
    torch: bool = True
    files: int = 1000

    @property
    def exact(self) -> bool:
        """Whether all digits of float32 count; a GPU multiplies float32 with fewer (TF32), as both sides let it."""
        import jax  # not at the top: --help need not wait for it

        return self.dtype == "float32" and jax.default_backend() == "cpu"

    @property
    def tolerance(self) -> float:
        """Largest difference of two answers, as a share of the largest value."""
        return 1e-3 if self.exact else 0.1


def cost_of(function: Callable[..., Any], *arguments: Any) -> Cost:
    """The cost of a JAX function; operations before compiling, since library calls do not show theirs."""
    import jax

    from ganfp_jax.models.cpu import convolution

    with convolution.use_xla_convolutions():  # a new function, since a traced one would be reused
        lowered = jax.jit(lambda *arguments: function(*arguments)).lower(*arguments)
    counted: Any = lowered.cost_analysis()
    compiled: Any = lowered.compile().cost_analysis()
    return Cost(counted["flops"], compiled["bytes accessed"])


def check_close(row: str, answers: Mapping[str, Any], tolerance: float) -> None:
    """Whether all answers, {what: number or array}, are those of the first.

    Raises:
        UserError: they differ by more than `tolerance` times the largest value.
    """
    (_, expected), *others = answers.items()
    for name, answer in others:
        for what in answer.keys() & expected.keys():
            desired, actual = np.asarray(expected[what], np.float64), np.asarray(answer[what], np.float64)
            difference = float(np.abs(actual - desired).max() / max(np.abs(desired).max(), 1e-3))
            if not difference <= tolerance:
                raise UserError(f"{row}: {what} of {name} differs by {difference:.2g} of its size from ours")
