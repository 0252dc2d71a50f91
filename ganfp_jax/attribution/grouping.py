"""Which of the images that a network does not know come from one generator, and of how many generators they are."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from ganfp_jax.attribution import clusters
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.enrolment import trained
from ganfp_jax.attribution.likelihood import pool_of
from ganfp_jax.attribution.one_source import check_different
from ganfp_jax.attribution.prototypes import learn_space
from ganfp_jax.attribution.traces import TILING, Distinct, look_at_distinct, make_reader, read_known
from ganfp_jax.attribution.trials import learn_scorer
from ganfp_jax.attribution.typicality import Typical
from ganfp_jax.attribution.verdict import UNKNOWN, UNSURE
from ganfp_jax.data.entries import IMAGE, REJECTED
from ganfp_jax.data.inputs import find, image_file
from ganfp_jax.data.listing import printable
from ganfp_jax.data.tiles import Tiling
from ganfp_jax.interop.weights import Weights, digest
from ganfp_jax.report import wording
from ganfp_jax.run.errors import UserError

ALL = "all"
RULE = "majority"
MOST = 2000


class Member(NamedTuple):
    """One of the images that were grouped."""

    name: str
    file: str
    """The path that `configs/enrol.py` finds it by; "" of an image in an archive."""
    verdict: str
    group: int
    """From 1; 0 for none."""
    distance: float | None
    """How unlike the mean of its group it is, 0 to 2; None of one that is alone."""
    silhouette: float | None
    """How much nearer its group is than the next one, -1 to 1; None of one that is alone, and of a single group."""
    tile: UInt8[np.ndarray, "r r 3"]
    """What the network was shown, the first part."""


@dataclasses.dataclass(frozen=True)
class Grouping:
    """Groups of images that seem to come from one generator each.

    Attributes:
        members: the images that were grouped, group by group, the largest first and the most central image of each
            first; those that are alone at the end.
        verdicts: verdict -> how many of all images that can be used have it.
        of: the verdicts whose images were grouped.
        refused: (name, reason) of the files that could not be used, known ones, too.
        known: source -> its images that the axes were learned from.
        threshold, smallest: of the groups.
        digest: of the network.
    """

    members: list[Member]
    verdicts: dict[str, int]
    of: tuple[str, ...]
    refused: list[tuple[str, str]]
    known: dict[str, int]
    threshold: float
    smallest: int
    digest: str

    @property
    def groups(self) -> list[list[Member]]:
        """The members of each group."""
        count = max((member.group for member in self.members), default=0)
        return [[member for member in self.members if member.group == number] for number in range(1, count + 1)]

    @property
    def alone(self) -> list[Member]:
        """The images that belong to no group."""
        return [member for member in self.members if not member.group]

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON: of each group how many images it has, the most central, and how sure it is."""
        kept = {key: getattr(self, key) for key in ("verdicts", "of", "known", "threshold", "smallest", "digest")}
        groups = [
            {
                "group": number,
                "images": len(members),
                "central": members[0].name,
                "distance": float(np.mean([member.distance for member in members])),
                "silhouette": _mean([member.silhouette for member in members]),
            }
            for number, members in enumerate(self.groups, 1)
        ]
        alone = [member.name for member in self.alone]
        return {"images": len(self.members), "groups": groups, "alone": alone, "refused": self.refused, **kept}


def group(
    weights: Weights,
    images: str | Sequence[str],
    root: str | Path,
    *,
    of: str = UNKNOWN,
    threshold: float = clusters.THRESHOLD,
    smallest: int = clusters.SMALLEST,
    most: int = MOST,
    images_per_source: int = 300,
    resize: str = "crop",
    layout: str = "auto",
    tiling: Tiling = TILING,
) -> Grouping:
    """Groups images by the generator that seems to have made them.

    Args:
        weights: of an attribution network, with its calibration.
        images: files, folders, patterns and so on, as for `data.inputs.find`.
        root: labelled images of the sources that the network was trained on, best such that it has not seen.
        of: verdicts whose images are grouped, between commas, or "all".
        threshold, smallest: as for `clusters.cluster`.
        most: at most so many of the images are looked at, evenly spread.
        images_per_source: at most so many of each known source's.
        resize, layout: as for `data.labelled`.
        tiling: how pictures are cut into tiles.

    Raises:
        UserError: no image can be used; the network calls nothing by a verdict of `of`; too few images have it, or they
            are all alike; too few images of a known source; a network without traces.
    """
    check(smallest, most, threshold)
    attributor = Attributor.of(weights, "the network")
    asked = verdicts_asked(attributor, of)
    model, variables, classes = trained(weights)
    read = make_reader(model, variables, attributor.augment)
    found, files = _look(images, most, read.resolution, resize, tiling)
    verdicts = [verdict.verdict for verdict in attributor.judge(found.looks)]
    chosen = [place for place, verdict in enumerate(verdicts) if not asked or verdict in asked]
    _check_enough(len(chosen), Counter(verdicts), of, smallest)
    others = weights.about["classes"][len(classes) :]
    known = read_known(read, classes, others, root, images_per_source, resize, layout, tiling)
    means, pictures = [traces.means for traces in known.traces], read([found.looks[place] for place in chosen]).means
    check_different(pictures, means, learn_space(means), "groups are made of images of different things")
    grouped = clusters.cluster(learn_scorer(pool_of(known)), pictures, threshold, smallest)
    return Grouping(
        members=_members(found, files, verdicts, chosen, grouped),
        verdicts=dict(Counter(verdicts)),
        of=asked or (ALL,),
        refused=[*found.refused, *known.refused],
        known={name: len(numbers) for name, numbers in zip(classes, known.groups, strict=True)},
        threshold=threshold,
        smallest=smallest,
        digest=digest(variables),
    )


