import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from golden_files import jit
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ganfp_jax.run.errors import UserError
from ganfp_jax.training.attribution_program import check_logit_norm
from ganfp_jax.training.objectives import OBJECTIVES, classification, cramer, hinge, mmd, penalties, wgan_gp
from ganfp_jax.training.optimizers import clip_each, make_adam

ANSWERS = {"wgan_gp": (4,), "hinge": (4,), "cramer": (4, 5), "mmd": (4, 5)}  # the shape of a critic's answers


def scores(*values):
    return jnp.array(values, jnp.float32)


def normal(seed, *shape, mean=0.0):
    return jnp.asarray(mean + np.random.RandomState(seed).randn(*shape), jnp.float32)


def features(count):
    """Hypothesis: feature vectors of moderate size, some of them equal; one shape, so that it compiles once."""
    return hnp.arrays(np.float32, (count, 3), elements=st.floats(-8, 8, width=32))


def test_wgan_gp_values():
    loss = wgan_gp.critic_loss(scores(2.0, -1.0), scores(0.5, 3.0))
    np.testing.assert_allclose(loss, [0.5 - 2 + 0.004, 3 + 1 + 0.001], rtol=1e-6)
    np.testing.assert_allclose(wgan_gp.generator_loss(scores(0.5, 3.0)), [-0.5, -3.0])
    without_drift = OBJECTIVES["wgan_gp"](drift=0.0).critic_loss(scores(2.0), scores(0.5))
    np.testing.assert_allclose(without_drift, [-1.5])


def test_gradient_penalty_values():
    np.testing.assert_allclose(penalties.gradient_penalty(scores(1.0, 3.0)), [0.0, 40.0])
    np.testing.assert_allclose(penalties.gradient_penalty(scores(1.0, 3.0), weight=1.0), [0.0, 4.0])
    np.testing.assert_allclose(penalties.gradient_penalty(scores(750.0), target=750.0), [0.0])
    np.testing.assert_allclose(penalties.gradient_penalty(scores(0.0), target=750.0), [10.0])


def test_hinge_values():
    loss = hinge.critic_loss(scores(2.0, 0.5, -1.0), scores(-2.0, -0.5, 1.0))
    np.testing.assert_allclose(loss, [0.0, 1.0, 4.0])
    np.testing.assert_allclose(hinge.generator_loss(scores(0.5)), [-0.5])


def test_cramer_values():
    real, fake, other = (jnp.array([v], jnp.float32) for v in ([3.0, 4.0], [0.0, 0.0], [3.0, 0.0]))
    # Lengths: |other - fake| 3, |other| 3, |real - fake| 5, |real| 5, |other - real| 4.
    np.testing.assert_allclose(cramer.critic_loss(real, fake, other), [(3 - 3) - (5 - 5)], atol=1e-5)
    np.testing.assert_allclose(cramer.critic_loss(real, other, fake), [(3 - 0) - (4 - 5)], atol=5e-3)
    np.testing.assert_allclose(cramer.generator_loss(real, fake, other), [5 + 4 - 3], rtol=1e-5)
    np.testing.assert_allclose(cramer.witness(other, real, fake, other), [3 - 3], atol=1e-5)
    # 1e-5 under the root, so that a length of 0 has a derivative.
    np.testing.assert_allclose(cramer.length(fake), [np.sqrt(1e-5)], rtol=1e-6)
    assert not jax.grad(lambda x: cramer.length(x).sum())(fake).any()


def answers_of(name):
    objective, shape = OBJECTIVES[name](), ANSWERS[name]
    real, *fakes = (normal(seed, *shape, mean=mean) for seed, mean in ((0, 1.0), (1, -1.0), (2, -1.0)))
    return objective, real, fakes[: objective.num_fakes]


def generator_answers(objective, real, fakes):
    return [real, *fakes] if objective.generator_sees_real else fakes


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_share_one_shape(name):
    objective, real, fakes = answers_of(name)
    loss_shape = () if name == "mmd" else (4,)  # a batch's MMD is no sum over samples
    assert objective.critic_loss(real, *fakes).shape == loss_shape
    assert objective.generator_loss(*generator_answers(objective, real, fakes)).shape == loss_shape
    assert objective.witness(fakes[0], real, *fakes).shape == (4,)
    assert (objective.num_fakes, objective.generator_sees_real) == {
        "wgan_gp": (1, False), "hinge": (1, False), "cramer": (2, True), "mmd": (1, True),
    }[name]  # fmt: skip


