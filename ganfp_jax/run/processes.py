"""Several processes that run one job together, on one machine or many (`jax.distributed`).

Each process has its own devices and reads its own part of every batch; the first one writes. Where there is one
process only, all of this does nothing.

A process that fails says so to the others, which then end as well (`end`, `end_with_others`). One that is
killed says nothing: the others notice a broken connection, or the missing heartbeat after 100 seconds. JAX's C++ then
aborts them (status 134), and no code of ours runs in them any more; a filter behind standard error (`_filter_stderr`)
turns what it has to say into one line.
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
END = 24 * 3600  # and to end: the first one may still have much to write

ASK = 0.5  # seconds between two looks for a failure
_FAILURE = "ganfp_jax/failure"  # a key; its value is "<process> <exit status> <reason>"
_ending = threading.Lock()

LOST = (
    "another process has ended without a word (killed, or its machine is gone), and this one ends with it; "
    "start all of them again with the same command, which resumes"
)
_SAYS_LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "Socket closed")

# Reads what C++ writes to standard error. Passes it on, but for JAX's last words: their first line becomes one of ours,
# which `end` may have written already.
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
    """Joins the other processes; before the first use of a device.

    Args:
        coordinator: "HOST:PORT" on which the first process listens, or "auto": SLURM, Open MPI and TPU pods say
            themselves who takes part.
        num_processes: how many take part; None under "auto".
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
    # JAX would end this process with a C++ stack.
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
    """Whether this is one of several processes, and has set out to meet the others."""
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
    """Ends this process where the others have not come; it waits for them in a place that no exception leaves."""
    missing = "the first process does not answer" if process_id else "not all processes have come"
    print(
        f"error: --coordinator={coordinator}: {missing} within {START} seconds; start --num_processes of them, all "
        "with the address of the first",
        file=sys.stderr,
        flush=True,
    )
    os._exit(2)


def _filter_stderr() -> None:
    """Puts a process between C++ and standard error that outlives this one; Python writes there as before."""
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
    """Compares what the processes were started with. All must call it.

    Raises:
        UserError: in every process, where one has another config, run folder or version than the first; it is named,
            and what differs.
    """
    own = {"config": dict(config), "workdir": str(workdir), "versions": {name: version(name) for name in VERSIONS}}
    if told := disagreement([json.loads(each) for each in gather(json.dumps(own).encode())]):
        raise UserError(told)


VERSIONS = ("ganfp_jax", "jax")


def disagreement(started_with: Sequence[Mapping[str, Any]]) -> str:
    """Which process was started with something else than the first, and what; "" where none was."""
    for process, other in enumerate(started_with):
        if found := differences(started_with[0], other):
            keys = ", ".join(found[:4]).replace(" there, ", " in process 0, ").replace(" now)", f" in {process})")
            return f"the processes were not started alike: {keys}; give all of them the same command"
    return ""


def first_enters(stack: contextlib.ExitStack, claim: Callable[[], contextlib.AbstractContextManager[Any]]) -> None:
    """The first process enters a context on `stack`, such as the run folder; where it cannot, all of them end."""
    refusal: Exception | None = None
    if first():
        try:
            stack.enter_context(claim())
        except Exception as error:  # whatever it is, the others must hear of it
            refusal = error
    if anywhere(refusal is not None):
        if refusal:
            raise refusal
        end_as_another_does()  # which says why


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
    if not told and any(words in reason for words in _SAYS_LOST):  # a collective has noticed; C++ may say so as well
        os.write(2, f"error: {LOST}\n".encode())
    else:
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
