"""The job `train`: any family's network, from the newest checkpoint of its run folder to the end."""

from pathlib import Path
from typing import Any

from ganfp_jax.interop import start_from
from ganfp_jax.training.programs import train_to_the_end


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `train`; a finished training decodes no image and only prints its last lines."""
    train_to_the_end(config, workdir, start_from.read)
