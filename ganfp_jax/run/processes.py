"""Several processes that run one job together, on one machine or many (`jax.distributed`).

Each process has its own devices and reads its own part of every batch; the first one writes. With one process only,
all of this does nothing.

A process that fails tells the others, which then end as well (`end`, `end_with_others`). A killed process tells
nothing: the others notice a broken connection, or the missing heartbeat after 100 seconds. JAX's C++ code then aborts
them (status 134), and no Python code runs in them; a filter behind standard error (`_filter_stderr`) reduces its
messages to one line.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import differences

START = 120  # seconds that a process waits for the others to begin
END = 24 * 3600  # seconds that it waits for the others to end: the first one may still have much to write

ASK = 0.5  # seconds between two queries for a failure
_FAILURE = "ganfp_jax/failure"  # a key; its value is "<process> <exit status> <reason>"
_ending = threading.Lock()

LOST = (
    "another process has ended without a word (killed, or its machine is gone), and this one ends with it; "
    "start all of them again with the same command, which resumes"
)
_SAYS_LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "Socket closed")

# The filter reads what C++ writes to standard error and passes it on. It replaces the messages with which JAX aborts by
# one line of ours, which `end` may have written already.
_FILTER = """
import os, sys
lost = f"error: {sys.argv[1]}\\n".encode()
for line in sys.stdin.buffer:
    if b"coordination_service_agent.cc" in line:
        continue
    if b"Terminating process because the JAX distributed service" in line or line == lost:
        os.write(1, lost)
        break
    os.write(1, line)
for line in sys.stdin.buffer:
    pass
