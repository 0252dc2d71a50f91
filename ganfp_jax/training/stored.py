"""A checkpoint on disk: its files are checked before they are trusted, and only the arrays asked for are read.

A run folder may be a stranger's. Before memory is allocated, the sizes that its files declare are compared with the
bytes that they have, and by the caller with the network of its config. orbax stores arrays with TensorStore: each is a
Zarr array, named by its path with dots, in one OCDBT database.
"""

import contextlib
import math
import mmap
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ganfp_jax.run.errors import UserError
from ganfp_jax.run.reading import open_regular, read_json

FOLDER = "checkpoints"
MAX_FILES = 10_000  # a checkpoint has about ten, and some more for each further process
ROOM = 64 << 20  # bytes that any checkpoint may take in memory
RATIO = 32  # bytes in memory for each byte on disk; only zeros, such as the first moments, compress better
_ZSTD = b"\x28\xb5\x2f\xfd"
_BLOCK = 128 << 10  # most bytes of a Zstandard block, unpacked


def saved_steps(workdir: Path) -> list[int]:
    """The steps of a run folder's complete checkpoints, oldest first."""
    return sorted(
        int(path.name) for path in (workdir / FOLDER).glob("*") if re.fullmatch("0|[1-9][0-9]{0,17}", path.name)
    )


class Stored:
    """A checkpoint of a run folder.

    Attributes:
        step: step of the checkpoint.
        folder: folder of the checkpoint.
    """

    def __init__(self, workdir: Path, step: int | None = None) -> None:
        """Finds the checkpoint of one of `saved_steps`, by default the newest; raises UserError where there is none."""
        steps = saved_steps(workdir)
        if not steps:
            raise UserError(f"{workdir} has no checkpoint yet; let its training run first")
        self.step = steps[-1] if step is None else step
        self.folder = workdir.resolve() / FOLDER / str(self.step)
        others = [other for other in steps if other != self.step]
        self._remedy = f"delete that folder to use step {others[-1]}" if others else "train again"

    def metadata(self) -> dict[str, Any]:
        """The metadata that was saved beside the arrays.

        Raises:
            UserError: it is damaged.
        """
        with self.refusals():
            metadata = read_json(self.folder / "metadata" / "metadata")
            if not isinstance(metadata, dict):
                raise ValueError("its metadata is no JSON object")
            return metadata

    @contextlib.contextmanager
    def refusals(self) -> Iterator[None]:
        """Turns any error inside the block into one line that blames this checkpoint.

        Raises:
            UserError: the block raised.
        """
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            raise unreadable(self.folder, error, self._remedy) from error

    def arrays(self) -> "Arrays":
        """The arrays of the state.

        Raises:
            UserError: the files are no checkpoint, or declare more than they can hold.
        """
        with self.refusals():
            return Arrays(self.folder)


class Arrays:
    """The arrays of a checkpoint's state; nothing is read before `read`.

    Attributes:
        names: names of all arrays, their paths with dots, such as "network.params.4x4.Conv.bias".
    """

    def __init__(self, folder: Path) -> None:
        """Raises ValueError or OSError where the files are no checkpoint."""
        import tensorstore

        self._room = check_files(folder)
        self._tensorstore = tensorstore
        self._base = {"driver": "file", "path": f"{folder / 'state'}/"}
        database = tensorstore.KvStore.open({"driver": "ocdbt", "base": self._base}).result()
        keys = [key.decode() for key in database.list().result()]
        self.names = sorted(key.removesuffix("/.zarray") for key in keys if key.endswith("/.zarray"))

    def open(self, names: Iterable[str]) -> dict[str, Any]:
        """The arrays of these names, with `dtype.name` and `shape`; `read` reads their values.

        Raises:
            ValueError: an array is stored as none of ours is, or all declare more than the files can hold.
        """
        opening = {name: self._tensorstore.open(self._spec(name), read=True, open=True) for name in names}
        opened = {name: future.result() for name, future in opening.items()}
        for name, array in opened.items():
            _check_array(name, array)
        total = sum(array.dtype.numpy_dtype.itemsize * array.size for array in opened.values())
        if total > self._room:
            raise ValueError(f"its arrays would take {total:,} bytes, more than its files can hold")
        return opened

    def _spec(self, name: str) -> dict[str, Any]:
        database = {"driver": "ocdbt", "base": self._base, "path": f"{name}/"}
        return {"driver": "zarr", "kvstore": database, "fill_missing_data_reads": False}


