"""The likelihood ratio of images and a reference: are they more probable from one generator, or from two?"""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganfp_jax.attribution.enrolment import trained
from ganfp_jax.attribution.one_source import Advice, check_one_source
from ganfp_jax.attribution.prototypes import Traces, learn_space
from ganfp_jax.attribution.same_source import System, learn
from ganfp_jax.attribution.traces import FEWEST, TILING, Distinct, Known, look_at_distinct, make_reader, read_known
from ganfp_jax.attribution.trials import Pool, Sizes
from ganfp_jax.data.entries import IMAGE, REJECTED
from ganfp_jax.data.identified import Identified
from ganfp_jax.data.inputs import find, image_file
from ganfp_jax.data.listing import printable
from ganfp_jax.data.tiles import Tiling
from ganfp_jax.interop.weights import Weights, digest
from ganfp_jax.metrics.ratios import tippett
from ganfp_jax.run.errors import UserError

MOST = 20
DRAWS, REPEATS = 50, 200


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How much more probable the images are with the reference's generator than with another one.

    Attributes:
        ratio: the likelihood ratio, within `bounds`; above 1 it supports one generator, below 1 two.
        ci95: its interval over the photographs of the known images; None where these are too few.
        bounds: the lowest and the highest ratio that so many trials support (ELUB).
        reference, images: name and SHA-256 of every image that was compared.
        refused: (name, reason) of the files that could not be used, known ones, too.
        known: source -> its images and photographs that the ratio was calibrated by.
        trials: how many of one source (`same`), of two (`different`), and as how many `independent` ones they count.
        validity: `cllr` and `cllr_min`, each {`value`, `ci95`}, of trials that had no part in their calibration.
        tippett: the curves of their ratios (`metrics.ratios.tippett`).
        digest: of the network.
    """

    ratio: float
    ci95: list[float] | None
    bounds: tuple[float, float]
    reference: list[tuple[str, str]]
    images: list[tuple[str, str]]
    refused: list[tuple[str, str]]
    known: dict[str, dict[str, int]]
    trials: dict[str, int]
    validity: dict[str, dict[str, Any]]
    tippett: dict[str, list[float]]
    digest: str

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return dataclasses.asdict(self)


def compare(
    weights: Weights,
    images: str | Sequence[str],
    reference: str | Sequence[str],
    root: str | Path,
    *,
    most: int = MOST,
    images_per_source: int = 300,
    resize: str = "crop",
    layout: str = "auto",
    tiling: Tiling = TILING,
    mixed: bool = False,
    draws: int = DRAWS,
    repeats: int = REPEATS,
    seed: int = 0,
) -> Comparison:
    """Compares images, taken together as one case, with a reference that one generator has made.

    Args:
        weights: of an attribution network.
        images, reference: files, folders, patterns and so on, as for `data.inputs.find`.
        root: labelled images of the sources that the network was trained on, best such that it has not seen.
        most: at most so many of the images and of the reference are taken, evenly spread.
        images_per_source: at most so many of each known source's.
        resize, layout: as for `data.labelled`.
        tiling: how pictures are cut into tiles.
        mixed: whether images, or a reference, that fall into two groups are compared all the same.
        draws, repeats, seed: as for `same_source.learn`.

    Raises:
        UserError: no image can be used, or no image of the reference; they are all alike, or of two sources; too few
            images of a known source; a network without traces.
    """
    check(most, draws, repeats)
    model, variables, classes = trained(weights)
    read = make_reader(model, variables, weights.about.get("augment", "d4"))
    seen: dict[bytes, str] = {}
    looked, digests = [], []
    for what, asked in (("reference", reference), ("images", images)):
        distinct, digest_of = _look(what, asked, most, read.resolution, resize, tiling, seen)
        seen = dict.fromkeys(seen, "is in the reference, too")
        looked.append(distinct)
        digests.append(digest_of)
    known = read_known(
        read, classes, weights.about["classes"][len(classes) :], root, images_per_source, resize, layout, tiling
    )
    sets = [read(of.looks) for of in looked]
    means = [of.means for of in known.traces]
    for what, of, traces in zip(("config.reference", "config.images"), looked, sets, strict=True):
        _check(what, of.names, traces, means, mixed)
    sizes = Sizes(*(len(of.names) for of in looked))
    system = learn(pool_of(known), classes, sizes, draws=draws, repeats=repeats, seed=seed)
    ratio, ci95 = system.log_ratio(sets[0].means, sets[1].means)
    return Comparison(
        ratio=math.exp(ratio),
        ci95=None if ci95 is None else [math.exp(end) for end in ci95],
        bounds=(math.exp(system.bounds[0]), math.exp(system.bounds[1])),
        reference=digests[0],
        images=digests[1],
        refused=[*looked[0].refused, *looked[1].refused, *known.refused],
        known=_counts(known, classes),
        trials=_trials(system),
        validity=system.validity,
        tippett=tippett(system.ratios, system.same),
        digest=digest(variables),
    )


def check(most: int, draws: int, repeats: int) -> None:
    """Raises UserError for impossible settings."""
    for name, value in {"most": most, "draws": draws, "repeats": repeats}.items():
        if value < 1:
            raise UserError(f"config.{name} is {value}; give 1 or more")


def pool_of(known: Known) -> Pool:
    """The pictures of known sources by their mean traces."""
    labels = [np.full(len(groups), label) for label, groups in enumerate(known.groups)]
    means = [of.means for of in known.traces]
    return Pool(np.concatenate(means), np.concatenate(labels), np.concatenate(known.groups))


def _look(
    what: str,
    asked: str | Sequence[str],
    most: int,
    resolution: int,
    resize: str,
    tiling: Tiling,
    seen: dict[bytes, str],
) -> tuple[Distinct, list[tuple[str, str]]]:
    """What is to be seen in the images that a user named, and the name and SHA-256 of each."""
    entries = list(find(asked))
    images = [entry for entry in entries if entry.kind == IMAGE]
    images = [images[place] for place in np.unique(np.linspace(0, len(images) - 1, most).astype(int)) if images]
    files = [Identified(image_file(entry.path, entry.inside), entry.path) for entry in images]
    found = look_at_distinct(files, [entry.path for entry in images], resolution, resize, tiling, seen)
    missing = [(printable(entry.path), entry.reason) for entry in entries if entry.kind == REJECTED]
    found = found._replace(refused=[*missing, *found.refused])
    if not found.looks:
        raise UserError(f"config.{what}: none of {len(images)} images can be used{found.reasons}; give others, or more")
    used = set(found.names)
    return found, [(printable(file.path), file.sha256) for file in files if printable(file.path) in used]


def _check(what: str, names: Sequence[str], traces: Traces, known: Sequence[np.ndarray], mixed: bool) -> None:
    """Raises UserError where a set of images is not of one source; few images do not tell."""
    if len(names) < FEWEST:
        return
    advice = Advice(
        alike="a ratio is of images of different things",
        apart="compare each group alone, or all as one with config.mixed=True",
    )
    try:
        check_one_source(names, traces, known, learn_space(known), advice, mixed=mixed)
    except UserError as error:
        raise UserError(f"{what}: {error}") from error


def _counts(known: Known, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    return {
        name: {"images": len(groups), "photographs": len(np.unique(groups))}
        for name, groups in zip(classes, known.groups, strict=True)
    }


def _trials(system: System) -> dict[str, int]:
    same = int(system.same.sum())
    return {"same": same, "different": len(system.same) - same, "independent": system.independent}
