"""Which trainings may go on beyond the end that they were begun with."""

from collections.abc import Mapping
from typing import Any

# What says how long a training is: steps or, where it grows, images.
KEYS = ("num_steps", "growing.total_kimg")


def may_grow(config: Mapping[str, Any]) -> dict[str, str]:
    """For each of `KEYS` why it may not be larger than before, or "".

    A run that goes on is bit for bit the longer run from the start only where no step depends on how many there are.
    """
    schedule = config["optimizer"].get("schedule", "constant")  # as the signature of `optimizers.make_adam` has it
    if schedule == "constant":
        return dict.fromkeys(KEYS, "")
    reason = (
        f"the learning rate ({schedule}) of every step depends on it, so that a longer run is another training; choose "
        "another --workdir, with --config.start_from to begin at the weights of this one"
    )
    return dict.fromkeys(KEYS, reason)
