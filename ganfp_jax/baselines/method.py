"""What every baseline is made of: training samples in, a scoring function and the settings it chose out."""

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
    """What a baseline learns from."""

    samples: Any
    """Images, 0 to 255, or the paths of their files: whichever the baseline needs."""
    labels: Int[np.ndarray, " n"]
    """Class index of each, 0 to K - 1; every class has some."""
    num_classes: int
    groups: Sequence[str]
    """What each image was taken from, such as its photograph: images of one group depend on each other."""
    seed: int

    def part(self, chosen: np.ndarray) -> "Training":
        """The samples at `chosen`, indices or a mask, alone."""
        index = np.arange(len(self.labels))[chosen]
        samples = self.samples[index] if isinstance(self.samples, np.ndarray) else [self.samples[int(i)] for i in index]
        groups = [self.groups[int(i)] for i in index]
        return dataclasses.replace(self, samples=samples, labels=self.labels[index], groups=groups)


@dataclasses.dataclass(frozen=True)
class Model:
    """A trained baseline."""

    scores: Callable[[Any], Float[np.ndarray, "n k"]]
    """Samples -> one score a class, the highest for the source it names."""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What it chose on held-out training images, by name; empty where there was no choice."""
    arrays: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    """All that it learned, where that is a few arrays from which it can be made again; else empty."""


def held_out(training: Training) -> Bool[np.ndarray, " n"]:
    """The training images that are kept back to compare settings: about a fifth of each class, a function of the seed.

    Whole groups are kept back, so that a setting is judged on photographs that it was not fitted to. Of a class with
    one group, single images are; of a class with one image, none.
    """
    mask = np.zeros(len(training.labels), bool)
    for label in range(training.num_classes):
        own = np.flatnonzero(training.labels == label)
        names = np.array([training.groups[int(i)] for i in own])
        kinds, kind = np.unique(names, return_inverse=True)
        if len(kinds) == 1:
            kind = np.arange(len(own))
        order = np.random.RandomState([training.seed, label]).permutation(kind.max() + 1)
        sizes = np.bincount(kind)[order]
        before = np.cumsum(sizes) - sizes  # images that are kept back already
        kept_back = order[before < HELD_OUT * len(own)]
        if len(kept_back) == len(order):  # small groups came first, and a large one is all the rest
            kept_back = order[:-1]
        mask[own] = np.isin(kind, kept_back)
    return mask


def best(accuracies: Mapping[Setting, float]) -> Setting:
    """The setting with the highest accuracy; of equal ones that which was listed first."""
    return max(accuracies, key=lambda setting: accuracies[setting])


def accuracy(scores: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> float:
    """The share of samples whose own class has the highest score; 0 where there are none."""
    return float((scores.argmax(axis=1) == labels).mean()) if len(labels) else 0.0
