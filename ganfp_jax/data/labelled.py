"""Labelled image sets, with a manifest that fixes the order of the classes.

A set is a folder `<root>/<source name>/` with files or folders of files, a CSV list of files, or a data set of
ArrayRecord files that `configs/prepare.py` made of one.
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
from ganfp_jax.data.trees import SPLITS as SPLITS
from ganfp_jax.data.trees import find
from ganfp_jax.data.trees import splits as splits
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress

CHUNK = 1024
"""Images decoded and held at a time, so that memory does not grow with the folder."""


@dataclass(frozen=True)
class LabelledFolder:
    """The files of a labelled image set: a listing, nothing is decoded."""

    root: Path
    """The folder that holds the source folders, or the CSV list, or the folder of a data set."""
    classes: tuple[str, ...]
    """Class index -> name."""
    paths: tuple[ImageFile, ...]
    """The image files, by class, then by name."""
    labels: Int32[np.ndarray, " n"]
    """Class index of each file."""
    names: tuple[str, ...]
    """"source/file" or "source/folder/file" for each file; of a list, the file as it stands there. All `printable`."""
    left_out: tuple[tuple[str, str], ...] = ()
    """(name, reason) of whatever else lies in the source folders, and of images that lie in none."""
    layout: str = "auto"
    """How it was opened, for whoever opens its other split."""

    def __len__(self) -> int:
        return len(self.paths)

    def places(self, names: Iterable[str]) -> Int[np.ndarray, " n"]:
        """Where the files of some `names` stand in it."""
        place = {name: i for i, name in enumerate(self.names)}
        return np.array([place[name] for name in names], np.int64)


def open_labelled(
    root: str | os.PathLike[str],
    split: str | None = None,
    classes: Sequence[str] | None = None,
    layout: str = "auto",
) -> LabelledFolder:
    """List a labelled image set, or the `split` inside it.

    The order of the classes is `classes` where given (a trained classifier's, say), else that of the manifest in the
    folder or, for a split, in the folder above, else the sorted names.

    A source's images may lie in folders of its folder, at any depth. Files whose suffix is not an image's, links to
    folders and what cannot be looked into are in `left_out`, and so are images that lie beside the source folders.
    Hidden files and folders do not count at all.

    Where the folders of a source are called like labels (`<source>/{0_real,1_fake}`, `<source>/{nature,ai}`) or splits
    (`<source>/{train,val}`), their images may belong to other sources or splits than the place says. `layout` "auto"
    stops there (`data.layout` says where exactly), "sources" takes every image below a source's folder for one of that
    source. Of a CSV list, nothing is guessed: it says the source of each image.

    Args:
        root: holds one folder a source; or folders `train` and `test` that do. Or a CSV file with the columns `image`
            (relative to the file's folder), `source` and perhaps `split`. Or a folder that `configs/prepare.py` made.
        split: "train" or "test"; a root without splits is then taken whole.
        classes: class index -> name. Names without a folder are allowed, folders without a name are not.
        layout: one of `data.layout.LAYOUTS`.

    Raises:
        UserError: a folder is missing, has no source folders, has only one (without `classes`), has one without
            images, or does not agree with `classes` or the manifest; a list or a data set that cannot be read; a name
            that no source can have (`data.names`); a tree that can be read in two ways, an unknown layout.
    """
    root = Path(root)
    if split not in (None, *SPLITS):
        raise UserError(f"unknown split {split!r} of {root}: choose one of {', '.join(SPLITS)}")
    base, places, files, left_out = find(root, split)
    check_names(files, base)
    names = {} if root.is_file() else {source: [name for name, _ in those] for source, those in files.items()}
    check_layout(base, names, layout)
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
    )


def open_splits(root: str | os.PathLike[str], layout: str = "auto") -> dict[str, LabelledFolder]:
    """The listing of each split that a set has, or {"": the set itself} where it has none; all with the same classes.

    Raises:
        UserError: as `open_labelled`; a split with a source that the other has not.
    """
    folders: dict[str, LabelledFolder] = {}
    for split in splits(root):
        classes = next(iter(folders.values())).classes if folders else None
        folders[split] = open_labelled(root, split=split, classes=classes, layout=layout)
    return folders or {"": open_labelled(root, layout=layout)}


def origins(folder: LabelledFolder) -> tuple[str, ...]:
    """What each image was taken from: "source/photograph" where the manifest lists photographs, else its own name.

    Crops of one photograph depend on each other, so an interval must count photographs, not crops.
    """
    listed = {name: set(origin.get("photographs", ())) for name, origin in sources_of(folder.root).items()}

    def origin(name: str, source: str) -> str:
        photograph = PurePath(name).stem.rpartition("_")[0]
        return f"{source}/{photograph}" if photograph in listed.get(source, ()) else name

    sources = (folder.classes[label] for label in folder.labels)
    return tuple(map(origin, folder.names, sources))


def digest(folders: Mapping[str, LabelledFolder]) -> str:
    """SHA-256 over the split, class, name and content of every file of the splits: which images these are."""
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
    """Place in the folder of each image: `folder.labels[kept]` are their labels."""
    rejected: tuple[tuple[str, str], ...]
    """(name, reason) for every file that was refused; the folder's `left_out` is not repeated."""
    notes: dict[str, str]
    """Name -> what was done to an image, such as "cropped from 300x200; turned upright"."""


@dataclass(frozen=True)
class Images:
    """Images of a labelled folder as they are shown to a network: which files, at which size, perturbed how."""

    folder: LabelledFolder
    resolution: int
    """Side in pixels."""
    resize: str = "crop"
    """How images of another size are brought to it, one of `preprocess.RESIZES`."""
    perturbation: str = "none"
    """What is then done to each, as `perturb.perturb` names it. Its draws depend on an image's place in the folder."""
    seed: int = 0
    """Of these draws, and of whatever else is drawn from the images."""
    chosen: Int[np.ndarray, " n"] | None = None
    """Places in the folder of the files that are taken, in the order in which they are; None takes all."""

    def __post_init__(self) -> None:
        """Raises `UserError` for an unknown `resize` or `perturbation`."""
        check_resize(self.resize)
        check_perturbation(self.perturbation)

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def indices(self) -> Int[np.ndarray, " n"]:
        """Places in the folder of the files that are taken."""
        return np.arange(len(self.folder)) if self.chosen is None else self.chosen

    @property
    def origins(self) -> tuple[str, ...]:
        """`origins` of each."""
        every = origins(self.folder)
        return tuple(every[index] for index in self.indices)

    def part(self, places: Sequence[int] | Int[np.ndarray, " m"]) -> "Images":
        """Those at `places` in the folder alone."""
        return replace(self, chosen=np.asarray(places, np.int64))

    def split(self) -> Iterator["Images"]:
        """The same in parts of at most `CHUNK`, of about one length; none of them is one part."""
        return map(self.part, np.array_split(self.indices, max(1, -(-len(self) // CHUNK))))

    def under(self, perturbation: str) -> "Images":
        """The same under another perturbation; "none" leaves them clean."""
        return replace(self, perturbation=perturbation)

    def decode(self, label: str | None = None) -> Decoded:
        """All of them at once, by `preprocess.read_fitted`. Bad files raise nothing: they are in `rejected`.

        `label` is that of a progress bar, None for no bar.
        """
        indices, names = self.indices, self.folder.names
        fitted = decode_and_fit([self.folder.paths[i] for i in indices], self.resolution, self.resize, label)
        images, kept = fitted.images, indices[fitted.kept]
        if self.perturbation != "none":  # which would copy them
            images = perturb(images, self.perturbation, self.seed, numbers=kept)
        return Decoded(
            images=images,
            kept=kept,
            rejected=tuple((names[indices[place]], reason) for place, reason in fitted.refused.items()),
            notes={names[indices[place]]: note for place, note in fitted.notes.items()},
        )

    def chunks(self, label: str) -> Iterator[Decoded]:
        """`decode` of `CHUNK` at a time, with a progress bar; each has its part of what was refused."""
        # Imported here: it brings JAX, which takes seconds and which the other readers of images do without.
        from ganfp_jax.run import processes

        with progress(len(self), label, "image", disable=not processes.first()) as bar:
            for few in self.split():
                yield few.decode()
                bar.update(len(few))


def _own_classes(places: Sequence[Path], base: Path, sources: Iterable[str]) -> list[str]:
    """The classes in the order of the first manifest in `places`, else by name."""
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
