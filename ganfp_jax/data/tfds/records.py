"""The images of a TFDS data set: records of ArrayRecord files, read without TFDS's features."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganfp_jax.data.decode import Refused
from ganfp_jax.data.listing import printable
from ganfp_jax.data.tfds.chunks import check_chunks
from ganfp_jax.data.tfds.folder import ARRAY_RECORD, INFO, Description
from ganfp_jax.run.errors import UserError

SMALLEST = 16  # bytes that a packed image with its label and name takes at least


@dataclasses.dataclass(frozen=True)
class TfdsRecord:
    """One image of a data set: the name and content of a file (see `data.decode.Record`)."""

    examples: "Examples"
    index: int
    name: str

    def read_bytes(self) -> bytes:
        """Reads the encoded image from the data set's files.

        Raises:
            Refused: it cannot be read.
        """
        try:
            (content,) = self.examples.values(self.index, "image")
            return bytes(memoryview(content))  # it raises for a number
        except Exception as error:  # a damaged file raises any type
            raise Refused(f"cannot be read from its data set: {first_line(error)}") from error


class Examples:
    """The examples of a split by index. Several threads may read at once."""

    def __init__(self, description: Description, split: str) -> None:
        """Opens the files of a split.

        Args:
            description: the description of the data set.
            split: a split in TFDS's notation, such as "train" or "train[:1000]".

        Raises:
            Exception: there is no such split, or a file is missing or has another number of examples than described.
        """
        # It is imported here, since not every system has it and few runs need it.
        from array_record.python.array_record_data_source import ArrayRecordDataSource
        from tensorflow_datasets import core

        asked = core.SplitDict(_split_infos(description))[split].file_instructions
        for part in asked:
            _check_length(Path(part.filename), part.examples_in_shard)
        self._records = ArrayRecordDataSource(asked) if asked else []

    def __len__(self) -> int:
        return len(self._records)

    def values(self, index: int, *features: str) -> list[Any]:
        """Returns the only value of each of the features: bytes of an image or a text, the number of a label.

        Raises:
            Exception: the example cannot be read, or has no or several values of a feature.
        """
        from tensorflow_datasets.proto import tf_example_pb2

        example = tf_example_pb2.Example.FromString(self._records[index]).features.feature
        return [_only(example, feature) for feature in features]


def records(description: Description, split: str, what: str) -> Iterator[TfdsRecord]:
    """Yields the images of a split, named "000012.png" by their index, since TFDS keeps no file names.

    Raises:
        UserError: there are none, or they cannot be read; the message begins with `what`.
    """
    if description.features.get("image") != "Image":
        raise UserError(f"{what} has no feature 'image': its features are {printable(', '.join(description.features))}")
    with errors_in_one_line(what):
        examples = Examples(description, split)
    for index in range(len(examples)):
        yield TfdsRecord(examples, index, f"{index:06d}.png")


@contextlib.contextmanager
def errors_in_one_line(what: str) -> Iterator[None]:
    """Turns TFDS's errors, of many types and lines, into a UserError whose line begins with `what`."""
    try:
        yield
    except (UserError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise UserError(f"{what} cannot be read: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """Returns the first line of an error's message."""
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return first.strip()[:300]


def _split_infos(description: Description) -> Iterator[Any]:
    """Yields TFDS's description of each split, which supports its notation for parts of splits."""
    from tensorflow_datasets import core

    for split, files in description.splits.items():
        template = core.ShardedFileTemplate(
            description.root, files.template, description.name, split, filetype_suffix=ARRAY_RECORD
        )
        yield core.SplitInfo(split, list(files.lengths), 0, template)


def _check_length(path: Path, described: int) -> None:
    """Raises unless a file has the described number of examples, so that no more memory is allocated than it needs."""
    from array_record.python.array_record_module import ArrayRecordReader

    if not path.is_file():  # opening a pipe would block
        raise UserError(f"{path} is missing, or no file")
    check_chunks(path)
    reader = ArrayRecordReader(str(path))
    if (number := reader.num_records()) != described:
        raise UserError(f"{path} has {number} examples, but {INFO} says {described}")
    reader.close()
    if described * SMALLEST > (size := path.stat().st_size):  # hundreds of empty examples fit into a byte
        raise UserError(f"{path} has {described:,} examples in {size:,} bytes: they cannot be images")


def _only(example: Any, feature: str) -> Any:
    """Returns the only value of a feature of an example, of any type."""
    if feature not in example:  # reading it would add it
        raise ValueError(f"an example without {feature!r}")
    kind = example[feature].WhichOneof("kind")
    values: list[Any] = list(getattr(example[feature], kind).value) if kind else []
    if len(values) != 1:
        raise ValueError(f"an example with {len(values)} values of {feature!r}")
    return values[0]
