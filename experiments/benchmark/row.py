"""A row of the benchmark: its competitors, their check and its cost."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ganfp_jax.run.errors import UserError

OURS = "ganfp_jax"


class Cost(NamedTuple):
    """XLA's counts for one call: floating-point operations of the program as written, bytes of the compiled one."""

    flops: float
    bytes: float


@dataclasses.dataclass(frozen=True)
class Row:
    """The competitors at one task.

    Attributes:
        name: kind, size and batch.
        images: number of images in one call.
        makers: name of each competitor, ours first -> its maker. A maker builds the competitor and returns its call,
            which returns an answer when its work is done.
        check: raises UserError unless the answers of the competitors' first calls agree.
        cost: cost of our program; None where there is not one program.
        lesser: competitors that do only a part of the work, for comparison.
        least: a competitor's name -> its least time as a share of ours, where ours has a bound to keep.
    """

    name: str
    images: int
    makers: Mapping[str, Callable[[], Callable[[], Any]]]
    check: Callable[[Mapping[str, Any]], None]
    cost: Callable[[], Cost] | None = None
    lesser: tuple[str, ...] = ()
    least: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def ours(self) -> str:
        """The competitor that the others are compared with."""
        return next(iter(self.makers))


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of all rows.

    Attributes:
        dtype: dtype of the arithmetic, "float32" or "bfloat16" (PyTorch: autocast).
        compile: whether PyTorch's compiled forms compete.
        torch: whether PyTorch competes at all.
        files: number of images in the folder.
    """

    dtype: str = "float32"
    compile: bool = True
    torch: bool = True
    files: int = 1000

    @property
    def exact(self) -> bool:
        """Whether all digits of float32 count; on a GPU both sides multiply float32 with fewer digits (TF32)."""
        import jax  # not at the top: --help need not wait for it

        return self.dtype == "float32" and jax.default_backend() == "cpu"

    @property
    def tolerance(self) -> float:
        """The largest allowed difference of two answers, as a share of the largest value."""
        return 1e-3 if self.exact else 0.1


def cost_of(function: Callable[..., Any], *arguments: Any) -> Cost:
    """The cost of a JAX function; operations are counted before compilation, since library calls hide theirs."""
    import jax

    from ganfp_jax.models.cpu import convolution

    with convolution.use_xla_convolutions():  # a new function, since a traced one would be reused
        lowered = jax.jit(lambda *arguments: function(*arguments)).lower(*arguments)
    counted: Any = lowered.cost_analysis()
    compiled: Any = lowered.compile().cost_analysis()
    return Cost(counted["flops"], compiled["bytes accessed"])


def check_close(row: str, answers: Mapping[str, Any], tolerance: float) -> None:
    """Checks that all answers, {what: number or array}, equal those of the first competitor.

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