@pytest.mark.parametrize("name", ["wgan_gp", "hinge"])
def test_the_critic_wants_real_scores_up_and_fake_scores_down(name):
    objective = OBJECTIVES[name]()
    real, fake = scores(0.1, 0.2, 0.3), scores(-0.1, 0.0, 0.1)
    by_real, by_fake = jax.grad(lambda r, f: objective.critic_loss(r, f).sum(), (0, 1))(real, fake)
    assert (by_real < 0).all() and (by_fake > 0).all()
    assert (jax.grad(lambda f: objective.generator_loss(f).sum())(fake) < 0).all()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_generator_moves_its_answers_towards_the_real_ones(name):
    objective, real, fakes = answers_of(name)

    def loss(fakes):
        return objective.generator_loss(*generator_answers(objective, real, fakes)).mean()

    moved = jax.tree.map(lambda f, g: f - 0.1 * g, fakes, jax.grad(loss)(fakes))
    before, after = (
        float(jnp.linalg.norm(real.mean(0) - sum(f.mean(0) for f in fs) / len(fs))) for fs in (fakes, moved)
    )
    assert after < before


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_witness_rises_from_the_generated_to_the_real(name):
    objective, real, fakes = answers_of(name)
    middle = (real + fakes[0]) / 2
    gradient = jax.grad(lambda mixed: objective.witness(mixed, real, *fakes).sum())(middle)
    along = jnp.sum(gradient * (real - fakes[0]))
    assert along > 0
    ends = [objective.witness(end, real, *fakes).mean() for end in (fakes[0], real)]
    assert ends[0] < ends[1]


# ---- CramerGAN: an energy distance


def energy(shift, count=40_000):
    """The generator's loss less E |real - real'|, which no generator can change: the energy distance.

    The estimates are means of independent triples, so their own standard error says how far off they may be.
    """
    real, fake, other, again = (normal(seed, count, 3, mean=shift * (seed in (1, 2))) for seed in range(4))
    values = cramer.generator_loss(real, fake, other) - cramer.length(real - again)
    return float(values.mean()), float(values.std() / np.sqrt(count))


def test_cramer_is_the_energy_distance():
    mean, error = energy(0.0)
    assert abs(mean) < 4 * error < 0.05  # equal distributions
    small, large = energy(0.5)[0], energy(2.0)[0]
    assert 4 * error < small < large
    # In three dimensions, with means d apart: E |x - y| is d + 2 / d at large d, and sqrt(2) sqrt(8 / pi) at 0.
    (far, error), d = energy(20.0), 20 * 3**0.5
    assert error < 0.02
    assert far == pytest.approx(2 * (d + 2 / d) - 2 * 2**0.5 * (8 / np.pi) ** 0.5, abs=4 * error)


def test_cramer_does_not_care_which_sample_is_which():
    real, fake, other = (normal(seed, 6, 3) for seed in range(3))
    loss = cramer.generator_loss(real, fake, other)
    np.testing.assert_allclose(loss, cramer.generator_loss(real, other, fake), rtol=1e-6)  # the two fakes are alike
    shifted = cramer.generator_loss(real + 3, fake + 3, other + 3)
    np.testing.assert_allclose(loss, shifted, rtol=1e-5)
    # The critic's loss is the generator's negative but for what depends on one of the players alone.
    surplus = cramer.critic_loss(real, fake, other) + loss
    alone = cramer.length(other - real) + cramer.length(real) - cramer.length(other)
    np.testing.assert_allclose(surplus, alone, rtol=1e-5, atol=1e-6)


# ---- MMDGAN: kernels and estimators

ALL_KERNELS = pytest.mark.parametrize("kernel", mmd.KERNELS)
# |x| + |y| - |x - y| with 1e-5 under every root is off a positive semidefinite kernel by the roots of 1e-5.
SLACK = {"distance": 4 * 1e-5**0.5}


