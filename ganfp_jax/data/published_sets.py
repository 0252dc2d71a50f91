"""The layouts of published image sets: a further one is an entry of `LAYOUTS`, which `config.data.layout` names."""

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ganfp_jax.data import published_folders, published_lists, published_tables, trees
from ganfp_jax.data.found import Found, Reading
from ganfp_jax.data.listing import printable
from ganfp_jax.data.tfds import sets
from ganfp_jax.run.errors import UserError

AUTO, SOURCES = "auto", "sources"


class Layout(NamedTuple):
    """How sets of one kind are read."""

    form: str
    """What they look like, in the words of an error."""
    read: Callable[[Path], Reading]
    """Finds the images of all splits; it may raise UserError."""
    fits: Callable[[Path], bool] = lambda root: False
    """Whether a path looks like such a set. A tree of folders alone never does: `SOURCES` reads it too."""


def _of_folders(name: str) -> Callable[[Path], Reading]:
    return functools.partial(published_folders.read, layout=name)


def _hugging_face(root: Path) -> Reading:
    return published_lists.read_metadata(root) if published_lists.has_metadata(root) else _of_folders("hf")(root)


LAYOUTS = {
    "forensynths": Layout("[train|val|test/]<generator>/[<class>/]{0_real,1_fake}/<file>", _of_folders("forensynths")),
    "genimage": Layout("<generator>/<folder>/{train,val}/{ai,nature}/<file>", _of_folders("genimage")),
    "semantic": Layout("[train|val|test/]<source>/<class>/<file>", _of_folders("semantic")),
    "list": Layout(
        "lists of path<TAB>number, or tables path,label", published_lists.read_lists, published_lists.has_lists
    ),
    "hf": Layout(
        "{train,validation,test}/<source>/<file>, or metadata.{csv,jsonl} with file_name and a source",
        _hugging_face,
        published_lists.has_metadata,
    ),
    "parquet": Layout("tables with the bytes of images and their source", published_tables.read, published_tables.fits),
    "celeba": Layout(
        "img_align_celeba and list_eval_partition.txt", published_lists.read_celeba, published_lists.has_celeba
    ),
}
"""Layout -> how it is read. `SOURCES`, which `trees` reads, is none of them; `AUTO` chooses."""


def choose(root: Path, layout: str) -> str:
    """Returns the layout of a set: the one that is asked for, or with `AUTO` the only one that fits, which it says.

    Raises:
        UserError: the layout is unknown; or several fit.
    """
    if layout not in (known := (AUTO, SOURCES, *LAYOUTS)):
        raise UserError(f"unknown config.data.layout {layout!r}; choose from {', '.join(known)}")
    trees.check_open(root)
    if sets.is_dataset(root):
        return SOURCES  # it was prepared from a set whose layout was known
    if layout != AUTO or not (root.is_file() or root.is_dir()):
        return SOURCES if layout == AUTO else layout
    fitting = [name for name, one in LAYOUTS.items() if one.fits(root)]
    if fitting and trees.has_sources(root):
        fitting.insert(0, SOURCES)
    if len(fitting) > 1:
        raise UserError(
            f"{printable(str(root))} can be read as {' or as '.join(map(_described, fitting))}: say which with "
            f"--config.data.layout={' or '.join(fitting)}"
        )
    if fitting:
        _say(f"note: {printable(str(root))} is read with data.layout={_described(fitting[0])}")
    return fitting[0] if fitting else SOURCES


def find(root: Path, split: str | None, layout: str) -> trees.Tree:
    """Finds the files of a set, or of a `split` of it: "test" is what validates where there is no test.

    Raises:
        UserError: there is no image, no such split, or one that has to be named; an image is there twice; as `read`.
    """
    if layout == SOURCES:
        return trees.find(root, split)
    found, left_out = _read(root, layout)
    wanted = _splits_in(found)
    if wanted and split not in wanted:
        fault = f"no {split}" if split else "no images without a split"
        raise UserError(f"{root} has {' and '.join(wanted)} but {fault}: say which is meant")
    chosen = [one for one in found if not wanted or one.split == wanted[split or ""]]
    if wanted:
        left_out = [*left_out, *((one.name, "is of no split") for one in found if not one.split)]
    files: trees.Files = {}
    for one in sorted(chosen, key=lambda one: one.name):
        files.setdefault(one.source, []).append((one.name, one.file))
    groups = {one.name: one.group for one in chosen if one.group}
    return trees.Tree(root, [root if root.is_dir() else root.parent], files, left_out, groups)


def splits(root: str | os.PathLike[str], layout: str = AUTO) -> tuple[str, ...]:
    """Returns the splits of a set, "train", "test" or both; empty where it has none.

    Raises:
        UserError: it cannot be read.
    """
    root = Path(root)
    layout = choose(root, layout)
    return trees.splits(root) if layout == SOURCES else tuple(_splits_in(_read(root, layout).found))


def _read(root: Path, layout: str) -> Reading:
    if not (root.is_file() or root.is_dir()):
        raise UserError(f"{root} is no file and no folder: give a set of the layout {_described(layout)}")
    reading = LAYOUTS[layout].read(root)
    if not reading.found:
        first = "".join(f"; {printable(name)}: {reason}" for name, reason in reading.left_out[:1])
        raise UserError(f"{root} has no image of the layout {_described(layout)}{first}")
    trees.check_once((one.name for one in reading.found), root)
    return reading


def _splits_in(found: Sequence[Found]) -> dict[str, str]:
    """Returns each of `trees.SPLITS` that images have -> what it is called there: "valid" may stand for "test"."""
    there = {one.split for one in found}
    names = {"train": "train", "test": "test" if "test" in there else "valid"}
    return {split: name for split, name in names.items() if name in there}


def _described(layout: str) -> str:
    form = LAYOUTS[layout].form if layout in LAYOUTS else "<source>/<file>"
    return f"{layout} ({form})"


@functools.cache  # a job opens a set several times
def _say(text: str) -> None:
    # It is imported here, since it imports JAX, which takes seconds.
    from ganfp_jax.run import processes

    if processes.first():
        print(text)
