"""Writing what is exported, and saying what it is."""

from pathlib import Path

import jax

from ganfp_jax.interop.weights import Weights, digest
from ganfp_jax.report.table import text_table
from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError


def write(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all, and makes its folder.

    Raises:
        UserError: the place cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, data)
    except (FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        raise UserError(f"cannot write to config.file {path} ({error.strerror}); choose another file") from error


def summary(weights: Weights, path: Path, *more: tuple[str, str]) -> str:
    """Formats network, origin, digest and file for the console, and more rows at the end."""
    of = weights.about.get("classes") or [weights.about["source_name"]]
    count = sum(array.size for array in jax.tree.leaves(weights.variables))
    side = weights.model["resolution"]
    rows = [
        ("network", f"{weights.model['name']}, {count:,} weights"),
        ("classes" if weights.kind == "attribution" else "source", ", ".join(of)),
        ("resolution", f"{side}x{side}"),
        ("from", ", ".join(f"{key} {value}" for key, value in weights.origin.items())),
        ("digest", digest(weights.variables)),
        ("file", f"{path}, {path.stat().st_size / 1e6:.3g} MB"),
        *more,
    ]
    return text_table(rows[0], rows[1:])
