"""A check for trees of images that can be read in two ways, since folders of a source may be labels or splits."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ganfp_jax.data.label_words import LABELS, SPLITS, kind_of
from ganfp_jax.data.listing import printable
from ganfp_jax.data.published_folders import reading_of
from ganfp_jax.run.errors import UserError


def check_layout(base: Path, names: Mapping[str, Iterable[str]]) -> None:
    """Raise where a folder's name may not be the source of its images.

    Three trees raise. First, folders of real and of fake images side by side, at any depth below a source's folder, as
    in `<generator>/{0_real,1_fake}` or `<generator>/{train,val}/{ai,nature}`: real images would count as that
    generator's. Second, two splits side by side below a source's folder: test images would be trained on. Third,
    sources that are called like splits. Case, numbers and words like "images" are ignored. A single label, such as
    `<source>/real`, or a single split mixes nothing and is accepted.

    Args:
        base: the folder that holds the source folders.
        names: source -> the names of its images: "source/file" or "source/folder/.../file".

    Raises:
        UserError: the tree can be read in two ways, which the error names.
    """
    if outer := _of_kinds(names, SPLITS):
        raise UserError(
            f"{printable(str(base))}: {_listed(outer)} may be sources (--config.data.layout=sources reads them so) or "
            f"splits of one set (--config.data.layout=hf), with the source folders in them"
        )
    for source, files in names.items():
        if labels := _first(files, LABELS):
            layout = reading_of(name for inner in names.values() for name in inner)
            raise UserError(_two_labels(base, source, *labels, layout))
        if splits := _first(files, SPLITS):
            raise UserError(_two_splits(base, source, *splits))


def labels_in(names: Iterable[str]) -> tuple[str, Sequence[str]] | None:
    """Returns the first folder in which real and fake images lie side by side, and these two; None without one.

    Args:
        names: names of images, such as "folder/file"; the outermost folder is called "".
    """
    labels = _first((f"/{name}" for name in names), LABELS)
    return labels and (labels[0].removeprefix("/"), labels[1])


def _first(names: Iterable[str], kinds: Mapping[str, frozenset[str]]) -> tuple[str, Sequence[str]] | None:
    """Returns the first folder that has folders of two kinds or more, and these folders."""
    for folder, inner in sorted(_folders_in(names).items()):
        if fitting := _of_kinds(inner, kinds):
            return folder, fitting
    return None


def _two_labels(base: Path, source: str, folder: str, labels: Sequence[str], layout: str) -> str:
    place, real = printable(str(base / folder)), printable(labels[0])
    how = "a CSV list of image,source or source folders of your own say"
    return (
        f"{place} has the folders {_listed(labels)}: either all of them are images of the source {source} "
        f"(--config.data.layout=sources reads them so), or {real} is of the source real and only {_listed(labels[1:])} "
        f"of {source}, which {f'--config.data.layout={layout} reads so' if layout else how}"
    )


def _two_splits(base: Path, source: str, folder: str, splits: Sequence[str]) -> str:
    return (
        f"{printable(str(base / folder))} has the folders {_listed(splits)}: either all of them are images of the "
        f"source {source} to train or test with (--config.data.layout=sources reads them so), or they are splits, "
        f"which lie outside: train/{source} and test/{source}, or a CSV list of image,source,split"
    )


def _of_kinds(names: Iterable[str], kinds: Mapping[str, frozenset[str]]) -> list[str]:
    """Returns a name of each kind, in the order of the kinds; empty where there are fewer than two kinds."""
    by_kind = {kind: name for name in sorted(names, reverse=True) if (kind := kind_of(name, kinds))}
    return [by_kind[kind] for kind in kinds if kind in by_kind] if len(by_kind) > 1 else []


def _folders_in(names: Iterable[str]) -> dict[str, set[str]]:
    """Returns each folder -> its folders that have images at any depth."""
    inside: dict[str, set[str]] = defaultdict(set)
    for folder in {name.rpartition("/")[0] for name in names}:
        outer, slash, inner = folder.rpartition("/")
        while slash and inner not in inside[outer]:
            inside[outer].add(inner)
            outer, slash, inner = outer.rpartition("/")
    return inside


def _listed(names: Sequence[str]) -> str:
    return printable(" and ".join(names))