@ALL_KERNELS
@given(x=features(6))
def test_kernels_are_positive_semidefinite(kernel, x):
    gram = np.asarray(mmd.KERNELS[kernel].gram(jnp.asarray(x), jnp.asarray(x)), np.float64)
    np.testing.assert_allclose(gram, gram.T, rtol=1e-5, atol=1e-4)
    assert np.linalg.eigvalsh((gram + gram.T) / 2).min() >= -(1e-3 + SLACK.get(kernel, 0) * len(x))


@ALL_KERNELS
@given(x=features(5), y=features(4))
def test_kernels_do_not_change_where_they_should_not(kernel, x, y):
    gram = mmd.KERNELS[kernel].gram
    k = np.asarray(gram(jnp.asarray(x), jnp.asarray(y)))
    assert k.shape == (len(x), len(y))
    np.testing.assert_allclose(gram(jnp.asarray(y), jnp.asarray(x)), k.T, rtol=1e-4, atol=1e-3)  # symmetric
    turn = np.linalg.qr(np.random.RandomState(0).randn(3, 3))[0].astype(np.float32)
    np.testing.assert_allclose(gram(jnp.asarray(x @ turn), jnp.asarray(y @ turn)), k, rtol=1e-3, atol=5e-2)
    if kernel in ("mix_rq", "mix_rbf"):  # functions of the distance, with their top at distance 0
        moved = gram(jnp.asarray(x + 1), jnp.asarray(y + 1))
        np.testing.assert_allclose(moved, k, rtol=1e-3, atol=5e-2)
        assert (k <= mmd.KERNELS[kernel].published_diagonal + 1e-4).all() and (k >= 0).all()


@pytest.mark.parametrize(("name", "weight"), [("mix_rq_dot", 0.1), ("mix_rq_1dot", 1.0), ("mix_rq_10dot", 10.0)])
def test_kernels_with_an_inner_product(name, weight):
    x, y = normal(0, 5, 3), normal(1, 4, 3)
    expected = mmd.mix_rq(x, y) + weight * np.asarray(x) @ np.asarray(y).T
    np.testing.assert_allclose(mmd.KERNELS[name].gram(x, y), expected, rtol=1e-5, atol=1e-5)


def test_squared_distances_are_never_negative():
    x = 1e3 + normal(0, 50, 8)  # far from the origin, inner products lose what the distances are made of
    assert (mmd.squared_distances(x, x) >= 0).all()
    y = normal(1, 4, 8)
    expected = ((np.asarray(y)[:, None] - np.asarray(y)[None]) ** 2).sum(-1)
    np.testing.assert_allclose(mmd.squared_distances(y, y), expected, atol=1e-5)


@functools.cache
def many_estimates(kernel, estimate, diagonal, mean, draws=2000):
    rng = np.random.RandomState(0)
    x = jnp.asarray(rng.randn(draws, 6, 4) + mean, jnp.float32)
    y = jnp.asarray(rng.randn(draws, 8, 4), jnp.float32)
    bound = functools.partial(mmd.squared_mmd, kernel=kernel, estimate=estimate, diagonal=diagonal)
    return np.asarray(jit(jax.vmap(bound))(x, y), np.float64)


@ALL_KERNELS
def test_the_unbiased_estimate_is_unbiased(kernel):
    equal = many_estimates(kernel, "unbiased", "exact", 0.0)
    assert abs(equal.mean()) < 4 * equal.std() / np.sqrt(len(equal))
    assert (equal < 0).any()  # which a squared distance never is
    apart = many_estimates(kernel, "unbiased", "exact", 1.0)
    assert apart.mean() > 10 * equal.std() / np.sqrt(len(equal))


@ALL_KERNELS
def test_the_biased_estimate_is_a_squared_distance(kernel):
    equal = many_estimates(kernel, "biased", "exact", 0.0)
    assert equal.min() >= -1e-4 and equal.mean() > 10 * equal.std() / np.sqrt(len(equal))
    x = normal(0, 5, 4)
    assert float(mmd.squared_mmd(x, x, kernel, "biased")) == pytest.approx(0.0, abs=1e-4)


