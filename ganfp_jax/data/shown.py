"""Labelled images -> what a network is shown of each, a part of the folder at a time."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from ganfp_jax.data.decode import Picture
from ganfp_jax.data.labelled import CHUNK, Images
from ganfp_jax.data.looks import Look, decode_and_look, together
from ganfp_jax.data.perturb import perturb
from ganfp_jax.data.tiles import Tiling
from ganfp_jax.run import processes
from ganfp_jax.run.progress import progress


class Shown(NamedTuple):
    """What a network is shown of pictures of a labelled folder."""

    looks: Sequence[Look]
    """Of each picture, in the order asked for."""
    kept: Int[np.ndarray, " m"]
    """The index of each picture in the folder."""
    rejected: Sequence[tuple[str, str]]
    """(name, reason) of every refused file."""


def show(images: Images, tiling: Tiling | None) -> Shown:
    """Decodes pictures and chooses what a network is shown of them.

    Args:
        images: the pictures.
        tiling: how they are cut into tiles, after the perturbation of the whole; None takes `Images.decode`, which
            fits a picture before it is perturbed, and calls none flat.
    """
    names = images.folder.names
    if tiling is None:
        decoded = images.decode()
        notes = (decoded.notes.get(names[index], "") for index in decoded.kept)
        looks = [Look(image[None], False, note, ()) for image, note in zip(decoded.images, notes, strict=True)]
        return Shown(looks, decoded.kept, decoded.rejected)
    indices = images.indices

    def change(place: int, picture: Picture) -> Picture:
        if images.perturbation == "none":
            return picture
        number = indices[place : place + 1]
        return picture._replace(pixels=perturb(picture.pixels[None], images.perturbation, images.seed, number)[0])

    files = [images.folder.paths[i] for i in indices]
    looked = decode_and_look(files, images.resolution, images.resize, tiling, change=change)
    rejected = [(names[indices[place]], reason) for place, reason in looked.refused.items()]
    return Shown(looked.looks, indices[looked.kept], rejected)


def shown(images: Images, label: str, tiling: Tiling | None) -> Iterator[Shown]:
    """Yields the result of `show` for parts whose tiles fit into memory, with a progress bar."""
    most = CHUNK if tiling is None else together(CHUNK, images.resolution, tiling)
    with progress(len(images), label, "image", disable=not processes.first()) as bar:
        for part in np.array_split(images.indices, max(1, -(-len(images) // most))):
            yield show(images.part(part), tiling)
            bar.update(len(part))
