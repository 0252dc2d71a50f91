"""Row of the first verdict: from starting Python to the source of one image, by eight views."""

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from configs import attribution
from experiments.benchmark import vote
from experiments.benchmark.row import OURS, Options, Row
from ganfp_jax.interop.weights import Weights, write_file
from ganfp_jax.run.errors import UserError

ROOT = Path(__file__).parent.parent.parent
VERDICT = """
import sys
from ganfp_jax import Attributor
print(Attributor.load(sys.argv[1]).attribute([sys.argv[2]], rule="mean_logit")[0].predicted)
"""


def first_verdict_row(size: int, options: Options) -> Row:
    """Loading the weights, reading one PNG, voting by eight views, saying the class; a process each time.

    "cold": nothing compiled is at hand. Ours, warm: JAX's persistent cache has what an earlier process compiled.
    """
    network = vote.make_network(size)
    work = tempfile.TemporaryDirectory()  # deleted with the row

    @functools.cache
    def arguments() -> list[str]:
        folder = Path(work.name)
        model = attribution.get_config(vote.VARIANTS[size]).model.to_dict()
        model |= {"resolution": size, "num_classes": len(vote.CLASSES)}
        about, origin = {"classes": list(vote.CLASSES)}, {"run_folder": "benchmark", "step": 0}
        variables = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), {"params": network.params})
        write_file(folder / "weights.safetensors", Weights("attribution", model, variables, about, origin))
        Image.fromarray(vote.make_images(1, size)[0]).save(folder / "image.png")
        return [str(folder / "weights.safetensors"), str(folder / "image.png")]

    def in_jax(cold: bool) -> Callable[[], str]:
        def call() -> str:
            with tempfile.TemporaryDirectory() as empty:
                cache = empty if cold else f"{work.name}/compiled"
                env = {
                    "XDG_CACHE_HOME": cache,
                    "JAX_COMPILATION_CACHE_DIR": cache,
                    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                }
                return _say([sys.executable, "-c", VERDICT, *arguments()], env)

        return call

    def in_torch() -> Callable[[], str]:
        command = [sys.executable, "-m", "experiments.benchmark.torch_verdict", network.input]
        return lambda: _say([*command, *arguments()], {})

    makers: dict[str, Callable[[], Callable[[], Any]]] = {
        OURS: lambda: in_jax(cold=False),
        f"{OURS}, cold cache": lambda: in_jax(cold=True),
    }
    if options.torch:
        makers["PyTorch"] = in_torch

    def check(answers: Any) -> None:
        if len(set(answers.values())) != 1:
            raise UserError(f"{row.name}: not one verdict, but {answers}")

    row = Row(f"first verdict {size}x{size}", 1, makers, check)
    return row


def _say(command: list[str], env: dict[str, str]) -> str:
    """What the process prints last; raises UserError if it fails."""
    done = subprocess.run(command, cwd=ROOT, env=os.environ | env, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{' '.join(command[:3])} failed: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
    return done.stdout.split()[-1]
