import numpy as np
import pytest
from golden_files import load

from ganfp_jax.errors import UserError
from ganfp_jax.interop import layouts

FILES = {
    "progan_generator": layouts.progan_generator,
    "progan_discriminator": layouts.progan_discriminator,
    "classifier_postpool_4": layouts.visnet_classifier,
    "sngan_generator_classes1": layouts.sngan_generator,
    "sngan_discriminator_classes1": layouts.sngan_discriminator,
}


@pytest.mark.parametrize("name", FILES)
def test_missing_and_surplus_names_are_said(name):
    variables = load(name).param
    lost = next(key for key in variables if key.endswith(("Conv1/weight", "4x4/Conv/weight", "c2/W")))
    wrong = {key: value for key, value in variables.items() if key != lost} | {"stranger": np.zeros(1)}
    with pytest.raises(UserError, match=rf"missing {lost}, surplus stranger") as error:
        FILES[name](wrong)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", FILES)
def test_another_network_is_refused(name):
    others = {key: value for key, value in FILES.items() if value is not FILES[name]}
    for other in others:
        with pytest.raises(UserError, match="is it another network"):
            FILES[name](load(other).param)
    with pytest.raises(UserError, match="is it another network"):
        FILES[name]({})


def test_a_shape_that_cannot_be_turned_is_refused():
    variables = load("progan_generator").param | {"4x4/Dense/weight": np.zeros((8, 127))}
    with pytest.raises(UserError, match=r"4x4/Dense/weight cannot have the shape \(8, 127\)"):
        layouts.progan_generator(variables)
