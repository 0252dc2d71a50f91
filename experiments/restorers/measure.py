"""Accuracy on crops and on pictures of several crops, clean and perturbed, with intervals over photographs."""

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from ganfp_jax.data import labelled, perturb
from ganfp_jax.data.decode import decode_image
from ganfp_jax.metrics.statistics import bootstrap_weights, percentile_interval
from ganfp_jax.report import wording
from ganfp_jax.run import atomic
from ganfp_jax.run.progress import progress

CONDITIONS = ("none", "jpeg90", "jpeg75", "jpeg50", "rescale0.75", "rescale0.75+jpeg75")
REPEATS = 1000  # of the bootstrap
COUNTS = (1, 2, 4, 8, 16)

LogProbabilities = Callable[[UInt8[np.ndarray, "n r r 3"]], Float[np.ndarray, "n k"]]
"""What a method says of crops: the logarithms of the classes' probabilities."""


@dataclasses.dataclass(frozen=True)
class Crops:
    """Crops of pictures, under one condition."""

    images: UInt8[np.ndarray, "n r r 3"]
    labels: Int[np.ndarray, " n"]
    pictures: Int[np.ndarray, " n"]
    """The number of each crop's picture."""
    photographs: Int[np.ndarray, " n"]
    """The number of each crop's photograph, which all sources share."""


def crops(folder: labelled.LabelledFolder, condition: str, side: int, most: int) -> Crops:
    """Perturbs each picture of a folder, whole, and cuts it into crops side by side, at most `most` of each."""
    origins = [origin.partition("/")[2] for origin in labelled.origins(folder)]
    known = {name: number for number, name in enumerate(sorted(set(origins)))}
    images, rows = [], []
    with progress(len(folder), f"crops, {condition}", "picture") as bar:
        for number, path in enumerate(folder.paths):
            picture = perturb.perturb(decode_image(path)[None], condition, 0, np.array([number]))[0]
            for crop in list(_grid(picture, side))[:most]:
                images.append(crop)
                rows.append((folder.labels[number], number, known[origins[number]]))
            bar.update()
    labels, pictures, photographs = np.array(rows).T
    return Crops(np.stack(images), labels, pictures, photographs)


def _grid(picture: UInt8[np.ndarray, "h w 3"], side: int) -> Iterator[UInt8[np.ndarray, "r r 3"]]:
    height, width = picture.shape[:2]
    for top in range(0, height - side + 1, side):
        for left in range(0, width - side + 1, side):
            yield picture[top : top + side, left : left + side]


def accuracy(said: Float[np.ndarray, "n k"], crops: Crops, families: Sequence[int]) -> dict[str, Any]:
    """The accuracy of one crop and of all crops of a picture together, by class and by family of classes.

    A picture's crops are summed up by their log-probabilities. Intervals are bootstraps over photographs, whose crops
    and sources depend on each other.

    Args:
        said: log-probabilities.
        crops: their crops.
        families: the family of each class.
    """
    of = np.asarray(families)
    _, first, place = np.unique(crops.pictures, return_index=True, return_inverse=True)
    summed = np.zeros((len(first), said.shape[1]))
    np.add.at(summed, place, said)
    block = {}
    for name, scores, index in (("crop", said, slice(None)), ("picture", summed, first)):
        labels, groups = crops.labels[index], crops.photographs[index]
        chosen = scores.argmax(1)
        for kind, right in (("class", chosen == labels), ("family", of[chosen] == of[labels])):
            block[f"{name}_{kind}"] = rate(right, groups)
    block["by_count"] = {
        str(count): _of_some(said, crops, place, count) for count in COUNTS if count <= _most_of(place)
    }
    real = crops.labels[first] == 0
    block["accused"] = rate(summed.argmax(1)[real] != 0, crops.photographs[first][real])
    return block


def _most_of(place: Int[np.ndarray, " n"]) -> int:
    """The largest number of crops of a picture."""
    return int(np.bincount(place).max())


def _of_some(said: Float[np.ndarray, "n k"], crops: Crops, place: Int[np.ndarray, " n"], count: int) -> dict[str, Any]:
    """The accuracy of pictures by at most `count` of their crops, evenly taken."""
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(place.max() + 2))
    summed, labels, groups = [], [], []
    for start, end in itertools.pairwise(starts):
        taken = order[np.unique(np.linspace(start, end - 1, min(count, end - start)).round().astype(int))]
        summed.append(said[taken].sum(0))
        labels.append(crops.labels[taken[0]])
        groups.append(crops.photographs[taken[0]])
    return rate(np.stack(summed).argmax(1) == np.array(labels), np.array(groups))


def rate(hits: np.ndarray, groups: Int[np.ndarray, " n"]) -> dict[str, Any]:
    """A share with its number and its 95 % interval over groups."""
    rng = np.random.RandomState(0)
    draws = [float(np.average(hits, weights=w)) for w in bootstrap_weights(groups, REPEATS, rng) if w.any()]
    interval = percentile_interval(draws)
    return {"share": float(hits.mean()), "n": len(hits), "photographs": len(np.unique(groups)), "ci95": interval}


def measure(
    methods: Mapping[str, LogProbabilities],
    folder: labelled.LabelledFolder,
    families: Sequence[int],
    *,
    side: int,
    most: int,
    conditions: Sequence[str] = CONDITIONS,
) -> Iterator[dict[str, Any]]:
    """One row for each method and condition; all methods see the same crops."""
    for condition in conditions:
        some = crops(folder, condition, side, most)
        for name, method in methods.items():
            yield {"method": name, "condition": condition, **accuracy(method(some.images), some, families)}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The accuracies of one crop and of a picture as Markdown: a line a method, a column a condition."""
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    parts = []
    for key, title in (("crop_class", "one crop"), ("picture_class", "all crops of a picture")):
        first = rows[0][key]
        parts += [
            f"| {title}, n = {first['n']:,} of {first['photographs']} photographs | {' | '.join(conditions)} |",
            f"|{'---|' * (1 + len(conditions))}",
        ]
        for method in dict.fromkeys(row["method"] for row in rows):
            cells = [
                f"{100 * row[key]['share']:.1f} ({wording.interval(row[key]['ci95'])})"
                for row in rows
                if row["method"] == method
            ]
            parts.append(f"| {method} | {' | '.join(cells)} |")
        parts.append("")
    return "\n".join(parts)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows as JSON lines."""
    atomic.write_bytes(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
