"""Labelled image sets, with a manifest that fixes the order of the classes.

A set is a folder with `<root>/<source name>/<files or folders>`, a CSV list of files, or a data set of ArrayRecord
files that `configs/prepare.py` made of one.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import numpy as np
from jaxtyping import Int, Int32, UInt8

from ganfp_jax.data.decode import ImageFile, Refused, open_file
from ganfp_jax.data.layout import check_layout
from ganfp_jax.data.listing import printable
from ganfp_jax.data.manifests import MANIFEST, read_manifest, sources_of
from ganfp_jax.data.names import check_names
from ganfp_jax.data.perturb import check_perturbation, perturb
from ganfp_jax.data.preprocess import check_resize, decode_and_fit
from ganfp_jax.data.published_sets import AUTO, SOURCES, choose, find
from ganfp_jax.data.published_sets import splits as splits
from ganfp_jax.data.trees import SPLITS as SPLITS
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress

CHUNK = 1024
"""Images that are decoded at a time, so that memory does not grow with the folder."""


@dataclass(frozen=True)
class LabelledFolder:
    """The listing of a labelled image set; nothing is decoded."""

    root: Path
    """The folder that holds the source folders, or the CSV list, or the folder of a data set."""
    classes: tuple[str, ...]
    """Class index -> name."""
    paths: tuple[ImageFile, ...]
    """The image files, by class, then by name."""
    labels: Int32[np.ndarray, " n"]
    """Class index of each file."""
    names: tuple[str, ...]
    """"source/file" or "source/folder/file" for each file, or the file's entry in a list. All are `printable`."""
    left_out: tuple[tuple[str, str], ...] = ()
    """(name, reason) of all else in the source folders, and of images outside them."""
    layout: str = "auto"
    """The layout with which it was opened, so that its other split can be opened alike."""
    groups: tuple[str, ...] = ()
    """The semantic class of each file, "" for none; empty where the layout says none."""

    def __len__(self) -> int:
        return len(self.paths)

    def names_of(self, label: int) -> frozenset[str]:
        """Returns the names of the files of a class."""
        return frozenset(self.names[i] for i in np.flatnonzero(self.labels == label))

    def places(self, names: Iterable[str]) -> Int[np.ndarray, " n"]:
        """Returns the indices of the files of some `names`."""
        place = {name: i for i, name in enumerate(self.names)}
        return np.array([place[name] for name in names], np.int64)


def open_labelled(
    root: str | os.PathLike[str],
    split: str | None = None,
    classes: Sequence[str] | None = None,
    layout: str = "auto",
) -> LabelledFolder:
    """List a labelled image set, or the `split` inside it.

    The classes have the order of `classes` where given (a trained classifier's, say), else of the manifest in the
    folder or, for a split, in the folder above, else of the sorted names.

    A source's images may lie in subfolders at any depth. `left_out` lists files without the suffix of an image, links
    to folders, folders that cannot be read, and images beside the source folders. Hidden files and folders are ignored.

    Where the folders of a source are called like labels (`<source>/{0_real,1_fake}`, `<source>/{nature,ai}`) or splits
    (`<source>/{train,val}`), their images may belong to other sources or splits. The `layout` "auto" raises then (see
    `data.layout`); "sources" takes every image below a source's folder for an image of that source. A CSV list is not
    checked: it gives the source of each image. Sets as they were published have layouts of their own; "auto" reads a
    set by one of these where it can be nothing else, and says so.

    Args:
        root: a folder with one folder a source, or with folders `train` and `test` of that kind; or a CSV file with the
            columns `image` (relative to the file's folder), `source` and perhaps `split`; or a folder that
            `configs/prepare.py` made; or a set of one of the layouts `data.published_sets.LAYOUTS`.
        split: "train" or "test"; a root without splits is then taken whole.
        classes: class index -> name. Names without a folder are allowed, folders without a name are not.
        layout: "auto", "sources" or one of `data.published_sets.LAYOUTS`.

    Raises:
        UserError: a folder is missing, has no source folders, has only one (without `classes`), has one without
            images, or contradicts `classes` or the manifest; a list or a data set cannot be read; no source can have a
            name (`data.names`); the tree can be read in two ways; the layout is unknown.
    """
    root = Path(root)
    if split not in (None, *SPLITS):
        raise UserError(f"unknown split {split!r} of {root}: choose one of {', '.join(SPLITS)}")
    reading = choose(root, layout)
    base, places, files, left_out, groups = find(root, split, reading)
    check_names(files, base)
    if reading == SOURCES and layout == AUTO and not root.is_file():
        check_layout(base, {source: [name for name, _ in those] for source, those in files.items()})
    if classes is None:
        classes = _own_classes(places, base, files)
        if len(classes) == 1:
            raise UserError(f"{base} has one source only, {classes[0]}: a classifier needs two or more")
    elif strange := [name for name in files if name not in classes]:
        raise UserError(
            f"{base}: source {strange[0]} is none of the classes {', '.join(classes)}; "
            "give it one of their names, or leave it out"
        )
    else:
        check_names(classes, "the classes")
    chosen = [(label, *file) for label, name in enumerate(classes) for file in files.get(name, ())]
    return LabelledFolder(
        root=base,
        classes=tuple(classes),
        paths=tuple(path for _, _, path in chosen),
        labels=np.array([label for label, _, _ in chosen], np.int32),
        names=tuple(printable(name) for _, name, _ in chosen),
        left_out=tuple((printable(name), reason) for name, reason in left_out),
        layout=layout,
        groups=tuple(groups.get(name, "") for _, name, _ in chosen) if groups else (),
    )