"""
_filters: list[subprocess.Popen] = []
_started = False


def start(coordinator: str, num_processes: int | None, process_id: int | None) -> None:
    """Joins the other processes; call it before the first use of a device.

    Args:
        coordinator: "HOST:PORT" on which the first process listens, or "auto" under SLURM, Open MPI and on TPU pods,
            which name the processes themselves.
        num_processes: the number of processes; None under "auto".
        process_id: 0 to num_processes - 1; None under "auto".

    Raises:
        UserError: a count or a number is missing or out of range, or the others do not answer.
    """
    global _started
    _started = True
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_enable_preemption_service", False)  # it takes SIGTERM away from us
    if coordinator == "auto":
        arguments: dict = {}
    elif num_processes is None or process_id is None or not 0 <= process_id < num_processes:
        raise UserError(
            f"--coordinator={coordinator} needs --num_processes=N and --process_id=0 to N-1, "
            f"got {num_processes} and {process_id}"
        )
    elif not coordinator.rpartition(":")[2].isdecimal() or int(coordinator.rpartition(":")[2]) > 65535:
        raise UserError(f"--coordinator={coordinator} is not HOST:PORT (or auto, under SLURM)")
    else:
        if process_id == 0:
            _check_port(coordinator)
        arguments = {"coordinator_address": coordinator, "num_processes": num_processes, "process_id": process_id}
    _filter_stderr()
    # Without the check, JAX would end this process with a C++ stack.
    late = threading.Timer(START, _give_up, [coordinator, process_id])
    late.daemon = True
    late.start()
    try:
        jax.distributed.initialize(**arguments, initialization_timeout=2 * START, shutdown_timeout_seconds=END)
    except Exception as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(f"--coordinator={coordinator}: the processes do not find each other: {reason[:200]}") from error
    finally:
        late.cancel()
    _meet()


def started() -> bool:
    """Whether this is one of several processes and has begun to join the others."""
    return _started


def _check_port(coordinator: str) -> None:
    """Raises UserError where the first process cannot listen: JAX would end in a segmentation fault."""
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    port = int(coordinator.rpartition(":")[2])
    try:
        socket.create_server(("", port), family=family, dualstack_ipv6=both).close()
    except OSError as error:
        raise UserError(
            f"--coordinator={coordinator}: port {port} cannot be used ({os.strerror(error.errno or 0)}); give "
            "all processes another one"
        ) from error


def _give_up(coordinator: str, process_id: int | None) -> None:
    """Ends this process where the others have not joined; it waits for them in C++ code that no exception leaves."""
    missing = "the first process does not answer" if process_id else "not all processes have come"
    print(
        f"error: --coordinator={coordinator}: {missing} within {START} seconds; start --num_processes of them, all "
        "with the address of the first",
        file=sys.stderr,
        flush=True,
    )
    os._exit(2)


def _filter_stderr() -> None:
    """Puts a process that outlives this one between C++ and standard error; Python writes there as before."""
    if sys.stderr is None or _filters:
        return
    sys.stderr.flush()
    direct = os.dup(2)
    reading, writing = os.pipe()
    command = [sys.executable, "-I", "-S", "-c", _FILTER, LOST]
    _filters.append(subprocess.Popen(command, stdin=reading, stdout=direct, start_new_session=True))
    os.close(reading)
    os.dup2(writing, 2)
    os.close(writing)
    sys.stderr = os.fdopen(direct, "w", buffering=1, encoding=sys.stderr.encoding, errors=sys.stderr.errors)


def agree(config: Mapping[str, Any], workdir: Path) -> None:
    """Compares the configs, run folders and versions of the processes. All must call it.

    Raises:
        UserError: in every process, where one differs from the first; the process and the differences are named.
    """
    launch = {"config": dict(config), "workdir": str(workdir), "versions": {name: version(name) for name in VERSIONS}}
    if reason := disagreement([json.loads(each) for each in gather(json.dumps(launch).encode())]):
        raise UserError(reason)


VERSIONS = ("ganfp_jax", "jax")


def disagreement(started_with: Sequence[Mapping[str, Any]]) -> str:
    """Names the first process that was started with something else than process 0, and what; "" where none was."""
    for process, other in enumerate(started_with):
        if differing := differences(started_with[0], other):
            keys = ", ".join(differing[:4]).replace(" there, ", " in process 0, ").replace(" now)", f" in {process})")
            return f"the processes were not started alike: {keys}; give all of them the same command"
    return ""


def first_enters(stack: contextlib.ExitStack, claim: Callable[[], contextlib.AbstractContextManager[Any]]) -> None:
    """Makes the first process enter a context on `stack`, such as the run folder; if it cannot, all processes end."""
    refusal: Exception | None = None
    if first():
        try:
            stack.enter_context(claim())
        except Exception as error:  # the others must hear of any error
            refusal = error
    if anywhere(refusal is not None):
        if refusal:
            raise refusal
        end_as_another_does()  # it prints the reason


def _meet() -> None:
    """Computes a sum over all devices, while the processes are at the same place.

    XLA gives CPUs 30 seconds to connect in the first collective. Later, one process may need that much longer than
    another to compile or to read its images; connected processes wait.
    """
    mesh = Mesh(np.array(jax.devices()), ("all",))
    ones = multihost_utils.host_local_array_to_global_array(
        np.ones(jax.local_device_count(), np.float32), mesh, PartitionSpec("all")
    )
    total = jax.jit(jnp.sum, out_shardings=NamedSharding(mesh, PartitionSpec()))(ones)
    jax.block_until_ready(total)


def end(status: int, reason: str) -> NoReturn:
    """Ends this process with the line "error: reason", and all others with it.

    Where another process has failed before, its status and its reason are kept: the failure here is a consequence.
    `jax.distributed.shutdown` is not called: in it, all processes wait for each other, for ever where one has failed.
    """
    _ending.acquire()  # never released: only one thread reports the reason
    earlier = failure()
    if earlier:
        status, reason = earlier
    else:
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # another process was faster, or the first one is gone
            _store().key_value_set(_FAILURE, f"{jax.process_index()} {status} {reason}")
    if not earlier and any(words in reason for words in _SAYS_LOST):  # a collective failed; C++ may report it as well
        os.write(2, f"error: {LOST}\n".encode())
    else:
        print(f"error: {reason}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    if _client() and first():  # the first process keeps the store that the others query, so it ends last
        time.sleep(4 * ASK)
    os._exit(status)


def failure() -> tuple[int, str] | None:
    """Returns the exit status and the reason of another process that has reported a failure, if any has."""
    try:
        report = _store().key_value_try_get(_FAILURE)
    except jax.errors.JaxRuntimeError:  # there is no such key, or the first process, which keeps it, is gone
        return None
    process, status, reason = report.split(" ", 2)
    if int(process) == jax.process_index():
        return None
    return int(status), f"process {process} failed, and the others end with it: {reason}"


def end_with_others() -> None:
    """Starts a thread that ends this process as soon as another one has failed.

    The main thread may be waiting for the other process in C++ code that no exception leaves.
    """
    threading.Thread(target=end_as_another_does, name="end_with_others", daemon=True).start()


def end_as_another_does() -> NoReturn:
    """Waits until another process reports a failure, and ends this one."""
    while not (told := failure()):
        time.sleep(ASK)
    end(*told)


def _store() -> Any:
    """The store of keys and values that all processes share."""
    if (client := _client()) is None:
        raise jax.errors.JaxRuntimeError("the processes have parted")
    return client


def _client() -> Any:
    """This process's client of the store; None where there is none."""
    from jax._src import distributed  # JAX has no public way; should it move, only several processes fail

    return distributed.global_state.client


def first() -> bool:
    """Whether this process is the one that writes."""
    return jax.process_index() == 0


def several() -> bool:
    """Whether there are other processes."""
    return jax.process_count() > 1


def share(indices: np.ndarray) -> np.ndarray:
    """Returns this process's part of `indices`; the parts in the order of the processes make up `indices`."""
    return np.array_split(indices, jax.process_count())[jax.process_index()]


def gather(content: bytes) -> list[bytes]:
    """Returns the `content` of every process, in the order of the processes. All must call it."""
    if not several():
        return [content]
    lengths = multihost_utils.process_allgather(np.array([len(content)]))
    padded = np.zeros(int(lengths.max()), np.uint8)
    padded[: len(content)] = np.frombuffer(content, np.uint8)
    rows = multihost_utils.process_allgather(padded).reshape(len(lengths), -1)
    return [row[: int(length)].tobytes() for row, length in zip(rows, lengths.ravel(), strict=True)]


def anywhere(answer: bool) -> bool:
    """Whether `answer` is True in any process. All must call it."""
    return b"yes" in gather(b"yes" if answer else b"no")
