"""Data sets of TensorFlow Datasets (TFDS), read and written as ArrayRecord files, without TensorFlow.

Images come out as encoded files, so that they go through the same decoder as every other (`data.decode`). Data sets are
opened by what `data.tfds.folder` reads of them: TFDS, which imports what a folder names, writes them but opens none.
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

from ganfp_jax.data.decode import ImageFile, decode_image, open_file, open_header, orientation, png_bytes
from ganfp_jax.data.tfds.folder import ARRAY_RECORD, INFO, class_names, describe, read_json
from ganfp_jax.data.tfds.records import TfdsRecord, errors_in_one_line, records
from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError

NAME = "labelled_images"
INDEX = "index.json"
"""Beside the records: {split: {"labels": [class index, ...], "names": ["source/file", ...]}}, in their order."""

_LABELLED = {"image": "Image", "label": "ClassLabel", "name": "Text"}
_MAX_NAME = 2**11  # bytes of JSON that the index may have for each record
_AS_STORED = {"PNG", "JPEG"}  # what every reader of TFDS can decode


@dataclasses.dataclass(frozen=True)
class Split:
    """One split of a labelled data set."""

    records: tuple[TfdsRecord, ...]
    labels: tuple[int, ...]
    """Class index of each record."""
    classes: tuple[str, ...]


def open_named(name: str, split: str, data_dir: str = "", download: bool = False) -> tuple[TfdsRecord, ...]:
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
    where = data_dir or "TFDS's own folder"
    what = f"data set {name} in {where}"
    with errors_in_one_line(what):
        root = _place(name, data_dir, download)
    if root is None:
        raise UserError(
            f"data set {name} is not in {where}: prepare it with `tfds build {name} --file_format={ARRAY_RECORD}`, "
            "or let it be done by download=True (needs a network and TensorFlow)"
        )
    return tuple(records(describe(root), split, f"data set {name}"))


def is_dataset(root: Path) -> bool:
    """Whether a folder is a data set as `write_dataset` leaves it."""
    return (root / INFO).is_file()


def splits(root: Path) -> tuple[str, ...]:
    """The splits of the data set in `root`."""
    return tuple(describe(root).splits)


def open_split(root: Path, split: str) -> Split:
    """A split of the labelled data set in `root`.

    Labels and names are those of `INDEX`; of a set without that file, every record is read for them, which takes as
    long as reading all the images.

    Raises:
        UserError: it cannot be read, or has no such split, no images or no labels; an index of another set.
    """
    description = describe(root)
    if missing := [key for key, kind in _LABELLED.items() if description.features.get(key) != kind]:
        raise UserError(
            f"the data set {root} has no feature {missing[0]!r} that is {_LABELLED[missing[0]]}: a labelled one has "
            "image, label and name"
        )
    classes = class_names(root)
    those = list(records(description, split, f"the data set {root}"))
    index = _read_index(root, split, len(those)) if (root / INDEX).is_file() else _read_records(those, root)
    _check_index(index, len(classes), root)
    listed = list(zip(index["labels"], index["names"], those, strict=True))
    listed.sort(key=lambda item: (item[0], PurePath(item[1]).parts))  # as a folder is listed
    return Split(
        records=tuple(dataclasses.replace(record, name=name) for _, name, record in listed),
        labels=tuple(label for label, _, _ in listed),
        classes=classes,
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
    made_of = describe(made)
    index = {split: _make_index(records(made_of, split, f"the data set {root}")) for split in examples}
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


def _make_index(those: Iterable[TfdsRecord]) -> dict[str, list]:
    """Labels and names, by reading every record."""
    labels, names = [], []
    for record in those:
        label, name = record.examples.values(record.index, "label", "name")
        labels.append(int(label))
        names.append(name.decode())
    return {"labels": labels, "names": names}


def _read_records(those: Iterable[TfdsRecord], root: Path) -> dict[str, list]:
    with errors_in_one_line(f"the data set {root}"):
        return _make_index(those)


def _read_index(root: Path, split: str, number: int) -> dict[str, list]:
    """Labels and names as `write_dataset` has laid them down."""
    try:
        index = read_json(root / INDEX, 2**20 + _MAX_NAME * number)[split]
        fits = len(index["labels"]) == len(index["names"]) == number
    except (UserError, KeyError, TypeError):
        fits = False
    if not fits:
        raise UserError(
            f"{root / INDEX} does not belong to the {number} records of {split} beside it; remove it: it only saves "
            "the time of reading them all"
        )
    return index


def _check_index(index: Mapping[str, list], num_classes: int, root: Path) -> None:
    """Raise where a label is no class, or a name no text or used twice."""
    for label in index["labels"]:
        if type(label) is not int or not 0 <= label < num_classes:
            raise UserError(f"the data set {root} has the label {ascii(label)[:40]} and {num_classes} classes")
    seen = set()
    for name in index["names"]:
        if not isinstance(name, str) or not PurePath(name).name or name in seen:
            raise UserError(f"the data set {root} has an image named {ascii(name)[:80]}: no name, or used twice")
        seen.add(name)


def _stored(file: ImageFile) -> io.BytesIO:
    """What goes into a data set: the file's own bytes where every reader knows them, else a PNG."""
    with open_header(file) as image:
        plain = image.format in _AS_STORED and image.mode == "RGB" and orientation(image) == 1
    if not plain:
        return io.BytesIO(png_bytes(decode_image(file)))
    with open_file(file) as content:
        return io.BytesIO(content.read())


def _place(name: str, data_dir: str, download: bool) -> Path | None:
    """The folder of a data set that TFDS knows by name, or that lies where TFDS would put it; None where neither is."""
    from tensorflow_datasets.core import naming
    from tensorflow_datasets.core.utils import file_utils

    parsed, settings = naming.parse_builder_name_kwargs(name)
    if parsed.namespace or settings.keys() - {"config", "version"}:
        raise UserError(f"data set {name}: give NAME, NAME/CONFIG or NAME/CONFIG:VERSION; nothing else is read")
    builder_class = _builder_class(parsed.name)
    config = settings.pop("config", None) or _default_config(builder_class)
    for home in file_utils.list_data_dirs(data_dir or None):
        if newest := _newest(Path(home, parsed.name, config or ""), settings.get("version")):
            return newest
    if not download or builder_class is None:
        return None
    builder = builder_class(data_dir=data_dir or None, config=config, **settings)  # of TFDS's own code
    builder.download_and_prepare(file_format=ARRAY_RECORD)
    return Path(builder.data_path)


def _builder_class(name: str) -> Any:
    """TFDS's code for a data set, or one that this process has defined; None where there is none."""
    tfds = _tfds()
    try:
        return tfds.builder_cls(name)
    except tfds.core.DatasetNotFoundError:
        return None


def _default_config(builder_class: Any) -> str | None:
    return builder_class.default_builder_config.name if builder_class and builder_class.BUILDER_CONFIGS else None


def _newest(folder: Path, version: str | None) -> Path | None:
    """The newest version of a data set in its folder, among those that fit `version`, such as "1.*.*"."""
    from tensorflow_datasets.core.utils.version import list_all_versions

    fitting = [found for found in list_all_versions(folder) if not version or found.match(version)]
    return next((folder / str(found) for found in reversed(fitting) if is_dataset(folder / str(found))), None)


def _tfds() -> Any:
    # Imported here: it takes 1.5 s, and few runs need it.
    import tensorflow_datasets

    return tensorflow_datasets
