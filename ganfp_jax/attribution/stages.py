"""A majority vote that shows an image only as many views as its majority needs.

The views are taken in stages. After each, an image leaves if the views that are still to come could neither change
nor tie its leading class, however they decided. So every decision is that of the vote of all views, ties and their
breaking by mean probability included: an image whose vote could end in a tie sees all of them. Decided from the same
logits, that is: on a device whose sums depend on how many images stand in a batch, two classes of one view
that are equal to the last bits may come out in the other order.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Bool, Float, Integer, UInt8

from ganfp_jax.attribution.voting import (
    NetworkFn,
    Vote,
    Voter,
    count_votes,
    first_images,
    join_votes,
    make_vote,
    vote_in_batches,
)
from ganfp_jax.data.views import resolve_views
from ganfp_jax.run.errors import UserError

_counted = jax.jit(functools.partial(count_votes, rule="majority"))


def is_decided(votes: Integer[np.ndarray, "n k"], remaining: int) -> Bool[np.ndarray, " n"]:
    """Which images keep their leading class, alone at the top, whatever `remaining` more views choose.

    Args:
        votes: views that chose each class so far.
        remaining: views to come; with 0, what is left undecided are the ties.
    """
    if votes.shape[1] < 2:
        return np.ones(len(votes), bool)
    second, first = np.partition(votes, -2, axis=1)[:, -2:].T
    return first > second + remaining


def default_stages(num_views: int) -> tuple[int, ...]:
    """Views shown at once: first the fewest that can decide anything, just over the half, then one at a time."""
    first = num_views // 2 + 1
    return (first, *(1,) * (num_views - first))


@dataclasses.dataclass(frozen=True, eq=False)
class StagedVoter:
    """A compiled majority vote in stages, made by `make_staged_vote`."""

    views: tuple[str, ...]
    stages: tuple[Voter, ...]  # identity, or else the first view, is in the first: what one view says is always known

    def places(self, stage: Voter) -> Integer[np.ndarray, " v"]:
        """Where the views of a stage stand in `views`."""
        return np.array([self.views.index(view) for view in stage.views])

    def warm_up(self, variables: Any, image: UInt8[np.ndarray, "h w c"], batch_size: int) -> None:
        """Compiles every stage, which a vote does only when it comes to it."""
        votes = [vote_in_batches(stage, variables, image[None], batch_size) for stage in self.stages]
        _count(np.concatenate([vote.view_logits for vote in votes]), batch_size)


def make_staged_vote(
    network_fn: NetworkFn,
    views: str | Sequence[str],
    stages: Sequence[int] = (),
    *,
    mesh: Mesh | None = None,
    in_turn: bool | None = None,
) -> StagedVoter:
    """Make the compiled calls, one a stage, of a majority vote that stops early.

    Args:
        network_fn, views, mesh, in_turn: as for `voting.make_vote`.
        stages: how many views each stage shows, in the order given but for identity, which comes first; by default
            `default_stages`.

    Raises:
        UserError: unknown view, or stages that are not positive or do not add up to the number of views.
    """
    names = resolve_views(views)
    sizes = tuple(stages) or default_stages(len(names))
    if min(sizes) < 1 or sum(sizes) != len(names):
        given = ", ".join(map(str, sizes))
        raise UserError(f"stages {given} for {len(names)} views: give numbers from 1 that add up to {len(names)}")
    order = sorted(names, key=lambda view: view != "identity")
    ends = np.cumsum(sizes).tolist()
    groups = [order[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    voters = [make_vote(network_fn, group, "majority", mesh=mesh, in_turn=in_turn) for group in groups]
    return StagedVoter(names, tuple(voters))


def vote_in_stages(voter: StagedVoter, variables: Any, images: UInt8[np.ndarray, "n h w c"], batch_size: int) -> Vote:
    """The majority vote on any number of images, each seen by no more stages than its majority needs.

    Between stages the images that remain are put together anew into batches of the one compiled size, of which only
    the last is filled up.

    Args:
        voter: made by `make_staged_vote`.
        variables, images, batch_size: as for `voting.vote_in_batches`.

    Returns:
        A `Vote` of NumPy arrays. `predicted` is that of the vote of all views. `votes` counts the views that an
        image was shown (`views_used`), `probabilities` is their mean; of the others `view_predictions` has -1 and
        `view_logits` NaN.

    Raises:
        UserError: the classifier gives NaN.
        ValueError: `batch_size` under 1.
    """
    active = np.arange(len(images))
    logits = np.zeros((0, 0, 0), np.float32)
    distance: Any = None
    shown = 0
    for stage in voter.stages:
        if shown and not len(active):
            break
        vote = vote_in_batches(stage, variables, images[active], batch_size)
        if not shown:
            votes, distance = (
                np.zeros_like(vote.votes),
                vote.distance,
            )  # the single view is among these
            logits = np.full((len(voter.views), *vote.votes.shape), np.nan, np.float32)
        logits[np.ix_(voter.places(stage), active)] = vote.view_logits
        votes[active] += vote.votes
        shown += len(stage.views)
        active = active[~is_decided(votes[active], len(voter.views) - shown)]
    return _count(logits, batch_size)._replace(distance=distance)


def _count(logits: Float[np.ndarray, "v n k"], batch_size: int) -> Vote:
    """The vote of the views whose logits are not NaN, with one compilation for one `batch_size`."""
    parts = []
    for start in range(0, max(logits.shape[1], 1), batch_size):
        batch = logits[:, start : start + batch_size]
        filled = np.pad(batch, ((0, 0), (0, batch_size - batch.shape[1]), (0, 0)))
        vote = jax.device_get(_counted(filled, seen=~np.isnan(filled[..., 0])))
        parts.append(first_images(vote, batch.shape[1]))
    return join_votes(parts)
