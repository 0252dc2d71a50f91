"""Photographs of a folder, cut to one size as they are read: memory does not grow with their number."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ganfp_jax.data.listing import find_images, printable
from ganfp_jax.data.names import fitting
from ganfp_jax.data.preprocess import check_resize, decode_and_fit
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress

TOGETHER = 64  # photographs that are read at once


class Cuts:
    """The photographs number `first` to `first + count - 1` of a folder, in the order of `listing.find_images`.

    A refused file is left out and not replaced by the next one. Disjoint ranges of numbers are therefore disjoint sets
    of photographs, and a training and a test set can be cut from one folder.

    Attributes:
        names: the name of a PNG file for each photograph, such as "000041_000042.png": its number and its old name.
        rejected: (file, reason) of the refused files, complete once all have been read.
    """

    def __init__(self, root: Path, *, first: int, count: int, resolution: int, resize: str) -> None:
        """Lists the folder; nothing is decoded.

        Raises:
            UserError: there is no folder, `resize` is unknown, or the folder has too few photographs.
        """
        check_resize(resize)
        if not root.parts:
            raise UserError("the folder of photographs is not set: give it, --config.folder.root=DIR")
        if not root.is_dir():
            raise UserError(f"{root} is not a folder: set config.folder.root to a folder of photographs")
        if first < 0 or count < 1:
            raise UserError(f"config.folder.first is {first} and config.count {count}; give 0 and 1, or more")
        with progress(None, "list", "file", delay=2.0) as bar:
            files = find_images(root, bar.update).images
        if first + count > len(files):
            raise UserError(
                f"{root} has {len(files)} images; {first} to {first + count - 1} (from 0) are asked for; "
                "lower config.count or config.folder.first"
            )
        self._root, self._resolution, self._resize = root, resolution, resize
        self._files = files[first : first + count]
        origins = (printable(path.relative_to(root).with_suffix("").name) for path in self._files)
        self.names = tuple(fitting(f"{number:06d}_{origin}.png") for number, origin in enumerate(origins, start=first))
        self.rejected: list[tuple[str, str]] = []

    def __iter__(self) -> Iterator[tuple[str, UInt8[np.ndarray, "r r 3"]]]:
        """Yields (name, image) of each photograph, 0 to 255.

        Raises:
            UserError: none of them can be used.
        """
        self.rejected = []
        for start in range(0, len(self._files), TOGETHER):
            files = self._files[start : start + TOGETHER]
            fitted = decode_and_fit(files, self._resolution, self._resize)
            names = [printable(path.relative_to(self._root).as_posix()) for path in files]
            self.rejected += [(names[position], reason) for position, reason in fitted.refused.items()]
            for position, image in zip(fitted.kept, fitted.images, strict=True):
                yield self.names[start + position], image
        if len(self.rejected) == len(self._files):
            name, reason = self.rejected[0]
            raise UserError(f"none of {len(self._files)} photographs in {self._root} can be used: {name} {reason}")
