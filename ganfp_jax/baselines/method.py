"""The interface of every baseline: it takes training samples and returns a scoring function and its settings."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

Images = UInt8[np.ndarray, "n h w 3"]
Samples = UInt8[np.ndarray, "n h w 3"] | Sequence[Path]
Setting = TypeVar("Setting")

HELD_OUT = 0.2  # share of each class's training images on which settings are compared


@dataclasses.dataclass(frozen=True)
class Training:
    """The training samples of a baseline."""

    samples: Any
    """Images, 0 to 255, or the paths of their files, as the baseline needs."""
    labels: Int[np.ndarray, " n"]
    """Class index of each sample, 0 to K - 1; no class is empty."""
    num_classes: int
    groups: Sequence[str]
    """Origin of each image, such as its photograph; images of one group depend on each other."""
    seed: int

    def part(self, chosen: np.ndarray) -> "Training":
        """The samples at `chosen`, which is indices or a mask."""
        index = np.arange(len(self.labels))[chosen]
        samples = self.samples[index] if isinstance(self.samples, np.ndarray) else [self.samples[int(i)] for i in index]
        groups = [self.groups[int(i)] for i in index]
        return dataclasses.replace(self, samples=samples, labels=self.labels[index], groups=groups)


@dataclasses.dataclass(frozen=True)
class Model:
    """A trained baseline."""

    scores: Callable[[Any], Float[np.ndarray, "n k"]]
    """Samples -> one score per class, the highest for the predicted source."""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The settings that were chosen on held-out training images; empty where there was no choice."""
    arrays: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    """The learned arrays, where a few are enough to restore the model; else empty."""


def held_out(training: Training) -> Bool[np.ndarray, " n"]:
    """The mask of training images that are held out to compare settings: about a fifth of each class, by the seed.

    Whole groups are held out, so that a setting is judged on other photographs than it was fitted to. A class with one
    group holds out single images; a class with one image holds out none.
    """
    mask = np.zeros(len(training.labels), bool)
    for label in range(training.num_classes):
        members = np.flatnonzero(training.labels == label)
        names = np.array([training.groups[int(i)] for i in members])
        kinds, kind = np.unique(names, return_inverse=True)
        if len(kinds) == 1:
            kind = np.arange(len(members))
        order = np.random.RandomState([training.seed, label]).permutation(kind.max() + 1)
        sizes = np.bincount(kind)[order]
        before = np.cumsum(sizes) - sizes  # images in the groups before
        kept_back = order[before < HELD_OUT * len(members)]
        if len(kept_back) == len(order):  # the last group is large; it must stay in training
            kept_back = order[:-1]
        mask[members] = np.isin(kind, kept_back)
    return mask


def best(accuracies: Mapping[Setting, float]) -> Setting:
    """The setting with the highest accuracy; of equal ones the first."""
    return max(accuracies, key=lambda setting: accuracies[setting])


def accuracy(scores: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> float:
    """The share of samples whose own class has the highest score; 0 without samples."""
    return float((scores.argmax(axis=1) == labels).mean()) if len(labels) else 0.0
