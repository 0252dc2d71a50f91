"""A progress bar for everything that takes over two seconds."""

import sys

from tqdm import tqdm


def progress(total: int, what: str, unit: str, done: int = 0, *, delay: float = 0.0, disable: bool = False) -> tqdm:
    """A progress bar on standard error with rate and time left; in a log file, one line every 20 seconds.

    Args:
        total: how many units there are.
        what: stands before the bar.
        unit: what is counted, in the singular.
        done: how many are behind us already.
        delay: seconds that nothing is shown, for work that is often short.
        disable: show nothing.
    """
    interval = 0.5 if sys.stderr.isatty() else 20.0
    return tqdm(
        total=total, initial=done, desc=what, unit=unit,
        mininterval=interval, delay=delay, disable=disable, dynamic_ncols=True, leave=False,
    )  # fmt: skip
