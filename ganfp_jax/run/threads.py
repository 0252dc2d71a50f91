"""Worker threads, and waiting for them without missing a Ctrl-C."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")

_GLANCE = 0.5  # seconds between two checks for a signal


def result(future: Future[T]) -> T:
    """Returns `future.result()`, waiting in short steps.

    A signal that arrives just before a long wait would be handled only when that wait ends.
    """
    while not wait([future], _GLANCE).done:
        pass
    return future.result()


def results(pool: Executor, call: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
    """Yields the results of `pool.map(call, items)` in order; after an error of one, no further call is begun."""
    futures = [pool.submit(call, item) for item in items]
    try:
        for future in futures:
            yield result(future)
    finally:
        for future in futures:
            future.cancel()


@contextlib.contextmanager
def ending(event: threading.Event) -> Iterator[None]:
    """Sets the event where an exception, such as Ctrl-C, leaves the `with` block: the threads' work is not needed."""
    try:
        yield
    except BaseException:
        event.set()
        raise