def read(arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The values of arrays from `Arrays.open`.

    Raises:
        ValueError: they are missing or damaged.
    """
    reading = {name: array.read() for name, array in arrays.items()}
    return {name: future.result() for name, future in reading.items()}


def _check_array(name: str, array: Any) -> None:
    """Raises ValueError where reading could take more memory than the array itself."""
    metadata = array.spec().to_json()["metadata"]
    packing = (metadata["compressor"] or {"id": "zstd"})["id"]
    if packing != "zstd" or metadata["filters"]:
        raise ValueError(f"{name} is packed by {packing}, not as checkpoints are")
    if math.prod(metadata["chunks"]) > max(1, array.size):
        raise ValueError(f"{name} is stored in blocks of {metadata['chunks']}, larger than itself")


def check_files(folder: Path) -> int:
    """The number of bytes that the arrays of the checkpoint in `folder` may take in memory.

    Raises:
        ValueError: the folder holds too many files, or they would take more memory.
        OSError: an entry is no file or cannot be read.
    """
    size = unpacked = 0
    for path in _files(folder):
        with open_regular(path) as file:
            length = os.fstat(file.fileno()).st_size
            size += length
            if length:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    unpacked += unpacked_size(content, ROOM + RATIO * length)
    if unpacked > ROOM + RATIO * size:
        raise ValueError(f"its {size:,} bytes would take {unpacked:,} unpacked")
    return ROOM + RATIO * size


def _files(folder: Path) -> Iterator[Path]:
    for count, path in enumerate(_entries(folder)):
        if count > MAX_FILES:
            raise ValueError(f"it has more than {MAX_FILES} files")
        yield path


def _entries(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder, followlinks=True):
        yield from (Path(place, name) for name in names)


def unpacked_size(content: bytes | mmap.mmap, most: int) -> int:
    """An upper bound of the unpacked size in bytes of all Zstandard frames anywhere in `content`.

    Frames inside a frame count as well, since a database may point into the middle of anything.

    Args:
        content: a file.
        most: the sum at which the search stops.
    """
    total, start = 0, content.find(_ZSTD)
    while start >= 0 and total <= most:
        total += _frame(content, start + len(_ZSTD))
        start = content.find(_ZSTD, start + 1)
    return total


def _frame(content: bytes | mmap.mmap, at: int) -> int:
    """An upper bound of the unpacked size of the frame at `at`, 0 where there is no frame (RFC 8878, 3.1.1)."""
    header = content[at : at + 14]
    if len(header) < 6:
        return 0
    most, length = _header(header)
    at += length
    total, last = 0, False
    while not last:
        block = int.from_bytes(content[at : at + 3], "little")
        last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
        at += 3 + (1 if kind == _REPEATED else size)
        if kind == _RESERVED or size > _BLOCK or at > len(content):
            break
        total += max(most if kind == _COMPRESSED else size, 64)  # empty blocks count, so that the search ends
    return total


def _header(header: bytes) -> tuple[int, int]:
    """The most bytes of an unpacked block of the frame, and the length of the header."""
    single = bool(header[0] & 0x20)
    start = 1 + (not single) + (0, 1, 2, 4)[header[0] & 3]
    end = start + (int(single), 2, 4, 8)[header[0] >> 6]
    if single:
        window = int.from_bytes(header[start:end], "little") + 256
    else:
        window = (1 << 10 + (header[1] >> 3)) * (8 + (header[1] & 7)) // 8
    return min(window, _BLOCK), end


_REPEATED, _COMPRESSED, _RESERVED = 1, 2, 3


def unreadable(path: Path, error: Exception, remedy: str) -> UserError:
    """The error for a checkpoint on one line, even where its libraries print several."""
    text = " ".join(str(error).split()) or "no message"
    reason = "".join(character if character.isprintable() else "?" for character in text)
    return UserError(f"checkpoint {path} cannot be read ({type(error).__name__}: {reason[:200]}); {remedy}")
