"""Published image sets in folders, whose names say the source, the group and the split of the images in them."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ganfp_jax.data.found import REAL, Found, Reading
from ganfp_jax.data.label_words import LABELS, SPLITS, kind_of
from ganfp_jax.data.listing import find_images
from ganfp_jax.run.progress import progress


def _any_of(kinds: Iterable[frozenset[str]]) -> str:
    return "|".join(sorted(frozenset().union(*kinds)))


_SOURCE, _GROUP = "(?P<source>[^/]+)", "(?P<group>[^/]+)"
_SPLIT, _LABEL = f"(?P<split>{_any_of(SPLITS.values())})", rf"(?P<label>(?:\d+_)?(?:{_any_of(LABELS.values())}))"
_FORMS = {
    "genimage": f"{_SOURCE}/[^/]+/{_SPLIT}/{_LABEL}/.+",
    "forensynths": f"(?:{_SPLIT}/)?{_SOURCE}/(?:{_GROUP}/)?{_LABEL}/.+",
    "semantic": f"(?:{_SPLIT}/)?{_SOURCE}/(?P<group>.+)/[^/]+",
    "hf": f"{_SPLIT}/{_SOURCE}/.+",
}
PATTERNS = {layout: re.compile(form, re.IGNORECASE | re.DOTALL) for layout, form in _FORMS.items()}
"""Layout -> what the whole path of an image below the root is like. A folder `label` says whether it is real."""

LABELLED = ("genimage", "forensynths")
"""Layouts in which real and fake images lie side by side."""

PROGAN = "progan"
PROGAN_CLASSES = frozenset(
    {
        *("airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
        *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
    }
)
"""The classes of LSUN that ForenSynths trains with: in train/ and val/ they lie where test/ has generators."""


def reading_of(names: Iterable[str]) -> str:
    """Returns the layout of `LABELLED` that all names of images fit; "" where there is none."""
    names = list(names)
    return next((layout for layout in LABELLED if all(map(PATTERNS[layout].fullmatch, names))), "")


def read(root: Path, layout: str) -> Reading:
    """Finds the images below a folder whose paths fit the pattern of a layout; all else is left out."""
    with progress(None, "list", "file", delay=2.0) as bar:
        listing = find_images(root, bar.update)
    names = [path.relative_to(root).as_posix() for path in listing.images]
    said = [match and match.groupdict("") for match in map(PATTERNS[layout].fullmatch, names)]
    if layout == "forensynths":
        _name_progan([one for one in said if one])
    found = [_found(name, path, one) for name, path, one in zip(names, listing.images, said, strict=True) if one]
    others = [(path.relative_to(root).as_posix(), reason) for path, reason in listing.left_out]
    outside = f"lies where layout {layout} has no images"
    others += [(name, outside) for name, one in zip(names, said, strict=True) if not one]
    return Reading(found, others)


def _found(name: str, path: Path, said: dict[str, str]) -> Found:
    is_real = kind_of(said.get("label", ""), LABELS) == "real"
    split = kind_of(said.get("split", ""), SPLITS)
    return Found(name, path, REAL if is_real else said["source"], said.get("group", ""), split)


def _name_progan(said: Sequence[dict[str, str]]) -> None:
    """Gives the source ProGAN, and its folder as group, to the images of a split of `PROGAN_CLASSES` alone."""
    sources: dict[str, set[str]] = {}
    for one in said:
        sources.setdefault(one["split"], set()).add(one["source"])
    for one in said:
        if sources[one["split"]] <= PROGAN_CLASSES:
            one["source"], one["group"] = PROGAN, one["source"]
