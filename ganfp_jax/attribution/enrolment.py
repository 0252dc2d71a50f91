"""Enrolment: a network that knows one source more, from a few images and without training; and its withdrawal."""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, UInt8

from ganfp_jax import models
from ganfp_jax.attribution import prototypes
from ganfp_jax.attribution.prototypes import Space, Traces
from ganfp_jax.data import labelled
from ganfp_jax.data.listing import printable
from ganfp_jax.data.looks import Look, Looked, decode_and_look
from ganfp_jax.data.names import check_names
from ganfp_jax.data.shown import shown
from ganfp_jax.data.tiles import Tiling
from ganfp_jax.data.values import to_signed
from ganfp_jax.data.views import apply_view, resolve_views, views_of_training
from ganfp_jax.interop.weights import Weights, digest, float32
from ganfp_jax.models.enrolled import join_traces
from ganfp_jax.run.errors import UserError

NETWORK = "enrolled"
FEWEST = 5  # images of a new source
FEWEST_KNOWN = 20  # images of each known source
BATCH = 32  # tiles a call of the network
TILING = Tiling(tiles=4, min_luma_std=10.0)
"""Few tiles of each picture, since all views of all tiles of all known images are looked at."""
ALIKE = 0.02  # of the variance of one known source's images, below which images are copies of one
SOME = 3  # files that an error names


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


class Known(NamedTuple):
    """The known sources that a new one is compared with."""

    traces: list[Traces]
    """Of each trained source, in the order of the network's classes."""
    groups: list[Integer[np.ndarray, " _"]]
    """The photograph of each of its pictures."""
    refused: list[tuple[str, str]]


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
    names, looks, refused = _look(files, model["resolution"], resize, tiling)
    read = make_reader(model, variables, weights.about.get("augment", "d4"))
    new = read(looks)
    known = read_known(read, classes, root, model["resolution"], images_per_source, resize, layout, tiling)
    means = [of.means for of in known.traces]
    space = prototypes.learn_space(means)
    _check_alike(new, means, space)
    if not mixed and (apart := prototypes.two_groups(new.means, means, space)) is not None:
        raise _falls_apart(names, apart)
    points = np.stack([*_enrolled(weights), new.means.mean(0)])
    thresholds = prototypes.choose_thresholds(known.traces, known.groups, points, rate)
    found = prototypes.found_again(new, space, thresholds[-1])
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
    enrolled = dict(weights.about.get("enrolled", {}))
    if enrolled.pop(name, None) is None:
        names = ", ".join(weights.about.get("enrolled", {})) or "none was enrolled"
        raise UserError(f"config.remove is {name!r}; give the name of an enrolled source ({names})")
    about = _without_calibration(weights) | {"classes": [*classes, *enrolled], "enrolled": enrolled}
    if not enrolled:
        about = {key: value for key, value in about.items() if key not in ("enrolled", "trained")}
        return dataclasses.replace(weights, model=model, variables=variables, about=about)
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


class Reader(NamedTuple):
    """What takes the traces of pictures by all views of a network's training."""

    compiled: Any  # (variables, images) -> traces (V, N, T), slack (V, N)
    variables: Any

    def __call__(self, looks: Sequence[Look]) -> Traces:
        """The traces of one or more pictures."""
        tiles = np.concatenate([look.tiles for look in looks])
        pictures = np.repeat(np.arange(len(looks)), [len(look.tiles) for look in looks])
        parts = [self._batch(tiles[start : start + BATCH]) for start in range(0, len(tiles), BATCH)]
        values, slack = (np.concatenate([part[k] for part in parts], axis=1) for k in (0, 1))
        views = len(values)
        return Traces(values.reshape(-1, values.shape[-1]), slack.ravel(), np.tile(pictures, views))

    def _batch(self, tiles: UInt8[np.ndarray, "n r r 3"]) -> tuple[np.ndarray, np.ndarray]:
        filled = np.pad(tiles, ((0, BATCH - len(tiles)), (0, 0), (0, 0), (0, 0)), mode="edge")
        values, slack = self.compiled(self.variables, filled)
        return np.asarray(values)[:, : len(tiles)], np.asarray(slack)[:, : len(tiles)]


def make_reader(model: Mapping[str, Any], variables: Mapping[str, Any], augment: str) -> Reader:
    """Makes the reader of a trained network.

    Raises:
        UserError: its images are too small, or its logits are a map.
    """
    network: Any = models.create(**model)
    if network.resolution < models.enrolled.BLOCK:
        raise UserError(f"the network takes images of {network.resolution} pixels; sources are enrolled from 16 on")
    compiled = functools.partial(_traces, network, resolve_views(views_of_training(augment)))
    return Reader(jax.jit(compiled), jax.device_put(dict(variables)))


