"""Which checkpoint of a training is used: its newest one, or the best by a score that was measured at each."""

import contextlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganfp_jax.run.errors import UserError
from ganfp_jax.training.stored import Stored, saved_steps

LAST, BEST_SWD = "last", "best_swd"
SCORE = "score"  # in a checkpoint's metadata, where it was measured: lower is better


def check(config: Mapping[str, Any]) -> None:
    """Raises UserError unless a checkpoint of the training can be chosen as its `checkpoint_choice` says."""
    choice = config["checkpoint_choice"]
    if choice not in (LAST, BEST_SWD):
        raise UserError(f"config.checkpoint_choice is {choice!r}; choose from {LAST}, {BEST_SWD}")
    if choice == BEST_SWD and config["eval_images"] < 2:
        raise UserError(f"config.checkpoint_choice is {BEST_SWD!r}, which needs config.eval_images of 2 or more")


def is_best(config: Mapping[str, Any]) -> bool:
    """Whether a training uses its best checkpoint; older trainings, and those without the key, use the newest."""
    return config.get("checkpoint_choice", LAST) == BEST_SWD


def chosen_step(workdir: Path, config: Mapping[str, Any]) -> int | None:
    """The step of the checkpoint that a run folder's config chooses; None for the newest."""
    scored = scores(workdir) if is_best(config) else {}
    return best(scored) if scored else None


def scores(workdir: Path) -> dict[int, float]:
    """The scores of a run folder's checkpoints by step; those without one, or with damaged metadata, are left out."""
    found = {}
    for step in saved_steps(workdir):
        with contextlib.suppress(UserError, KeyError, TypeError, ValueError, OverflowError):
            score = float(Stored(workdir, step).metadata()[SCORE])
            if math.isfinite(score):
                found[step] = score
    return found


def best(scored: Mapping[int, float]) -> int:
    """The step with the lowest score, of equal ones the latest; the scores are not empty."""
    return min(scored, key=lambda step: (scored[step], -step))
