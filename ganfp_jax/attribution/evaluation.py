"""A network and the images of a labelled folder -> votes, verdicts, metrics, and what was refused."""

import dataclasses
import io
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Integer

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.tiles import PictureVotes, join
from ganfp_jax.attribution.typicality import Typical
from ganfp_jax.attribution.verdict import UNKNOWN, Attribution, Rule, attributions, decide
from ganfp_jax.attribution.voting import Vote
from ganfp_jax.data import labelled
from ganfp_jax.data.shown import shown
from ganfp_jax.data.tiles import Tiling
from ganfp_jax.data.views import resolve_views, single_view
from ganfp_jax.metrics.statistics import accuracy_block, proportion, vote_changes, wilson_interval
from ganfp_jax.run import processes
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import aside


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an attribution network said of the images of a labelled folder.

    `names` are "source/file", `targets` class indices; `notes` says of each image that was not taken as it is
    what was done; `rejected` lists (name, reason) of what was not used, `left_out` of the folder included. `rules` are
    those by which the vote's verdicts are withheld. `pictures` is the vote with its tiles, where it was asked for so.
    """

    names: Sequence[str]
    targets: np.ndarray
    vote: Vote
    metrics: dict[str, Any]
    notes: dict[str, str]
    rejected: Sequence[tuple[str, str]]
    rules: Sequence[Rule | Typical] = ()
    pictures: PictureVotes | None = None

    @property
    def verdicts(self) -> Iterator[Attribution]:
        """The verdict on each image, in order."""
        notes = [self.notes.get(name, "") for name in self.names]
        tiles = None if self.pictures is None else self.pictures.tiles
        return attributions(self.vote, self.rules, self.metrics["classes"], self.metrics["views"], notes, tiles)


def open_images(
    attributor: Attributor,
    root: str,
    resize: str = "crop",
    layout: str = "auto",
    *,
    perturbation: str = "none",
    seed: int = 0,
) -> labelled.Images:
    """The images of a labelled folder that a network is tested on, of test/ where it has one.

    Args:
        attributor: the network, whose classes the folder must have.
        root, resize, layout: of a config's section `data`.
        perturbation, seed: as for `data.labelled.Images`.

    Raises:
        UserError: as `data.labelled.open_labelled` and `Images`.
    """
    folder = labelled.open_labelled(Path(root), split="test", classes=attributor.classes, layout=layout)
    return labelled.Images(folder, attributor.resolution, resize, perturbation, seed)


def evaluate(
    attributor: Attributor,
    images: labelled.Images,
    *,
    views: str | Sequence[str],
    rule: str,
    batch_size: int = 32,
    early_stopping: bool = False,
    tiling: Tiling | None = None,
) -> Evaluation:
    """Attributes images of a labelled folder by a vote over views.

    Several processes (`ganfp_jax.run.processes`) take a part of the images each, and all of them get the whole answer.

    Args:
        images: of the network's size, from a folder that was opened with its classes.
        early_stopping: show an image no more views than its majority needs; the metrics then have `views_saved`, the
            share of view evaluations that was not needed. A calibration says nothing of such a vote.
        tiling: how pictures are cut into tiles, which the metrics then describe in `tiles`; None looks at one image of
            each, and calls none flat. Either way one picture is one image of the metrics.

    Raises:
        UserError: other classes or another size than the network's; unknown view or rule, a view that does not fit the
            network's images; no image could be read.
    """
    check_images(attributor, images)
    attributor.check_vote(views, rule, early_stopping)
    kept, pictures, rejected, seconds = ask(attributor, images, (views, rule, batch_size, early_stopping), tiling)
    folder, names = images.folder, resolve_views(views)
    vote, targets = pictures.vote, folder.labels[kept]
    rules = () if early_stopping else attributor.rules_for(names, rule)
    metrics = evaluation_metrics(vote, targets, folder.classes, names, rule, len(kept) / seconds)
    if early_stopping:
        looked_at = np.maximum(pictures.tiles, 1).sum()
        metrics["views_saved"] = 1 - float(vote.views_used.sum() / looked_at) / len(names)
    if rules:
        metrics["verdicts"] = count_decided(vote, targets, rules, pictures.tiles)
    if tiling is not None:
        metrics["tiles"] = {
            "at_most": tiling.tiles,
            "mean": float(pictures.tiles.mean()),
            "nothing_to_see": int((pictures.tiles == 0).sum()),
            "dependence": attributor.dependence(names, rule),
        }
    return Evaluation(
        names=[folder.names[i] for i in kept],
        targets=targets,
        vote=vote,
        metrics=metrics,
        notes={folder.names[i]: note for i, note in zip(kept, pictures.notes, strict=True) if note},
        rejected=[*rejected, *folder.left_out],
        rules=rules,
        pictures=pictures,
    )


class Asked(NamedTuple):
    """What a network said of the images of a folder."""

    kept: Integer[np.ndarray, " n"]
    """The index of each image in the folder."""
    pictures: PictureVotes
    rejected: list[tuple[str, str]]
    """(name, reason) of every refused file."""
    seconds: float
    """How long the network took."""


def ask(attributor: Attributor, images: labelled.Images, settings: tuple[Any, ...], tiling: Tiling | None) -> Asked:
    """The votes on images of any sources, of which several processes take a part each; all get the whole answer.

    Args:
        images: of the network's size.
        settings: of `Attributor.vote`: views, rule, batch size, early stopping.
        tiling: as for `evaluate`.

    Raises:
        UserError: unknown view or rule, a view that does not fit the images; no image could be read.
    """
    part = _ask(attributor, images.part(processes.share(images.indices)), settings, tiling)
    parts = [_unpack(content) for content in processes.gather(_pack(part))]
    rejected = [refusal for part in parts for refusal in part.rejected]
    votes = [part.votes for part in parts if part.votes is not None]
    if not votes:
        raise nothing_read(images.folder, rejected)
    kept = np.concatenate([part.kept for part in parts])
    return Asked(kept, join(votes), rejected, max(part.seconds for part in parts))


class _Part(NamedTuple):
    """What one process found out; `votes` is None where it could read no image."""

    kept: np.ndarray
    votes: PictureVotes | None
    rejected: list[tuple[str, str]]
    seconds: float


def _ask(attributor: Attributor, images: labelled.Images, settings: tuple[Any, ...], tiling: Tiling | None) -> _Part:
    """The vote on some images, chunk by chunk, and the seconds that it took; arguments as for `ask`."""
    kept: list[np.ndarray] = []
    votes: list[PictureVotes] = []
    rejected: list[tuple[str, str]] = []
    seconds = 0.0
    for chunk in shown(images, "evaluate", tiling):
        rejected += chunk.rejected
        if not len(chunk.kept):
            continue
        if not votes:  # compile before the clock runs
            with aside():
                attributor.warm_up(*settings)
        clock = time.perf_counter()
        votes.append(attributor.look_at(chunk.looks, *settings))
        seconds += time.perf_counter() - clock
        kept.append(chunk.kept)
    if not votes:
        return _Part(np.zeros(0, int), None, rejected, seconds)
    return _Part(np.concatenate(kept), join(votes), rejected, seconds)


def _pack(part: _Part) -> bytes:
    """A `_Part` as bytes, for the other processes."""
    votes = part.votes
    said = json.dumps([part.rejected, part.seconds, list(votes.notes) if votes else []])
    arrays = {**votes.vote._asdict(), "tiles": votes.tiles, "evidence": votes.evidence} if votes else {}
    content = io.BytesIO()
    np.savez(content, words=np.frombuffer(said.encode(), np.uint8), kept=part.kept, **arrays)
    return content.getvalue()


def _unpack(content: bytes) -> _Part:
    with np.load(io.BytesIO(content)) as arrays:
        rejected, seconds, notes = json.loads(arrays["words"].tobytes())
        votes = None
        if "predicted" in arrays:
            vote = Vote(**{name: arrays[name] for name in Vote._fields})
            votes = PictureVotes(vote, arrays["tiles"], arrays["evidence"], notes)
        return _Part(arrays["kept"], votes, [(name, reason) for name, reason in rejected], seconds)


def count_decided(
    vote: Vote,
    targets: Integer[np.ndarray, " n"],
    rules: Sequence[Rule | Typical],
    tiles: Integer[np.ndarray, " n"] | None = None,
) -> dict[str, Any]:
    """How many images get a class for a verdict, how many of these a wrong one, and how many none.

    Args:
        vote: on N images.
        targets: true class indices.
        rules: those that may forbid a verdict.
        tiles: as for `verdict.decide`.

    Returns:
        `decided`, `wrong`, `ci95` (Wilson, of the wrong among the decided; [0, 1] where none is) and `undecided`, and
        how many of these are `unknown` where the rules can say so.
    """
    words = decide(vote, rules, tiles)
    decided = np.array([not word for word in words], bool)
    wrong = decided & (np.asarray(vote.predicted) != targets)
    counts: dict[str, Any] = {
        "decided": int(decided.sum()),
        "wrong": int(wrong.sum()),
        "ci95": list(wilson_interval(int(wrong.sum()), int(decided.sum()))),
        "undecided": int((~decided).sum()),
    }
    can_be_unknown = any(isinstance(rule, Typical) for rule in rules)
    return counts | {"unknown": words.count(UNKNOWN)} if can_be_unknown else counts


def check_images(attributor: Attributor, images: labelled.Images) -> None:
    """Raises UserError unless the images have the network's size and their folder its classes, in their order."""
    folder = images.folder
    if images.resolution != attributor.resolution:
        raise UserError(
            f"{folder.root} is read at {images.resolution}x{images.resolution}, the network takes "
            f"{attributor.resolution}x{attributor.resolution}"
        )
    if tuple(folder.classes) != tuple(attributor.classes):
        raise UserError(
            f"{folder.root} was opened with the classes {', '.join(folder.classes)}, the network has "
            f"{', '.join(attributor.classes)}; open it with those, in that order"
        )


