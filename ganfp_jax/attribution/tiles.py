"""From the votes on a picture's tiles to one vote on the picture: pure functions of arrays.

The probabilities of a picture are those of its tiles, multiplied: the sum of their logarithms. Tiles of one picture
depend on each other (one camera, one scene), so T of them count as T / (1 + (T - 1) d), as of samples that are
correlated by d, the dependence: at most 1 / d however many there are. A picture of one tile has the vote on that tile,
bit for bit.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer

from ganfp_jax.attribution.voting import Vote, join_votes
from ganfp_jax.data.looks import Look

DEPENDENCE = 0.1  # where none was learned: all tiles of a picture together count as 10 independent ones at most
STRAY = 0.01  # the share of tiles that may be anything, so that no tile decides alone
FALSE_TILES = 0.05  # the chance that `strangers` names a source in a picture without one
LIKELIHOOD_RATIO = 1.92  # half the 95 % point of chi-squared with one degree of freedom
FEWEST = 20  # pictures of several tiles from which a dependence is learned


def weights(counts: Integer[np.ndarray, " n"], dependence: float) -> Float[np.ndarray, " n"]:
    """What each tile of pictures of so many tiles counts, 0 to 1; 1 of the only one."""
    return 1 / (1 + (counts - 1) * dependence)


def evidence(probabilities: Float[np.ndarray, "t k"], counts: Integer[np.ndarray, " n"]) -> Float[np.ndarray, "n k"]:
    """The logarithms of the tiles' probabilities, summed over each picture.

    Args:
        probabilities: of all tiles, one picture's after the other's.
        counts: how many of them are each picture's, 1 or more.
    """
    return np.add.reduceat(logs(probabilities), _starts(counts), axis=0)


def probabilities(
    summed: Float[np.ndarray, "n k"], counts: Integer[np.ndarray, " n"], dependence: float
) -> Float[np.ndarray, "n k"]:
    """The probabilities of pictures by the `evidence` on them."""
    scores = weights(counts, dependence)[:, None] * summed
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    return (shares / shares.sum(-1, keepdims=True)).astype(np.float32)


def combine(vote: Vote, counts: Integer[np.ndarray, " n"], dependence: float) -> Vote:
    """One vote on each picture, of the votes on its tiles.

    Args:
        vote: on all tiles, in NumPy arrays, one picture's after the other's.
        counts: how many of them are each picture's, 1 or more.
        dependence: of tiles of one picture, 0 (independent) to 1 (many say no more than one).

    Returns:
        A vote on the N pictures. Of several tiles, the class has the highest probability, whatever the rule within a
        tile; `votes` counts the views of all tiles; each view chooses by the probabilities of all tiles that it was
        shown (`view_logits` are their logarithms, -1 and NaN stand where there are none); `distance` and `nobody` are
        means.
    """
    if (counts == 1).all():
        return vote
    starts, one = _starts(counts), counts == 1
    together = probabilities(evidence(np.asarray(vote.probabilities), counts), counts, dependence)
    together[one] = vote.probabilities[starts[one]]
    predicted = together.argmax(-1).astype(np.int32)
    predicted[one] = vote.predicted[starts[one]]
    shown = np.add.reduceat(vote.view_predictions >= 0, starts, axis=1, dtype=np.int64)  # (V, N)
    said = np.nan_to_num(logs(_softmax(np.asarray(vote.view_logits))))  # 0 where the view was not shown the tile
    view_logits = (weights(counts, dependence)[:, None] * np.add.reduceat(said, starts, axis=1)).astype(np.float32)
    view_logits[shown == 0] = np.nan
    view_logits[:, one] = vote.view_logits[:, starts[one]]
    chosen = np.where(shown == 0, -1, np.nan_to_num(view_logits).argmax(-1))
    return Vote(
        predicted=predicted,
        probabilities=together,
        votes=np.add.reduceat(vote.votes, starts, axis=0, dtype=np.int32),
        view_predictions=chosen.astype(np.int32),
        view_logits=view_logits,
        distance=_mean(np.asarray(vote.distance), starts, counts),
        nobody=_mean(np.asarray(vote.nobody), starts, counts),
    )


class PictureVotes(NamedTuple):
    """The vote on N pictures, with what it rests on."""

    vote: Vote
    tiles: Integer[np.ndarray, " n"]
    """On how many tiles each verdict rests; 0 where there is nothing to see."""
    evidence: Float[np.ndarray, "n k"]
    """As of `evidence`."""
    notes: Sequence[str]
    """What was seen of each picture, what else was found in it and what was done to it."""


def on_pictures(looks: Sequence[Look], vote: Vote, classes: Sequence[str], dependence: float) -> PictureVotes:
    """The vote on pictures by that on all their tiles.

    Args:
        looks: what the network was shown of each picture; at least one.
        vote: on their tiles, in order.
        classes: K names.
        dependence: as for `combine`.
    """
    counts = np.array([len(look.tiles) for look in looks])
    together = combine(vote, counts, dependence)
    strange = strange_notes(vote, counts, np.asarray(together.predicted), classes)
    return PictureVotes(
        vote=together,
        tiles=np.array([look.counted for look in looks]),
        evidence=evidence(np.asarray(vote.probabilities), counts),
        notes=[look.noted(others) for look, others in zip(looks, strange, strict=True)],
    )


def strongest(vote: Vote, counts: Sequence[int], pictures: Vote) -> Integer[np.ndarray, " n"]:
    """The tile of each picture that speaks most for the picture's source, as a place among all tiles.

    Args:
        vote: on all tiles.
        counts: how many are each picture's.
        pictures: the vote on the pictures.
    """
    starts = _starts(np.asarray(counts))
    chosen = zip(starts, counts, np.asarray(pictures.predicted), strict=True)
    shares = np.asarray(vote.probabilities)
    return np.array([start + shares[start : start + count, k].argmax() for start, count, k in chosen])


def reweighed(given: PictureVotes, dependence: float) -> Vote:
    """The vote on the same pictures by another dependence of their tiles."""
    several = given.tiles > 1
    shares = np.array(given.vote.probabilities)
    shares[several] = probabilities(given.evidence[several], given.tiles[several], dependence)
    return given.vote._replace(probabilities=shares)


def join(parts: Sequence[PictureVotes]) -> PictureVotes:
    """The votes on all pictures of one or more parts, in their order."""
    votes, tiles, summed, notes = zip(*parts, strict=True)
    every = [note for some in notes for note in some]
    return PictureVotes(join_votes(votes), np.concatenate(tiles), np.concatenate(summed), every)


def learn_dependence(
    summed: Float[np.ndarray, "n k"], counts: Integer[np.ndarray, " n"], targets: Integer[np.ndarray, " n"]
) -> float | None:
    """The dependence by which the probabilities of labelled pictures are most likely; None of too few pictures.

    Of all that are as likely within their 95 % interval it is the highest: few pictures, or pictures that are all
    right, cannot show that tiles are independent.

    Args:
        summed: the `evidence` on N pictures.
        counts: how many tiles each has; those of one tile say nothing.
        targets: true classes.
    """
    several = counts > 1
    if several.sum() < FEWEST:
        return None
    summed, counts, targets = summed[several], counts[several], targets[several]
    candidates = np.linspace(0.0, 1.0, 101)

    def likelihood(dependence: float) -> float:
        scores = weights(counts, dependence)[:, None] * summed
        of_target = np.take_along_axis(scores, targets[:, None], axis=1)[:, 0]
        return float((of_target - np.logaddexp.reduce(scores, axis=1)).sum())

    likelihoods = np.array([likelihood(float(dependence)) for dependence in candidates])
    return float(candidates[likelihoods >= likelihoods.max() - LIKELIHOOD_RATIO].max())


def strangers(
    probabilities: Float[np.ndarray, "t k"], counts: Integer[np.ndarray, " n"], predicted: Integer[np.ndarray, " n"]
) -> Integer[np.ndarray, "n k"]:
    """How many tiles of each picture are of another source than the picture, beyond chance.

    A tile counts where another source is so many times as probable as the picture's that the chance of even one such
    tile in a picture without any is at most `FALSE_TILES`. For tiles of the picture's source, the mean of that ratio
    is 1 at most, where the network's probabilities hold; so by Markov's inequality, and Bonferroni's over T tiles and
    K - 1 sources, the ratio must be T (K - 1) / `FALSE_TILES`.
    """
    num_classes = probabilities.shape[-1]
    own = probabilities[np.arange(len(probabilities)), np.repeat(predicted, counts)]
    of = np.repeat(counts, counts)
    most = probabilities.argmax(-1)
    foreign = (of > 1) & (probabilities.max(-1) >= of * (num_classes - 1) / FALSE_TILES * own)
    found = (np.arange(num_classes) == most[:, None]) & foreign[:, None]
    return np.add.reduceat(found, _starts(counts), axis=0, dtype=np.int64)


def strange_notes(
    vote: Vote, counts: Integer[np.ndarray, " n"], predicted: Integer[np.ndarray, " n"], classes: Sequence[str]
) -> list[str]:
    """The `strangers` of each picture in words, such as "ProGAN in 1 of 40 tiles"; "" where there are none."""
    return [
        ", ".join(f"{name} in {number} of {count} tiles" for name, number in zip(classes, found, strict=True) if number)
        for found, count in zip(strangers(np.asarray(vote.probabilities), counts, predicted), counts, strict=True)
    ]


def _mean(values: Float[np.ndarray, " t"], starts: np.ndarray, counts: np.ndarray) -> Float[np.ndarray, " n"]:
    return (np.add.reduceat(values, starts) / counts).astype(np.float32)


def _starts(counts: Integer[np.ndarray, " n"]) -> Integer[np.ndarray, " n"]:
    return np.cumsum(counts) - counts


def logs(values: Float[np.ndarray, "*t k"]) -> Float[np.ndarray, "*t k"]:
    """The logarithms of probabilities, of which `STRAY` is spread over all sources."""
    return np.log((1 - STRAY) * values.astype(np.float64) + STRAY / values.shape[-1])


def _softmax(logits: Float[np.ndarray, "*t k"]) -> Float[np.ndarray, "*t k"]:
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)
