"""The vote: its rules, its one compiled call, batches and devices that change nothing."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.sharding import AxisType

from ganfp_jax.attribution.voting import (
    IMAGES_A_TURN,
    RULES,
    Vote,
    count_votes,
    join_votes,
    make_view_voters,
    make_vote,
    unmeasured,
    vote_in_batches,
)
from ganfp_jax.data.views import EXACT_VIEWS, apply_view
from ganfp_jax.run.errors import UserError

NUM_CLASSES, SIZE = 3, 8


@pytest.fixture(scope="module")
def variables():
    rng = np.random.default_rng(0)
    return {
        "kernel": rng.normal(size=(3, 3, 3, 8)).astype(np.float32),
        "dense": rng.normal(size=(SIZE * SIZE * 8, NUM_CLASSES)).astype(np.float32),
    }


def logits_fn(variables, images):
    """A small convolutional network that is sensitive to turns."""
    x = jax.lax.conv_general_dilated(
        images, variables["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return jax.nn.relu(x).reshape(len(x), -1) @ variables["dense"] / 30


def network_fn(variables, images):
    """Its distance says which view it was shown: the first pixel."""
    return logits_fn(variables, images), images[:, 0, 0, 0]


def random_images(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, SIZE, SIZE, 3), np.uint8)


def assert_same_bits(a: Vote, b: Vote):
    for name, x, y in zip(Vote._fields, a, b, strict=True):
        np.testing.assert_array_equal(x, y, err_msg=name)


# --- the rules

counted = jax.jit(count_votes, static_argnums=1)  # thousands of calls of one shape


def majority_by_hand(logits):
    """The rule said once more, image by image, in plain Python."""
    probabilities = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities = (probabilities / probabilities.sum(-1, keepdims=True)).mean(0)
    winners = []
    for image in range(logits.shape[1]):
        votes = np.bincount(logits[:, image].argmax(-1), minlength=logits.shape[2])
        ranking = [(votes[k], probabilities[image, k], -k) for k in range(logits.shape[2])]
        winners.append(-max(ranking)[2])
    return winners, probabilities


@pytest.mark.parametrize("num_views", [1, 2, 4, 8])
def test_majority_by_hand(num_views):
    logits = np.random.default_rng(0).normal(size=(num_views, 300, 4)).astype(np.float32)
    vote = count_votes(logits, "majority")
    winners, probabilities = majority_by_hand(logits)
    np.testing.assert_array_equal(vote.predicted, winners)
    np.testing.assert_allclose(vote.probabilities, probabilities, atol=1e-6)
    np.testing.assert_array_equal(vote.view_predictions, logits.argmax(-1))


def test_majority_tie_goes_to_the_higher_mean_probability():
    logits = np.log(np.array([[[0.6, 0.3, 0.1]], [[0.1, 0.8, 0.1]]], np.float32))  # one view each for 0 and 1
    assert count_votes(logits, "majority").predicted.tolist() == [1]


def test_majority_full_tie_goes_to_the_lower_class():
    logits = np.log(np.array([[[0.1, 0.2, 0.7]], [[0.1, 0.7, 0.2]]], np.float32))
    assert count_votes(logits, "majority").predicted.tolist() == [1]


def test_majority_ignores_the_mean_probability_of_classes_without_most_votes():
    # two weak votes for 0 beat one sure vote for 1, whose mean probability is higher
    logits = np.log(np.array([[[0.52, 0.48]], [[0.52, 0.48]], [[0.01, 0.99]]], np.float32))
    votes = {rule: count_votes(logits, rule) for rule in RULES}
    assert votes["majority"].predicted.tolist() == [0]
    assert votes["mean_probability"].predicted.tolist() == [1]
    assert votes["mean_logit"].predicted.tolist() == [1]
    assert votes["majority"].votes.tolist() == [[2, 1]]


def test_mean_logit_and_mean_probability_differ_where_one_view_is_very_sure():
    logits = np.array([[[0.0, 20.0]], [[3.0, 0.0]], [[3.0, 0.0]]], np.float32)
    assert count_votes(logits, "mean_logit").predicted.tolist() == [1]
    assert count_votes(logits, "mean_probability").predicted.tolist() == [0]
    np.testing.assert_allclose(
        count_votes(logits, "mean_logit").probabilities, jax.nn.softmax(logits.mean(0)), atol=1e-6
    )


def test_unknown_rule_lists_the_rules():
    message = "unknown vote rule 'best'; choose from majority, mean_logit, mean_probability"
    with pytest.raises(UserError, match=message):
        count_votes(np.zeros((1, 1, 2)), "best")
    with pytest.raises(UserError, match=message):
        make_vote(network_fn, "d4", "best")


view_logits = hnp.arrays(
    np.float32,
    st.tuples(st.just(8), st.just(3), st.just(5)),
    # few distinct values, so that ties happen
    elements=st.sampled_from([-3.0, -0.1, 0.0, 0.1, 0.7, 2.5, 30.0]),
)


@pytest.mark.parametrize("rule", RULES)
@given(logits=view_logits, order=st.permutations(range(8)))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_views_changes_nothing(rule, logits, order):
    vote, reordered = counted(logits, rule), counted(logits[np.array(order)], rule)
    for name in ("predicted", "probabilities", "votes"):
        np.testing.assert_array_equal(getattr(vote, name), getattr(reordered, name), err_msg=name)


@pytest.mark.parametrize("rule", RULES)
@given(logits=view_logits)
@settings(max_examples=40, deadline=None)
def test_a_vote_is_consistent(rule, logits):
    vote = counted(logits, rule)
    np.testing.assert_allclose(vote.probabilities.sum(-1), 1, atol=1e-5)
    assert np.all(vote.votes.sum(-1) == 8)
    if rule == "majority":
        chosen = np.take_along_axis(np.asarray(vote.votes), np.asarray(vote.predicted)[:, None], 1)[:, 0]
        np.testing.assert_array_equal(chosen, vote.votes.max(-1))
    else:
        np.testing.assert_array_equal(vote.predicted, vote.probabilities.argmax(-1))
    assert [x.dtype for x in vote] == [jnp.int32, jnp.float32, jnp.int32, jnp.int32] + [jnp.float32] * 3


@pytest.mark.parametrize("rule", RULES)
def test_unanimous_views_agree_with_each_of_them(rule):
    logits = np.repeat(np.random.default_rng(0).normal(size=(1, 50, 4)).astype(np.float32), 8, axis=0)
    np.testing.assert_array_equal(count_votes(logits, rule).predicted, logits[0].argmax(-1))


def test_low_precision_logits_are_counted_in_float32():
    vote = count_votes(jnp.zeros((2, 3, 4), jnp.bfloat16), "mean_probability")
    assert vote.probabilities.dtype == vote.view_logits.dtype == jnp.float32


# --- the compiled call


@pytest.mark.parametrize("rule", RULES)
def test_identity_alone_is_no_vote(variables, rule):
    images = random_images(10)
    vote = make_vote(network_fn, "identity", rule)(variables, images)
    logits = jax.jit(logits_fn)(variables, images.astype(np.float32) / 127.5 - 1)
    np.testing.assert_allclose(vote.view_logits[0], logits, atol=1e-5)
    np.testing.assert_array_equal(vote.predicted, logits.argmax(-1))
    np.testing.assert_allclose(vote.probabilities, jax.nn.softmax(logits), atol=1e-5)
    np.testing.assert_array_equal(vote.view_predictions[0], vote.predicted)


def test_the_classifier_sees_each_view_in_its_own_range(variables):
    """Extreme pixels arrive as -1 and 1, and view v of the result belongs to view v of the image."""
    views = (*EXACT_VIEWS, "rot15")
    voter = make_vote(unmeasured(lambda _, images: images[:, 0, :NUM_CLASSES, 0]), views)
    images = random_images(4)
    images[0, 0], images[1, 0] = 0, 255
    logits = voter(variables, images).view_logits
    for v, view in enumerate(views):
        seen = apply_view(images.astype(np.float32) / 127.5 - 1, view)
        np.testing.assert_allclose(logits[v], seen[:, 0, :NUM_CLASSES, 0], atol=1e-6)
    np.testing.assert_allclose(logits[0, :2], [[-1.0] * NUM_CLASSES, [1.0] * NUM_CLASSES], atol=1e-6)


def test_views_in_turn_and_at_once_agree(variables):
    images = random_images(6)
    views = (*EXACT_VIEWS, "rot15")
    in_turn = make_vote(network_fn, views, in_turn=True)(variables, images)
    stacked = make_vote(network_fn, views, in_turn=False)(variables, images)
    np.testing.assert_allclose(in_turn.view_logits, stacked.view_logits, atol=1e-5)
    np.testing.assert_array_equal(in_turn.predicted, stacked.predicted)


def test_a_turned_image_gets_the_same_d4_vote(variables):
    """The eight views of a turned image are the eight views of the image: only their order differs."""
    images = random_images(6)
    voter = make_vote(network_fn, "d4", "mean_logit")
    for view in EXACT_VIEWS:
        turned = voter(variables, np.asarray(apply_view(images, view)))
        np.testing.assert_allclose(turned.probabilities, voter(variables, images).probabilities, atol=1e-5)


@pytest.mark.parametrize("in_turn", [True, False])
def test_the_distance_is_of_the_view_identity_or_of_the_first(variables, in_turn):
    images = random_images(5)
    for views, view in {("rot90", "identity", "mirror"): "identity", ("rot180", "mirror"): "rot180"}.items():
        distance = make_vote(network_fn, views, in_turn=in_turn)(variables, images).distance
        np.testing.assert_allclose(distance, apply_view(images / 127.5 - 1, view)[:, 0, 0, 0], atol=1e-6)
        assert np.isnan(make_vote(unmeasured(logits_fn), views, in_turn=in_turn)(variables, images).distance).all()


def test_one_compilation_for_a_batch_shape(variables):
    traced = []

    def counting(variables, images):
        traced.append(images.shape)
        return network_fn(variables, images)

    voter = make_vote(counting, "d4", in_turn=False)
    vote_in_batches(voter, variables, random_images(21), 4)
    vote_in_batches(voter, variables, random_images(3), 4)
    voter(variables, random_images(4))
    assert traced == [(4 * 8, SIZE, SIZE, 3)]
    voter(variables, random_images(5))
    assert len(traced) == 2


def test_logits_must_be_one_row_an_image(variables):
    for in_turn in (True, False):
        voter = make_vote(unmeasured(lambda _, images: images), "d4", in_turn=in_turn)
        with pytest.raises(ValueError, match=r"needs logits \(N, K\), not the shape \(\d+, 8, 8, 3\)"):
            voter(variables, random_images(2))


# --- batches


def test_batches_give_every_image_its_vote_in_order(variables):
    voter = make_vote(network_fn, "d4", "majority", in_turn=False)
    for n in (1, 3, 4, 5, 8, 11):
        images = random_images(n)
        vote = vote_in_batches(voter, variables, images, 4)
        assert all(isinstance(x, np.ndarray) for x in vote)
        for i in range(n):
            one = voter(variables, images[i : i + 1])
            np.testing.assert_allclose(vote.view_logits[:, i], one.view_logits[:, 0], atol=1e-5)
            assert vote.predicted[i] == one.predicted[0]
            np.testing.assert_array_equal(vote.votes[i], one.votes[0])


@pytest.mark.parametrize("in_turn", [True, False])
def test_padding_changes_no_bit(variables, in_turn):
    voter = make_vote(network_fn, "d4", "majority", in_turn=in_turn)
    images = random_images(8)
    whole = vote_in_batches(voter, variables, images, 8)
    for n in (1, 5, 7):
        padded = vote_in_batches(voter, variables, images[:n], 8)
        expected = Vote(
            whole.predicted[:n],
            whole.probabilities[:n],
            whole.votes[:n],
            whole.view_predictions[:, :n],
            whole.view_logits[:, :n],
            whole.distance[:n],
            whole.nobody[:n],
        )
        assert_same_bits(padded, expected)


def test_the_batch_size_changes_nothing(variables):
    voter = make_vote(network_fn, "seed", "mean_probability")
    images = random_images(13)
    expected = vote_in_batches(voter, variables, images, 13)
    for batch_size in (1, 5, 32):
        vote = vote_in_batches(voter, variables, images, batch_size)
        np.testing.assert_array_equal(vote.predicted, expected.predicted)
        np.testing.assert_array_equal(vote.votes, expected.votes)
        np.testing.assert_allclose(vote.probabilities, expected.probabilities, atol=1e-5)


def test_joined_votes_are_the_vote_on_all_images(variables):
    voter = make_vote(network_fn, "mirror")
    images = random_images(7)
    parts = [vote_in_batches(voter, variables, images[a:b], 4) for a, b in ((0, 4), (4, 4), (4, 7))]
    assert_same_bits(join_votes(parts), vote_in_batches(voter, variables, images, 4))
    with pytest.raises(ValueError, match="must match exactly"):
        join_votes([parts[0], vote_in_batches(make_vote(network_fn, "d4"), variables, images, 4)])


def test_no_images_give_empty_votes(variables):
    vote = vote_in_batches(make_vote(network_fn, "d4"), variables, random_images(0), 4)
    assert [x.shape for x in vote] == [
        (0,),
        (0, NUM_CLASSES),
        (0, NUM_CLASSES),
        (8, 0),
        (8, 0, NUM_CLASSES),
        (0,),
        (0,),
    ]
    assert [x.dtype for x in vote] == [np.int32, np.float32, np.int32, np.int32] + [np.float32] * 3


def test_a_diverged_classifier_is_an_error_and_not_class_0(variables):
    broken = {**variables, "dense": np.full_like(variables["dense"], np.nan)}
    with pytest.raises(UserError, match=r"NaN for 3 of 3 images \(first: index 0\).*earlier checkpoint"):
        vote_in_batches(make_vote(network_fn, "mirror"), broken, random_images(3), 4)


def test_batch_size_must_be_positive(variables):
    with pytest.raises(ValueError, match="batch_size must be at least 1, not 0"):
        vote_in_batches(make_vote(network_fn, "mirror"), variables, random_images(3), 0)


def test_views_in_turn_share_one_compiled_classifier(variables):
    traced = []

    def counting(variables, images):
        traced.append(images.shape)
        return network_fn(variables, images)

    voter = make_vote(counting, "d4", in_turn=True)
    for seed in range(2):
        voter(variables, random_images(IMAGES_A_TURN // 4, seed))
        voter(variables, random_images(IMAGES_A_TURN + 1, seed))
    assert traced == [(IMAGES_A_TURN, SIZE, SIZE, 3), (IMAGES_A_TURN + 1, SIZE, SIZE, 3)]  # four views a turn, one


# --- devices


@pytest.fixture(scope="module")
def mesh():
    return jax.make_mesh((2,), ("data",), (AxisType.Auto,), devices=jax.devices()[:2])


@pytest.mark.two_devices
@pytest.mark.parametrize("in_turn", [True, False])
def test_two_devices_equal_one(variables, mesh, in_turn):
    images = random_images(7)
    one = vote_in_batches(make_vote(network_fn, "d4", in_turn=in_turn), variables, images, 4)
    two = vote_in_batches(make_vote(network_fn, "d4", mesh=mesh, in_turn=in_turn), variables, images, 4)
    np.testing.assert_array_equal(two.predicted, one.predicted)
    np.testing.assert_array_equal(two.votes, one.votes)
    np.testing.assert_allclose(two.view_logits, one.view_logits, atol=1e-5)


@pytest.mark.two_devices
@pytest.mark.parametrize("in_turn", [True, False])
def test_devices_exchange_votes_but_never_images(variables, mesh, in_turn):
    voter = make_vote(network_fn, "d4", mesh=mesh, in_turn=in_turn)
    program = voter.compiled.lower(variables, random_images(4)).compile().as_text()
    exchanged = re.findall(r"= \(?(\w+\[[\d,]*\]).* (?:all-|collective-|reduce-scatter)[\w-]*\(", program)
    for shape in exchanged:
        size = np.prod([int(d) for d in re.findall(r"\d+", shape.partition("[")[2])], dtype=int)
        assert size <= 8 * 4 * NUM_CLASSES, f"{shape} is more than the logits"
    assert exchanged, "the result is on every device, so something is exchanged"


@pytest.mark.two_devices
def test_images_must_divide_among_devices_unless_in_batches(variables, mesh):
    voter = make_vote(network_fn, "mirror", mesh=mesh)
    with pytest.raises(ValueError, match="3 images cannot be shared evenly by 2 devices"):
        voter(variables, random_images(3))
    assert vote_in_batches(voter, variables, random_images(4), 3).predicted.shape == (4,)
    assert vote_in_batches(voter, variables, random_images(0), 3).predicted.shape == (0,)


@pytest.mark.two_devices
def test_variables_and_images_may_already_be_on_a_device(variables, mesh):
    voter = make_vote(network_fn, "mirror", mesh=mesh)
    here = jax.device_put((variables, random_images(4)), jax.devices()[1])
    placed = voter.place(here[0])
    assert voter.place(placed)["dense"] is placed["dense"] or placed["dense"].sharding.is_fully_replicated
    assert_same_bits(voter(*here), voter(placed, random_images(4)))


def test_a_mesh_needs_the_data_axis():
    mesh = jax.sharding.Mesh(jax.devices()[:1], ("model",))
    with pytest.raises(ValueError, match=r"a mesh axis 'data', but the axes are .*model"):
        make_vote(network_fn, "d4", mesh=mesh)


# --- one classifier for many views


@pytest.mark.two_devices
@pytest.mark.parametrize("devices", [1, 2])
def test_view_voters_say_what_each_view_says_in_the_vote(variables, mesh, devices):
    traced = []

    def counting(variables, images):
        traced.append(images.shape)
        return network_fn(variables, images)

    views = (*EXACT_VIEWS, "rot15", "shift1_-2", "crop-2_ul")
    images = random_images(7)
    voters = make_view_voters(counting, views, mesh=mesh if devices == 2 else None)
    together = vote_in_batches(make_vote(network_fn, views, "mean_logit"), variables, images, 4)
    assert tuple(voters) == views
    for view, logits in zip(views, together.view_logits, strict=True):
        alone = vote_in_batches(voters[view], variables, images, 4)
        assert alone.view_logits.shape == (1, 7, NUM_CLASSES)
        np.testing.assert_allclose(alone.distance, apply_view(images / 127.5 - 1, view)[:, 0, 0, 0], atol=1e-5)
        np.testing.assert_allclose(alone.view_logits[0], logits, atol=1e-5)
    assert traced == [(4, SIZE, SIZE, 3)], "the classifier is compiled once for all views"


@pytest.mark.parametrize("rule", RULES)
@given(logits=view_logits, seen=hnp.arrays(np.bool_, (7, 3)))
@settings(max_examples=10)
def test_views_that_were_not_shown_an_image_do_not_count(rule, logits, seen):
    seen = np.concatenate([np.ones((1, 3), bool), seen])
    logits[~seen] = np.nan
    vote = counted(logits, rule, seen)
    for i in range(3):
        alone = count_votes(logits[seen[:, i], i : i + 1], rule)
        assert vote.predicted[i] == alone.predicted[0]
        np.testing.assert_array_equal(vote.votes[i], alone.votes[0])
        np.testing.assert_allclose(vote.probabilities[i], alone.probabilities[0], atol=1e-6)
    np.testing.assert_array_equal(vote.views_used, seen.sum(0))
    np.testing.assert_array_equal(vote.view_predictions == -1, ~seen)


def test_nobody_has_the_logit_0_beside_those_of_the_sources():
    logits = np.array([[[2.0, 1.0, -1.0], [-3.0, -4.0, -5.0]], [[0.0, 0.0, 0.0], [30.0, 0.0, 0.0]]], np.float32)
    with_nobody = np.concatenate([logits, np.zeros((2, 2, 1))], axis=-1)
    shares = np.exp(with_nobody) / np.exp(with_nobody).sum(-1, keepdims=True)
    np.testing.assert_allclose(count_votes(logits, "majority").nobody, shares[..., 3].mean(0), rtol=1e-5)
    seen = np.array([[True, True], [True, False]])
    expected = [shares[:, 0, 3].mean(), shares[0, 1, 3]]
    np.testing.assert_allclose(count_votes(logits, "majority", seen).nobody, expected, rtol=1e-5)