def open_splits(root: str | os.PathLike[str], layout: str = "auto") -> dict[str, LabelledFolder]:
    """Lists each split of a set, or {"": the set itself} where it has none; all have the same classes.

    Raises:
        UserError: as `open_labelled`; or a split has a source that the other lacks.
    """
    folders: dict[str, LabelledFolder] = {}
    for split in splits(root, layout):
        classes = next(iter(folders.values())).classes if folders else None
        folders[split] = open_labelled(root, split=split, classes=classes, layout=layout)
    return folders or {"": open_labelled(root, layout=layout)}


def origins(folder: LabelledFolder) -> tuple[str, ...]:
    """Returns the origin of each image: "source/photograph" where the manifest lists photographs, else its own name.

    Crops of one photograph depend on each other, so an interval must count photographs, not crops.
    """
    listed = {name: set(origin.get("photographs", ())) for name, origin in sources_of(folder.root).items()}

    def origin(name: str, source: str) -> str:
        photograph = PurePath(name).stem.rpartition("_")[0]
        return f"{source}/{photograph}" if photograph in listed.get(source, ()) else name

    sources = (folder.classes[label] for label in folder.labels)
    return tuple(map(origin, folder.names, sources))


def fold_groups(folder: LabelledFolder) -> tuple[str, ...]:
    """Returns what folds are split by: "source/class" where the layout says an image's class, else its origin."""
    if not folder.groups:
        return origins(folder)
    of_class = zip(folder.labels, folder.groups, origins(folder), strict=True)
    return tuple(f"{folder.classes[label]}/{group}" if group else origin for label, group, origin in of_class)


def digest(folders: Mapping[str, LabelledFolder]) -> str:
    """Computes SHA-256 over the split, class, name and content of every file; it identifies the images."""
    total = hashlib.sha256()
    with progress(sum(map(len, folders.values())), "digest", "file", delay=2.0) as bar:
        for split, folder in folders.items():
            for path, label, name in zip(folder.paths, folder.labels, folder.names, strict=True):
                total.update(json.dumps([split, folder.classes[label], name]).encode())
                try:
                    with open_file(path) as content:
                        total.update(hashlib.sha256(content.read()).digest())
                except (OSError, Refused) as reason:
                    total.update(str(reason).encode())
                bar.update()
    return total.hexdigest()


@dataclass(frozen=True)
class Decoded:
    """The images of a labelled folder."""

    images: UInt8[np.ndarray, "m r r 3"]
    """0 to 255, in the order asked for."""
    kept: Int[np.ndarray, " m"]
    """The index of each image in the folder: `folder.labels[kept]` are the labels."""
    rejected: tuple[tuple[str, str], ...]
    """(name, reason) of every refused file, without the folder's `left_out`."""
    notes: dict[str, str]
    """Name -> the changes to an image, such as "cropped from 300x200; turned upright"."""


