"""The description in the folder of a TFDS data set, read as plain data.

TFDS builds the features of a folder by importing any module that its `features.json` names, and a folder may be
untrusted. So TFDS never opens one: its description is read and checked here, and nothing in it is imported.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ganfp_jax.data.decode import reason_of
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.reading import parse_json, read_regular

INFO = "dataset_info.json"
FEATURES = "features.json"
LABEL_NAMES = "label.labels.txt"

ARRAY_RECORD = "array_record"

MAX_BYTES = 2**22
"""The size limit of a description; those of TFDS's largest data sets have some 100 kB."""

_PLACES = (
    *("features_dict.FeaturesDict", "image_feature.Image", "class_label_feature.ClassLabel", "text_feature.Text"),
    *("scalar.Scalar", "tensor_feature.Tensor", "feature.Tensor"),
)
FEATURE_CLASSES = {f"tensorflow_datasets.core.features.{place}": place.rpartition(".")[2] for place in _PLACES}
"""The classes that a feature may have, by their names in `features.json`. Any other class is refused."""

_PLAIN_WORD = re.compile(r"[\w.-]+")
_FILE_TEMPLATE = re.compile(r"([\w.-]|\{(DATASET|SPLIT|FILEFORMAT|SHARD_INDEX|NUM_SHARDS|SHARD_X_OF_Y)\})+")
_SHARD = ("{SHARD_INDEX}", "{SHARD_X_OF_Y}")
_DEFAULT_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"


class SplitFiles(NamedTuple):
    """The files of one split: the template of their names and the number of examples of each."""

    template: str
    lengths: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Description:
    """The description of a data set of ArrayRecord files."""

    root: Path
    name: str
    features: Mapping[str, str]
    """Name of a feature -> "Image", "ClassLabel", ...; nested features are not listed."""
    splits: Mapping[str, SplitFiles]


def describe(root: Path) -> Description:
    """Read the description of the data set in `root`.

    Raises:
        UserError: a file of it is missing, too large or no such description; a feature is of another kind than
            `FEATURE_CLASSES`; the files are no ArrayRecord files.
    """
    features = _features(root / FEATURES)
    info = _object(root / INFO, read_json(root / INFO, MAX_BYTES))
    formats = [info.get("fileFormat"), *_list(root / INFO, info.get("alternativeFileFormats", []))]
    if ARRAY_RECORD not in formats:
        raise UserError(f"{root} is kept as {ascii(formats[0])[:40]}; prepare it with --file_format={ARRAY_RECORD}")
    return Description(root, _word(root / INFO, info.get("name")), features, dict(_splits(root / INFO, info)))


def class_names(root: Path) -> tuple[str, ...]:
    """Read the names of the classes of the feature `label`, in their order.

    Raises:
        UserError: they cannot be read.
    """
    try:
        text = _content(root / LABEL_NAMES, MAX_BYTES).decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{root / LABEL_NAMES} cannot be read: it is no UTF-8") from error
    lines = (line.removesuffix("\r") for line in text.split("\n"))  # any system may have written it
    return tuple(name for name in lines if name)


def read_json(path: Path, limit: int) -> Any:
    """Read the JSON value of a file of at most `limit` bytes.

    Raises:
        UserError: there is no such value.
    """
    try:
        return parse_json(_content(path, limit))
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from error


def _content(path: Path, limit: int) -> bytes:
    try:
        return read_regular(path, limit)
    except OSError as error:
        raise UserError(f"{path} {reason_of(error)}") from error
    except ValueError as error:
        raise UserError(f"{path} is too large: {error}") from error


def _features(path: Path) -> dict[str, str]:
    """Return the kind of each feature, after a check of all of them, nested ones as well."""
    top = read_json(path, MAX_BYTES)
    if _kind(path, top) != "FeaturesDict":
        raise UserError(f"{path} has features that are no FeaturesDict")
    waiting = [top]
    while waiting:
        inner = _inner(path, waiting.pop())
        waiting += [node for node in inner.values() if _kind(path, node) == "FeaturesDict"]
    return {name: _kind(path, node) for name, node in _inner(path, top).items()}


def _kind(path: Path, node: Any) -> str:
    """Return the kind of a feature, by the name of its class."""
    node = _object(path, node)
    name = node.get("pythonClassName", node.get("type"))  # older versions of TFDS wrote the second
    if not isinstance(name, str) or name not in FEATURE_CLASSES:
        known = ", ".join(dict.fromkeys(FEATURE_CLASSES.values()))
        raise UserError(f"{path} has a feature of the class {ascii(name)[:80]}: only {known} of TFDS are read")
    return FEATURE_CLASSES[name]


def _inner(path: Path, node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the features inside a FeaturesDict."""
    content = _object(path, node.get("featuresDict", node.get("content")))
    return _object(path, content["features"]) if set(content) == {"features"} else content


def _splits(path: Path, info: Mapping[str, Any]) -> Iterator[tuple[str, SplitFiles]]:
    for split in _list(path, info.get("splits")):
        split = _object(path, split)
        template = split.get("filepathTemplate") or _DEFAULT_TEMPLATE
        if not isinstance(template, str) or not _FILE_TEMPLATE.fullmatch(template):
            raise UserError(f"{path} is no description of a data set: files called {ascii(template)[:80]}")
        lengths = tuple(_count(path, length) for length in _list(path, split.get("shardLengths", [])))
        # Without a number in the name, every shard would be the same file.
        if len(lengths) > 1 and not any(place in template for place in _SHARD):
            raise UserError(f"{path} is no description of a data set: one file {template} for {len(lengths)} parts")
        yield _word(path, split.get("name")), SplitFiles(template, lengths)


def _count(path: Path, value: Any) -> int:
    # TFDS writes whole numbers as text.
    if type(value) not in (int, str) or not re.fullmatch(r"[0-9]{1,15}", str(value)):
        raise UserError(f"{path} is no description of a data set: {ascii(value)[:80]} for a number of examples")
    return int(value)


def _word(path: Path, value: Any) -> str:
    if not isinstance(value, str) or not _PLAIN_WORD.fullmatch(value):
        raise UserError(f"{path} is no description of a data set: {ascii(value)[:80]} for a name")
    return value


def _object(path: Path, value: Any) -> dict[str, Any]:
    return _of_type(path, value, dict, "an object")


def _list(path: Path, value: Any) -> list[Any]:
    return _of_type(path, value, list, "a list")


def _of_type(path: Path, value: Any, kind: type, words: str) -> Any:
    if not isinstance(value, kind):
        raise UserError(f"{path} is no description of a data set: {ascii(value)[:80]} instead of {words}")
    return value
