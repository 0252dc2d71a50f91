"""Uploaded files: read into memory, deleted from the disk, and refused where they are too many or too large."""

import contextlib
import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path

from ganfp_jax.data.decode import reason_of
from ganfp_jax.data.listing import printable

EXAMPLES = Path(__file__).parent / "examples"
EXAMPLE_SIDE = 32  # pixels
LEAST_BYTES = 65_536  # that a file counts for: a folder within its bounds holds some thousand files, and no millions


@dataclasses.dataclass(frozen=True)
class Limits:
    """What may be sent at a time."""

    files: int = 10
    megabytes: float | int = 10.0
    """Of one file."""
    pixels: int = 64_000_000
    """Width times height of one image."""
    seconds: float | int = 10.0
    """For decoding the files of one upload."""
    total_megabytes: float | int | None = None
    """Of all files that wait for their verdict; None: of three uploads."""

    @property
    def bytes(self) -> int:
        """Of one file."""
        return int(self.megabytes * 1e6)

    @property
    def upload(self) -> int:
        """Bytes of one upload, with what stands between its files."""
        return self.files * self.bytes + 1_000_000

    @property
    def total(self) -> int:
        """Bytes of all files that wait for their verdict."""
        return 3 * self.upload if self.total_megabytes is None else int(self.total_megabytes * 1e6)

    def words(self) -> str:
        """For the reader of the page."""
        return (
            f"At most {self.files} files at a time, each of at most {self.megabytes:g} MB and "
            f"{self.pixels / 1e6:g} million pixels."
        )


@dataclasses.dataclass(frozen=True)
class Upload:
    """A file as it was sent (a `data.decode.Record`), or why nobody looks at it."""

    name: str
    content: bytes = b""
    refused: str = ""

    def read_bytes(self) -> bytes:
        """The encoded image."""
        return self.content


def receive(files: Sequence[tuple[str, Path]], folder: Path, limits: Limits) -> list[Upload]:
    """Reads uploaded files into memory and deletes them, and the folders that they leave empty.

    Args:
        files: the name that the sender gave each file, and where it is said to lie now.
        folder: where uploads lie. Other files are refused, and stay: whoever asks could name any of the machine's.
    """
    root, places = folder.resolve(), [path.resolve() for _, path in files]
    own = [root in place.parents for place in places]
    try:
        return [
            _receive(places[number], number, printable(name), limits)
            if own[number]
            else Upload(printable(name), refused="not an upload: the machine's own files are not read")
            for number, (name, _) in enumerate(files)
        ]
    finally:
        for place, uploaded in zip(places, own, strict=True):
            if not uploaded:
                continue
            with contextlib.suppress(OSError):  # it is a folder, or the folder is not empty, or gone
                place.unlink(missing_ok=True)
                if place.parent != root:
                    place.parent.rmdir()


def _receive(path: Path, number: int, name: str, limits: Limits) -> Upload:
    if number >= limits.files:
        return Upload(name, refused=f"more than {limits.files} files at a time: send it again on its own")
    try:
        size = path.stat().st_size
        if size > limits.bytes:
            return Upload(name, refused=f"too large: {size / 1e6:,.1f} MB, over the limit of {limits.megabytes:g} MB")
        return Upload(name, path.read_bytes())
    except FileNotFoundError:  # the same file, sent from two windows at once, lies in one place
        return Upload(name, refused="the upload was lost on its way: send it again")
    except OSError as error:
        return Upload(name, refused=reason_of(error))


def examples(classes: Sequence[str], resolution: int) -> dict[str, list[Upload]]:
    """Source -> the images of it that travel with the package, `examples/<source>_<number>.png`.

    Args:
        classes: the sources to find, in the order of the result, which leaves out those without images.
        resolution: the side of the images that the network takes; there is nothing for it where that is over
            `EXAMPLE_SIDE`.
    """
    if resolution > EXAMPLE_SIDE:
        return {}
    found: dict[str, list[Upload]] = {}
    for path in sorted(EXAMPLES.glob("*.png")):
        found.setdefault(path.stem.rpartition("_")[0], []).append(Upload(path.name, path.read_bytes()))
    return {source: found[source] for source in classes if source in found}


def used(folder: Path) -> int:
    """How many bytes the files below `folder` take, each at least `LEAST_BYTES`."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # it was answered meanwhile
                total += max(Path(parent, name).stat().st_size, LEAST_BYTES)
    return total


def delete_old(folder: Path, seconds: float | int) -> None:
    """Deletes every file and every empty folder below `folder` that last changed more than `seconds` ago."""
    for parent, folders, names in os.walk(folder, topdown=False):  # which passes over folders that vanish meanwhile
        for path in (Path(parent, name) for name in names):
            with contextlib.suppress(OSError):  # it was answered meanwhile
                if time.time() - path.stat().st_mtime > seconds:
                    path.unlink()
        for path in (Path(parent, name) for name in folders):
            with contextlib.suppress(OSError):  # it is not empty
                if time.time() - path.stat().st_mtime > seconds:
                    path.rmdir()