@dataclass(frozen=True)
class Images:
    """Images of a labelled folder as a network receives them: the files, their size and their perturbation."""

    folder: LabelledFolder
    resolution: int
    """Side in pixels."""
    resize: str = "crop"
    """How images of another size are fitted, one of `preprocess.RESIZES`."""
    perturbation: str = "none"
    """The perturbation, by its name in `perturb.perturb`. Its draws depend on an image's index in the folder."""
    seed: int = 0
    """The seed of these draws, and of other draws from the images."""
    chosen: Int[np.ndarray, " n"] | None = None
    """Indices in the folder of the selected files, in their order; None selects all."""

    def __post_init__(self) -> None:
        """Raises UserError for an unknown `resize` or `perturbation`."""
        check_resize(self.resize)
        check_perturbation(self.perturbation)

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def indices(self) -> Int[np.ndarray, " n"]:
        """Indices in the folder of the selected files."""
        return np.arange(len(self.folder)) if self.chosen is None else self.chosen

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins of the selected files, as of `origins`."""
        every = origins(self.folder)
        return tuple(every[index] for index in self.indices)

    def part(self, places: Sequence[int] | Int[np.ndarray, " m"]) -> "Images":
        """Returns only the images at `places` in the folder."""
        return replace(self, chosen=np.asarray(places, np.int64))

    def split(self) -> Iterator["Images"]:
        """Yields parts of at most `CHUNK` images and about one length; no images are one part."""
        return map(self.part, np.array_split(self.indices, max(1, -(-len(self) // CHUNK))))

    def under(self, perturbation: str) -> "Images":
        """Returns the same images under another perturbation; "none" leaves them clean."""
        return replace(self, perturbation=perturbation)

    def decode(self, label: str | None = None) -> Decoded:
        """Decodes all images by `preprocess.read_fitted`. Bad files raise nothing: they are in `rejected`.

        `label` is that of a progress bar, None for no bar.

        Raises:
            UserError: the perturbation changes the size of the images.
        """
        indices, names = self.indices, self.folder.names
        fitted = decode_and_fit([self.folder.paths[i] for i in indices], self.resolution, self.resize, label)
        images, kept = fitted.images, indices[fitted.kept]
        if self.perturbation != "none":  # even "none" would copy them
            images = perturb(images, self.perturbation, self.seed, numbers=kept)
            if images.shape[1] != self.resolution:
                raise UserError(
                    f"{self.perturbation} makes images of {images.shape[2]}x{images.shape[1]}, and the network takes "
                    f"{self.resolution}x{self.resolution}; such a perturbation is for whole pictures (config.tiles)"
                )
        return Decoded(
            images=images,
            kept=kept,
            rejected=tuple((names[indices[place]], reason) for place, reason in fitted.refused.items()),
            notes={names[indices[place]]: note for place, note in fitted.notes.items()},
        )

    def chunks(self, label: str) -> Iterator[Decoded]:
        """Yields the result of `decode` for each part of `split`, with a progress bar."""
        # It is imported here, since it imports JAX, which takes seconds and which other readers of images do not need.
        from ganfp_jax.run import processes

        with progress(len(self), label, "image", disable=not processes.first()) as bar:
            for few in self.split():
                yield few.decode()
                bar.update(len(few))


def _own_classes(places: Sequence[Path], base: Path, sources: Iterable[str]) -> list[str]:
    """Returns the classes in the order of the first manifest in `places`, else by name."""
    sources = sorted(sources)
    for path in dict.fromkeys(place / MANIFEST for place in places):
        if manifest := read_manifest(path.parent):
            classes = manifest["classes"]
            for name in classes:
                if name not in sources:
                    raise UserError(f"{path} names the source {name}, but {base} has no images of it")
            for name in sources:
                if name not in classes:
                    raise UserError(f"{base}: source {name} is not among the classes of {path}: add or remove it")
            return classes
    return sources
