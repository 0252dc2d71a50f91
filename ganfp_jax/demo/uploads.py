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
LEAST_BYTES = 65_536  # a smaller file counts as this many: a folder within its bounds holds thousands of files at most


@dataclasses.dataclass(frozen=True)
class Limits:
    """The limits of an upload."""

    files: int = 10
    megabytes: float | int = 10.0
    """Size of one file."""
    pixels: int = 64_000_000
    """Width times height of one image."""
    seconds: float | int = 10.0
    """Time to decode the files of one upload."""
    total_megabytes: float | int | None = None
    """Size of all files that wait for their verdict; None means three uploads."""

    @property
    def bytes(self) -> int:
        """Bytes of one file."""
        return int(self.megabytes * 1e6)

    @property
    def upload(self) -> int:
        """Bytes of one upload, with the text between its files."""
        return self.files * self.bytes + 1_000_000

    @property
    def total(self) -> int:
        """Bytes of all files that wait for their verdict."""
        return 3 * self.upload if self.total_megabytes is None else int(self.total_megabytes * 1e6)

    def words(self) -> str:
        """Describes the limits for the reader of the page."""
        return (
            f"At most {self.files} files at a time, each of at most {self.megabytes:g} MB and "
            f"{self.pixels / 1e6:g} million pixels."
        )


@dataclasses.dataclass(frozen=True)
class Upload:
    """A file as it was sent (a `data.decode.Record`), or the reason that it is refused."""

    name: str
    content: bytes = b""
    refused: str = ""

    def read_bytes(self) -> bytes:
        """Returns the encoded image."""
        return self.content


def receive(files: Sequence[tuple[str, Path]], folder: Path, limits: Limits) -> list[Upload]:
    """Reads uploaded files into memory and deletes them, and the folders that they leave empty.

    Args:
        files: the name that the sender gave each file, and the path at which it lies according to the request.
        folder: the folder of the uploads. Files elsewhere are refused and kept: a request could name any file.
    """
    root, places = folder.resolve(), [path.resolve() for _, path in files]
    inside = [root in place.parents for place in places]
    try:
        return [
            _receive(places[number], number, printable(name), limits)
            if inside[number]
            else Upload(printable(name), refused="not an upload: the machine's own files are not read")
            for number, (name, _) in enumerate(files)
        ]
    finally:
        for place, uploaded in zip(places, inside, strict=True):
            if not uploaded:
                continue
            with contextlib.suppress(OSError):  # the place is a folder, or its folder is not empty, or it is gone
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
    except FileNotFoundError:  # a file that was sent twice at once lies in one place
        return Upload(name, refused="the upload was lost on its way: send it again")
    except OSError as error:
        return Upload(name, refused=reason_of(error))


def examples(classes: Sequence[str], resolution: int) -> dict[str, list[Upload]]:
    """Returns each source -> its images in the package, `examples/<source>_<number>.png`.

    Args:
        classes: the sources, in the order of the result; sources without images are left out.
        resolution: the side of the images that the network takes; above `EXAMPLE_SIDE` there are no examples.
    """
    if resolution > EXAMPLE_SIDE:
        return {}
    found: dict[str, list[Upload]] = {}
    for path in sorted(EXAMPLES.glob("*.png")):
        found.setdefault(path.stem.rpartition("_")[0], []).append(Upload(path.name, path.read_bytes()))
    return {source: found[source] for source in classes if source in found}


def used(folder: Path) -> int:
    """Returns the number of bytes of the files below `folder`; each counts at least `LEAST_BYTES`."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # it was answered meanwhile
                total += max(Path(parent, name).stat().st_size, LEAST_BYTES)
    return total


def delete_old(folder: Path, seconds: float | int) -> None:
    """Deletes every file and every empty folder below `folder` that last changed more than `seconds` ago."""
    for parent, folders, names in os.walk(folder, topdown=False):  # it passes over folders that vanish meanwhile
        for path in (Path(parent, name) for name in names):
            with contextlib.suppress(OSError):  # it was answered meanwhile
                if time.time() - path.stat().st_mtime > seconds:
                    path.unlink()
        for path in (Path(parent, name) for name in folders):
            with contextlib.suppress(OSError):  # it is not empty
                if time.time() - path.stat().st_mtime > seconds:
                    path.rmdir()
