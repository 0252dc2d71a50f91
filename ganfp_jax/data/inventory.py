"""The list of what was found, in a file: memory does not grow with the number of images."""

import contextlib
import hashlib
import itertools
import json
import os
import tempfile
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ganfp_jax.data.decode import ImageFile, Record
from ganfp_jax.data.entries import BESIDE, IMAGE, REJECTED, Entry
from ganfp_jax.data.inputs import find, image_file
from ganfp_jax.data.listing import printable
from ganfp_jax.data.shards import Shard
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress

MOST = 10  # things in a part for each of its images: what else a folder holds must not fill the memory
OWN = "written by this job"


class Listed(NamedTuple):
    """One line of an inventory."""

    kind: str
    number: int
    """Its place among all of its kind, of all shards, from 1."""
    path: str
    reason: str
    inside: tuple[str | int, ...]
    """Of an image inside another file, as of `Entry`."""

    @property
    def name(self) -> str:
        """As it is shown."""
        return printable(self.path)

    @property
    def file(self) -> ImageFile:
        """What opens it."""
        return image_file(self.path, self.inside)

    @property
    def uri(self) -> str:
        """The `file:` address; of an image inside another file that one's, with the name in it behind "#"."""
        if not self.inside:
            return Path(self.path).absolute().as_uri()
        record = self.file
        name = record.name if isinstance(record, Record) else ""
        return f"{Path(str(self.inside[1])).absolute().as_uri()}#{urllib.parse.quote_from_bytes(os.fsencode(name))}"


class Inventory:
    """What one shard has of everything that was found; it can be read again and again.

    Attributes:
        images: how many images there are in this shard.
        digest: of the paths of all images, and of what cannot be used, of all shards, in their order.
    """

    def __init__(self, file: BinaryIO, entries: Iterator[Entry], shard: Shard) -> None:
        """Writes the list of the shard into a file."""
        numbers: Counter[str] = Counter()
        digest = hashlib.blake2b(digest_size=16)
        self._file, self.images = file, 0
        self._first: dict[str, Entry] = {}
        for entry in entries:
            numbers[entry.kind] += 1
            self._first.setdefault(entry.kind, entry)
            listed = [entry.kind, numbers[entry.kind], entry.path, entry.reason, entry.inside]
            line = json.dumps(listed).encode() + b"\n"
            if entry.kind != BESIDE:  # those may change while the images stay
                digest.update(line)
            if shard.has(entry.key):
                file.write(line)
                self.images += entry.kind == IMAGE
        self.digest = digest.hexdigest()
        self._numbers = numbers

    def check(self, asked: str | Sequence[str]) -> None:
        """Raises unless there is an image, in any shard.

        Raises:
            UserError: there is none; it says what there is.
        """
        if self._numbers[IMAGE]:
            return
        named = asked if isinstance(asked, str) else next(filter(None, asked))
        nothing = Entry(REJECTED, named, "", "no image file in it")
        first = self._first.get(REJECTED, self._first.get(BESIDE, nothing))
        others = self._numbers[REJECTED] - 1
        more = f" (and {others} more)" if others > 0 else ""
        raise UserError(
            f"there are no images to attribute: {printable(first.path)}: {first.reason}{more}; "
            "give files, folders or patterns"
        )

    def __iter__(self) -> Iterator[Listed]:
        self._file.seek(0)
        return (Listed(*json.loads(line)) for line in self._file)

    def ends(self, size: int) -> list[int]:
        """How many images and refusals there are up to the end of each of the `parts`.

        Other files may come and go while these stay; where they are many, they move the ends.
        """
        return list(itertools.accumulate(sum(entry.kind != BESIDE for entry in part) for part in self.parts(size)))

    def parts(self, size: int) -> Iterator[list[Listed]]:
        """Yields the list in parts of so many images, each with what was found between and behind them.

        A part also ends where it holds ten times as many things in all.
        """
        part: list[Listed] = []
        images = 0
        for entry in self:
            if (entry.kind == IMAGE and images == size) or len(part) == MOST * size:
                yield part
                part, images = [], 0
            part.append(entry)
            images += entry.kind == IMAGE
        if part:
            yield part


@contextlib.contextmanager
def taken(
    images: str | Sequence[str],
    shard: Shard,
    folder: Path,
    column: str = "",
    is_own: Callable[[str], bool] = lambda path: False,
) -> Iterator[Inventory]:
    """Finds the images and holds their list, in a file without a name in `folder`, which ends with the block.

    Args:
        images, column: as for `inputs.find`.
        shard: which of them are listed.
        folder: where the file lies.
        is_own: of a path, whether the job itself has written it: it is listed as another file among the images.

    Raises:
        UserError: there is no image, or as `inputs.find`.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        with progress(None, "list", "file", delay=2.0) as bar:
            found = (_aside(entry, is_own) for entry in find(images, column, bar.update))
            inventory = Inventory(file, found, shard)
        inventory.check(images)
        yield inventory


def _aside(entry: Entry, is_own: Callable[[str], bool]) -> Entry:
    return entry._replace(kind=BESIDE, reason=OWN) if entry.kind == IMAGE and is_own(entry.path) else entry
