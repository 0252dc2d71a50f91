"""Memory that all decoders of this process may take together, whatever their number."""

import contextlib
import os
import threading
from collections.abc import Iterator

_DEFAULT = 16  # bytes a pixel at the peak, measured, with the array that is handed over; for the formats that take less
_BYTES_A_PIXEL = {"AVIF": 20, "JPEG2000": 22, "WEBP": 24}


def needed(pixels: int, kind: str, size: int) -> int:
    """Bytes that decoding takes at most: of so many pixels, in a format by Pillow's name, in a file of `size` bytes."""
    return pixels * _BYTES_A_PIXEL.get(kind, _DEFAULT) + 3 * size


class Budget:
    """An amount that is lent in parts; who asks for more than is left waits."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._lent = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def lease(self, amount: int) -> Iterator[None]:
        """Waits for `amount`, or for all of it where that is less, and gives it back at the end."""
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


MEMORY = Budget(3 * 2**29)  # bytes: one image of 64 million pixels in the dearest format, or many small ones
if hasattr(os, "register_at_fork"):
    # Who holds a part of it are threads of the parent, which are not in the child.
    os.register_at_fork(after_in_child=lambda: MEMORY.__init__(MEMORY.total))  # type: ignore[misc]
