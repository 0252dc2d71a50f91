"""Images that stay on disk and are decoded when a batch needs them, for sets that do not fit into memory."""

import json
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Int, UInt8

from ganfp_jax.data.decode import ImageFile, Refused
from ganfp_jax.data.preprocess import Checked, check_files, read_fitted
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.threads import ending, results


class ImagesOnDisk:
    """Replaces a uint8 array `(n, r, r, 3)` in `data.batches`: `images[rows]` decodes those rows.

    Every file must have been checked before (`check_together`).

    Attributes:
        shape: (n, r, r, 3).
    """

    def __init__(self, files: Sequence[ImageFile], resolution: int, resize: str) -> None:
        """Keeps a list of files; nothing is read.

        Args:
            files: readable images.
            resolution: the side to which `preprocess.fit` brings them.
            resize: one of `preprocess.RESIZES`.
        """
        self.shape = (len(files), resolution, resolution, 3)
        self._files, self._resize = files, resize
        self._pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="decode")

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "r r 3"]]:
        return (self[[row]][0] for row in range(len(self)))

    def __getitem__(self, rows: slice | Sequence[int] | Int[np.ndarray, " k"]) -> UInt8[np.ndarray, "k r r 3"]:
        """Decodes the images at `rows` in threads.

        Raises:
            UserError: a file that was readable before is not any more.
        """
        rows = np.arange(len(self))[rows]
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        stop = threading.Event()

        def read(place: int) -> None:
            file = self._files[rows[place]]
            try:
                images[place], _ = read_fitted(file, self.shape[1], self._resize, stop=stop)
            except Refused as reason:
                raise UserError(f"{file} was readable when the run began, but now: {reason}") from None

        with ending(stop):
            list(results(self._pool, read, range(len(rows))))  # list() raises the errors of threads
        return images


def check_together(files: Sequence[ImageFile], resolution: int, resize: str, label: str) -> Checked:
    """As `preprocess.check_files` for several processes: each checks its part of the files, and all get every result.

    Raises:
        UserError: `resize` is unknown.
    """
    # It is imported here, since it imports JAX, which takes seconds and which other readers of images do not need.
    from ganfp_jax.run import processes

    share = processes.share(np.arange(len(files)))
    checked = check_files([files[i] for i in share], resolution, resize, label if processes.first() else None)
    message = [
        [(int(share[place]), text) for place, text in texts.items()] for texts in (checked.refused, checked.notes)
    ]
    parts = [json.loads(part) for part in processes.gather(json.dumps(message).encode())]
    refused, notes = (dict(pair for part in parts for pair in part[k]) for k in range(2))
    kept = np.array([i for i in range(len(files)) if i not in refused], np.int64)
    return Checked(kept, refused, notes)


def fits(count: int, resolution: int, gib: float) -> bool:
    """Whether `count` decoded images take at most `gib` GiB of memory."""
    return count * resolution * resolution * 3 <= gib * 2**30
