"""The programs of all families, and a training from its newest checkpoint to the end."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ganfp_jax.run import processes
from ganfp_jax.run.errors import UserError
from ganfp_jax.training import finished, known_images
from ganfp_jax.training.attribution_program import attribution_program
from ganfp_jax.training.fingerprint_program import fingerprint_program
from ganfp_jax.training.gan_program import gan_program, num_steps
from ganfp_jax.training.loop import train
from ganfp_jax.training.program import Begin
from ganfp_jax.training.stored import saved_steps

# A config's `program` -> (config, workdir) -> what the loop runs.
PROGRAMS = {"gan": gan_program, "attribution": attribution_program, "fingerprint": fingerprint_program}


def train_to_the_end(
    config: dict[str, Any], workdir: Path, read_begin: Callable[[Mapping[str, Any]], Begin | None]
) -> None:
    """Trains the network of `config` and prints its summary; a finished training decodes no images.

    Args:
        config: config of the training.
        workdir: run folder, already open.
        read_begin: reads the weights that `config["start_from"]` names, before the first step.

    Raises:
        UserError: there is less than 1 step, or the training fails.
    """
    steps = num_steps(config) if config["program"] == "gan" else config["num_steps"]
    if steps < 1:
        raise UserError(f"config.num_steps is {steps}; give 1 or more")
    step = max(saved_steps(workdir), default=0)
    known_images.check(config, workdir, step, steps)
    if step < steps:
        begin = read_begin(config) if config["start_from"] and not step else None
        train(PROGRAMS[config["program"]](config, workdir), config, workdir, begin)
    if processes.first():
        print(finished.summary(config, workdir, steps))
