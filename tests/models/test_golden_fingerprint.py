"""The image-sized fingerprint network against the published one at 32x32: outputs, losses, every gradient norm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import assert_same_variables, channels_last, jit, load, norms

from ganfp_jax.interop import layouts
from ganfp_jax.models import create
from ganfp_jax.training.objectives import fingerprint

pytestmark = pytest.mark.both_convolutions

NETWORK = create("fingerprint_autoencoder", resolution=32, num_classes=5, fmap_base=64, fmap_max=16)
CRITIC = create("fingerprint_discriminator", resolution=32, fmap_base=64, fmap_max=16)


def test_outputs_of_the_autoencoder():
    golden = load("visnet_autoencoder")
    variables, images = layouts.visnet_autoencoder(golden.param), golden.inputs["images_nchw"]
    assert_same_variables(NETWORK, variables, images)
    ours = jit(NETWORK.apply)(variables, images)
    for name in ("reconstructions_nchw", "fingerprints_nchw"):
        published = channels_last(name, golden.out[name])
        np.testing.assert_allclose(getattr(ours, name.removesuffix("_nchw")), published, rtol=0, atol=1e-4)
    np.testing.assert_allclose(ours.logits, golden.out["logits"], rtol=0, atol=1e-4)


def test_scores_of_the_discriminator():
    golden = load("visnet_discriminator")
    variables, images = layouts.visnet_discriminator(golden.param), golden.inputs["images_nchw"]
    assert_same_variables(CRITIC, variables, images)
    scores = jit(CRITIC.apply)(variables, images)
    np.testing.assert_allclose(scores, golden.out["scores"].ravel(), rtol=0, atol=1e-4)


def test_logits_are_sums_of_products_with_model_fingerprints():
    golden = load("visnet_autoencoder")
    variables, images = layouts.visnet_autoencoder(golden.param), golden.inputs["images_nchw"]
    ask = jit(lambda v, x, method: NETWORK.apply(v, x, method=method), static_argnums=2)
    fingerprints, logits = ask(variables, images, "fingerprints_and_logits")
    np.testing.assert_array_equal(fingerprints, ask(variables, images, "features"))
    weights, bias = NETWORK.model_fingerprints(variables["params"])
    assert (fingerprints.shape, weights.shape, bias.shape) == ((4, 32, 32, 3), (32, 32, 3, 5), (5,))
    products = np.asarray(fingerprints)[..., None] * weights
    np.testing.assert_allclose(products.sum((1, 2, 3)) + bias[None], logits, rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def losses_and_gradients():
    golden = load("visnet_losses")
    network, critic = (
        jax.device_put(convert({key[len(prefix) :]: v for key, v in golden.param.items() if key.startswith(prefix)}))
        for prefix, convert in (("EG/", layouts.visnet_autoencoder), ("D/", layouts.visnet_discriminator))
    )
    images, mix = golden.inputs["images_nchw"], golden.inputs["mix_n111"]
    labels = golden.inputs["labels_onehot"].argmax(1)

    @jit
    def everything(network, critic):
        def autoencoder_loss(network):
            outputs = NETWORK.apply(network, images)
            scores = CRITIC.apply(critic, outputs.reconstructions)
            terms = fingerprint.autoencoder_terms(images, labels, outputs.reconstructions, outputs.logits, scores)
            per_sample = fingerprint.autoencoder_loss(terms)
            return per_sample.mean(), per_sample

        def critic_loss(critic):
            fake = NETWORK.apply(network, images).reconstructions
            per_sample = fingerprint.critic_loss(lambda x: CRITIC.apply(critic, x), images, fake, mix)
            return per_sample.mean(), per_sample

        return {
            "eg": jax.value_and_grad(autoencoder_loss, has_aux=True)(network),
            "d": jax.value_and_grad(critic_loss, has_aux=True)(critic),
        }

    return golden, everything(network, critic)


@pytest.mark.parametrize("kind", ["eg", "d"])
def test_losses_and_gradients(kind, losses_and_gradients):
    golden, ours = losses_and_gradients
    (_, loss), gradients = ours[kind]
    np.testing.assert_allclose(loss, golden.out[f"{kind}_loss_n"], rtol=1e-4)
    prefix = f"{kind}_grad_norm/"
    published = {key.removeprefix(prefix): out for key, out in golden.out.items() if key.startswith(prefix)}
    lengths = norms(gradients)
    assert lengths.keys() == published.keys()
    for path, norm in lengths.items():
        np.testing.assert_allclose(norm, published[path], rtol=1e-3, atol=1e-7, err_msg=f"{kind} {path}")


def test_each_weight_counts_its_term_and_no_other():
    terms = fingerprint.Terms(*(jnp.array([value]) for value in (2.0, 3.0, 5.0)))
    np.testing.assert_allclose(fingerprint.autoencoder_loss(terms), [2 + 20 * 3 + 0.1 * 5], rtol=1e-6)
    names = ("class_weight", "rec_weight", "adversarial_weight")
    for name, value in zip(names, (2.0, 3.0, 5.0), strict=True):
        alone = fingerprint.LossWeights(**dict.fromkeys(names, 0.0) | {name: 7.0})
        np.testing.assert_allclose(fingerprint.autoencoder_loss(terms, alone), [7 * value])
