"""The console, how much is said there, and its failures: a closed stream, a pipe without a reader, a full device."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from ganfp_jax.run.errors import UserError

_results: list[TextIO] = []  # where `emit` writes
_quiet: list[bool] = []

UNREAD = 141  # the exit status of a command whose reader has gone, as in a shell: 128 + SIGPIPE


def prepare() -> None:
    """Opens the standard streams that are closed, and makes all of them escape characters that their encoding lacks.

    The next file that is opened would get the number of a closed stream, and C++ libraries would write into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - until the process ends
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Flushes both output streams.

    Raises:
        OSError: a stream cannot be written to; later attempts raise nothing.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            silence()
            raise


def silence() -> None:
    """Discards everything that is printed from now on, and what is buffered."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        if not _works(stream):
            with contextlib.suppress(OSError, ValueError):  # a stream without a number is not the system's
                os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _works(stream: TextIO) -> bool:
    try:
        stream.flush()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def manner(*, json_lines: bool, quiet: bool) -> Iterator[None]:
    """Sets how much is said: all of it by default.

    Args:
        json_lines: whether `emit` alone writes on stdout; what is printed, by libraries too, goes to stderr.
        quiet: whether what is printed is discarded, and progress and notes with it; errors and results remain.
    """
    if not (json_lines or quiet):
        yield
        return
    sys.stdout.flush()
    out = os.dup(1)
    elsewhere = os.open(os.devnull, os.O_WRONLY) if quiet else os.dup(2)
    os.dup2(elsewhere, 1)
    os.close(elsewhere)
    if quiet:
        _quiet.append(True)
    if json_lines:
        _results.append(os.fdopen(os.dup(out), "w", buffering=1, encoding="ascii"))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # of stderr; `emit` has raised those of stdout
            sys.stdout.flush()
        os.dup2(out, 1)
        os.close(out)
        _quiet.clear()
        while _results:
            with contextlib.suppress(OSError):
                _results.pop().close()


def is_quiet() -> bool:
    """Whether only errors are said."""
    return bool(_quiet)


def emits() -> bool:
    """Whether `emit` writes anything."""
    return bool(_results)


def emit(result: Any) -> None:
    """Writes one of a job's results as a line of JSON on stdout, where the user asked for that (`manner`).

    Raises:
        BrokenPipeError: nobody reads on.
        UserError: the line cannot be written.
    """
    for stream in _results:
        try:
            print(json.dumps(result), file=stream)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise UserError(f"the results cannot be written ({error.strerror}); give another place") from error


def note(line: str) -> None:
    """Prints a line on stderr, unless the user wants errors only."""
    if not is_quiet():
        tell(line)


def tell(line: str) -> None:
    """Prints a line on stderr; a failure is ignored, since there is no other place to report it."""
    try:
        if sys.stderr is not None:  # print would write to stdout in its place
            print(one_line(line), file=sys.stderr, flush=True)
    except OSError:
        silence()


def one_line(text: str) -> str:
    """Returns `text` without characters that would end the line or control a terminal."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
