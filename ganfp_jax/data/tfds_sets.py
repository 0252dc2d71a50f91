"""Data sets of TensorFlow Datasets (TFDS), read and written as ArrayRecord files, without TensorFlow.

Images come out as encoded files, so that they go through the same decoder as every other (`data.decode`).
"""

import contextlib
import dataclasses
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from ganfp_jax import atomic
from ganfp_jax.data.decode import ImageFile, decode_image, open_file, open_header, orientation, png_bytes
from ganfp_jax.errors import UserError
from ganfp_jax.reading import read_json

NAME = "labelled_images"
INFO = "dataset_info.json"
INDEX = "index.json"
"""Beside the records: {split: {"labels": [class index, ...], "names": ["source/file", ...]}}, in their order."""

_AS_STORED = {"PNG", "JPEG"}  # what every reader of TFDS can decode


@dataclasses.dataclass(frozen=True)
class Record:
    """One image of a data set: a file by name and content (see `data.decode.Record`)."""

    source: Any
    """TFDS's data source, which gives an example by index."""
    index: int
    name: str

    def read_bytes(self) -> bytes:
        """The encoded image, read from the data set's files."""
        return self.source[self.index]["image"]


@dataclasses.dataclass(frozen=True)
class Split:
    """One split of a labelled data set."""

    records: tuple[Record, ...]
    labels: tuple[int, ...]
    """Class index of each record."""
    classes: tuple[str, ...]


def open_named(name: str, split: str, data_dir: str = "", download: bool = False) -> tuple[Record, ...]:
    """A prepared data set of TFDS by name, such as "celeb_a", "lsun/bedroom" or "cifar10".

    Args:
        name: as TFDS knows it; it needs a feature `image`.
        split: in TFDS's notation, such as "train" or "train[:1000]".
        data_dir: where TFDS keeps its data; "" for its own default.
        download: let TFDS download and prepare what is missing. Needs a network and, for most data sets, TensorFlow.

    Returns:
        The records, named "000012.png" by their index: TFDS keeps no file names.

    Raises:
        UserError: no such data set, it is not there, has no such split or no images, or is not kept as ArrayRecord.
    """
    tfds = _tfds()
    where = data_dir or "TFDS's own folder"
    with _told(f"data set {name} in {where}"):
        builder = tfds.builder(name, data_dir=data_dir or None, try_gcs=False)
        if download:
            builder.download_and_prepare(file_format="array_record")
        if not (Path(builder.data_path) / INFO).exists():
            raise UserError(
                f"data set {name} is not in {where}: prepare it with `tfds build {name} --file_format=array_record`, "
                "or let it be done by download=True (needs a network and TensorFlow)"
            )
    return tuple(_records(builder, split, f"data set {name}"))


def is_dataset(root: Path) -> bool:
    """Whether a folder is a data set as `write_dataset` leaves it."""
    return (root / INFO).is_file()


def splits(root: Path) -> tuple[str, ...]:
    """The splits of the data set in `root`."""
    return tuple(_from_folder(root).info.splits)


def open_split(root: Path, split: str) -> Split:
    """A split of the labelled data set in `root`.

    Labels and names are those of `INDEX`; of a set without that file, every record is read for them, which takes as
    long as reading all the images.

    Raises:
        UserError: it cannot be read, or has no such split, no images or no labels; an index of another set.
    """
    builder = _from_folder(root)
    features = builder.info.features
    if missing := [key for key in ("image", "label", "name") if key not in features]:
        raise UserError(f"the data set {root} has no feature {missing[0]!r}: a labelled one has image, label and name")
    records = list(_records(builder, split, f"the data set {root}"))
    index = _read_index(root, split, len(records)) if (root / INDEX).is_file() else _make_index(records)
    listed = list(zip(index["labels"], index["names"], records, strict=True))
    listed.sort(key=lambda item: (item[0], PurePath(item[1]).parts))  # as a folder is listed
    return Split(
        records=tuple(dataclasses.replace(record, name=name) for _, name, record in listed),
        labels=tuple(label for label, _, _ in listed),
        classes=tuple(features["label"].names),
    )


@dataclasses.dataclass(frozen=True)
class Example:
    """What `write_dataset` takes in: an image file, its class and its name "source/file"."""

    file: ImageFile
    label: str
    name: str


