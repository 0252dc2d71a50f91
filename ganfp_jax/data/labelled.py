"""Labelled image sets, with a manifest that fixes the order of the classes.

A set is a folder `<root>/<source name>/` with files or folders of files, a CSV list of files, or a data set of
ArrayRecord files that `configs/prepare.py` made of one.
"""

import csv
import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from jaxtyping import Int, Int32, UInt8

from ganfp_jax.data.cells import cell, text_of
from ganfp_jax.data.decode import IMAGE_SUFFIXES, READ_SUFFIXES, ImageFile, Refused, open_file, reason_of
from ganfp_jax.data.layout import check_layout
from ganfp_jax.data.listing import find_images, is_folder, printable
from ganfp_jax.data.names import check_names, fault_of
from ganfp_jax.data.perturb import check_perturbation, perturb
from ganfp_jax.data.preprocess import check_resize, decode_and_fit
from ganfp_jax.data.tfds import sets
from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress
from ganfp_jax.run.reading import read_json, read_regular

MANIFEST = "manifest.json"

_MAX_LIST = 1 << 30  # bytes of a CSV list

CHUNK = 1024
"""Images decoded and held at a time, so that memory does not grow with the folder."""

SPLITS = ("train", "test")
UNSPLIT = "unsplit"
"""What a prepared data set calls the only split of a set that has neither."""


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
        ValueError: a name that no source can have (`data.names`), or used twice; a source that is not among the
            classes.
    """
    atomic.write_bytes(Path(root, MANIFEST), manifest_bytes(classes, sources))


def manifest_bytes(classes: Sequence[str], sources: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The content of the file that `write_manifest` writes; it raises the same."""
    manifest = {
        "classes": list(classes),
        "sources": {name: dict(origin) for name, origin in sources.items()},
    }
    if fault := _fault(manifest):
        raise ValueError(f"not a manifest: {fault}")
    return (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()


def read_manifest(root: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Read `<root>/manifest.json`: {"classes": [name, ...], "sources": {name: {...}}}; None where there is none.

    Raises:
        UserError: the file is not such a manifest.
    """
    path = Path(root, MANIFEST)
    if not path.exists():
        return None
    try:
        manifest = read_json(path)
    except (OSError, ValueError) as error:
        fault: str | None = " ".join(str(error).split())
    else:
        fault = _fault(manifest)
    if fault:
        raise UserError(f"{path} is broken: {fault}; repair it, or delete it to order the classes by name")
    return {"sources": {}} | manifest


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
    left_out: Sequence[tuple[str, str]] = ()
    if split not in (None, *SPLITS):
        raise UserError(f"unknown split {split!r} of {root}: choose one of {', '.join(SPLITS)}")
    _check_open(root)
    if root.is_file():
        files = _listed(root, split)
        base, places = root, [root.parent]
    elif sets.is_dataset(root):
        files = _dataset(root, split)
        base, places = root, [root]
    else:
        base, files, left_out = _folders(root, split)
        places = [base, root]
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


def splits(root: str | os.PathLike[str]) -> tuple[str, ...]:
    """Which of `SPLITS` a labelled image set has; none where it is one whole.

    Raises:
        UserError: a folder or a CSV list that cannot be read.
    """
    root = Path(root)
    _check_open(root)
    if root.is_file():
        return tuple(split for split in SPLITS if split in {row.get("split") for row in _rows(root)})
    if sets.is_dataset(root):
        return tuple(split for split in SPLITS if split in sets.splits(root))
    return tuple(split for split in SPLITS if _holds_folders(root / split))


def origins(folder: LabelledFolder) -> tuple[str, ...]:
    """What each image was taken from: "source/photograph" where the manifest lists photographs, else its own name.

    Crops of one photograph depend on each other, so an interval must count photographs, not crops.
    """
    manifest = read_manifest(folder.root) or read_manifest(folder.root.parent) or {"sources": {}}
    listed = {name: set(origin.get("photographs", ())) for name, origin in manifest["sources"].items()}

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


def write_rejected(path: Path, rejected: Iterable[tuple[str, str]]) -> None:
    """Write the files that could not be used, and why, as the CSV `image,reason`."""
    _write_pairs(path, "reason", rejected)


def write_notes(path: Path, notes: Mapping[str, str]) -> None:
    """Write the images that were not taken as they are, and what was done to each, as the CSV `image,note`."""
    _write_pairs(path, "note", notes.items())


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """What `write_rejected` or `write_notes` wrote: (name, reason or note) of each image."""
    with path.open(newline="", encoding="utf-8") as lines:
        return [(text_of(name), text_of(words)) for name, words in list(csv.reader(lines))[1:]]


def report_rejected(rejected: Sequence[tuple[str, str]], workdir: Path) -> None:
    """Say how many files could not be used, if any, and list them in the run folder; where all could, no list stays."""
    (workdir / "rejected.csv").unlink(missing_ok=True)
    if rejected:
        write_rejected(workdir / "rejected.csv", rejected)
        print(f"{len(rejected)} files could not be used: {workdir / 'rejected.csv'}")


def report_notes(notes: Mapping[str, str], workdir: Path) -> None:
    """Say how many images were not taken as they are, if any, and list in the run folder what was done to each."""
    (workdir / "notes.csv").unlink(missing_ok=True)
    if notes:
        write_notes(workdir / "notes.csv", notes)
        name, note = next(iter(notes.items()))
        print(f"{len(notes)} images were not taken as they are ({name}: {note}): {workdir / 'notes.csv'}")


def _write_pairs(path: Path, column: str, pairs: Iterable[tuple[str, str]]) -> None:
    text = io.StringIO()
    rows = [(cell(name), cell(words)) for name, words in pairs]
    csv.writer(text, lineterminator="\n").writerows([("image", column), *rows])
    atomic.write_bytes(path, text.getvalue().encode())


Files = dict[str, list[tuple[str, ImageFile]]]  # source -> (name, file) of each of its images


def _folders(root: Path, split: str | None) -> tuple[Path, Files, list[tuple[str, str]]]:
    """The folder that holds the source folders, their image files, and (name, reason) of what is left out."""
    base = _base(root, split)
    files: Files = {}
    left_out = []

    def name(path: Path) -> str:
        return "/".join(path.parts[len(base.parts) :])  # relative_to takes longer than to find the file

    with progress(None, "list", "file", delay=2.0) as bar:
        for path in _visible(base):
            if is_folder(path):
                found = find_images(path, bar.update)
                left_out += [(name(other), reason) for other, reason in found.left_out]
                if not found.images:
                    looked = f"looked for {' '.join(sorted(READ_SUFFIXES))}"
                    others = "".join(f"; {printable(name(other))}: {reason}" for other, reason in found.left_out[:1])
                    raise UserError(f"{printable(str(path))} has no image file: {looked}{others}")
                files[path.name] = [(name(image), image) for image in found.images]
            elif path.suffix.lower() in IMAGE_SUFFIXES:
                left_out.append((path.name, "lies in no source folder"))
    if not files:
        raise UserError(f"{base} has no source folders: expected {base}/<source name>/<image file>")
    return base, files, left_out


def _listed(path: Path, split: str | None) -> Files:
    """The files that a CSV list names."""
    rows = _rows(path)
    known = {row["split"] for row in rows if "split" in row}
    if split and known and split not in known:
        raise UserError(f"{path} has no images of the split {split}")
    if split is None and len(known) > 1:
        raise UserError(f"{path} has train and test: say which is meant")
    files: Files = {}
    for row in rows:
        if not known or split in (None, row["split"]):
            files.setdefault(row["source"], []).append((row["image"], path.parent / row["image"]))
    return {source: sorted(names, key=lambda item: item[0]) for source, names in files.items()}


def _rows(path: Path) -> list[dict[str, str]]:
    """The lines of a CSV list: image, source and perhaps split."""
    try:
        reader = csv.DictReader(io.StringIO(read_regular(path, _MAX_LIST).decode("utf-8-sig")), strict=True)
        rows = list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path} is no CSV list of images: {' '.join(str(error).split())}") from error
    columns = set(reader.fieldnames or ())
    twice = len(columns) < len(reader.fieldnames or ())
    if not rows or twice or not {"image", "source"} <= columns <= {"image", "source", "split"}:
        raise UserError(f"{path} is no list of images: its first line must be image,source or image,source,split")
    for number, row in enumerate(rows, start=2):
        if row.keys() != columns or not all(row.values()):
            raise UserError(f"{path}, row {number}: every row needs {len(columns)} values, none of them empty")
        if row.get("split", "train") not in SPLITS:
            raise UserError(f"{path}, row {number}: split {row['split']!r} is none of {', '.join(SPLITS)}")
    image, count = Counter(os.path.normpath(row["image"]) for row in rows).most_common(1)[0]
    if count > 1:  # under two sources, or in train and in test, it would spoil every accuracy
        raise UserError(f"{path} names {image} {count} times: leave it in one row")
    return rows


def _dataset(root: Path, split: str | None) -> Files:
    """The records of a data set of ArrayRecord files; its manifest says the order of the classes."""
    present = sets.splits(root)
    if present == (UNSPLIT,):
        split = UNSPLIT
    elif split is None:
        raise UserError(f"{root} has {' and '.join(present)}: say which is meant")
    elif split not in present:
        raise UserError(f"{root} has no split {split}: it has {', '.join(present)}")
    found = sets.open_split(root, split)
    check_names(found.classes, root)  # before two of one name become one source
    files: Files = {}
    for record, label in zip(found.records, found.labels, strict=True):
        files.setdefault(found.classes[label], []).append((record.name, record))
    return files


def _base(root: Path, split: str | None) -> Path:
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: give a folder of the form <root>/<source name>/<image file>")
    present = [name for name in SPLITS if _holds_folders(root / name)]
    if split in present:
        return root / str(split)
    if present:  # its splits would otherwise pass for sources
        wanted = f"no {split}" if split else "no source folders of its own"
        raise UserError(f"{root} has {' and '.join(present)} but {wanted}: give the folder or the split that is meant")
    return root


def _check_open(root: Path) -> None:
    """Raise `UserError` where we may not look into a folder, or not even see what is there."""
    try:
        next(root.iterdir(), None)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise UserError(f"{root} {reason_of(error)}") from error


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


def _holds_folders(path: Path) -> bool:
    return path.is_dir() and any(inner.is_dir() for inner in _visible(path))


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise UserError(f"{folder} {reason_of(error)}") from error


def _are_names(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def _fault(manifest: object) -> str | None:
    """Say what is wrong with a manifest, or None."""
    if not isinstance(manifest, dict):
        return "it is not a JSON object"
    classes, sources = manifest.get("classes"), manifest.get("sources", {})
    if not isinstance(classes, list) or not classes:
        return 'it has no list "classes" of names'
    for name in classes:
        if fault := fault_of(name):
            return f"the class name {ascii(name)[:80]} {fault}"
    if len(set(classes)) < len(classes):
        return "a class name is used twice"
    if not isinstance(sources, dict) or not all(isinstance(origin, dict) for origin in sources.values()):
        return '"sources" is not an object of objects'
    if wrong := [name for name, origin in sources.items() if not _are_names(origin.get("photographs", []))]:
        return f"the photographs of source {wrong[0]!r} are not a list of names"
    if strange := [name for name in sources if name not in classes]:
        return f"source {strange[0]!r} is not among the classes"
    return None
