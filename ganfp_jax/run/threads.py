"""Threads that work for a waiting one, which hears a Ctrl-C all the same."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")

_GLANCE = 0.5  # seconds between two times that a signal is looked for


def result(future: Future[T]) -> T:
    """`future.result()` in many short waits.

    A signal that comes in the moment before a long wait is seen only when that wait ends.
    """
    while not wait([future], _GLANCE).done:
        pass
    return future.result()


def results(pool: Executor, call: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
    """`pool.map(call, items)`: the results in order, or what a call raised. Calls nobody waits for are not begun."""
    futures = [pool.submit(call, item) for item in items]
    try:
        for future in futures:
            yield result(future)
    finally:
        for future in futures:
            future.cancel()


@contextlib.contextmanager
def ending(event: threading.Event) -> Iterator[None]:
    """Sets the event where the `with` is left by an exception, Ctrl-C included: nobody waits for what threads do."""
    try:
        yield
    except BaseException:
        event.set()
        raise
