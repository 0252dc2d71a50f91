"""The summary of a finished training: its steps, its accuracy, its run folder and the next command."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganfp_jax.data import labelled
from ganfp_jax.run import longer
from ganfp_jax.run.command import command
from ganfp_jax.run.errors import UserError
from ganfp_jax.training.checkpoint_choice import chosen_step
from ganfp_jax.training.logs import logged


def summary(config: Mapping[str, Any], workdir: Path, steps: int) -> str:
    """Return two lines for the console."""
    trained = f"{workdir} is trained: {steps:,} steps{_accuracy(workdir, steps)}{_chosen(config, workdir)}"
    key = longer.KEYS["growing" in config]
    more = "" if longer.may_grow(config)[key] else f"; a larger --config.{key} goes on with it"
    return f"{trained}\nnext: {_next_command(config, workdir)}{more}"


def _next_command(config: Mapping[str, Any], workdir: Path) -> str:
    """The command that uses the trained network, on images that it has not seen."""
    if config["program"] == "gan":
        return command("generate", {"generator": str(workdir)})
    root, layout = config["data"]["root"], config["data"]["layout"]
    try:
        unseen = "test" in labelled.splits(root, layout)
    except UserError:  # the images may have been deleted since
        unseen = False
    data = {"root": root} | ({} if layout == "auto" else {"layout": layout}) if unseen else {"root": "DIR"}
    return command("evaluate", {"checkpoint": str(workdir), "data": data})


def _chosen(config: Mapping[str, Any], workdir: Path) -> str:
    """Which checkpoint is used, as a clause; "" where it is the last."""
    step = chosen_step(workdir, config)
    return "" if step is None else f", step {step:,} is used (its distance is the lowest)"


def _accuracy(workdir: Path, steps: int) -> str:
    """The last logged accuracy on test images, as a clause; "" where there is none."""
    for step, values in reversed(logged(workdir, steps)):
        if "eval/accuracy" in values:
            return f", {100 * values['eval/accuracy']:.1f} % of the test images right at step {step:,}"
    return ""
