"""Published image sets in Parquet tables, whose rows have the bytes of an image and say its source."""

import re
from collections.abc import Iterator
from pathlib import Path

from ganfp_jax.data import columns, parquet
from ganfp_jax.data.columns import Row
from ganfp_jax.data.decode import ImageFile, Refused
from ganfp_jax.data.entries import IMAGE
from ganfp_jax.data.found import LeftOut, Reading
from ganfp_jax.data.inputs import image_file
from ganfp_jax.data.label_words import SPLITS, kind_of
from ganfp_jax.run.errors import UserError

_EVALUATION = frozenset({"eval", "evaluation"})


def read(root: Path) -> Reading:
    """Reads a Parquet table, or all below a folder.

    The names of tables and their folders say the split; where one says it, those that say none are to train on.

    Raises:
        UserError: there is no table, or one in which the column of images is not clear.
    """
    base = root.parent if root.is_file() else root
    tables = {path: _split_of(path.relative_to(base).as_posix()) for path in _tables_in(root)}
    if not tables:
        raise UserError(f"{root} has no Parquet table; give a file .parquet, or a folder with some")
    others, damaged = "train" if any(tables.values()) else "", list[LeftOut]()

    def rows() -> Iterator[tuple[str, ImageFile, str, Row]]:
        for path, split in tables.items():
            for name, file, row in _images_in(path, path.relative_to(base).as_posix(), damaged):
                yield name, file, split or others, row

    found, left_out = columns.reading(root, rows())
    return Reading(found, [*damaged, *left_out])


def fits(root: Path) -> bool:
    """Whether a path is a Parquet table, or a folder with some, or with some in its `data/`, as on Hugging Face."""
    if root.is_file():
        return root.suffix.lower() in parquet.SUFFIXES
    return any(next(root.glob(pattern), None) for pattern in ("*.parquet", "data/*.parquet"))


def _tables_in(root: Path) -> list[Path]:
    return [root] if root.is_file() else sorted(root.rglob("*.parquet"))


def _images_in(path: Path, key: str, damaged: list[LeftOut]) -> Iterator[tuple[str, ImageFile, Row]]:
    entries = list(parquet.rows(str(path), key, ""))
    damaged += [(entry.key, entry.reason) for entry in entries if entry.kind != IMAGE]
    images = [entry for entry in entries if entry.kind == IMAGE]
    try:
        rows = parquet.texts(str(path), columns.READ) if images else []
    except Refused as reason:
        damaged.append((key, str(reason)))
        return
    for entry, row in zip(images, rows, strict=True):
        yield entry.key, image_file(entry.path, entry.inside), row


def _split_of(name: str) -> str:
    """Returns the split that a word in a name such as "data/PublicEval-00000-of-00012.parquet" says."""
    words = [word.casefold() for word in re.findall("[A-Z]?[a-z]+", name)]
    kinds = ["test" if word in _EVALUATION else kind_of(word, SPLITS) for word in words]
    return next(filter(None, kinds), "")