def test_the_published_diagonal_biases_kernels_with_an_inner_product():
    """Samples of 6 and 8 from N(0, I) in 4 dimensions: E |x|^2 = 4 stays in over m - 1."""
    equal = many_estimates("mix_rq_1dot", "unbiased", "published", 0.0)
    assert equal.mean() == pytest.approx(4 / 5 + 4 / 7, abs=4 * equal.std() / np.sqrt(len(equal)))
    for kernel in ("mix_rq", "mix_rbf"):  # whose diagonals are constants
        exact = many_estimates(kernel, "unbiased", "exact", 0.0)
        np.testing.assert_allclose(many_estimates(kernel, "unbiased", "published", 0.0), exact, atol=1e-5)


def test_the_mmd_of_dot_and_distance_are_known_distances():
    x, y = normal(0, 7, 3, mean=1.0), normal(1, 5, 3)
    means = np.asarray(x.mean(0) - y.mean(0))
    assert float(mmd.squared_mmd(x, y, "dot", "biased")) == pytest.approx(means @ means, rel=1e-4)

    def mean_length(a, b):
        return np.linalg.norm(np.asarray(a)[:, None] - np.asarray(b)[None], axis=-1).mean()

    energy_distance = 2 * mean_length(x, y) - mean_length(x, x) - mean_length(y, y)
    assert float(mmd.squared_mmd(x, y, "distance", "biased")) == pytest.approx(energy_distance, abs=5e-3)


@pytest.mark.parametrize("estimate", ["unbiased", "biased"])
def test_mmd_is_symmetric_and_a_game_of_two(estimate):
    objective = OBJECTIVES["mmd"](estimate=estimate)
    real, fake = normal(0, 6, 3), normal(1, 6, 3)
    assert float(objective.generator_loss(real, fake)) == pytest.approx(float(objective.generator_loss(fake, real)))
    assert float(objective.critic_loss(real, fake)) == -float(objective.generator_loss(real, fake))
    order = np.random.RandomState(0).permutation(6)
    shuffled = objective.generator_loss(real[order], fake)
    assert float(shuffled) == pytest.approx(float(objective.generator_loss(real, fake)), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel": "rq"}, "objective mmd: kernel 'rq' is unknown; choose one of mix_rq, mix_rq_dot, "),
        ({"estimate": "exact"}, "objective mmd: estimate 'exact' is unknown; choose one of unbiased, biased"),
        ({"diagonal": "none"}, "objective mmd: diagonal 'none' is unknown; choose one of published, exact"),
    ],
)
def test_mmd_says_what_it_does_not_know(settings, message):
    # The run-time types of the tests would refuse a wrong word before our own check does.
    with pytest.raises(UserError) as error:
        getattr(mmd.make, "__wrapped__", mmd.make)(**settings)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


# ---- Penalties


def test_interpolate_ends():
    real, fake = jnp.zeros((3, 2, 2, 1)), jnp.ones((3, 2, 2, 1))
    mix = jnp.array([0.0, 0.25, 1.0]).reshape(3, 1, 1, 1)
    np.testing.assert_allclose(penalties.interpolate(real, fake, mix)[:, 0, 0, 0], [0.0, 0.25, 1.0])


def test_gradient_norm_is_per_sample_over_all_pixels():
    weight = np.random.RandomState(0).randn(4, 4, 3).astype(np.float32)
    images = normal(1, 2, 4, 4, 3)
    linear = penalties.gradient_norm(lambda x: jnp.sum(x * weight[None], axis=(1, 2, 3)), images)
    np.testing.assert_allclose(linear, [np.linalg.norm(weight)] * 2, rtol=1e-6)
    square = penalties.gradient_norm(lambda x: jnp.sum(x**2, axis=(1, 2, 3)), images)
    np.testing.assert_allclose(square, 2 * np.linalg.norm(np.asarray(images).reshape(2, -1), axis=1), rtol=1e-6)


