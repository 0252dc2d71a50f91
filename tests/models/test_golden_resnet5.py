"""CramerGAN and MMDGAN against the published implementation at 64x64: images, layers, kernels, losses, gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from golden_files import assert_same_variables, jit, load

from ganfp_jax.interop import layouts
from ganfp_jax.models import create
from ganfp_jax.training.objectives import cramer, mmd, penalties

pytestmark = pytest.mark.both_convolutions

GENERATOR = create("resnet5_generator", resolution=64, latent_size=8, ch=2, bottom_width=2)
critic_of = functools.partial(create, "dcgan5_critic", resolution=64, ch=2, bottom_width=2)


def part(golden, name):
    return {key: value for key, value in golden.param.items() if key.startswith(f"{name}/")}


def test_images():
    golden = load("g_resnet5_generator")
    variables, latents = layouts.resnet5_generator(golden.param), jnp.asarray(golden.inputs["latents_nd"])
    assert_same_variables(GENERATOR, variables, latents)
    images = jit(GENERATOR.apply)(variables, latents)
    np.testing.assert_allclose(images, golden.out["images_nhwc_batch_stats"], rtol=0, atol=1e-4)


def test_every_layer_of_the_critic():
    golden = load("dcgan5_critic")
    critic = critic_of(num_features=16)
    variables, images = layouts.dcgan5_critic(golden.param), golden.inputs["images_nhwc"]
    assert_same_variables(critic, variables, images)
    features, layers = jit(functools.partial(critic.apply, mutable=["layers"]))(variables, images)
    assert layers["layers"].keys() == golden.out.keys()
    for name, (layer,) in layers["layers"].items():
        np.testing.assert_allclose(layer, golden.out[name], rtol=0, atol=1e-4, err_msg=name)
    np.testing.assert_array_equal(features, layers["layers"]["hF"][0])


@pytest.mark.parametrize("kernel", mmd.KERNELS)
def test_kernels_and_estimators(kernel):
    golden = load("mmd_kernels")
    x, y = golden.inputs["X"], golden.inputs["Y"]
    np.testing.assert_allclose(mmd.KERNELS[kernel].gram(x, y), golden.out[f"K_XY/{kernel}"], rtol=1e-5, atol=1e-5)
    unbiased = mmd.squared_mmd(x, y, kernel, "unbiased", "published")
    np.testing.assert_allclose(unbiased, golden.out[f"mmd2_unbiased/{kernel}"], rtol=1e-4)
    biased = mmd.squared_mmd(x, y, kernel, "biased")
    np.testing.assert_allclose(biased, golden.out[f"mmd2_biased/{kernel}"], rtol=1e-4)


def test_the_exact_diagonal_is_that_of_the_kernel():
    """The published estimate of a kernel with an inner product keeps the mean square length over m - 1."""
    golden = load("mmd_kernels")
    x, y = (np.asarray(golden.inputs[name], np.float64) for name in "XY")
    published = mmd.squared_mmd(*golden.inputs.values(), "mix_rq_1dot", "unbiased", "published")
    exact = mmd.squared_mmd(*golden.inputs.values(), "mix_rq_1dot", "unbiased", "exact")
    surplus = ((x**2).sum(1).mean() + (y**2).sum(1).mean()) / (len(x) - 1)
    np.testing.assert_allclose(published - exact, surplus, rtol=1e-5)
    means = x.mean(0) - y.mean(0)
    lengths = [(np.square(z.sum(0)).sum() - np.square(z).sum()) / (len(z) * (len(z) - 1)) for z in (x, y)]
    exact_dot = sum(lengths) - 2 * x.mean(0) @ y.mean(0)
    np.testing.assert_allclose(mmd.squared_mmd(*golden.inputs.values(), "dot"), exact_dot, rtol=1e-4)
    np.testing.assert_allclose(mmd.squared_mmd(*golden.inputs.values(), "dot", "biased"), means @ means, rtol=1e-4)


def assert_norms(gradients, golden, kind):
    ours = {"/".join(path): float(np.linalg.norm(np.ravel(g))) for path, g in flatten_dict(gradients["params"]).items()}
    published = {key.removeprefix(f"{kind}/"): out for key, out in golden.out.items() if key.startswith(kind)}
    assert len(ours) == len(published)
    names = layouts.resnet5_generator if kind == "g_grad_norm" else layouts.dcgan5_critic
    # The layout says which of our variables a published one is; here the "variables" are their own names.
    shapes = golden.param
    for name, norm in published.items():
        probe = {key: np.full(shapes[key].shape, key == name, np.float32) for key in part(golden, name.split("/")[0])}
        [path] = [p for p, v in flatten_dict(names(probe)["params"]).items() if v.all()]
        np.testing.assert_allclose(ours["/".join(path)], norm, rtol=1e-3, atol=1e-6, err_msg=name)


def networks(name, num_features):
    golden = load(name)
    critic = critic_of(num_features=num_features)
    generator_variables = jax.device_put(layouts.resnet5_generator(part(golden, "generator")))
    critic_variables = jax.device_put(layouts.dcgan5_critic(part(golden, "discriminator")))
    return golden, critic, generator_variables, critic_variables


def test_mmd_losses_and_gradients():
    golden, critic, generator_variables, critic_variables = networks("mmdgan_losses", 16)
    real, mix = golden.inputs["images_nhwc"], golden.inputs["alpha_n111"]
    objective = mmd.make("mix_rq_1dot", "unbiased", "published")

    def look(variables, images):
        return critic.apply(variables, images, mutable=["layers"])

    @jit
    def everything(generator_variables, critic_variables):
        def g_loss(variables):
            fake = GENERATOR.apply(variables, golden.inputs["latents_nd"])
            return objective.generator_loss(look(critic_variables, real)[0], look(critic_variables, fake)[0])

        fake = GENERATOR.apply(generator_variables, golden.inputs["latents_nd"])

        def d_loss(variables):
            (x, real_layers), (g, fake_layers) = look(variables, real), look(variables, fake)
            between = penalties.interpolate(real, fake, mix)

            def witness(images):
                return objective.witness(look(variables, images)[0], x, g)

            terms = {
                "gradient_penalty_norm_over_axis1": penalties.gradient_penalty(
                    penalties.gradient_norm(witness, between, "height", 1e-5), weight=1.0
                ).mean(),
                "gradient_penalty_norm_over_sample": penalties.gradient_penalty(
                    penalties.gradient_norm(witness, between, "sample", 1e-5), weight=1.0
                ).mean(),
                "l2_discriminator_penalty": penalties.layer_penalty(jax.tree.leaves([real_layers, fake_layers])),
                "witness_n": witness(between),
            }
            loss = objective.critic_loss(x, g).mean()
            loss += terms["gradient_penalty_norm_over_axis1"] + terms["l2_discriminator_penalty"]
            return loss, terms | {"d_loss_gp1_l2_1": loss}

        return jax.value_and_grad(g_loss)(generator_variables), jax.grad(d_loss, has_aux=True)(critic_variables)

    (g_loss, g_gradients), (d_gradients, terms) = everything(generator_variables, critic_variables)
    for name, value in (terms | {"g_loss": g_loss}).items():
        np.testing.assert_allclose(value, golden.out[name], rtol=1e-4, atol=1e-5, err_msg=name)
    assert_norms(g_gradients, golden, "g_grad_norm")
    assert_norms(d_gradients, golden, "d_grad_norm")


def test_cramer_losses_and_gradients():
    golden, critic, generator_variables, critic_variables = networks("cramergan_losses", 16)
    real, mix = golden.inputs["images_nhwc"], golden.inputs["alpha_n111"]

    @jit
    def everything(generator_variables, critic_variables):
        def draw(variables):
            return [GENERATOR.apply(variables, golden.inputs[name]) for name in ("latents_nd", "latents2_nd")]

        def g_loss(variables):
            answers = [critic.apply(critic_variables, images) for images in (real, *draw(variables))]
            return cramer.generator_loss(*answers).mean()

        fakes = draw(generator_variables)

        def d_loss(variables):
            answers = [critic.apply(variables, images) for images in (real, *fakes)]
            between = penalties.interpolate(real, fakes[0], mix)

            def witness(images):
                return cramer.witness(critic.apply(variables, images), *answers)

            def penalty(norm):
                return penalties.gradient_penalty(penalties.gradient_norm(witness, between, norm, 1e-5), 1.0).mean()

            terms = {
                "gradient_penalty_norm_over_axis1": penalty("height"),
                "gradient_penalty_norm_over_sample": penalty("sample"),
                "d_loss_no_penalty": cramer.critic_loss(*answers).mean(),
            }
            loss = terms["d_loss_no_penalty"] + 10 * terms["gradient_penalty_norm_over_axis1"]
            return loss, terms | {"d_loss_gp10": loss}

        return jax.value_and_grad(g_loss)(generator_variables), jax.grad(d_loss, has_aux=True)(critic_variables)

    (g_loss, g_gradients), (d_gradients, terms) = everything(generator_variables, critic_variables)
    for name, value in (terms | {"g_loss": g_loss}).items():
        np.testing.assert_allclose(value, golden.out[name], rtol=1e-4, err_msg=name)
    assert_norms(g_gradients, golden, "g_grad_norm")
    assert_norms(d_gradients, golden, "d_grad_norm")
