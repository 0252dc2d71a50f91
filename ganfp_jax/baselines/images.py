"""The training and test images of baselines: those of a labelled folder, or some of them."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Int64

from ganfp_jax import baselines
from ganfp_jax.baselines.method import Images, Samples
from ganfp_jax.data import labelled, perturb
from ganfp_jax.run.errors import UserError


@dataclasses.dataclass(frozen=True)
class FolderImages:
    """The readable images of a labelled folder, as pixels and as files."""

    images: Images
    paths: Sequence[Path]
    labels: Int[np.ndarray, " n"]
    numbers: Int[np.ndarray, " n"]
    """The number of each image in the folder, which seeds its noise."""
    groups: Sequence[str]
    """What is held out together, as of `labelled.fold_groups`."""
    rejected: Sequence[tuple[str, str]]

    @classmethod
    def read(cls, images: labelled.Images) -> "FolderImages":
        """Decodes images of a folder without perturbation.

        Raises:
            UserError: none of them can be read.
        """
        folder, decoded = images.folder, images.under("none").decode()
        if not len(decoded.kept):
            raise UserError(f"no image of {folder.root} could be read: {': '.join(decoded.rejected[0])}")
        groups = labelled.fold_groups(folder)
        return cls(
            images=decoded.images,
            paths=[folder.paths[i] for i in decoded.kept],
            labels=folder.labels[decoded.kept],
            numbers=decoded.kept,
            groups=[groups[i] for i in decoded.kept],
            rejected=decoded.rejected,
        )

    def part(self, indices: Int[np.ndarray, " m"]) -> "FolderImages":
        """The images at `indices`, in that order."""
        return FolderImages(
            images=self.images[indices],
            paths=[self.paths[i] for i in indices],
            labels=self.labels[indices],
            numbers=self.numbers[indices],
            groups=[self.groups[i] for i in indices],
            rejected=(),
        )

    def immunised(self, seed: int, immunise: Mapping[str, Any]) -> "FolderImages":
        """The same images, each perturbed or not as `data.perturb.immunise` draws."""
        images = perturb.immunise(self.images, np.random.default_rng(seed), **immunise)
        return dataclasses.replace(self, images=images)

    def fit(self, name: str, classes: Sequence[str], seed: int) -> baselines.FittedBaseline:
        """Trains a baseline on these images."""
        samples = self.images if baselines.BASELINES[name].needs == "images" else self.paths
        return baselines.fit(name, samples, self.labels, classes, groups=self.groups, seed=seed)

    def perturbed(self, name: str, perturbations: Sequence[str], seed: int = 0) -> Iterator[tuple[str, Samples]]:
        """Yield (condition, samples) for the baseline `name`; one that reads files gets only "clean" images."""
        for perturbation in perturbations:
            condition = perturb.label(perturbation)
            if baselines.BASELINES[name].needs == "images":
                yield condition, perturb.perturb(self.images, perturbation, seed, self.numbers)
            elif perturbation == "none":
                yield condition, self.paths


def first_at_random(labels: Int[np.ndarray, " n"], count: int, seed: int) -> Int64[np.ndarray, " m"]:
    """Indices of `count` random images of every class; the seed draws one order, so fewer are a subset of more."""
    chosen = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        chosen.append(members[np.random.RandomState([seed, int(label)]).permutation(len(members))[:count]])
    return np.sort(np.concatenate(chosen))
