"""Early stopping: decisions are those of the whole majority vote, whatever the logits, and the views are counted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ganfp_jax.attribution.stages import StagedVoter, default_stages, is_decided, make_staged_vote, vote_in_stages
from ganfp_jax.attribution.voting import Voter, count_votes, make_vote, vote_in_batches
from ganfp_jax.data.views import EXACT_VIEWS
from ganfp_jax.run.errors import UserError

K = 4
# Few values, so that views, votes and mean probabilities tie all the time.
LOGITS = np.array([-0.5, 0.0, 0.5, 2.0], np.float32)
counted = jax.jit(count_votes, static_argnums=1)  # hundreds of calls of few shapes


def table_network(variables, images):
    """Logits read from a table by the image's first pixel: a network whose views disagree as the table says.

    The distance is the entry's number.
    """
    entry = (jnp.rint((images[:, 0, 0, 0] + 1) * 127.5)).astype(int)
    return jnp.asarray(variables)[entry], entry.astype(jnp.float32)


def images_of(entries):
    """3x3 images whose four corners hold entries of the table; the views of D4 show each corner twice."""
    images = np.zeros((len(entries), 3, 3, 3), np.uint8)
    images[:, [0, 0, -1, -1], [0, -1, 0, -1]] = entries[..., None]
    return images


def fake_stages(view_logits, sizes):
    """A staged voter that reads its answers from an array (V, N, K); an image is its own number."""
    views = EXACT_VIEWS[: len(view_logits)]
    ends = np.cumsum(sizes)

    def stage(start, stop):
        def answer(_, images):
            numbers = np.asarray(images)[:, 0, 0, 0]
            return counted(np.asarray(view_logits)[start:stop, numbers], "majority")

        return Voter(views[start:stop], "majority", None, answer)

    voters = [stage(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    return StagedVoter(views, tuple(voters))


def numbered_images(n):
    return np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 1, 1, 3))


def views_needed(votes_by_view, sizes):
    """How many views each image sees, counted one image at a time in plain Python."""
    needed = []
    for choices in votes_by_view.T:
        shown = 0
        for size in sizes:
            shown += size
            counts = sorted(np.bincount(choices[:shown], minlength=K))
            if counts[-1] > counts[-2] + len(choices) - shown:
                break
        needed.append(shown)
    return needed


# --- when a vote is over


def test_decided_is_strict():
    votes = np.array([[5, 0, 0], [4, 1, 0], [3, 2, 0], [4, 4, 0]])
    assert is_decided(votes, 3).tolist() == [True, False, False, False]
    assert is_decided(votes, 2).tolist() == [True, True, False, False]
    assert is_decided(votes, 0).tolist() == [True, True, True, False]
    assert is_decided(np.array([[3]]), 9).tolist() == [True]  # one class is always decided


@given(choices=hnp.arrays(np.int64, (8,), elements=st.integers(0, K - 1)), shown=st.integers(0, 8))
@settings(max_examples=200)
def test_decided_means_that_no_further_views_can_change_or_tie_it(choices, shown):
    counts = np.bincount(choices[:shown], minlength=K)
    leader = counts.argmax()
    # The worst that the views to come can do is to choose one other class, all of them.
    worst = max(counts[k] + 8 - shown for k in range(K) if k != leader)
    assert is_decided(counts[None], 8 - shown)[0] == (counts[leader] > worst)
    if shown <= 4:
        assert not is_decided(counts[None], 8 - shown)[0]


def test_default_stages():
    expected = {1: (1,), 2: (2,), 3: (2, 1), 4: (3, 1), 8: (5, 1, 1, 1)}
    assert {v: default_stages(v) for v in expected} == expected


# --- the same decisions


@given(
    view_logits=hnp.arrays(np.float32, (8, 12, K), elements=st.sampled_from(LOGITS)),
    sizes=st.sampled_from([(5, 1, 1, 1), (8,), (1,) * 8, (4, 4), (6, 2), (5, 2, 1)]),
)
@settings(max_examples=60)
def test_decisions_are_those_of_all_views_and_the_views_are_counted(view_logits, sizes):
    whole = counted(view_logits, "majority")
    early = vote_in_stages(fake_stages(view_logits, sizes), None, numbered_images(12), 5)
    np.testing.assert_array_equal(early.predicted, whole.predicted)
    used = views_needed(np.asarray(whole.view_predictions), sizes)
    assert early.views_used.tolist() == used
    probabilities = np.exp(view_logits) / np.exp(view_logits).sum(-1, keepdims=True)
    for i, shown in enumerate(used):
        choices = view_logits[:shown, i].argmax(-1)
        np.testing.assert_array_equal(early.votes[i], np.bincount(choices, minlength=K))
        np.testing.assert_allclose(early.probabilities[i], probabilities[:shown, i].mean(0), atol=1e-6)
        np.testing.assert_array_equal(early.view_predictions[:shown, i], choices)
        np.testing.assert_array_equal(early.view_logits[:shown, i], view_logits[:shown, i])
        assert (early.view_predictions[shown:, i] == -1).all()
        assert np.isnan(early.view_logits[shown:, i]).all()


@pytest.mark.parametrize("views", ["d4", "seed", "rot180,mirror,rot15,identity,vertical_flip", "mirror", "rot90"])
def test_a_compiled_vote_stops_early_and_decides_the_same(views):
    rng = np.random.default_rng(3)
    table = rng.choice(LOGITS, (6, K)).astype(np.float32)
    images = images_of(rng.integers(0, 6, (150, 4)))
    full_voter, staged = make_vote(table_network, views), make_staged_vote(table_network, views)
    full = vote_in_batches(full_voter, table, images, 8)
    early = vote_in_stages(staged, table, images, 8)
    assert staged.views == full_voter.views
    np.testing.assert_array_equal(early.predicted, full.predicted)
    np.testing.assert_array_equal(early.distance, full.distance)
    top = np.sort(full.votes, axis=1)
    if len(staged.views) > 2:
        assert np.any(top[:, -1] == top[:, -2]), "no ties, so their breaking is not tested"
        assert 0 < np.mean(early.views_used) < len(staged.views)
    else:
        assert np.all(early.views_used == len(staged.views)), "of two views both are needed"
    # What the views said that were shown is what they said in the whole vote, in the order of `views`.
    shown = early.view_predictions >= 0
    np.testing.assert_array_equal(early.view_predictions[shown], full.view_predictions[shown])
    np.testing.assert_allclose(early.view_logits[shown], full.view_logits[shown], atol=1e-6)
    assert shown[staged.views.index("identity") if "identity" in staged.views else 0].all()
    assert [x.dtype for x in early] == [x.dtype for x in full]


def test_views_saved_can_be_nothing():
    """Views of four classes that split two and two: every vote ends in a tie."""
    table = np.eye(K, dtype=np.float32)
    images = images_of(np.tile(np.arange(4), (5, 1)))
    early = vote_in_stages(make_staged_vote(table_network, "d4"), table, images, 4)
    assert early.views_used.tolist() == [8] * 5
    assert early.votes.tolist() == [[2, 2, 2, 2]] * 5


def test_remaining_images_are_put_together_anew():
    """Stages after the first run on full batches of what is left, not on the batches of the first."""
    calls = []
    view_logits = np.zeros((8, 12, K), np.float32)
    view_logits[:, :, 0] = 1
    view_logits[::2, ::3, :2] = [0, 1]  # every third image is split four to four
    fake = fake_stages(view_logits, (5, 1, 1, 1))

    def counting(stage):
        def answer(variables, images):
            calls.append((len(stage.views), len(images)))
            return stage.compiled(variables, images)

        return Voter(stage.views, stage.rule, None, answer)

    early = vote_in_stages(StagedVoter(fake.views, tuple(map(counting, fake.stages))), None, numbered_images(12), 4)
    assert calls == [(5, 4)] * 3 + [(1, 4)] * 3  # four of twelve images remain: one batch
    assert early.views_used.tolist() == [8, 5, 5] * 4


def test_no_images_and_one_view():
    table = np.eye(K, dtype=np.float32)
    early = vote_in_stages(make_staged_vote(table_network, "d4"), table, images_of(np.zeros((0, 4), int)), 4)
    assert [x.shape for x in early] == [(0,), (0, K), (0, K), (8, 0), (8, 0, K), (0,), (0,)]
    one = vote_in_stages(make_staged_vote(table_network, "identity"), table, images_of(np.arange(4)[:, None]), 4)
    assert one.predicted.tolist() == [0, 1, 2, 3]


def test_warming_up_compiles_every_stage():
    traced = []

    def counting(variables, images):
        traced.append(len(images))
        return table_network(variables, images)

    table = np.eye(K, dtype=np.float32)
    staged = make_staged_vote(counting, "d4", in_turn=False)
    images = images_of(np.random.default_rng(0).integers(0, 4, (9, 4)))
    staged.warm_up(table, images[0], 4)
    assert traced == [20, 4, 4, 4]
    vote_in_stages(staged, table, images, 4)
    assert len(traced) == 4


def test_stages_must_add_up():
    assert [len(stage.views) for stage in make_staged_vote(table_network, "d4", (6, 2)).stages] == [6, 2]
    for stages in [(5, 1), (8, 0), (9, -1)]:
        with pytest.raises(UserError, match="for 8 views: give numbers from 1 that add up to 8"):
            make_staged_vote(table_network, "d4", stages)


def test_a_diverged_classifier_is_an_error():
    with pytest.raises(UserError, match="NaN for 4 of 4 images"):
        images = images_of(np.zeros((4, 4), int))
        vote_in_stages(make_staged_vote(table_network, "d4"), np.full((1, K), np.nan, np.float32), images, 4)