@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 0.5])
def test_gradient_norm_by_height_is_one_length_a_column_and_channel(epsilon):
    weight = np.random.RandomState(0).randn(5, 4, 3).astype(np.float32)  # height, width, channels all differ
    images = normal(1, 2, 5, 4, 3)
    norms = penalties.gradient_norm(lambda x: jnp.sum(x * weight[None], axis=(1, 2, 3)), images, "height", epsilon)
    assert norms.shape == (2, 4, 3)
    np.testing.assert_allclose(norms, np.sqrt((weight**2).sum(0) + epsilon)[None].repeat(2, 0), rtol=1e-6)
    whole = penalties.gradient_norm(lambda x: jnp.sum(x * weight[None], axis=(1, 2, 3)), images, "sample", epsilon)
    np.testing.assert_allclose(whole, [np.sqrt((weight**2).sum() + epsilon)] * 2, rtol=1e-6)


@pytest.mark.parametrize("norm", ["sample", "height"])
def test_epsilon_gives_a_gradient_where_the_length_is_zero(norm):
    images = jnp.zeros((2, 4, 4, 3))

    def loss(slope, epsilon):
        norms = penalties.gradient_norm(lambda x: slope * jnp.sum(x, axis=(1, 2, 3)), images, norm, epsilon)
        return penalties.gradient_penalty(norms).mean()

    assert np.isnan(jax.grad(loss)(0.0, 0.0))
    assert float(jax.grad(loss)(0.0, 1e-5)) == 0.0


def test_an_unknown_norm_is_said():
    for norm in ("sample", "height"):
        assert penalties.CriticPenalty(norm=norm).norm == norm
    # The run-time types of the tests refuse a wrong word in the fields themselves, so the check is called alone.
    wrong = object.__new__(penalties.CriticPenalty)
    object.__setattr__(wrong, "norm", "width")
    check = penalties.CriticPenalty.__post_init__
    with pytest.raises(UserError) as error:
        getattr(check, "__wrapped__", check)(wrong)
    assert str(error.value) == "config.objective.penalty.norm 'width' is unknown; choose sample or height"


def test_layer_penalty_sums_mean_squares():
    layers = [normal(0, 4, 3, 3, 2), normal(1, 4, 5), jnp.full((4, 2), 3.0)]
    expected = sum((np.asarray(layer, np.float64) ** 2).mean() for layer in layers)
    assert float(penalties.layer_penalty(layers)) == pytest.approx(expected, rel=1e-6)
    # As published: mean over the batch of the sum over layers of the mean over features.
    per_sample = sum((np.asarray(layer) ** 2).reshape(4, -1).mean(1) for layer in layers)
    assert float(penalties.layer_penalty(layers)) == pytest.approx(per_sample.mean(), rel=1e-6)
    assert float(penalties.layer_penalty([])) == 0.0


def test_clip_each_shortens_variable_by_variable():
    gradients = {"long": normal(0, 3, 4) * 9, "short": normal(1, 2) * 0.1, "zero": jnp.zeros(3), "one": scores(-5.0)}
    clip = clip_each(1.0)
    clipped, _ = clip.update(gradients, clip.init(gradients))
    assert float(jnp.linalg.norm(clipped["long"])) == pytest.approx(1.0, rel=1e-6)
    direction = gradients["long"] / jnp.linalg.norm(gradients["long"])
    np.testing.assert_allclose(clipped["long"], direction, rtol=1e-5)
    np.testing.assert_array_equal(clipped["short"], gradients["short"])  # whatever its neighbours' lengths are
    np.testing.assert_array_equal(clipped["zero"], np.zeros(3))
    np.testing.assert_allclose(clipped["one"], [-1.0], rtol=1e-6)
    half, _ = clip_each(0.5).update(gradients, ())
    assert float(jnp.linalg.norm(half["long"])) == pytest.approx(0.5, rel=1e-6)


