"""Enrolment: a network that knows one source more, from a few images and without training; and its withdrawal."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganfp_jax.attribution import prototypes
from ganfp_jax.attribution.one_source import Advice, check_one_source
from ganfp_jax.attribution.prototypes import Space
from ganfp_jax.attribution.traces import TILING, make_reader, read_known, read_new
from ganfp_jax.data.listing import printable
from ganfp_jax.data.names import check_names
from ganfp_jax.data.tiles import Tiling
from ganfp_jax.interop.weights import Weights, digest, float32
from ganfp_jax.run.errors import UserError

NETWORK = "enrolled"
ADVICE = Advice(
    alike="a source is enrolled from images of different things",
    apart="enrol each under a name of its own, or all as one with config.mixed=True",
)


class Enrolment(NamedTuple):
    """An enrolled network, and what was found out on the way."""

    weights: Weights
    used: list[str]
    """The files that the prototype is made of."""
    found: int
    """How many of them are given to the source where it is enrolled from the others."""
    refused: list[tuple[str, str]]
    """(name, reason) of the files that could not be used, those of known sources too."""
    nearest: str
    """The known source that is most like the new one."""


def enrol(
    weights: Weights,
    name: str,
    files: Sequence[str | Path],
    root: str | Path,
    *,
    rate: float = 0.01,
    images_per_source: int = 300,
    resize: str = "crop",
    layout: str = "auto",
    tiling: Tiling = TILING,
    mixed: bool = False,
) -> Enrolment:
    """Makes a network that knows one source more.

    Args:
        weights: of an attribution network, enrolled or not.
        name: of the new source.
        files: its images, `FEWEST` or more.
        root: labelled images of the sources that the network was trained on; those it has not seen are best.
        rate: the share of each of these sources' images, view by view, that may be given to an enrolled source.
        images_per_source: at most so many of them are taken.
        resize, layout: as for `data.labelled`.
        tiling: how pictures are cut into tiles.
        mixed: whether images that fall into two groups are enrolled as one source.

    Raises:
        UserError: the name cannot be or is taken; too few images, or all alike, or of two sources; too few images of a
            known source.
    """
    model, variables, classes = trained(weights)
    check_new(weights, name, rate)
    read = make_reader(model, variables, weights.about.get("augment", "d4"))
    names, new, refused = read_new(read, files, resize, tiling)
    others = [*weights.about["classes"][len(classes) :], name]  # they may have images in the folder, too
    known = read_known(read, classes, others, root, images_per_source, resize, layout, tiling)
    means = [of.means for of in known.traces]
    space = prototypes.learn_space(means)
    check_one_source(names, new, means, space, ADVICE, mixed=mixed)
    points = np.stack([*_enrolled(weights, len(classes)), new.means.mean(0)])
    thresholds = prototypes.choose_thresholds(known.traces, known.groups, points, rate)
    found = prototypes.found_again(new, space, float(thresholds[-1]))
    record = {"files": _digests(names, files), "found": int(found.sum()), "rate": rate}
    about = _without_calibration(weights) | {
        "classes": [*weights.about["classes"], name],
        "enrolled": weights.about.get("enrolled", {}) | {name: record},
        "trained": digest(variables),
    }
    head = _head(space, points, thresholds)
    lead = prototypes.lead_of(space.prototypes, space, points[-1:])[:, 0]
    refused = [*refused, *known.refused]
    made = _assembled(weights, model, variables, about, head)
    return Enrolment(made, names, int(found.sum()), refused, classes[int(lead.argmax())])


def withdraw(weights: Weights, name: str) -> Weights:
    """Makes the network without an enrolled source; without the last one, it is the trained network again.

    Raises:
        UserError: no source of this name was enrolled.
    """
    model, variables, classes = trained(weights)
    enrolled = weights.about["classes"][len(classes) :]
    if name not in enrolled:
        names = ", ".join(enrolled) or "none was enrolled"
        raise UserError(f"config.remove is {name!r}; give the name of an enrolled source ({names})")
    about = _without_calibration(weights) | {"classes": [one for one in weights.about["classes"] if one != name]}
    if enrolled == [name]:
        about = {key: value for key, value in about.items() if key not in ("enrolled", "trained")}
        return dataclasses.replace(weights, model=model, variables=variables, about=about)
    about["enrolled"] = {one: record for one, record in about["enrolled"].items() if one != name}
    place = weights.about["classes"].index(name)
    head = {key: weights.variables["params"][key] for key in ("center", "axes", "prototypes", "thresholds")}
    head["prototypes"] = np.delete(head["prototypes"], place, axis=1)
    head["thresholds"] = np.delete(head["thresholds"], place - len(classes))
    return _assembled(weights, model, variables, about, head)


def trained(weights: Weights) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """The network that was trained: its settings, its variables and its sources."""
    if weights.model["name"] != NETWORK:
        return weights.model, weights.variables, list(weights.about["classes"])
    variables = {name: tree["base"] for name, tree in weights.variables.items() if "base" in tree}
    model = {"resolution": weights.model["resolution"], **weights.model["base"]}
    return model, variables, weights.about["classes"][: model["num_classes"]]


def check_new(weights: Weights, name: str, rate: float) -> None:
    """Raises UserError unless the network can be given a source of this name at this rate; nothing is read."""
    classes = weights.about["classes"]
    if name in classes:
        raise UserError(
            f"config.name is {name!r}, which the network knows already; give another name, or take an enrolled source "
            f"out first with config.remove={name}"
        )
    check_names([name], "config.name")
    if not 0 < rate < 1:
        raise UserError(f"config.rate is {rate}; give a share between 0 and 1, such as 0.01")


def _digests(names: Sequence[str], files: Sequence[str | Path]) -> list[list[str]]:
    """The name, without folders, and the SHA-256 of each used file."""
    paths = {printable(str(file)): Path(file) for file in files}
    used = [paths[name] for name in names]
    return [[printable(path.name), hashlib.sha256(path.read_bytes()).hexdigest()] for path in used]


def _enrolled(weights: Weights, trained_sources: int) -> list[np.ndarray]:
    """The prototypes of the sources that were enrolled before."""
    if weights.model["name"] != NETWORK:
        return []
    return list(np.asarray(weights.variables["params"]["prototypes"], np.float64).T[trained_sources:])


def _head(space: Space, points: np.ndarray, thresholds: np.ndarray) -> dict[str, np.ndarray]:
    """The parameters that `models.enrolled.Enrolled` has beside those of the trained network."""
    every = np.concatenate([space.prototypes, points])
    return {"center": space.center, "axes": space.axes, "prototypes": every.T, "thresholds": thresholds}


def _assembled(
    weights: Weights,
    model: Mapping[str, Any],
    variables: Mapping[str, Any],
    about: Mapping[str, Any],
    head: Mapping[str, np.ndarray],
) -> Weights:
    """The weights of an enrolled network."""
    settings = {
        "name": NETWORK,
        "resolution": model["resolution"],
        "num_classes": len(about["classes"]),
        "base": dict(model),
        "num_axes": head["axes"].shape[1],
    }
    together = {name: {"base": tree} for name, tree in variables.items()}
    together["params"] |= {key: float32(value) for key, value in head.items()}
    return dataclasses.replace(weights, model=settings, variables=together, about=dict(about))


def _without_calibration(weights: Weights) -> dict[str, Any]:
    return {key: value for key, value in weights.about.items() if key != "calibration"}
