import re

import jax
import numpy as np
import pytest
from golden_files import load

from ganfp_jax.interop import layouts
from ganfp_jax.run.errors import UserError

FILES = {
    "progan_generator": layouts.progan_generator,
    "progan_discriminator": layouts.progan_discriminator,
    "classifier_postpool_4": layouts.visnet_classifier,
    "visnet_autoencoder": layouts.visnet_autoencoder,
    "visnet_discriminator": layouts.visnet_discriminator,
    "sngan_generator_classes1": layouts.sngan_generator,
    "sngan_discriminator_classes1": layouts.sngan_discriminator,
    "g_resnet5_generator": layouts.resnet5_generator,
    "dcgan5_critic": layouts.dcgan5_critic,
}


@pytest.mark.parametrize("name", FILES)
def test_missing_and_surplus_names_are_said(name):
    variables = load(name).param
    ends = ("Conv1/weight", "4x4/Conv/weight", "c2/W", "Conv2.Filters", "conv/w")
    lost = next(key for key in variables if key.endswith(ends))
    wrong = {key: value for key, value in variables.items() if key != lost} | {"stranger": np.zeros(1)}
    with pytest.raises(UserError, match=rf"missing {re.escape(lost)}; surplus stranger;") as error:
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
    with pytest.raises(UserError, match=r"misshapen 4x4/Dense/weight \(8, 127\);"):
        layouts.progan_generator(variables)


def test_every_variable_of_cramer_and_mmd_is_turned_once():
    """Axis orders by hand: the published dense layer is channel-major, the transposed kernel outputs-before-inputs."""
    golden = load("g_resnet5_generator").param
    ours = layouts.resnet5_generator(golden)
    assert ours.keys() == {"params"}  # moving averages were never trained
    dense = golden["generator/g_h0_lin/Matrix"].reshape(8, 32, 2, 2)  # (D, C, H, W)
    bias = golden["generator/g_h0_lin/bias"].reshape(32, 2, 2)
    np.testing.assert_array_equal(ours["params"]["g_h0_lin"]["weight"].reshape(8, 2, 2, 32)[:, 1, 0], dense[:, :, 1, 0])
    np.testing.assert_array_equal(ours["params"]["g_h0_lin"]["bias"].reshape(2, 2, 32)[0, 1], bias[:, 0, 1])
    kernel = golden["generator/g_h5/w"]  # (5, 5, O, I)
    assert ours["params"]["g_h5"]["weight"].shape == (5, 5, 2, 3)
    np.testing.assert_array_equal(ours["params"]["g_h5"]["weight"][0, 4, 1, 2], kernel[4, 0, 2, 1])
    block = ours["params"]["g_res2"]
    np.testing.assert_array_equal(block["Conv1"]["weight"], golden["generator/g_res2.Conv1/g_res2.Conv1.Filters"])
    assert block["Conv1"].keys() == {"weight"}
    np.testing.assert_array_equal(block["Shortcut"]["bias"], golden["generator/g_res2.Shortcut/g_res2.Shortcut.Biases"])
    np.testing.assert_array_equal(block["BN2"]["offset"], golden["generator/g_res2.BN2.offset"])

    golden = load("dcgan5_critic").param
    ours = layouts.dcgan5_critic(golden)["params"]
    assert ours.keys() == {f"d_h{i}_conv" for i in range(5)} | {"d_h6_lin"}
    np.testing.assert_array_equal(ours["d_h3_conv"]["weight"], golden["discriminator/d_h3_conv/w"])
    np.testing.assert_array_equal(ours["d_h6_lin"]["weight"], golden["discriminator/d_h6_lin/Matrix"])


def test_moving_averages_may_be_left_out():
    golden = load("g_resnet5_generator").param
    with_them, without = (
        layouts.resnet5_generator({key: value for key, value in golden.items() if keep or ".moving_" not in key})
        for keep in (True, False)
    )
    jax.tree.map(np.testing.assert_array_equal, with_them, without)


@pytest.mark.parametrize(
    ("name", "key", "shape"),
    [
        ("g_resnet5_generator", "generator/g_h0_lin/Matrix", (8, 127)),
        ("g_resnet5_generator", "generator/g_h5/w", (5, 5, 6)),
    ],
)
def test_shapes_of_cramer_and_mmd_that_cannot_be_turned(name, key, shape):
    with pytest.raises(UserError, match=rf"misshapen {re.escape(key)} {re.escape(str(shape))};"):
        FILES[name](load(name).param | {key: np.zeros(shape)})


@pytest.mark.parametrize(
    ("name", "layout", "lost"),
    [
        ("g_resnet5_generator", layouts.resnet5_generator, "g_res2."),
        ("dcgan5_critic", layouts.dcgan5_critic, "d_h2_conv"),
    ],
)
def test_a_whole_block_that_is_missing_is_said(name, layout, lost):
    variables = {key: value for key, value in load(name).param.items() if lost not in key}
    with pytest.raises(UserError, match=rf"missing (discriminator|generator)/{lost}"):
        layout(variables)
