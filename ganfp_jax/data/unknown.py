"""Images of sources that a network does not know, by kind and, within a kind, by generator."""

import os
from pathlib import Path, PurePath

import numpy as np

from ganfp_jax.data import trees
from ganfp_jax.data.labelled import LabelledFolder
from ganfp_jax.data.listing import Listing, find_images, printable


def open_unknown(root: str | os.PathLike[str]) -> LabelledFolder:
    """Lists images of unknown sources; the classes are kinds of unknown sources, and nothing is decoded.

    Args:
        root: a folder with images of one kind, which is called as the folder is; or with a folder a kind, whose images
            lie in it or in a folder a generator (`<root>/<kind>/<generator>/<file>`), in test/ where it has one; or a
            CSV list of images with the column `source`.

    Raises:
        UserError: there is no such folder or list, no image in it, or a kind without images.
    """
    root = Path(root)
    images = find_images(root) if root.is_dir() else Listing([], [])
    if images.images and all(path.parent == root for path in images.images):
        kind, base = root.resolve().name, root
        files: trees.Files = {kind: [(f"{kind}/{path.name}", path) for path in images.images]}
        left_out = [(path.name, reason) for path, reason in images.left_out]
    else:
        tree = trees.find(root, "test")
        base, files, left_out = tree.base, tree.files, tree.left_out
    chosen = [(label, *file) for label, kind in enumerate(sorted(files)) for file in files[kind]]
    return LabelledFolder(
        root=base,
        classes=tuple(map(printable, sorted(files))),
        paths=tuple(path for _, _, path in chosen),
        labels=np.array([label for label, _, _ in chosen], np.int32),
        names=tuple(printable(name) for _, name, _ in chosen),
        left_out=tuple((printable(name), reason) for name, reason in left_out),
    )


def generator_of(name: str) -> str:
    """The generator that made an image of `open_unknown`: "kind/generator", or its own name where it has no folder."""
    parts = PurePath(name).parts
    return "/".join(parts[:2]) if len(parts) > 2 else name