def test_make_adam_clips_before_its_moments():
    settings = {"learning_rate": 0.1, "num_steps": 10, "beta1": 0.5, "beta2": 0.9}
    gradients, params = {"w": normal(0, 6) * 100, "b": normal(1, 2) * 0.01}, {"w": jnp.zeros(6), "b": jnp.zeros(2)}
    clipped, plain = make_adam(**settings, clip_norm=1.0), make_adam(**settings)
    _, after = clipped.update(gradients, clipped.init(params), params)
    wanted = {"w": gradients["w"] / jnp.linalg.norm(gradients["w"]), "b": gradients["b"]}
    updates, expected = plain.update(wanted, plain.init(params), params)
    for ours, theirs in ((optax.tree.get(after, "mu"), expected[0].mu), (optax.tree.get(after, "nu"), expected[0].nu)):
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), ours, theirs)
    assert jax.tree.structure(updates) == jax.tree.structure(params)
    # Without it Adam stays what it was: its state is found where it always was.
    assert isinstance(plain.init(params)[0], optax.ScaleByAdamState)


# ---- Classification


@given(st.lists(st.floats(-30, 30, width=32), min_size=2, max_size=6), st.data())
def test_cross_entropy_is_minus_log_probability(row, data):
    label = data.draw(st.integers(0, len(row) - 1))
    logits, labels = jnp.array([row], jnp.float32), jnp.array([label])
    expected = np.log(np.sum(np.exp(np.float64(row) - max(row)))) + max(row) - row[label]
    np.testing.assert_allclose(classification.cross_entropy(logits, labels), [expected], rtol=1e-4, atol=1e-5)


def test_accuracy():
    logits, labels = jnp.array([[2.0, 1.0], [0.0, 1.0], [1.0, 1.0], [1.0, 1.0]]), jnp.array([0, 0, 0, 1])
    assert classification.correct(logits, labels).tolist() == [True, False, True, False]
    assert float(classification.accuracy(logits, labels)) == 0.5


def test_nobody_is_one_class_more_with_the_logit_0():
    logits, labels = jnp.array([[2.0, -1.0], [0.5, 3.0], [1.0, 0.0]]), jnp.array([0, -1, 1])
    expected = classification.cross_entropy(jnp.pad(logits, ((0, 0), (0, 1))), jnp.array([0, 2, 1]))
    np.testing.assert_array_equal(classification.cross_entropy_or_nobody(logits, labels), expected)
    np.testing.assert_allclose(expected[1], np.log(1 + np.exp(0.5) + np.exp(3)), rtol=1e-6)
    assert float(classification.accuracy_of_known(logits, labels)) == 0.5
    assert float(classification.accuracy_of_known(logits, -jnp.ones(3, jnp.int32))) == 0


def test_logit_norms_logits_have_one_length():
    logits = jnp.array([[3.0, 4.0], [0.3, -0.4], [0.0, 0.0]])
    found = classification.normalise(logits, 0.04)
    np.testing.assert_allclose(found, [[15.0, 20.0], [15.0, -20.0], [0.0, 0.0]], rtol=1e-5)
    larger = classification.cross_entropy(classification.normalise(10 * logits[:2], 0.04), jnp.array([0, 1]))
    np.testing.assert_allclose(larger, classification.cross_entropy(found[:2], jnp.array([0, 1])), rtol=1e-4)
    slopes = jax.grad(lambda given: classification.normalise(given, 0.04).sum())(logits)
    assert bool(jnp.isfinite(slopes).all())  # where all logits are 0, too


def test_logit_norm_and_pseudo_unknowns_are_refused_together():
    check_logit_norm(0.04, 0.0)
    check_logit_norm(0.0, 0.2)
    with pytest.raises(UserError, match="the class nobody of pseudo-unknowns has the logit 0"):
        check_logit_norm(0.04, 0.2)
    with pytest.raises(UserError, match=r"config.logit_norm is -1.0; give a temperature"):
        check_logit_norm(-1.0, 0.0)


def test_weight_decay_shrinks_weights_and_not_biases():
    params = {"weight": jnp.ones((2, 3)), "bias": jnp.ones(3)}
    optimizer = make_adam(learning_rate=0.1, num_steps=10, beta1=0.9, beta2=0.99, weight_decay=0.5)
    updates, _ = optimizer.update(jax.tree.map(jnp.zeros_like, params), optimizer.init(params), params)
    np.testing.assert_allclose(updates["weight"], -0.1 * 0.5)
    np.testing.assert_array_equal(updates["bias"], 0)
