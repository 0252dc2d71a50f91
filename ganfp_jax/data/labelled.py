"""Labelled image folders: `<root>/<source name>/<file>`, with a manifest that fixes the order of the classes."""

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Int32, UInt8

from ganfp_jax import atomic
from ganfp_jax.data.decode import IMAGE_SUFFIXES
from ganfp_jax.data.preprocess import decode_and_fit
from ganfp_jax.errors import UserError

MANIFEST = "manifest.json"

SPLITS = ("train", "test")


def write_manifest(
    root: str | os.PathLike[str], classes: Sequence[str], sources: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write `<root>/manifest.json`, whole or not at all; an older one is replaced. `root` must exist.

    Args:
        root: the folder that holds one folder a class.
        classes: the names of the source folders, in the order of the class indices.
        sources: for each class, or some, where its images come from (such as checkpoint digest, seed, count and
            encoding); any values that JSON knows.

    Raises:
        ValueError: a name is used twice, is empty or could not be a folder's, or a source is not among the classes.
    """
    manifest = {
        "classes": list(classes),
        "sources": {name: dict(origin) for name, origin in sources.items()},
    }
    if fault := _fault(manifest):
        raise ValueError(f"not a manifest: {fault}")
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    atomic.write_bytes(Path(root, MANIFEST), text.encode())


def read_manifest(root: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Read `<root>/manifest.json`: {"classes": [name, ...], "sources": {name: {...}}}; None where there is none.

    Raises:
        UserError: the file is not such a manifest.
    """
    path = Path(root, MANIFEST)
    if not path.is_file():
        return None
    try:
        manifest = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        fault: str | None = " ".join(str(error).split())
    else:
        fault = _fault(manifest)
    if fault:
        raise UserError(f"{path} is broken: {fault}; repair it, or delete it to order the classes by name")
    return {"sources": {}} | manifest


@dataclass(frozen=True)
class LabelledFolder:
    """The files of a labelled image folder: a listing, nothing is decoded."""

    root: Path
    """The folder that holds the source folders."""
    classes: tuple[str, ...]
    """Class index -> name."""
    paths: tuple[Path, ...]
    """The image files, by class, then by file name."""
    labels: Int32[np.ndarray, " n"]
    """Class index of each file."""
    names: tuple[str, ...]
    """"source/file" for each file."""

    def __len__(self) -> int:
        return len(self.paths)


def open_labelled(
    root: str | os.PathLike[str], split: str | None = None, classes: Sequence[str] | None = None
) -> LabelledFolder:
    """List a labelled image folder, or the `split` inside it.

    The order of the classes is `classes` where given (a trained classifier's, say), else that of the manifest in the
    folder or, for a split, in the folder above, else the sorted names. Hidden files and folders are left out, and so is
    every file whose suffix is not an image's.

    Args:
        root: holds one folder a source; or folders `train` and `test` that do.
        split: "train" or "test"; a root without splits is then taken whole.
        classes: class index -> name. Names without a folder are allowed, folders without a name are not.

    Raises:
        UserError: a folder is missing, has no source folders, has only one (without `classes`), has one without
            images, or does not agree with `classes` or the manifest.
    """
    base = _base(Path(root), split)
    folders = {path.name: path for path in _visible(base) if path.is_dir()}
    if not folders:
        raise UserError(f"{base} has no source folders: expected {base}/<source name>/<image file>")
    if classes is None:
        classes = _own_classes(Path(root), base, folders)
        if len(classes) == 1:
            raise UserError(f"{base} has one source folder only, {classes[0]}: a classifier needs two or more")
    elif strange := [name for name in folders if name not in classes]:
        raise UserError(f"{base}: source folder {strange[0]} is none of the classes {', '.join(classes)}")
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        if name in folders:
            files = [path for path in _visible(folders[name]) if path.suffix.lower() in IMAGE_SUFFIXES]
            if not files:
                raise UserError(f"{folders[name]} has no image file: looked for {' '.join(sorted(IMAGE_SUFFIXES))}")
            paths += files
            labels += [label] * len(files)
    return LabelledFolder(
        root=base,
        classes=tuple(classes),
        paths=tuple(paths),
        labels=np.array(labels, np.int32),
        names=tuple(f"{path.parent.name}/{path.name}" for path in paths),
    )


def origins(folder: LabelledFolder) -> tuple[str, ...]:
    """What each image was taken from: "source/photograph" where the manifest lists photographs, else its own name.

    Crops of one photograph depend on each other, so an interval must count photographs, not crops.
    """
    manifest = read_manifest(folder.root) or read_manifest(folder.root.parent) or {"sources": {}}
    listed = {name: set(origin.get("photographs", ())) for name, origin in manifest["sources"].items()}

    def origin(name: str) -> str:
        source, file = name.split("/")
        photograph = Path(file).stem.rpartition("_")[0]
        return f"{source}/{photograph}" if photograph in listed.get(source, ()) else name

    return tuple(origin(name) for name in folder.names)


@dataclass(frozen=True)
class Decoded:
    """The images of a labelled folder."""

    images: UInt8[np.ndarray, "m r r 3"]
    """0 to 255, in the order asked for."""
    kept: Int[np.ndarray, " m"]
    """Index into the folder of each image: `folder.labels[kept]` are their labels."""
    rejected: tuple[tuple[str, str], ...]
    """(name, reason) for every file that was refused."""
    notes: dict[str, str]
    """Name -> what was done to an image of another size, such as "cropped from 300x200"."""


def decode_all(
    folder: LabelledFolder,
    resolution: int,
    resize: str = "crop",
    indices: Sequence[int] | Int[np.ndarray, " k"] | None = None,
) -> Decoded:
    """Decode the files of a folder, or those at `indices`, to `resolution` x `resolution` by `preprocess.fit`.

    Raises:
        UserError: unknown `resize`. Bad files raise nothing: they are in `rejected`.
    """
    chosen = np.arange(len(folder)) if indices is None else np.asarray(indices, np.int64)
    fitted = decode_and_fit([folder.paths[index] for index in chosen], resolution, resize)

    def name(position: int) -> str:
        return folder.names[chosen[position]]

    return Decoded(
        images=fitted.images,
        kept=chosen[fitted.kept],
        rejected=tuple((name(position), reason) for position, reason in fitted.refused.items()),
        notes={name(position): note for position, note in fitted.notes.items()},
    )


def write_rejected(path: Path, rejected: Iterable[tuple[str, str]]) -> None:
    """Write the files that could not be used, and why, as the CSV `image,reason`."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("image", "reason"), *rejected])
    atomic.write_bytes(path, text.getvalue().encode())


def tell_rejected(rejected: Sequence[tuple[str, str]], workdir: Path) -> None:
    """Say how many files could not be used, if any, and list them in the run folder."""
    if rejected:
        write_rejected(workdir / "rejected.csv", rejected)
        print(f"{len(rejected)} files could not be used: {workdir / 'rejected.csv'}")


def _base(root: Path, split: str | None) -> Path:
    if split not in (None, *SPLITS):
        raise UserError(f"unknown split {split!r} of {root}: choose one of {', '.join(SPLITS)}")
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: give a folder of the form <root>/<source name>/<image file>")
    present = [name for name in SPLITS if _holds_folders(root / name)]
    if split in present:
        return root / str(split)
    if present:  # its splits would otherwise pass for sources
        wanted = f"no {split}" if split else "no source folders of its own"
        raise UserError(f"{root} has {' and '.join(present)} but {wanted}: give the folder or the split that is meant")
    return root


def _own_classes(root: Path, base: Path, folders: Mapping[str, Path]) -> list[str]:
    for place in dict.fromkeys((base, root)):
        if manifest := read_manifest(place):
            classes = manifest["classes"]
            for name in classes:
                if name not in folders:
                    raise UserError(f"{place / MANIFEST} names the source {name}, but there is no folder {base / name}")
            for name in folders:
                if name not in classes:
                    raise UserError(f"{base / name} is not among the classes of {place / MANIFEST}: add or remove it")
            return classes
    return sorted(folders)


def _holds_folders(path: Path) -> bool:
    return path.is_dir() and any(inner.is_dir() for inner in _visible(path))


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def is_source_name(name: str) -> bool:
    """Whether a folder inside a labelled folder can have this name: what others wrote must not lead out of it."""
    return bool(name) and not name.startswith(".") and not set(name) & set("/\\\0")


def _fault(manifest: object) -> str | None:
    """Say what is wrong with a manifest, or None."""
    if not isinstance(manifest, dict):
        return "it is not a JSON object"
    classes, sources = manifest.get("classes"), manifest.get("sources", {})
    if not isinstance(classes, list) or not classes:
        return 'it has no list "classes" of names'
    for name in classes:
        if not isinstance(name, str) or not is_source_name(name):
            return f"class name {name!r} cannot be a source folder's"
    if len(set(classes)) < len(classes):
        return "a class name is used twice"
    if not isinstance(sources, dict) or not all(isinstance(origin, dict) for origin in sources.values()):
        return '"sources" is not an object of objects'
    if strange := [name for name in sources if name not in classes]:
        return f"source {strange[0]!r} is not among the classes"
    return None
