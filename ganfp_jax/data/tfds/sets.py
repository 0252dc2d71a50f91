"""Data sets of TensorFlow Datasets (TFDS), read and written as ArrayRecord files, without TensorFlow.

Images are returned as encoded files, so that the decoder of all images reads them (`data.decode`). `data.tfds.folder`
reads the description of a data set. TFDS writes data sets but opens none: it would import modules that a folder names.
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
"""A file beside the records: {split: {"labels": [class index, ...], "names": ["source/file", ...]}}, in their order."""

_LABELLED = {"image": "Image", "label": "ClassLabel", "name": "Text"}
_MAX_NAME = 2**11  # bytes of JSON in the index for each record, at most
_AS_STORED = {"PNG", "JPEG"}  # every reader of TFDS can decode them


@dataclasses.dataclass(frozen=True)
class Split:
    """One split of a labelled data set."""

    records: tuple[TfdsRecord, ...]
    labels: tuple[int, ...]
    """Class index of each record."""
    classes: tuple[str, ...]


def open_named(name: str, split: str, data_dir: str = "", download: bool = False) -> tuple[TfdsRecord, ...]:
    """Opens a prepared data set of TFDS by name, such as "celeb_a", "lsun/bedroom" or "cifar10".

    Args:
        name: its name in TFDS; it needs a feature `image`.
        split: a split in TFDS's notation, such as "train" or "train[:1000]".
        data_dir: the folder of TFDS's data; "" for TFDS's default.
        download: whether TFDS may download and prepare it (this needs a network and, mostly, TensorFlow).

    Returns:
        The records, named "000012.png" by their index: TFDS keeps no file names.

    Raises:
        UserError: there is no such data set, it is not prepared, it has no such split or no images, or it is not stored
            as ArrayRecord.
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
    """Whether a folder is a data set of `write_dataset`."""
    return (root / INFO).is_file()


def splits(root: Path) -> tuple[str, ...]:
    """Returns the splits of the data set in `root`."""
    return tuple(describe(root).splits)


def open_split(root: Path, split: str) -> Split:
    """Opens a split of the labelled data set in `root`.

    Labels and names come from `INDEX`. Without that file, every record is read for them, which takes as long as reading
    all images.

    Raises:
        UserError: it cannot be read; it has no such split, no images or no labels; or the index is of another set.
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
    listed.sort(key=lambda item: (item[0], PurePath(item[1]).parts))  # the order of a listed folder
    return Split(
        records=tuple(dataclasses.replace(record, name=name) for _, name, record in listed),
        labels=tuple(label for label, _, _ in listed),
        classes=classes,
    )


@dataclasses.dataclass(frozen=True)
class Example:
    """An example for `write_dataset`: an image file, its class and its name "source/file"."""

    file: ImageFile
    label: str
    name: str


def write_dataset(
    root: Path, classes: Sequence[str], examples: Mapping[str, Iterable[Example]], extra: Mapping[str, bytes]
) -> None:
    """Writes a labelled data set of ArrayRecord files with TFDS's features `image`, `label` and `name`.

    RGB files in PNG or JPEG are stored byte for byte; all others are decoded and stored as PNG. `root` appears only
    when it is complete: the work is done in a hidden folder beside it.

    Args:
        root: the new folder, which must not exist.
        classes: class index -> name.
        examples: split -> its images; each must be readable.
        extra: further files for the folder, by name.

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
    tfds.disable_progress_bar()  # the caller, who yields the examples, shows progress
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints lines on downloads
        builder.download_and_prepare(download_dir=str(incomplete / "downloads"))
    made = Path(builder.data_path)
    # The order in which TFDS has put the records is known only now.
    made_of = describe(made)
    index = {split: _make_index(records(made_of, split, f"the data set {root}")) for split in examples}
    atomic.write_bytes(made / INDEX, json.dumps(index, ensure_ascii=False).encode())
    for name, content in extra.items():
        atomic.write_bytes(made / name, content)
    os.rename(made, root)  # noqa: PTH104 - Path.rename is the same; the name says that it is one step of the system
    clear_incomplete(root)


def clear_incomplete(root: Path) -> None:
    """Removes the hidden folder of a killed `write_dataset` beside `root`; no other process may be writing there."""
    if _incomplete(root).exists():
        shutil.rmtree(_incomplete(root))


def _incomplete(root: Path) -> Path:
    return root.with_name(f".{root.name}.incomplete")


def _make_index(those: Iterable[TfdsRecord]) -> dict[str, list]:
    """Collects labels and names by reading every record."""
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
    """Reads the labels and names in the index of `write_dataset`."""
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
    """Raises where a label is no class, or a name is no text or used twice."""
    for label in index["labels"]:
        if type(label) is not int or not 0 <= label < num_classes:
            raise UserError(f"the data set {root} has the label {ascii(label)[:40]} and {num_classes} classes")
    seen = set()
    for name in index["names"]:
        if not isinstance(name, str) or not PurePath(name).name or name in seen:
            raise UserError(f"the data set {root} has an image named {ascii(name)[:80]}: no name, or used twice")
        seen.add(name)


def _stored(file: ImageFile) -> io.BytesIO:
    """Returns the bytes for a data set: those of the file where every reader can decode them, else a PNG."""
    with open_header(file) as image:
        plain = image.format in _AS_STORED and image.mode == "RGB" and orientation(image) == 1
    if not plain:
        return io.BytesIO(png_bytes(decode_image(file)))
    with open_file(file) as content:
        return io.BytesIO(content.read())


def _place(name: str, data_dir: str, download: bool) -> Path | None:
    """Returns the folder of a data set that TFDS knows, or that lies where TFDS would put it; None without one."""
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
    builder = builder_class(data_dir=data_dir or None, config=config, **settings)  # a class of TFDS itself
    builder.download_and_prepare(file_format=ARRAY_RECORD)
    return Path(builder.data_path)


def _builder_class(name: str) -> Any:
    """Returns the builder class of TFDS, or of this process, for a data set; None without one."""
    tfds = _tfds()
    try:
        return tfds.builder_cls(name)
    except tfds.core.DatasetNotFoundError:
        return None


def _default_config(builder_class: Any) -> str | None:
    return builder_class.default_builder_config.name if builder_class and builder_class.BUILDER_CONFIGS else None


def _newest(folder: Path, version: str | None) -> Path | None:
    """Returns the newest version of a data set in its folder among those that match `version`, such as "1.*.*"."""
    from tensorflow_datasets.core.utils.version import list_all_versions

    fitting = [found for found in list_all_versions(folder) if not version or found.match(version)]
    return next((folder / str(found) for found in reversed(fitting) if is_dataset(folder / str(found))), None)


def _tfds() -> Any:
    # It is imported here, since the import is slow and few runs need it.
    import tensorflow_datasets

    return tensorflow_datasets
