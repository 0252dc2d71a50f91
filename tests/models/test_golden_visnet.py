"""The attribution network against the published implementation at 32x32, in every mode."""

import numpy as np
import pytest
from golden_files import assert_same_variables, jit, load

from ganfp_jax.interop import layouts
from ganfp_jax.models import create

pytestmark = pytest.mark.both_convolutions


@pytest.mark.parametrize("name", ["postpool_4", "postpool_16", "predownscale_16", "patch_latent8"])
def test_logits_are_products_of_fingerprints(name):
    golden = load(f"classifier_{name}")
    settings = {key: golden.meta[key] for key in ("fmap_base", "fmap_max", "mode", "switching_res", "latent_res")}
    classifier = create("visnet_classifier", resolution=32, num_classes=5, **settings)
    variables, images = layouts.visnet_classifier(golden.param), golden.inputs["images_nchw"]
    assert_same_variables(classifier, variables, images)

    published = golden.out["logits"]
    if published.ndim == 4:  # a map of logits, stored channels first
        published = published.transpose(0, 2, 3, 1)
    logits = jit(classifier.apply)(variables, images)
    np.testing.assert_allclose(logits, published, rtol=0, atol=1e-4)

    features = jit(lambda variables: classifier.apply(variables, images, method="features"))(variables)
    fingerprints, bias = classifier.model_fingerprints(variables["params"])
    np.testing.assert_allclose(np.asarray(features @ fingerprints) + bias, logits, rtol=0, atol=1e-5)
