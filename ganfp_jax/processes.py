"""Several processes that run one job together, on one machine or many (`jax.distributed`).

Each process has its own devices and reads its own part of every batch; the first one writes. Where there is one
process only, all of this does nothing.

A process that fails says so to the others, which then end as well (`end`, `end_with_others`). One that is
killed says nothing: the others notice a broken connection, or the missing heartbeat after 100 seconds.
"""

import contextlib
import os
import sys
import threading
import time
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ganfp_jax.errors import UserError

START = 120  # seconds that a process waits for the others to begin
END = 24 * 3600  # and to end: the first one may still have much to write

ASK = 0.5  # seconds between two looks for a failure
_FAILURE = "ganfp_jax/failure"  # a key; its value is "<process> <exit status> <reason>"
_ending = threading.Lock()


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
    _meet()


def _meet() -> None:
    """A sum over all devices, while the processes are at the same place.

    At the first one, XLA gives all of them 30 seconds to connect on CPUs. Later, one may need that much longer than
    another to compile or to read its images; then they are connected, and wait.
    """
    mesh = Mesh(np.array(jax.devices()), ("all",))
    ones = multihost_utils.host_local_array_to_global_array(
        np.ones(jax.local_device_count(), np.float32), mesh, PartitionSpec("all")
    )
    total = jax.jit(jnp.sum, out_shardings=NamedSharding(mesh, PartitionSpec()))(ones)
    jax.block_until_ready(total)


def end(status: int, reason: str) -> NoReturn:
    """Ends this process with the line "error: reason", and all others with it.

    Where another process has failed before, its status and its reason stand: what fails here is then but the echo.
    Not by way of JAX's farewell, in which all processes wait for each other, for ever where one has failed.
    """
    _ending.acquire()  # for ever: only one thread tells why
    told = failure()
    if told:
        status, reason = told
    else:
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # another one was faster, or the first one is gone
            _store().key_value_set(_FAILURE, f"{jax.process_index()} {status} {reason}")
    print(f"error: {reason}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    if _client() and first():  # it keeps what the others ask for: it goes last
        time.sleep(4 * ASK)
    os._exit(status)


def failure() -> tuple[int, str] | None:
    """The exit status and the reason of another process that has failed, if any has said so."""
    try:
        told = _store().key_value_try_get(_FAILURE)
    except jax.errors.JaxRuntimeError:  # there is no such key, or the first process, which keeps it, is gone
        return None
    process, status, reason = told.split(" ", 2)
    if int(process) == jax.process_index():
        return None
    return int(status), f"process {process} failed, and the others end with it: {reason}"


def end_with_others() -> None:
    """From now on this process ends as soon as another one has failed, wherever it stands.

    It may be waiting for the other one in a place from where no exception comes back, so a thread keeps watch.
    """
    threading.Thread(target=end_as_another_does, name="end_with_others", daemon=True).start()


def end_as_another_does() -> NoReturn:
    """Waits until another process says that it has failed, and ends this one."""
    while not (told := failure()):
        time.sleep(ASK)
    end(*told)


def _store() -> Any:
    """Keys and values that all processes share."""
    if (client := _client()) is None:
        raise jax.errors.JaxRuntimeError("the processes have parted")
    return client


def _client() -> Any:
    """This process's way to the store, None where there is none."""
    from jax._src import distributed  # nothing public leads there; where it moves, only several processes miss it

    return distributed.global_state.client


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
