"""The console, whatever stands in its place: nothing at all, a pipe that nobody reads, a full device."""

import contextlib
import os
import sys
from typing import TextIO

UNREAD = 141  # the exit status of a command whose reader has gone, as a shell tells it: 128 + SIGPIPE


def prepare() -> None:
    """Has the three standard streams take whatever is written.

    The number of a closed one would be that of the next file that is opened, and what C++ libraries have to say would
    be written into it. Letters that an encoding lacks are escaped.
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
    """Writes out what waits.

    Raises:
        OSError: it cannot be written; later attempts say nothing.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            silence()
            raise


def silence() -> None:
    """What is printed from now on, and what waits to be, goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        if not _works(stream):
            with contextlib.suppress(OSError, ValueError):  # streams without a number are not the system's
                os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _works(stream: TextIO) -> bool:
    try:
        stream.flush()
    except OSError:
        return False
    return True


def tell(line: str) -> None:
    """Prints a line on stderr, if that can be done: there is no other place to say that it cannot."""
    try:
        if sys.stderr is not None:  # print would take stdout for it
            print(one_line(line), file=sys.stderr, flush=True)
    except OSError:
        silence()


def one_line(text: str) -> str:
    """`text` without a letter that would end the line or command a terminal."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
