"""A network and a labelled folder -> its fingerprints as pictures, how they interact, and how far they separate."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.data.labelled import Images, origins
from ganfp_jax.metrics.embedding import FEWEST, tsne
from ganfp_jax.models.fingerprints import Fingerprints
from ganfp_jax.report.signed import signed_picture, vector_as_rows
from ganfp_jax.run.errors import UserError

PERCENTILE = 99.5  # of the sizes of the values shown, where a limit is not given
MAPPED = 200  # images of each source in the t-SNE map, at most
MOST_MAPPED = 2000  # of all sources
MOST_IMAGES = 10_000  # of all sources, where a number of images is asked for: they stand in memory


@dataclasses.dataclass(frozen=True)
class Inspected:
    """Labelled images and what a network makes of them."""

    classes: Sequence[str]
    names: Sequence[str]
    """"source/file" of each image."""
    images: UInt8[np.ndarray, "n r r 3"]
    targets: Int[np.ndarray, " n"]
    groups: Int[np.ndarray, " n"]
    """Images with one number were taken from one photograph."""
    fingerprints: Fingerprints
    rejected: Sequence[tuple[str, str]]

    @property
    def predicted(self) -> Int[np.ndarray, " n"]:
        """Class index of the largest logit of each image."""
        return self.fingerprints.logits.argmax(1)

    @property
    def photographs(self) -> int:
        """How many photographs more than one image was taken from; 0 where none is known."""
        return int((np.unique(self.groups, return_counts=True)[1] > 1).sum())

    def places(self, sources: Sequence[str]) -> list[int]:
        """Class indices of some sources."""
        return [self.classes.index(name) for name in sources]

    def of(self, sources: Sequence[str]) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
        """Positions of all images of some sources, in their order, and the index among these sources of each."""
        place = np.full(len(self.classes), -1)
        place[self.places(sources)] = np.arange(len(sources))
        chosen = np.flatnonzero(place[self.targets] >= 0)
        return chosen, place[self.targets[chosen]]

    def some_of_each(self, count: int, sources: Sequence[str]) -> list[int]:
        """Positions of `count` images of each of some sources, source by source, evenly spread over its files."""
        chosen: list[int] = []
        for k in map(self.classes.index, sources):
            of_source = np.flatnonzero(self.targets == k)
            chosen += of_source[
                np.linspace(0, len(of_source), min(count, len(of_source)), endpoint=False).astype(int)
            ].tolist()
        return chosen


@dataclasses.dataclass(frozen=True)
class Scales:
    """The one scale of every picture of a kind: the size of a value that is drawn at full strength."""

    fingerprint: float
    response: float
    model: float
    mask_negative: bool

    def words(self) -> dict[str, str]:
        """How values became colours, for a reader of the pictures."""
        masked = "; zero where a channel of the pixel is negative" if self.mask_negative else ""
        return {
            "image fingerprints": f"±{self.fingerprint:.3g}, cut beyond",
            "responses": f"fingerprint times unscaled model fingerprint, ±{self.response:.3g}, cut beyond{masked}",
            "model fingerprints": f"unscaled, ±{self.model:.3g} (the largest of all)",
        }


def inspect(attributor: Attributor, images: Images, *, images_per_source: int) -> Inspected:
    """Takes the fingerprints of some images of every source: a random choice that depends on their seed alone.

    Args:
        images: of the network's size, from a folder that was opened with its classes.
        images_per_source: at most; 0 takes all. Of very many sources fewer are taken, `MOST_IMAGES` in all.

    Raises:
        UserError: no image of a source could be read, or fewer than four of all.
    """
    folder, rng = images.folder, np.random.default_rng(images.seed)
    images_per_source = images_of_each(images_per_source, len(folder.classes))
    chosen = [
        np.sort(rng.permutation(np.flatnonzero(folder.labels == k))[: images_per_source or None])
        for k in range(len(folder.classes))
    ]
    decoded = images.part(np.concatenate(chosen)).decode()
    targets = folder.labels[decoded.kept]
    for k, name in enumerate(folder.classes):
        if k not in targets:
            reason = next((why for image, why in decoded.rejected if image in folder.names_of(k)), "there is none")
            raise UserError(f"{folder.root} has no usable image of {name} ({reason}); see data.resize and data.root")
    if len(targets) < FEWEST:
        raise UserError(f"{folder.root} gives {len(targets)} images; fingerprints are compared from {FEWEST} images on")
    origin_of = np.array(origins(folder))[decoded.kept]
    return Inspected(
        classes=folder.classes,
        names=[folder.names[i] for i in decoded.kept],
        images=decoded.images,
        targets=targets,
        groups=np.unique(origin_of, return_inverse=True)[1].reshape(-1),
        fingerprints=attributor.fingerprints(decoded.images),
        rejected=[*decoded.rejected, *folder.left_out],
    )


def images_of_each(asked: int, sources: int) -> int:
    """Images that are taken of each source: those asked for, or of very many sources what `MOST_IMAGES` leaves each."""
    return min(asked, max(FEWEST, MOST_IMAGES // sources))


def responses(
    inspected: Inspected, index: int, columns: Sequence[str], mask_negative: bool
) -> Float[np.ndarray, "k ..."]:
    """The responses of one image to some sources, at the scale of unscaled weights.

    See configs/inspect_fingerprints.py.
    """
    fingerprints = inspected.fingerprints
    products = fingerprints.responses(index, inspected.places(columns)) * np.sqrt(fingerprints.size)
    if mask_negative and products.ndim == 4:
        products = np.where(products.min(-1, keepdims=True) < 0, 0, products)
    return products


def choose_scales(
    inspected: Inspected,
    examples: Sequence[int],
    columns: Sequence[str],
    *,
    fingerprint_limit: float,
    response_limit: float,
    mask_negative: bool,
) -> Scales:
    """One limit for every kind of picture: the one given, or where that is 0 what most of the values shown reach."""

    def limit(given: float, values: np.ndarray) -> float:
        return given or float(np.percentile(np.abs(values), PERCENTILE)) or 1.0

    fingerprints = inspected.fingerprints
    return Scales(
        fingerprint=limit(fingerprint_limit, fingerprints.images[list(examples)]),
        response=limit(response_limit, np.stack([responses(inspected, i, columns, mask_negative) for i in examples])),
        model=float(np.abs(fingerprints.models).max() * np.sqrt(fingerprints.size)) or 1.0,
        mask_negative=mask_negative,
    )


def picture(values: np.ndarray, limit: float) -> UInt8[np.ndarray, "h w 3"]:
    """A fingerprint or response (F,) or (R, R, 3) as colours; a vector is folded into rows."""
    return signed_picture(vector_as_rows(values) if values.ndim == 1 else values, limit)


def pictures(
    inspected: Inspected, examples: Sequence[int], columns: Sequence[str], scales: Scales
) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """The images `shown` with their fingerprints and responses as pictures, and the model fingerprints of `columns`."""
    fingerprints, places = inspected.fingerprints, inspected.places(columns)
    samples = [
        {
            "image": inspected.images[i],
            "fingerprint": picture(fingerprints.images[i], scales.fingerprint),
            "responses": [
                picture(response, scales.response)
                for response in responses(inspected, i, columns, scales.mask_negative)
            ],
            "logits": fingerprints.logits[i, places].tolist(),
            "target": inspected.classes[inspected.targets[i]],
            "predicted": inspected.classes[inspected.predicted[i]],
            "name": inspected.names[i],
        }
        for i in examples
    ]
    models = np.moveaxis(fingerprints.models[..., places], -1, 0) * np.sqrt(fingerprints.size)
    return samples, [picture(model, scales.model) for model in models]


def map_of(inspected: Inspected, seed: int, sources: Sequence[str]) -> dict[str, Any]:
    """The 2-D map of the image fingerprints of up to `MAPPED` images of each of some sources, `MOST_MAPPED` of all."""
    mapped = inspected.some_of_each(max(FEWEST, min(MAPPED, MOST_MAPPED // len(sources))), sources)
    place = {inspected.classes.index(name): k for k, name in enumerate(sources)}
    features = inspected.fingerprints.images[mapped].reshape(len(mapped), -1)
    wrong = inspected.predicted[mapped] != inspected.targets[mapped]
    labels = np.array([place[target] for target in inspected.targets[mapped].tolist()])
    return {"points": tsne(features, seed), "labels": labels, "wrong": wrong}