def nothing_read(folder: labelled.LabelledFolder, rejected: Sequence[tuple[str, str]]) -> UserError:
    """The error where every image was refused."""
    return UserError(f"no image of {folder.root} could be read: {rejected[0][0]}: {rejected[0][1]}")


def evaluation_metrics(
    vote: Vote,
    targets: Integer[np.ndarray, " n"],
    classes: Sequence[str],
    views: tuple[str, ...],
    rule: str,
    images_per_second: float,
) -> dict[str, Any]:
    """The content of `metrics.json`: what the vote reaches, and what one view alone would have.

    Args:
        vote: of N images, as `vote_in_batches` returns it.
        targets: true class indices, `(N,)`.
        classes: the K class names, in index order.
        views: the views of the vote, in its order.
        rule: the rule of the vote.
        images_per_second: measured speed, images (not views) a second.

    Returns:
        `accuracy_block` of the vote, with `views`, `rule`, `single_view` (the block of the identity view alone,
        or of the first view where identity has no vote; its name is in `single_view["view"]`), `vote_changes`
        (`wrong_to_right`, `right_to_wrong`, `mcnemar_p`: the vote against that single view) and
        `images_per_second`.

    Raises:
        ValueError: `views` or `targets` do not belong to this vote.
    """
    view_predictions, predicted = np.asarray(vote.view_predictions), np.asarray(vote.predicted)
    if view_predictions.shape != (len(views), len(targets)):
        raise ValueError(
            f"{len(views)} views and {len(targets)} targets, but the vote is of "
            f"{view_predictions.shape[0]} views and {view_predictions.shape[1]} images"
        )
    chosen = single_view(views)
    single = view_predictions[chosen]
    return {
        **accuracy_block(targets, predicted, classes),
        "views": list(views),
        "rule": rule,
        "single_view": {"view": views[chosen], **accuracy_block(targets, single, classes)},
        "vote_changes": vote_changes(targets, single, predicted),
        "images_per_second": float(images_per_second),
    }


def per_photograph(evaluation: Evaluation, folder: labelled.LabelledFolder) -> dict[str, Any]:
    """Accuracy on the images of each photograph, where the folder's manifest lists photographs."""
    origins = dict(zip(folder.names, labelled.origins(folder), strict=True))
    right: dict[str, list[bool]] = {}
    for name, target, predicted in zip(evaluation.names, evaluation.targets, evaluation.vote.predicted, strict=True):
        if origins[name] != name:
            right.setdefault(origins[name].partition("/")[2], []).append(bool(predicted == target))
    return {name: proportion(sum(hits), len(hits)) for name, hits in sorted(right.items())}
