"""ProGAN against the published implementation at 32x32: images, scores, losses and every gradient norm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import assert_same_variables, channels_last, jit, load, norms

from ganfp_jax.interop import layouts
from ganfp_jax.models import create
from ganfp_jax.models.layers import box_downsample
from ganfp_jax.models.progan import enlarge
from ganfp_jax.training.objectives import penalties, wgan_gp

pytestmark = pytest.mark.both_convolutions

GENERATOR = create("progan_generator", resolution=32, latent_size=8, fmap_base=64, fmap_max=8)
CRITIC = create("progan_discriminator", resolution=32, fmap_base=64, fmap_max=8)
LODS = [0.0, 0.3, 1.0, 1.6, 2.0, 3.0]

generate = jit(GENERATOR.apply, static_argnums=2)
score = jit(CRITIC.apply, static_argnums=2)


@pytest.mark.parametrize("lod", LODS)
def test_images(lod):
    golden, level = load("progan_generator"), int(lod)
    variables = layouts.progan_generator(golden.param)
    small = generate(variables, golden.inputs["latents_nd"], level, lod - level)
    assert small.shape == (8, 32 >> level, 32 >> level, 3)
    name = f"images_lod_{lod}"
    np.testing.assert_allclose(enlarge(small, level), channels_last(name, golden.out[name]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("lod", LODS)
def test_scores(lod):
    golden, level = load("progan_discriminator"), int(lod)
    variables = layouts.progan_discriminator(golden.param)
    images = box_downsample(golden.inputs["images_nchw"], 2**level)
    scores = score(variables, images, level, lod - level)
    np.testing.assert_allclose(scores, golden.out[f"scores_lod_{lod}"][:, 0], rtol=0, atol=1e-4)


def test_imported_variables_are_the_networks_own():
    assert_same_variables(GENERATOR, layouts.progan_generator(load("progan_generator").param), jnp.zeros((1, 8)))
    variables = layouts.progan_discriminator(load("progan_discriminator").param)
    assert_same_variables(CRITIC, variables, jnp.zeros((1, 32, 32, 3)))


def generator_loss(generator, critic, latents, fade):
    return wgan_gp.generator_loss(CRITIC.apply(critic, GENERATOR.apply(generator, latents, 0, fade), 0, fade))


def critic_terms(critic, real, fake, mix, fade):
    scores = wgan_gp.critic_loss(CRITIC.apply(critic, real, 0, fade), CRITIC.apply(critic, fake, 0, fade))
    between = penalties.interpolate(real, fake, mix)
    penalty = penalties.gradient_penalty(penalties.gradient_norm(lambda x: CRITIC.apply(critic, x, 0, fade), between))
    return scores, penalty


@pytest.mark.parametrize("lod", [0.0, 0.3])
def test_losses_and_gradients(lod):
    golden, param = load(f"progan_losses_lod_{lod}"), load("progan_losses_lod_0.0").param
    generator, critic = (
        jax.device_put(convert({key[2:]: value for key, value in param.items() if key.startswith(prefix)}))
        for prefix, convert in (("G/", layouts.progan_generator), ("D/", layouts.progan_discriminator))
    )
    latents, real, mix = (golden.inputs[key] for key in ("latents_nd", "images_nchw", "mix_n111"))

    @jit
    def everything(generator, critic, fade):
        def g_loss(generator):
            per_sample = generator_loss(generator, critic, latents, fade)
            return per_sample.mean(), per_sample

        def d_loss(critic):
            fake = GENERATOR.apply(generator, latents, 0, fade)
            scores, penalty = critic_terms(critic, real, fake, mix, fade)
            # Published scores are (N, 1) and penalties (N,): their sum is an (N, N) table with the same mean.
            return (scores + penalty).mean(), scores[:, None] + penalty[None, :]

        return jax.value_and_grad(g_loss, has_aux=True)(generator), jax.value_and_grad(d_loss, has_aux=True)(critic)

    ((_, g_loss), g_gradients), ((d_mean, d_loss), d_gradients) = everything(generator, critic, jnp.float32(lod))
    np.testing.assert_allclose(g_loss, golden.out["g_loss_n"][:, 0], rtol=1e-4)
    np.testing.assert_allclose(d_loss, golden.out["d_loss_n"], rtol=1e-4)
    np.testing.assert_allclose(d_mean, golden.out["d_loss_n"].mean(), rtol=1e-4)
    if lod:
        # A few activations lie within rounding of leaky ReLU's kink: 1e-5 in the fade moves gradients by 0.5 %, in
        # float64 too. The recording fell on the lower side.
        (_, g_gradients), _ = everything(generator, critic, jnp.float32(lod - 1e-5))
    for kind, gradients in (("g_grad_norm", g_gradients), ("d_grad_norm", d_gradients)):
        ours = norms(gradients)
        published = {key.removeprefix(f"{kind}/"): out for key, out in golden.out.items() if key.startswith(kind)}
        assert ours.keys() == published.keys()
        for path, norm in ours.items():
            np.testing.assert_allclose(norm, published[path], rtol=1e-3, atol=1e-7, err_msg=f"{kind} {path}")


@pytest.mark.parametrize("level", [1, 2])
def test_gradient_norm_at_a_small_size_is_the_full_sizes_times_two_to_the_level(level):
    """The published critic takes full-size images; ours takes them reduced, so the norm has to be divided."""
    golden = load("progan_discriminator")
    variables = jax.device_put(layouts.progan_discriminator(golden.param))
    full = golden.inputs["images_nchw"]

    def small(x):
        return CRITIC.apply(variables, x, level)

    def norm_pair(full):
        reduced = box_downsample(full, 2**level)
        published = penalties.gradient_norm(lambda x: small(box_downsample(x, 2**level)), full)
        return published, penalties.gradient_norm(small, reduced)

    published, ours = jit(norm_pair)(full)
    np.testing.assert_allclose(ours / 2**level, published, rtol=1e-5)
