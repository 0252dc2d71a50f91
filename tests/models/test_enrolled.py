"""The network of enrolled sources, around a trained one."""

import jax
import jax.numpy as jnp
import pytest

from ganfp_jax.models import create
from ganfp_jax.run.errors import UserError


def enrolled(side, num_classes, inside=3, base_side=None):
    base = {"name": "visnet_classifier", "num_classes": inside, "fmap_base": 64, "fmap_max": 8}
    base["resolution"] = base_side or side
    return create("enrolled", resolution=side, num_classes=num_classes, base=base, num_axes=2)


@pytest.mark.parametrize("side", [16, 64])
def test_there_is_a_logit_for_every_source_trained_or_enrolled(side):
    images = jnp.zeros((2, side, side, 3))
    out, _ = jax.eval_shape(enrolled(side, 5).init_with_output, jax.random.key(0), images)
    assert out.shape == (2, 5) and out.dtype == jnp.float32


@pytest.mark.parametrize("settings", [{"num_classes": 3}, {"num_classes": 4, "base_side": 32}])
def test_a_base_of_as_many_sources_or_another_size_is_refused(settings):
    with pytest.raises(UserError, match="base has another resolution, or as many sources"):
        enrolled(16, **settings)
