"""The limit of the memory that all decoders of this process take together."""

import contextlib
import os
import threading
from collections.abc import Iterator

_DEFAULT = 16  # measured bytes a pixel at the peak, with the returned array, for the formats that take less
_BYTES_A_PIXEL = {"AVIF": 20, "JPEG2000": 22, "WEBP": 24}


def needed(pixels: int, kind: str, size: int) -> int:
    """Returns the most bytes that decoding takes, for a format by Pillow's name and a file of `size` bytes."""
    return pixels * _BYTES_A_PIXEL.get(kind, _DEFAULT) + 3 * size


class Budget:
    """An amount that is lent in parts; a request for more than is left waits."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._lent = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def lease(self, amount: int) -> Iterator[None]:
        """Waits for `amount`, or for the total where that is less, and returns it at the end."""
        amount = min(amount, self.total)
        with self._changed:
            self._changed.wait_for(lambda: self._lent + amount <= self.total)
            self._lent += amount
        try:
            yield
        finally:
            with self._changed:
                self._lent -= amount
                self._changed.notify_all()


MEMORY = Budget(3 * 2**29)  # bytes: one image of 64 million pixels in the format that takes most, or many small ones
if hasattr(os, "register_at_fork"):
    # The holders of parts are threads of the parent, which the child does not have.
    os.register_at_fork(after_in_child=lambda: MEMORY.__init__(MEMORY.total))  # type: ignore[misc]
