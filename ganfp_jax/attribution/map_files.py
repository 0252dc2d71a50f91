"""Maps of sources in files: a picture for people, and the same map for programs."""

import io
import os
import re
from pathlib import Path

import numpy as np

from ganfp_jax.attribution.maps import SourceMap
from ganfp_jax.data.listing import printable
from ganfp_jax.data.names import fitting
from ganfp_jax.report import figures
from ganfp_jax.report.source_map import Mapped, draw
from ganfp_jax.run import atomic

_PICTURE = re.compile(r"\d{6,}_.*\.png", re.DOTALL)  # as of `numbered`


def mapped(found: SourceMap, picture: np.ndarray) -> Mapped:
    """What `report.source_map` draws of a map, over the picture or a reduced copy of it."""
    return {
        "picture": picture,
        "labels": found.labels,
        "strengths": found.strengths,
        "row_edges": found.row_edges.tolist(),
        "column_edges": found.column_edges.tolist(),
        "classes": found.classes,
        "shares": found.shares,
    }


def numbered(number: int, name: str, suffix: str) -> str:
    """The name of what is written about an image, which no other one of the run has: `<number>_<stem><suffix>`."""
    return fitting(f"{number:06d}_{printable(Path(name).stem)}{suffix}")


def is_map(path: str, folder: str) -> bool:
    """Whether a file is a picture that `write` has made in this folder: it is named so, and its NPZ lies beside it."""
    place, name = os.path.split(path)
    if not folder or not _PICTURE.fullmatch(name) or not Path(path).with_suffix(".npz").is_file():
        return False
    return Path(place).resolve() == Path(folder).resolve()


def write(folder: Path, number: int, name: str, found: SourceMap, picture: np.ndarray) -> Path:
    """Writes the map of a picture as `<number>_<stem>.png` and `.npz`, and returns the path of the PNG.

    The NPZ holds `labels` (rows, columns; -1 for nothing to see), `probabilities` (rows, columns, K; NaN there),
    `row_edges` and `column_edges` (in pixels of the picture) and `classes`.

    Args:
        folder: it is made.
        number: of the picture, from 1.
        name: its file.
        found: the map.
        picture: what it is drawn over.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez_compressed(
        content,
        labels=found.labels.astype(np.int16),
        probabilities=found.probabilities,
        row_edges=found.row_edges,
        column_edges=found.column_edges,
        classes=np.array(found.classes),
    )
    atomic.write_bytes(folder / numbered(number, name, ".npz"), content.getvalue())
    path = folder / numbered(number, name, ".png")
    atomic.write_bytes(path, figures.png(draw, mapped(found, picture)))
    return path
