"""Decoding of image files in separate processes, with a deadline and a memory limit for each file.

A decoder that takes too long or too much memory, or crashes, costs its process and a refusal, nothing else. Processes
are started when they are needed and kept for the next file.
"""

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from typing import IO, Any

import numpy as np

from ganfp_jax.data.claims import manifest
from ganfp_jax.data.claims.claim import Claim
from ganfp_jax.data.decoding.budget import MEMORY
from ganfp_jax.data.decoding.files import Record, name_of
from ganfp_jax.data.decoding.refused import Refused
from ganfp_jax.data.decoding.rgb import Picture

_MODULE = "ganfp_jax.data.decoding.process"
_START = f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); import {_MODULE} as process; process.main()"
_TO_START = 60.0  # seconds
_GLANCE = 0.1  # seconds between two checks of the deadlines


class Stopped(Exception):  # noqa: N818 - a wish, not a fault
    """The image is no longer needed."""


class _Process:
    """One decoding process and the deadline of its file."""

    def __init__(self) -> None:
        path = json.dumps([entry for entry in sys.path if entry])  # not the current folder, which may hold any file
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _START, path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # the linear algebra of NumPy is not used there
            start_new_session=True,  # a Ctrl-C must reach only the parent; on other systems:
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )  # fmt: skip
        self.questions: IO[bytes] = self._process.stdin  # type: ignore[assignment]
        self.answers: IO[bytes] = self._process.stdout  # type: ignore[assignment]
        self.deadline: float | None = None
        self.stop: threading.Event | None = None
        self.late = False
        self._ready = False

    def begin(self, seconds: float | int) -> None:
        """Sets the deadline to `seconds` from now, after a new process has started."""
        if not self._ready:
            self.deadline = time.monotonic() + _TO_START
            self._ready = self.answers.readline() == b"\n"
        self.deadline = time.monotonic() + seconds

    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def kill(self) -> None:
        """Kills the process."""
        self.deadline = None
        self._process.kill()

    def end(self) -> None:
        """Kills the process and closes its pipes."""
        self.kill()
        for pipe in (self.questions, self.answers):
            with contextlib.suppress(OSError):
                pipe.close()
        self._process.wait()


class Pool:
    """The decoding processes: as many as there are threads that ask for one at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        self._busy: set[_Process] = set()
        self._work = threading.Semaphore(0)
        self._watch: threading.Thread | None = None

    def decode(
        self,
        file: str | os.PathLike[str] | Record,
        max_pixels: int,
        seconds: float | int,
        stop: threading.Event | None,
        leases: contextlib.ExitStack,
    ) -> Picture:
        """Decode a file; its memory is leased on `leases`.

        Raises:
            Refused: the file has a fault, or it takes too long.
            Stopped: `stop` was set.
        """
        process = self._take(stop)
        whole = False
        try:
            picture = _decode(process, file, max_pixels, seconds, leases)
            whole = True
            return picture
        except Refused:
            whole = True
            raise
        except (OSError, ValueError, EOFError):  # the process is gone
            if stop is not None and stop.is_set():
                raise Stopped from None
            if process.late:
                raise Refused(f"takes longer than {seconds:g} seconds to decode") from None
            raise Refused("broken image: the decoder crashed, or took more memory than its size explains") from None
        finally:
            self._give_back(process, whole)

    def end(self) -> None:
        """Ends all processes."""
        with self._lock:
            processes = [*self._idle, *self._busy]
            self._idle.clear()
        for process in processes:
            process.kill()

    def _take(self, stop: threading.Event | None) -> _Process:
        with self._lock:
            if self._watch is None:
                self._watch = threading.Thread(target=self._keep_deadlines, name="deadlines", daemon=True)
                self._watch.start()
            process = self._idle.pop() if self._idle else None
        if process is not None and process.has_ended():  # it crashed, or the system killed it for its memory
            process.end()
            process = None
        if process is None:
            process = _Process()
        process.stop, process.late = stop, False
        with self._lock:
            self._busy.add(process)
        self._work.release()
        return process

    def _give_back(self, process: _Process, whole: bool) -> None:
        with self._lock:
            self._busy.discard(process)
            process.deadline = None
            if whole and not process.late:
                self._idle.append(process)
                return
        process.end()

    def _keep_deadlines(self) -> None:
        """Kills processes that are late or no longer needed, as long as there is work."""
        while True:
            self._work.acquire()
            while True:
                with self._lock:
                    busy = list(self._busy)
                    for process in busy:
                        if process.deadline is not None and time.monotonic() > process.deadline:
                            process.late = True
                            process.kill()
                        elif process.stop is not None and process.stop.is_set():
                            process.kill()
                if not busy:
                    break
                time.sleep(_GLANCE)


def _decode(
    process: _Process,
    file: str | os.PathLike[str] | Record,
    max_pixels: int,
    seconds: float | int,
    leases: contextlib.ExitStack,
) -> Picture:
    path, content = "", b""
    if isinstance(file, str | os.PathLike):
        path = os.path.abspath(file)  # noqa: PTH100 - the other process may run elsewhere; no link is resolved
    else:
        content = file.read_bytes()
    job = {"path": path, "name": name_of(file), "size": len(content), "max_pixels": max_pixels, "seconds": seconds}
    process.begin(seconds)
    process.questions.write(json.dumps(job).encode() + b"\n" + content)
    answer = _answer(process)
    process.deadline = None  # waiting for memory is not the file's fault
    leases.enter_context(MEMORY.lease(answer["needs"]))
    process.begin(seconds)
    process.questions.write(b"\n")
    answer = _answer(process)
    pixels = np.empty(answer["shape"], np.uint8)
    if process.answers.readinto(memoryview(pixels.data).cast("B")) != pixels.size:  # type: ignore[attr-defined]
        raise EOFError
    claims = [Claim(*claim) for claim in answer["claims"]]
    if answer["reads"]:
        claims.append(_manifest(process))
    return Picture(pixels, tuple(answer["remarks"]), tuple(claims))


def _manifest(process: _Process) -> Claim:
    """What the process says of the manifest; where that is its end, the picture is there all the same."""
    try:
        return Claim(*_answer(process)["claim"])
    except (OSError, ValueError, Refused):
        process.end()
        return manifest.UNANSWERED


def _answer(process: _Process) -> dict[str, Any]:
    process.questions.flush()
    answer = json.loads(process.answers.readline())  # a ValueError where the process is gone
    if "refused" in answer:
        raise Refused(answer["refused"])
    return answer


DECODERS = Pool()
atexit.register(DECODERS.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: DECODERS.__init__())  # type: ignore[misc] # they are the parent's
