"""Which trainings may be made longer than they were begun."""

from collections.abc import Mapping
from typing import Any

# The keys of a training's length: steps or, where the network grows, images.
KEYS = ("num_steps", "growing.total_kimg")


def may_grow(config: Mapping[str, Any]) -> dict[str, str]:
    """Returns for each of `KEYS` the reason that it may not be larger than before, or "".

    A continued run equals the longer run bit for bit only where no step depends on the number of steps.
    """
    schedule = config["optimizer"].get("schedule", "constant")  # as the signature of `optimizers.make_adam` has it
    if schedule == "constant":
        return dict.fromkeys(KEYS, "")
    reason = (
        f"the learning rate ({schedule}) of every step depends on it, so that a longer run is another training; choose "
        "another --workdir, with --config.start_from to begin at the weights of this one"
    )
    return dict.fromkeys(KEYS, reason)
