"""What a finished training has to say: how far it came, how good it was, where it lies, what comes next."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganfp_jax.training import longer
from ganfp_jax.training.logs import logged


def summary(config: Mapping[str, Any], workdir: Path, steps: int) -> str:
    """Two lines for the console."""
    told = f"{workdir} is trained: {steps:,} steps{_accuracy(workdir, steps)}"
    if config["program"] == "gan":
        following = f"--config=configs/generate.py --config.generator={workdir}"
    else:
        data = f"--config.checkpoint={workdir} --config.data.root={config['data']['root']}"
        following = f"--config=configs/evaluate.py {data}"
    key = longer.KEYS["growing" in config]
    more = "" if longer.may_grow(config)[key] else f"; a larger --config.{key} goes on with it"
    return f"{told}\nnext: {following}{more}"


def _accuracy(workdir: Path, steps: int) -> str:
    """Of the last look at test images, where there was one."""
    for step, values in reversed(logged(workdir, steps)):
        if "eval/accuracy" in values:
            return f", {100 * values['eval/accuracy']:.1f} % of the test images right at step {step:,}"
    return ""
