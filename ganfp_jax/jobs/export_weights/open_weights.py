"""The weights of a network as one file of this package's own format, which the safetensors library reads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganfp_jax.interop.weights import Weights, digest, read_file, write_file
from ganfp_jax.jobs.export_weights.output import summary
from ganfp_jax.run.errors import UserError


def export_to(path: Path, weights: Weights, config: Mapping[str, Any]) -> None:
    """Writes the file and reads it back.

    Raises:
        UserError: it cannot be written, or reads back as something else.
    """
    del config
    check_read_back(path, weights, write_file(path, weights))
    key = "config.generator" if weights.kind == "generator" else "config.checkpoint"
    print(summary(weights, path))
    print(f"\nuse it wherever a run folder is asked for: --{key}={path}")


def check_read_back(path: Path, weights: Weights, written: str) -> None:
    """Raises UserError unless a file reads back as these weights, whose digest is `written`."""
    back = read_file(path)
    if _described(back) != _described(weights) or digest(back.variables) != written:
        raise UserError(f"{path} does not read back as it was written; export again, to another device")


def _described(weights: Weights) -> tuple[Any, ...]:
    return weights.kind, weights.model, weights.about, weights.origin
