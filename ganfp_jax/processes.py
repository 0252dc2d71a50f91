"""Several processes that run one job together, on one machine or many (`jax.distributed`).

Each process has its own devices and reads its own part of every batch; the first one writes. Where there is one
process only, all of this does nothing.
"""

import jax
import numpy as np
from jax.experimental import multihost_utils

from ganfp_jax.errors import UserError

START = 120  # seconds that a process waits for the others to begin
END = 24 * 3600  # and to end: the first one may still have much to write


def start(coordinator: str, num_processes: int | None, process_id: int | None) -> None:
    """Joins the other processes; before the first use of a device.

    Args:
        coordinator: "HOST:PORT" on which the first process listens, or "auto": SLURM, Open MPI and TPU pods say
            themselves who takes part.
        num_processes: how many take part; None under "auto".
        process_id: 0 to num_processes - 1; None under "auto".

    Raises:
        UserError: a count or a number is missing or out of range, or the others do not answer.
    """
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_enable_preemption_service", False)  # it takes SIGTERM away from us
    if coordinator == "auto":
        arguments: dict = {}
    elif num_processes is None or process_id is None or not 0 <= process_id < num_processes:
        raise UserError(
            f"--coordinator={coordinator} needs --num_processes=N and --process_id=0 to N-1, "
            f"got {num_processes} and {process_id}"
        )
    elif not coordinator.rpartition(":")[2].isdigit():
        raise UserError(f"--coordinator={coordinator} is not HOST:PORT (or auto, under SLURM)")
    else:
        arguments = {"coordinator_address": coordinator, "num_processes": num_processes, "process_id": process_id}
    try:
        jax.distributed.initialize(**arguments, initialization_timeout=START, shutdown_timeout_seconds=END)
    except Exception as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(f"--coordinator={coordinator}: the processes do not find each other: {reason[:200]}") from error


def first() -> bool:
    """Whether this process is the one that writes."""
    return jax.process_index() == 0


def several() -> bool:
    """Whether there are other processes."""
    return jax.process_count() > 1


def share(indices: np.ndarray) -> np.ndarray:
    """This process's part of `indices`; the parts, in the order of the processes, are all of them in their order."""
    return np.array_split(indices, jax.process_count())[jax.process_index()]


def gather(content: bytes) -> list[bytes]:
    """What every process gave, in the order of the processes. All must call it."""
    if not several():
        return [content]
    lengths = multihost_utils.process_allgather(np.array([len(content)]))
    padded = np.zeros(int(lengths.max()), np.uint8)
    padded[: len(content)] = np.frombuffer(content, np.uint8)
    rows = multihost_utils.process_allgather(padded).reshape(len(lengths), -1)
    return [row[: int(length)].tobytes() for row, length in zip(rows, lengths.ravel(), strict=True)]


def anywhere(answer: bool) -> bool:
    """Whether any process says yes. All must call it."""
    return b"yes" in gather(b"yes" if answer else b"no")
