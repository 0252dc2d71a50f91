import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganfp_jax.objectives import OBJECTIVES, classification, hinge, penalties, wgan_gp


def scores(*values):
    return jnp.array(values, jnp.float32)


def test_wgan_gp_values():
    loss = wgan_gp.critic_loss(scores(2.0, -1.0), scores(0.5, 3.0))
    np.testing.assert_allclose(loss, [0.5 - 2 + 0.004, 3 + 1 + 0.001], rtol=1e-6)
    np.testing.assert_allclose(wgan_gp.generator_loss(scores(0.5, 3.0)), [-0.5, -3.0])
    np.testing.assert_allclose(wgan_gp.gradient_penalty(scores(1.0, 3.0)), [0.0, 40.0])
    np.testing.assert_allclose(wgan_gp.gradient_penalty(scores(750.0), target=750.0), [0.0])
    np.testing.assert_allclose(wgan_gp.gradient_penalty(scores(0.0), target=750.0), [10.0])


def test_hinge_values():
    loss = hinge.critic_loss(scores(2.0, 0.5, -1.0), scores(-2.0, -0.5, 1.0))
    np.testing.assert_allclose(loss, [0.0, 1.0, 4.0])
    np.testing.assert_allclose(hinge.generator_loss(scores(0.5)), [-0.5])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_share_one_shape(name):
    objective = OBJECTIVES[name]
    real, fake = scores(0.1, 0.2, 0.3), scores(-0.1, 0.0, 0.1)
    assert objective.critic_loss(real, fake).shape == objective.generator_loss(fake).shape == (3,)
    assert hasattr(objective, "gradient_penalty") == objective.GRADIENT_PENALTY
    # The critic wants real scores up and fake scores down, the generator fake scores up.
    by_real, by_fake = jax.grad(lambda r, f: objective.critic_loss(r, f).sum(), (0, 1))(real, fake)
    assert (by_real < 0).all() and (by_fake > 0).all()
    assert (jax.grad(lambda f: objective.generator_loss(f).sum())(fake) < 0).all()


def test_interpolate_ends():
    real, fake = jnp.zeros((3, 2, 2, 1)), jnp.ones((3, 2, 2, 1))
    mix = jnp.array([0.0, 0.25, 1.0]).reshape(3, 1, 1, 1)
    np.testing.assert_allclose(penalties.interpolate(real, fake, mix)[:, 0, 0, 0], [0.0, 0.25, 1.0])


def test_gradient_norm_is_per_sample_over_all_pixels():
    weight = np.random.RandomState(0).randn(4, 4, 3).astype(np.float32)
    images = jnp.asarray(np.random.RandomState(1).randn(2, 4, 4, 3), jnp.float32)
    linear = penalties.gradient_norm(lambda x: jnp.sum(x * weight, axis=(1, 2, 3)), images)
    np.testing.assert_allclose(linear, [np.linalg.norm(weight)] * 2, rtol=1e-6)
    square = penalties.gradient_norm(lambda x: jnp.sum(x**2, axis=(1, 2, 3)), images)
    np.testing.assert_allclose(square, 2 * np.linalg.norm(np.asarray(images).reshape(2, -1), axis=1), rtol=1e-6)


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