def write_dataset(
    root: Path, classes: Sequence[str], examples: Mapping[str, Iterable[Example]], extra: Mapping[str, bytes]
) -> None:
    """Write a labelled data set of ArrayRecord files: TFDS's features `image`, `label` and `name`.

    RGB files in PNG or JPEG are stored as they are, byte for byte; all others as PNGs of what `decode_image` makes of
    them. `root` appears whole or not at all: until then the work lies in a hidden folder beside it.

    Args:
        root: must not exist.
        classes: class index -> name.
        examples: split -> its images; each must be readable.
        extra: further files to lay into the folder, by name.

    Raises:
        UserError: `root` exists.
        Refused: an image cannot be read.
    """
    if root.exists():
        raise UserError(f"{root} exists already: give another folder, or remove it")
    tfds = _tfds()
    clear_incomplete(root)
    incomplete = _incomplete(root)
    incomplete.mkdir(parents=True)

    class LabelledImages(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg,name-defined]
        name = NAME
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> Any:
            features = {
                "image": tfds.features.Image(shape=(None, None, 3)),
                "label": tfds.features.ClassLabel(names=list(classes)),
                "name": tfds.features.Text(),
            }
            return tfds.core.DatasetInfo(
                builder=self,
                description="Real and generated images by source.",
                features=tfds.features.FeaturesDict(features),
            )

        def _split_generators(self, _: Any) -> dict[str, Iterable]:
            return {split: self._generate_examples(those) for split, those in examples.items()}

        def _generate_examples(self, those: Iterable[Example]) -> Iterator[tuple[str, dict[str, Any]]]:
            for example in those:
                yield example.name, {"image": _stored(example.file), "label": example.label, "name": example.name}

    builder = LabelledImages(data_dir=str(incomplete), file_format="array_record")
    tfds.disable_progress_bar()  # whoever gives the examples knows better
    with contextlib.redirect_stdout(io.StringIO()):  # it speaks of downloads
        builder.download_and_prepare(download_dir=str(incomplete / "downloads"))
    made = Path(builder.data_path)
    # Only now is known in which order TFDS has put the records.
    index = {split: _make_index(_records(builder, split, f"the data set {root}")) for split in examples}
    atomic.write_bytes(made / INDEX, json.dumps(index, ensure_ascii=False).encode())
    for name, content in extra.items():
        atomic.write_bytes(made / name, content)
    os.rename(made, root)  # noqa: PTH104 - Path.rename is the same; the name says that it is one step of the system
    clear_incomplete(root)


def clear_incomplete(root: Path) -> None:
    """Removes what a killed `write_dataset` left beside `root`; no other may be at work there."""
    if _incomplete(root).exists():
        shutil.rmtree(_incomplete(root))


def _incomplete(root: Path) -> Path:
    return root.with_name(f".{root.name}.incomplete")


def _make_index(records: Iterable[Record]) -> dict[str, list]:
    """Labels and names, by reading every record."""
    labels, names = [], []
    for record in records:
        example = record.source[record.index]
        labels.append(int(example["label"]))
        names.append(example["name"].decode())
    return {"labels": labels, "names": names}


def _read_index(root: Path, split: str, number: int) -> dict[str, list]:
    """Labels and names as `write_dataset` has laid them down."""
    try:
        index = read_json(root / INDEX)[split]
        fits = len(index["labels"]) == len(index["names"]) == number
    except (OSError, ValueError, KeyError, TypeError):
        fits = False
    if not fits:
        raise UserError(
            f"{root / INDEX} does not belong to the {number} records of {split} beside it; remove it: it only saves "
            "the time of reading them all"
        )
    return index


def _stored(file: ImageFile) -> io.BytesIO:
    """What goes into a data set: the file's own bytes where every reader knows them, else a PNG."""
    with open_header(file) as image:
        plain = image.format in _AS_STORED and image.mode == "RGB" and orientation(image) == 1
    if not plain:
        return io.BytesIO(png_bytes(decode_image(file)))
    with open_file(file) as content:
        return io.BytesIO(content.read())


def _from_folder(root: Path) -> Any:
    with _told(f"the data set {root}"):
        return _tfds().builder_from_directory(str(root))


def _records(builder: Any, split: str, what: str) -> Iterator[Record]:
    if "image" not in (builder.info.features or {}):
        raise UserError(f"{what} has no feature 'image': its features are {', '.join(builder.info.features or {})}")
    with _told(what):
        source = builder.as_data_source(split, decoders={"image": _tfds().decode.SkipDecoding()})
    for index in range(len(source)):
        yield Record(source, index, f"{index:06d}.png")


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """TFDS's errors, which run over many lines and types, as one line."""
    try:
        yield
    except (UserError, KeyboardInterrupt):
        raise
    except Exception as error:
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(f"{what} cannot be read: {first.strip()[:300]}") from error


def _tfds() -> Any:
    # Imported here: it takes 1.5 s, and few runs need it.
    import tensorflow_datasets

    return tensorflow_datasets
