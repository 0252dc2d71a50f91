"""Progress of work that takes over two seconds: a bar in a terminal, lines in a pipe or a file."""

import contextlib
import functools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

from tqdm import tqdm

from ganfp_jax.run import console

P = ParamSpec("P")
T = TypeVar("T")

BAR_EVERY = 0.5  # seconds between two updates of a bar
LINE_EVERY = 5.0  # seconds between two lines
SHORT = 2.0  # seconds; work that took less gets no last line
ASIDE = 1.0  # seconds; a shorter aside is not shown

_open: list["Bar"] = []  # the bars that are shown, the innermost last


class Bar(tqdm):
    """A bar whose clock can be stopped (see `aside`)."""

    stopped = False

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        if not self.disable:
            _open.append(self)

    def close(self) -> None:
        """Removes the bar."""
        if self in _open:
            _open.remove(self)
        super().close()

    def say(self, doing: str) -> None:
        """Shows what is being done while nothing is counted."""
        self.set_postfix_str(doing)

    def leave_out(self, seconds: float) -> None:
        """Leaves the last `seconds` out of the rate and the time left."""
        self.start_t += seconds
        self.last_print_t += seconds


class Lines(Bar):
    """The same progress as whole lines, one every few seconds and one at the end, for a pipe or a file."""

    def __init__(self, **settings: Any) -> None:
        self._began = time.time()
        super().__init__(**settings)

    def refresh(self, nolock: bool = False, lock_args: Any = None) -> None:
        """Writes a line, except while the bar is being made and at the end, which has its own line."""
        if hasattr(self, "start_t") and (self.total is None or self.n < self.total):
            self._write(str(self))

    def close(self) -> None:
        """Writes what was done and how long it took."""
        seconds = time.time() - self._began
        if not self.disable and seconds > SHORT:
            ended = "done in" if self.n >= (self.total or 0) else "stopped after"
            self._write(f"{self._count()}, {ended} {self.format_interval(seconds)}")
        super().close()

    def say(self, doing: str) -> None:
        """Writes what is being done as a line."""
        self._write(f"{self.desc}: {doing}")

    def clear(self, nolock: bool = False) -> None:
        """Does nothing: lines stay."""

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Does nothing: there is no bar to draw."""
        return False

    def __str__(self) -> str:
        """`progan: step 120 of 500 (24 %), 3.4/s, 01:52 left, loss=0.1`."""
        now = self.format_dict
        rate = now["rate"] or (self.n - self.initial) / max(now["elapsed"], 1e-9)
        parts = [self._count()]
        if rate:
            parts += [f"{rate:,.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"]
        if rate and self.total is not None:
            parts += [f"{self.format_interval(max(self.total - self.n, 0) / rate)} left"]
        return ", ".join([*parts, *([self.postfix] if self.postfix else [])])

    def _count(self) -> str:
        if self.total is None:
            return f"{self.desc}: {self.unit} {self.n:,}"
        share = f" ({self.n / self.total:.0%})".replace("%", " %") if self.total else ""
        return f"{self.desc}: {self.unit} {self.n:,} of {self.total:,}{share}"

    def _write(self, line: str) -> None:
        self.fp.write(line + "\n")
        self.fp.flush()


def progress(
    total: int | None, what: str, unit: str, done: int = 0, *, delay: float = 0.0, disable: bool = False
) -> Bar:
    """Shows progress, rate and time left on standard error: a bar or, without a terminal, a line every five seconds.

    Args:
        total: the number of units; None where it is unknown, and then no time left is shown.
        what: the text before the bar.
        unit: the name of what is counted, in the singular.
        done: the number of units done before.
        delay: seconds during which nothing is shown, for work that is often short.
        disable: whether to show nothing.
    """
    bar = sys.stderr is not None and sys.stderr.isatty()
    return (Bar if bar else Lines)(
        total=total, initial=done, desc=what, unit=unit, mininterval=BAR_EVERY if bar else LINE_EVERY,
        miniters=None if bar else 1, delay=delay, disable=disable or sys.stderr is None or console.is_quiet(),
        dynamic_ncols=True, leave=False,
    )  # fmt: skip


@contextlib.contextmanager
def aside(doing: str = "compiling") -> Iterator[None]:
    """Shows what is done in between, such as compiling; the bars leave its time out of their rate and time left."""
    shown = list(_open)
    if not shown or shown[-1].stopped:
        yield
        return
    bar, clock = shown[-1], time.time()
    before, bar.stopped = bar.postfix, True
    telling = threading.Timer(ASIDE, bar.say, [doing])
    telling.daemon = True
    telling.start()
    try:
        yield
    finally:
        telling.cancel()
        telling.join()
        bar.set_postfix_str(before or "", refresh=False)
        bar.stopped = False
        for one in shown:
            one.leave_out(time.time() - clock)


def compiles(call: Callable[P, T]) -> Callable[P, T]:
    """Returns `call` with its first use as an `aside`: a jitted function is compiled then."""
    used = False

    @functools.wraps(call)
    def first_aside(*args: P.args, **kwargs: P.kwargs) -> T:
        nonlocal used
        with contextlib.nullcontext() if used else aside():
            used = True
            return call(*args, **kwargs)

    return first_aside
