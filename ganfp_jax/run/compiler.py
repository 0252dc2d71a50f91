"""Compiler options for XLA."""

import functools
from collections.abc import Mapping
from typing import Any

import jax

PLAIN_CONVOLUTIONS = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""For the attribution networks on CPU: no fusions into calls of the library YNNPACK. jax 0.10 makes them by default,
jax 0.12 does not; they slow these networks down (experiments/benchmark/README.md). The generators do not gain."""

LOW_EFFORT = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
"""For programs that run once or twice on CPU: compilation is faster, the program is slower."""


def known(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the `options` that the installed XLA knows: names change, and an unknown one fails the program."""
    return {name: value for name, value in options.items() if _takes(name, value)}


@functools.cache
def _takes(name: str, value: Any) -> bool:
    try:
        jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
    except Exception:  # the type of the error depends on the version of JAX
        return False
    return True