def _members(
    found: Distinct,
    files: Mapping[str, str],
    verdicts: Sequence[str],
    chosen: Sequence[int],
    grouped: clusters.Clusters,
) -> list[Member]:
    """The images that were grouped, in the order of `Grouping.members`; `chosen` are their places among all."""
    members = []
    for k in np.concatenate([grouped.members(label) for label in (*range(grouped.number), clusters.ALONE)]):
        place = chosen[k]
        name, number = found.names[place], int(grouped.labels[k]) + 1
        distance, silhouette = _number(grouped.distances[k]), _number(grouped.silhouettes[k])
        tile = found.looks[place].tiles[0]
        members.append(Member(name, files[name], verdicts[place], number, distance, silhouette, tile))
    return members


def check(smallest: int, most: int, threshold: float) -> None:
    """Raises UserError for impossible settings."""
    if not 0 <= threshold <= 2:
        raise UserError(f"config.threshold is {threshold}; give 0 to 2, such as {clusters.THRESHOLD}")
    if smallest < 2:
        raise UserError(f"config.smallest is {smallest}; give the number of images that make a group, 2 or more")
    if most < smallest:
        raise UserError(f"config.most is {most}; give {smallest} or more, since a group has so many")


def verdicts_asked(attributor: Attributor, of: str) -> tuple[str, ...]:
    """The verdicts between commas; none for all of them.

    Raises:
        UserError: the network gives no such verdict.
    """
    if of == ALL:
        return ()
    asked = tuple(filter(None, (word.strip() for word in of.split(","))))
    possible = (*attributor.classes, UNSURE, UNKNOWN)
    if not asked or not set(asked) <= set(possible):
        raise UserError(f"config.of is {of!r}; give {ALL} or verdicts between commas: {', '.join(possible)}")
    rules = attributor.rules_for(attributor.default_views, RULE)
    if asked == (UNKNOWN,) and not any(isinstance(rule, Typical) for rule in rules):
        raise UserError(
            "the network has no calibration by which an image could be unknown; give it one with configs/calibrate.py, "
            f"or group all images with config.of={ALL}"
        )
    return asked


def _look(
    asked: str | Sequence[str], most: int, resolution: int, resize: str, tiling: Tiling
) -> tuple[Distinct, dict[str, str]]:
    """What is to be seen in the images that a user named, and the path of each by its name."""
    entries = list(find(asked))
    images = [entry for entry in entries if entry.kind == IMAGE]
    images = [images[place] for place in np.unique(np.linspace(0, len(images) - 1, most).astype(int)) if images]
    files = [image_file(entry.path, entry.inside) for entry in images]
    found = look_at_distinct(files, [entry.path for entry in images], resolution, resize, tiling, {})
    missing = [(printable(entry.path), entry.reason) for entry in entries if entry.kind == REJECTED]
    found = found._replace(refused=[*missing, *found.refused])
    if not found.looks:
        raise UserError(f"none of {len(images)} images can be used{found.reasons}; give others, or more")
    return found, {printable(entry.path): "" if entry.inside else entry.path for entry in images}


def _check_enough(count: int, verdicts: Counter[str], of: str, smallest: int) -> None:
    """Raises UserError where there are fewer images than a group has."""
    if count < smallest:
        said = wording.listed([f"{number} {verdict}" for verdict, number in verdicts.most_common()])
        what = "can be used" if of == ALL else f"are called {of}"
        raise UserError(
            f"{count} of {verdicts.total()} images {what} ({said}); a group has config.smallest={smallest} or more: "
            f"give more images{'' if of == ALL else f', or group all of them with config.of={ALL}'}"
        )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
