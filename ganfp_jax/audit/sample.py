"""The files of an audit: all files of a set, and the facts of equally many of every class."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ganfp_jax.audit.facts import Facts, read
from ganfp_jax.data import labelled
from ganfp_jax.data.decode import ImageFile, Refused
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress


class File(NamedTuple):
    """A file of the set: its path, its name with its split, its split, class index and origin.

    The origin is its semantic class or the photograph that it is a crop of, the same for all sources, or its own name.
    """

    path: ImageFile
    name: str
    split: str
    label: int
    origin: str


def list_files(folders: Mapping[str, labelled.LabelledFolder]) -> list[File]:
    """All files; those of train/ come first."""
    return [
        File(
            path,
            f"{split}/{name}".lstrip("/"),
            split,
            int(label),
            origin if origin == name else origin.partition("/")[2],
        )
        for split, folder in folders.items()
        for path, name, label, origin in zip(
            folder.paths, folder.names, folder.labels, labelled.fold_groups(folder), strict=True
        )
    ]


def read_sample(
    files: Sequence[File], num_classes: int, *, root: str, files_per_source: int, folds: int, seed: int
) -> tuple[list[Facts], list[File], list[tuple[str, str]]]:
    """The facts of equally many files of every class, drawn by the seed.

    Returns:
        The facts, their files, and (name, reason) of each refused file.

    Raises:
        UserError: a class has fewer readable files than there are folds.
    """
    rng = np.random.RandomState(seed)
    read_of: list[list[tuple[Facts, File]]] = [[] for _ in range(num_classes)]
    rejected: list[tuple[str, str]] = []
    chosen = []
    for label in range(num_classes):
        of_class = [file for file in files if file.label == label]
        chosen += [of_class[place] for place in rng.permutation(len(of_class))[:files_per_source]]
    with progress(len(chosen), "audit", "file") as bar:
        for file in chosen:
            try:
                read_of[file.label].append((read(file.path), file))
            except Refused as reason:
                rejected.append((file.name, str(reason)))
            bar.update()
    fewest = min(map(len, read_of))
    if fewest < folds:
        raise UserError(
            f"{root} has a source with {fewest} usable images, fewer than config.folds ({folds}); add some, or lower it"
        )
    kept = [pair for pairs in read_of for pair in pairs[:fewest]]
    return [facts for facts, _ in kept], [file for _, file in kept], rejected
