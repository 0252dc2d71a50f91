"""Tiles of a picture are one vote: what they add up to, and how much they count."""

import numpy as np
import pytest

from ganfp_jax.attribution import tiles
from ganfp_jax.attribution.voting import RULES, Vote, count_votes

VIEWS, CLASSES = 3, 4


def votes(number, rule="majority", seed=0, spread=2.0):
    logits = spread * np.random.default_rng(seed).standard_normal((VIEWS, number, CLASSES)).astype(np.float32)
    vote = Vote(*map(np.asarray, count_votes(logits, rule)))
    return vote._replace(distance=np.arange(number, dtype=np.float32) / number)


@pytest.mark.parametrize("rule", RULES)
def test_combine_leaves_pictures_of_one_tile_as_they_are(rule):
    vote = votes(5, rule)
    assert tiles.combine(vote, np.ones(5, int), 0.1) is vote
    mixed = tiles.combine(vote, np.array([1, 3, 1]), 0.1)
    for name in Vote._fields:
        axis = 1 if name.startswith("view") else 0
        before, after = (np.moveaxis(getattr(v, name), axis, 0) for v in (vote, mixed))
        np.testing.assert_array_equal(after[[0, 2]], before[[0, 4]], err_msg=name)


def test_combine_multiplies_probabilities_by_their_weight():
    vote, counts, dependence = votes(7), np.array([4, 3]), 0.25
    found = tiles.combine(vote, counts, dependence)
    for picture, part in enumerate((slice(0, 4), slice(4, 7))):
        p = (1 - tiles.STRAY) * vote.probabilities[part] + tiles.STRAY / CLASSES
        expected = np.prod(p, axis=0) ** (1 / (1 + (counts[picture] - 1) * dependence))
        np.testing.assert_allclose(found.probabilities[picture], expected / expected.sum(), rtol=1e-5)
        assert found.predicted[picture] == expected.argmax()
        np.testing.assert_array_equal(found.votes[picture], vote.votes[part].sum(0))
        assert found.distance[picture] == pytest.approx(vote.distance[part].mean())
    assert found.votes.sum(-1).tolist() == [VIEWS * 4, VIEWS * 3]
    assert found.view_predictions.shape == (VIEWS, 2) and found.view_logits.shape == (VIEWS, 2, CLASSES)


def test_combine_depends_on_no_order_of_the_tiles():
    vote, counts = votes(6), np.array([6])
    turned = Vote(*(x[:, ::-1] if n.startswith("view") else x[::-1] for n, x in vote._asdict().items()))
    for a, b in zip(tiles.combine(vote, counts, 0.1), tiles.combine(turned, counts, 0.1), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_combine_counts_views_that_a_stopped_vote_has_shown():
    logits = np.random.default_rng(1).standard_normal((VIEWS, 4, CLASSES)).astype(np.float32)
    seen = np.array([[1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0]], bool)
    vote = Vote(*map(np.asarray, count_votes(logits, "majority", seen)))
    found = tiles.combine(vote, np.array([2, 2]), 0.1)
    assert found.votes.sum(-1).tolist() == [3, 3]
    assert (found.view_predictions[2] == -1).all() and np.isnan(found.view_logits[2]).all()
    assert (found.view_predictions[1] == logits[1, [0, 2]].argmax(-1)).all()


def test_one_tile_cannot_decide_alone():
    logits = np.zeros((1, 9, 2), np.float32)
    logits[0, :, 0] = 2.0
    logits[0, 0] = [-500, 500]
    vote = Vote(*map(np.asarray, count_votes(logits, "majority")))
    assert tiles.combine(vote, np.array([9]), 0.1).predicted.tolist() == [0]


def test_weights_of_dependent_tiles_are_of_few():
    counts = np.array([1, 2, 64, 100_000])
    assert (counts * tiles.weights(counts, 0.0)).tolist() == counts.tolist()
    np.testing.assert_allclose(counts * tiles.weights(counts, 1.0), 1)
    assert (counts * tiles.weights(counts, 0.1))[-1] == pytest.approx(10, abs=0.01)


def drawn(pictures, count, shared, seed=0):
    """Tiles of two sources whose logits share a part of their noise, all as probable as they are likely alone."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 2, pictures)
    mean = np.where(targets == 0, 1.0, -1.0)[:, None]
    noise = np.sqrt(shared) * rng.standard_normal((pictures, 1))
    noise = noise + np.sqrt(1 - shared) * rng.standard_normal((pictures, count))
    log_odds = 2 * 0.5 * (0.5 * mean + noise)  # of two normal distributions at +-0.5
    p = 1 / (1 + np.exp(-log_odds.ravel()))
    counts = np.full(pictures, count)
    return tiles.evidence(np.stack([p, 1 - p], -1), counts), counts, targets


@pytest.mark.parametrize("shared", [0.02, 0.2, 0.6])
def test_learn_dependence_finds_how_much_the_tiles_share(shared):
    assert tiles.learn_dependence(*drawn(4000, 16, shared)) == pytest.approx(shared, abs=0.08 + 0.1 * shared)


def test_learn_dependence_is_careful_with_few_pictures():
    assert tiles.learn_dependence(*drawn(tiles.FEWEST - 1, 16, 0.2)) is None
    assert np.mean([tiles.learn_dependence(*drawn(30, 16, 0.2, seed)) for seed in range(20)]) > 0.25
    summed, _, targets = drawn(40, 1, 0.0)
    assert tiles.learn_dependence(summed, np.ones(40, int), targets) is None  # no picture has several tiles


def test_strangers_are_counted_beyond_chance():
    p = np.full((12, CLASSES), 0.001)
    p[:, 0] = 0.997
    p[3] = [0.0001, 0.0001, 0.9997, 0.0001]
    p[7] = [0.1, 0.8, 0.05, 0.05]  # likely, but among twelve tiles no wonder
    counts, predicted = np.array([10, 2]), np.array([0, 0])
    assert tiles.strangers(p, counts, predicted).tolist() == [[0, 0, 1, 0], [0, 0, 0, 0]]
    vote = votes(12)._replace(probabilities=p)
    assert tiles.strange_notes(vote, counts, predicted, "abcd") == ["c in 1 of 10 tiles", ""]
    assert not tiles.strangers(p, np.ones(12, int), np.zeros(12, int)).any()


def test_strangers_of_a_true_network_are_named_in_few_pictures():
    """Of 2,000 pictures of 16 tiles that are all of their own source, no more than `FALSE_TILES` have a stranger."""
    rng = np.random.default_rng(0)
    x = 4.0 + rng.standard_normal(32_000)  # of the first of two normal distributions, at +-4
    odds = np.exp(8 * x)
    p = np.stack([odds / (1 + odds), 1 / (1 + odds)], -1)
    found = tiles.strangers(p, np.full(2000, 16), np.zeros(2000, int))
    assert (found.sum(-1) > 0).mean() <= tiles.FALSE_TILES
