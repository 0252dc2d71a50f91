"""What XLA is told beside the program."""

import functools
from collections.abc import Mapping
from typing import Any

import jax

PLAIN_CONVOLUTIONS = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""On CPU, for the attribution networks: no fusions into calls of the library YNNPACK, which jax 0.10 makes by default
and 0.12 does not. With them the network takes 1.4 times as long at 32x32 and 2.5 times at 128x128, a training step 1.6
and 2.3 times. The generators' steps do not gain (0.86 to 1.02)."""

LOW_EFFORT = {"xla_backend_optimization_level": 0}
"""On CPU, for what runs once or twice: compiles in half the time and runs at half the speed."""


def known(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `options` that the installed XLA takes: their names come and go, and one that it does not know would
    refuse the whole program.
    """
    return {name: value for name, value in options.items() if _takes(name, value)}


@functools.cache
def _takes(name: str, value: Any) -> bool:
    try:
        jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
    except Exception:  # in versions of their own types
        return False
    return True
