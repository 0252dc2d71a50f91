"""Restorers by the value of `config.generator`: "ncnn:NAME", "onnx:FILE" or "pillow:NAME"."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from ganfp_jax.generation.restorers.networks import NETWORKS
from ganfp_jax.generation.restorers.restorer import Restorer
from ganfp_jax.run.errors import UserError

KINDS = ("ncnn", "onnx", "pillow")


def is_restorer(generator: str) -> bool:
    """Whether a generator works on photographs; any other is a run folder or a file of weights."""
    return generator.partition(":")[0] in KINDS and ":" in generator


def load(generator: str, *, white: int, threads: int) -> Restorer:
    """Loads a restorer.

    Args:
        generator: "ncnn:NAME" of `networks.NETWORKS`, "onnx:FILE", or "pillow:NAME" of `classical.NAMES`.
        white: as `onnx_runner.load`; other kinds have their own.
        threads: CPU threads of a network.

    Raises:
        UserError: the name is unknown, or as `ncnn_runner.load` and `onnx_runner.load`.
    """
    from ganfp_jax.generation.restorers import classical, ncnn_runner, onnx_runner

    if threads < 1:
        raise UserError(f"config.network.threads is {threads}; give 1 or more")
    kind, _, name = generator.partition(":")
    if kind == "onnx":
        return onnx_runner.load(Path(name), white=white, threads=threads)
    if kind == "ncnn":
        _check(name, NETWORKS, kind)
        return ncnn_runner.load(name, threads=threads)
    _check(name, classical.NAMES, kind)
    return classical.load(name)


def _check(name: str, known: Iterable[str], kind: str) -> None:
    known = list(known)
    if name not in known:
        alike = difflib.get_close_matches(name, known, 4, 0.4) or known[:4]
        raise UserError(
            f"config.generator: there is no {kind}:{name}; similar names are {', '.join(alike)}, and docs/restorers.md "
            f"has all {len(known)}"
        )
