"""The traces of images: of a few of a new source, and of those of the known sources."""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, UInt8

from ganfp_jax import models
from ganfp_jax.attribution.prototypes import Traces
from ganfp_jax.data import labelled
from ganfp_jax.data.decode import ImageFile
from ganfp_jax.data.listing import printable
from ganfp_jax.data.looks import Look, decode_and_look
from ganfp_jax.data.shown import shown
from ganfp_jax.data.tiles import Tiling
from ganfp_jax.data.values import to_signed
from ganfp_jax.data.views import apply_view, resolve_views, views_of_training
from ganfp_jax.models.enrolled import BLOCK, join_traces
from ganfp_jax.run.errors import UserError

FEWEST = 5  # images of a new source
FEWEST_KNOWN = 20  # images of each known source
SOME = 3  # files that an error names
BATCH = 32  # tiles a call of the network
TILING = Tiling(tiles=4, min_luma_std=10.0)
"""Few tiles of each picture, since all views of all tiles of all known images are looked at."""


class Known(NamedTuple):
    """The known sources that a new one is compared with."""

    traces: list[Traces]
    """Of each trained source, in the order of the network's classes."""
    groups: list[Integer[np.ndarray, " _"]]
    """The photograph of each of its pictures, by the same number in all sources that were made of it."""
    refused: list[tuple[str, str]]


class Reader(NamedTuple):
    """What takes the traces of pictures by all views of a network's training."""

    compiled: Any  # (variables, images) -> traces (V, N, T), slack (V, N)
    variables: Any
    resolution: int

    def __call__(self, looks: Sequence[Look]) -> Traces:
        """The traces of one or more pictures."""
        tiles = np.concatenate([look.tiles for look in looks])
        pictures = np.repeat(np.arange(len(looks)), [len(look.tiles) for look in looks])
        parts = [self._batch(tiles[start : start + BATCH]) for start in range(0, len(tiles), BATCH)]
        values, slack = (np.concatenate([part[k] for part in parts], axis=1) for k in (0, 1))
        views = len(values)
        return Traces(values.reshape(-1, values.shape[-1]), slack.ravel(), np.tile(pictures, views))

    def _batch(self, tiles: UInt8[np.ndarray, "n r r 3"]) -> tuple[np.ndarray, np.ndarray]:
        filled = np.pad(tiles, ((0, BATCH - len(tiles)), (0, 0), (0, 0), (0, 0)), mode="edge")
        values, slack = self.compiled(self.variables, filled)
        return np.asarray(values)[:, : len(tiles)], np.asarray(slack)[:, : len(tiles)]


def make_reader(model: Mapping[str, Any], variables: Mapping[str, Any], augment: str) -> Reader:
    """Makes the reader of a trained network.

    Raises:
        UserError: its images are too small, or its logits are a map.
    """
    network: Any = models.create(**model)
    if network.resolution < BLOCK:
        raise UserError(f"the network takes images of {network.resolution} pixels; traces are taken from {BLOCK} on")
    compiled = functools.partial(_traces, network, resolve_views(views_of_training(augment)))
    return Reader(jax.jit(compiled), jax.device_put(dict(variables)), network.resolution)


def _traces(
    network: Any, views: tuple[str, ...], variables: Any, images: UInt8[Array, "n r r 3"]
) -> tuple[Float[Array, "v n t"], Float[Array, "v n"]]:
    """The traces of each view of images, and the slack of the logits."""
    signed = to_signed(images)
    seen = jnp.concatenate([apply_view(signed, view) for view in views])
    fingerprints, logits = network.apply(variables, seen, method="fingerprints_and_logits")
    if logits.ndim != 2:
        raise UserError("this network answers with a map of logits (model.latent_res); traces need one a source")
    slack = jax.nn.logsumexp(logits, axis=-1) - logits.max(-1)
    traces = join_traces(fingerprints, seen)
    return traces.reshape(len(views), len(images), -1), slack.reshape(len(views), len(images))


