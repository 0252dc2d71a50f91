"""SNGAN against the published implementation: images in both modes, scores of two calls, singular vectors, hinge."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from golden_files import assert_same_variables, channels_last, jit, load

from ganfp_jax.interop import layouts
from ganfp_jax.models import create
from ganfp_jax.training.objectives import hinge

pytestmark = pytest.mark.both_convolutions


@pytest.mark.parametrize("classes", [0, 1])
def test_images_and_running_statistics(classes):
    golden = load(f"sngan_generator_classes{classes}")
    generator = create("sngan_generator", resolution=128, latent_size=8, ch=2, num_classes=classes)
    variables, latents = layouts.sngan_generator(golden.param), golden.inputs["latents_nd"]
    assert_same_variables(generator, variables, latents)

    def both(variables, latents):
        return generator.apply(variables, latents), generator.apply(
            variables, latents, train=True, mutable=["batch_stats"]
        )

    by_running, (by_batch, stored) = jit(both)(variables, latents)
    expected = {key: channels_last(key, value) for key, value in golden.out.items()}
    np.testing.assert_allclose(by_batch, expected["images_nchw_batch_stats"], rtol=0, atol=1e-4)
    # Small recorded variances amplify rounding: in float64 the class-conditional network differs from its own float32
    # recording by 1.4e-4, and 39 of 98,304 of our values do by more than 1e-4.
    error = np.abs(by_running - expected["images_nchw_running_stats"])
    assert error.mean() < 2e-6
    assert error.max() < (5e-4 if classes else 1e-4)

    before, after = variables["batch_stats"], stored["batch_stats"]
    first = latents @ variables["params"]["l1"]["weight"] + variables["params"]["l1"]["bias"][None]
    batch = np.asarray(first).reshape(-1, 32)  # block2's first layer sees 2 x 4 x 4 positions
    expected_mean = 0.9 * before["block2"]["b1"]["mean"] + 0.1 * batch.mean(0)
    expected_var = 0.9 * before["block2"]["b1"]["var"] + 0.1 * batch.var(0, ddof=1)
    np.testing.assert_allclose(after["block2"]["b1"]["mean"], expected_mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(after["block2"]["b1"]["var"], expected_var, rtol=1e-5)


@pytest.mark.parametrize("classes", [0, 1])
def test_scores_and_singular_vectors(classes):
    golden = load(f"sngan_discriminator_classes{classes}")
    critic = create("sngan_discriminator", resolution=128, ch=2, num_classes=classes)
    variables, images = layouts.sngan_discriminator(golden.param), golden.inputs["images_nchw"]
    assert_same_variables(critic, variables, images)
    labels = jnp.zeros(len(images), jnp.int32) if classes else None

    call = jit(lambda variables: critic.apply(variables, images, labels, train=True, mutable=["spectral_stats"]))
    first, stats = call(variables)
    second, _ = call(variables | stats)
    np.testing.assert_allclose(first, golden.out["scores_first_call"][:, 0], rtol=0, atol=1e-4)
    np.testing.assert_allclose(second, golden.out["scores_second_call"][:, 0], rtol=0, atol=1e-4)

    ours = flatten_dict(stats["spectral_stats"], sep="/")
    prefix = "u_after_first_call/"
    published = {key.removeprefix(prefix): out[0] for key, out in golden.out.items() if key.startswith(prefix)}
    assert ours.keys() == published.keys()
    for path, u in ours.items():
        np.testing.assert_allclose(u, published[path], rtol=0, atol=1e-5, err_msg=path)


@pytest.mark.parametrize("classes", [0, 1])
def test_hinge(classes):
    golden = load(f"sngan_discriminator_classes{classes}")
    real, fake = golden.inputs["dis_real"][:, 0], golden.inputs["dis_fake"][:, 0]
    np.testing.assert_allclose(hinge.critic_loss(real, fake).mean(), golden.out["loss_hinge_dis"], rtol=1e-4)
    np.testing.assert_allclose(hinge.generator_loss(fake).mean(), golden.out["loss_hinge_gen"], rtol=1e-4)
