"""A network and images of sources that it does not know -> votes and verdicts."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Integer

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import ask
from ganfp_jax.attribution.tiles import PictureVotes
from ganfp_jax.attribution.typicality import Typical
from ganfp_jax.attribution.verdict import Attribution, Rule, attributions
from ganfp_jax.data import labelled
from ganfp_jax.data.tiles import Tiling
from ganfp_jax.data.views import resolve_views


@dataclasses.dataclass(frozen=True)
class UnknownImages:
    """What an attribution network said of images of sources that it does not know.

    Attributes:
        folder: their listing, whose classes are kinds of sources.
        classes: the sources that the network knows.
        names: of the images that could be read.
        kinds: the index of each one's kind.
        pictures: the vote on them.
        rules: by which verdicts are withheld.
        views: of the vote.
        rejected: (name, reason) of what was not used.
    """

    folder: labelled.LabelledFolder
    classes: Sequence[str]
    names: Sequence[str]
    kinds: Integer[np.ndarray, " n"]
    pictures: PictureVotes
    rules: Sequence[Rule | Typical]
    views: Sequence[str]
    rejected: Sequence[tuple[str, str]]

    @property
    def notes(self) -> dict[str, str]:
        """What was done to each image that was not taken as it is, by its name."""
        return {name: note for name, note in zip(self.names, self.pictures.notes, strict=True) if note}

    @property
    def verdicts(self) -> Iterator[Attribution]:
        """The verdict on each image, in order."""
        pictures = self.pictures
        return attributions(pictures.vote, self.rules, self.classes, self.views, pictures.notes, pictures.tiles)


def ask_unknown(
    attributor: Attributor,
    images: labelled.Images,
    *,
    views: str | Sequence[str],
    rule: str,
    batch_size: int = 32,
    early_stopping: bool = False,
    tiling: Tiling | None = None,
) -> UnknownImages:
    """Attributes images of unknown sources by a vote over views.

    Args:
        images: of a listing by `data.unknown.open_unknown`, of the network's size.
        views, rule, batch_size, early_stopping, tiling: as for `evaluation.evaluate`.

    Raises:
        UserError: as `evaluation.ask`.
    """
    settings: tuple[Any, ...] = (views, rule, batch_size, early_stopping)
    kept, pictures, rejected, _ = ask(attributor, images, settings, tiling)
    folder, names = images.folder, resolve_views(views)
    return UnknownImages(
        folder=folder,
        classes=attributor.classes,
        names=[folder.names[i] for i in kept],
        kinds=folder.labels[kept],
        pictures=pictures,
        rules=() if early_stopping else attributor.rules_for(names, rule),
        views=names,
        rejected=[*rejected, *folder.left_out],
    )