def read_known(
    read: Reader,
    classes: Sequence[str],
    others: Sequence[str],
    root: str | Path,
    images_per_source: int,
    resize: str,
    layout: str,
    tiling: Tiling,
) -> Known:
    """The traces of images of the sources `classes`, of test/ where the folder has it; it may have `others`.

    Raises:
        UserError: as `data.labelled.open_labelled`; too few images of a source, or all of one photograph.
    """
    if images_per_source < FEWEST_KNOWN:
        raise UserError(f"config.images_per_source is {images_per_source}; give {FEWEST_KNOWN} or more")
    folder = labelled.open_labelled(root, split="test", classes=[*classes, *others], layout=layout)
    chosen = [np.flatnonzero(folder.labels == label) for label in range(len(classes))]
    chosen = [of[np.linspace(0, len(of) - 1, min(len(of), images_per_source)).astype(int)] for of in chosen]
    images = labelled.Images(folder, read.resolution, resize).part(np.concatenate(chosen))
    parts = list(shown(images, "known sources", tiling))
    looks = [(index, look) for part in parts for index, look in zip(part.kept, part.looks, strict=True)]
    looks = [(index, look) for index, look in looks if not look.flat]
    photographs = [origin.partition("/")[2] for origin in labelled.origins(folder)]
    numbers = np.unique(photographs, return_inverse=True)[1]
    traces, groups = [], []
    for label, name in enumerate(classes):
        mine = [(index, look) for index, look in looks if folder.labels[index] == label]
        group = numbers[[index for index, _ in mine]]
        if len(mine) < FEWEST_KNOWN or len(np.unique(group)) < 2:
            raise UserError(
                f"{folder.root} has {len(mine)} images of {name} that can be used; to see that they are not given to a "
                f"new source takes {FEWEST_KNOWN} or more, of 2 photographs or more"
            )
        traces.append(read([look for _, look in mine]))
        groups.append(group)
    return Known(traces, groups, [refusal for part in parts for refusal in part.rejected])


def read_new(
    read: Reader, files: Sequence[str | Path], resize: str, tiling: Tiling
) -> tuple[list[str], Traces, list[tuple[str, str]]]:
    """The files that can be used, each image once, their traces, and why the others cannot.

    Raises:
        UserError: there are too few.
    """
    found = look_at_distinct([Path(file) for file in files], list(map(str, files)), read.resolution, resize, tiling, {})
    if len(found.looks) < FEWEST:
        raise UserError(
            f"{len(found.looks)} of {len(files)} images can be used; a source is enrolled from {FEWEST} different ones "
            f"or more, better 20{found.reasons}"
        )
    return found.names, read(found.looks), found.refused


class Distinct(NamedTuple):
    """Files that can be used, each image once."""

    names: list[str]
    looks: list[Look]
    refused: list[tuple[str, str]]
    """(name, reason) of the others."""

    @property
    def reasons(self) -> str:
        """Some of the reasons, in brackets; "" where there are none."""
        reasons = "; ".join(f"{name}: {reason}" for name, reason in self.refused[:SOME])
        return f" ({reasons})" if reasons else ""


def look_at_distinct(
    files: Sequence[ImageFile],
    names: Sequence[str],
    resolution: int,
    resize: str,
    tiling: Tiling,
    seen: dict[bytes, str],
) -> Distinct:
    """Looks at files and leaves out flat images and those that were seen before.

    Args:
        files, names: of the images.
        resolution, resize, tiling: as for `data.looks.decode_and_look`.
        seen: digest of an image -> why another one like it is refused; these images are added.
    """
    looked = decode_and_look(files, resolution, resize, tiling)
    found = Distinct([], [], [(printable(names[place]), reason) for place, reason in looked.refused.items()])
    for place, look in zip(looked.kept, looked.looks, strict=True):
        name, content = printable(names[place]), hashlib.sha256(look.tiles.tobytes()).digest()
        if look.flat or content in seen:
            found.refused.append((name, "is flat: there is nothing to see" if look.flat else seen[content]))
            continue
        seen[content] = "is a copy of another one"
        found.names.append(name)
        found.looks.append(look)
    return found