def _traces(
    network: Any, views: tuple[str, ...], variables: Any, images: UInt8[Array, "n r r 3"]
) -> tuple[Float[Array, "v n t"], Float[Array, "v n"]]:
    """The traces of each view of images, and the slack of the logits."""
    signed = to_signed(images)
    seen = jnp.concatenate([apply_view(signed, view) for view in views])
    fingerprints, logits = network.apply(variables, seen, method="fingerprints_and_logits")
    if logits.ndim != 2:
        raise UserError("this network answers with a map of logits (model.latent_res); enrolment needs one a source")
    slack = jax.nn.logsumexp(logits, axis=-1) - logits.max(-1)
    traces = join_traces(fingerprints, seen)
    return traces.reshape(len(views), len(images), -1), slack.reshape(len(views), len(images))


def read_known(
    read: Reader,
    classes: Sequence[str],
    root: str | Path,
    resolution: int,
    images_per_source: int,
    resize: str,
    layout: str,
    tiling: Tiling,
) -> Known:
    """The traces of the known sources' images, of test/ where the folder has it.

    Raises:
        UserError: as `data.labelled.open_labelled`; too few images of a source, or all of one photograph.
    """
    folder = labelled.open_labelled(root, split="test", classes=classes, layout=layout)
    chosen = [np.flatnonzero(folder.labels == label) for label in range(len(classes))]
    chosen = [of[np.linspace(0, len(of) - 1, min(len(of), images_per_source)).astype(int)] for of in chosen]
    images = labelled.Images(folder, resolution, resize).part(np.concatenate(chosen))
    parts = list(shown(images, "known sources", tiling))
    looks = [(index, look) for part in parts for index, look in zip(part.kept, part.looks, strict=True)]
    looks = [(index, look) for index, look in looks if not look.flat]
    origins = labelled.origins(folder)
    traces, groups = [], []
    for label, name in enumerate(classes):
        mine = [(index, look) for index, look in looks if folder.labels[index] == label]
        group = np.unique([origins[index] for index, _ in mine], return_inverse=True)[1]
        if len(mine) < FEWEST_KNOWN or len(np.unique(group)) < 2:
            raise UserError(
                f"{folder.root} has {len(mine)} images of {name} that can be used; to see that they are not given to a "
                f"new source takes {FEWEST_KNOWN} or more, of 2 photographs or more"
            )
        traces.append(read([look for _, look in mine]))
        groups.append(group)
    return Known(traces, groups, [refusal for part in parts for refusal in part.rejected])


def _look(
    files: Sequence[str | Path], resolution: int, resize: str, tiling: Tiling
) -> tuple[list[str], list[Look], list[tuple[str, str]]]:
    """The files that can be used, each image once, what is seen of them, and why the others are none.

    Raises:
        UserError: there are too few.
    """
    looked: Looked = decode_and_look([Path(file) for file in files], resolution, resize, tiling)
    refused = [(printable(str(files[place])), reason) for place, reason in looked.refused.items()]
    names: list[str] = []
    looks: list[Look] = []
    seen: set[bytes] = set()
    for place, look in zip(looked.kept, looked.looks, strict=True):
        name, content = printable(str(files[place])), hashlib.sha256(look.tiles.tobytes()).digest()
        if look.flat or content in seen:
            refused.append((name, "is flat: there is nothing to see" if look.flat else "is a copy of another one"))
            continue
        seen.add(content)
        names.append(name)
        looks.append(look)
    if len(looks) < FEWEST:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in refused[:SOME])
        raise UserError(
            f"{len(looks)} of {len(files)} images can be used; a source is enrolled from {FEWEST} different ones or "
            f"more, better 20{f' ({reasons})' if reasons else ''}"
        )
    return names, looks, refused


def _check_alike(new: Traces, known: Sequence[np.ndarray], space: Space) -> None:
    """Raises UserError where the images vary so little that they are copies of one."""

    def variance(means: np.ndarray) -> float:
        return float((((means - means.mean(0)) @ space.axes) ** 2).sum() / (len(means) - 1))

    share = variance(new.means) / min(map(variance, known))
    if share < ALIKE:
        raise UserError(
            f"the images are all alike (they vary by {share:.1%} of what images of one known source do); a source is "
            "enrolled from images of different things"
        )


def _falls_apart(names: Sequence[str], apart: np.ndarray) -> UserError:
    """The error that names the smaller of two groups."""
    some = [name for name, member in zip(names, apart, strict=True) if member]
    more = f" and {len(some) - SOME} more" if len(some) > SOME else ""
    return UserError(
        f"these fall into two groups, {len(some)} images ({', '.join(some[:SOME])}{more}) and the other "
        f"{len(names) - len(some)}, as of two generators; enrol each under a name of its own, or all as one with "
        "config.mixed=True"
    )


def _digests(names: Sequence[str], files: Sequence[str | Path]) -> list[list[str]]:
    """The name, without folders, and the SHA-256 of each used file."""
    paths = {printable(str(file)): Path(file) for file in files}
    used = [paths[name] for name in names]
    return [[printable(path.name), hashlib.sha256(path.read_bytes()).hexdigest()] for path in used]


def _enrolled(weights: Weights) -> list[np.ndarray]:
    """The prototypes of the sources that were enrolled before."""
    count = len(weights.about.get("enrolled", {}))
    return list(np.asarray(weights.variables["params"]["prototypes"], np.float64).T[-count:]) if count else []


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
