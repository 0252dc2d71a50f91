"""Reading and writing weights: published checkpoints, exported files, run folders."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganfp_jax.interop.published import load_published

__all__ = ["load_published"]


def __getattr__(name: str) -> Any:
    # It is imported at first use, since reading a file needs no JAX.
    if name == "load_published":
        from ganfp_jax.interop.published import load_published

        return load_published
    raise AttributeError(f"module 'ganfp_jax.interop' has no attribute {name!r}")
