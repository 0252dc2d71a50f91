"""`load_published`: files of every published format, built from recorded variables, give the recorded outputs."""

import json
import re
from pathlib import Path

import numpy as np
import published_golden as files
import pytest
from flax.traverse_util import flatten_dict
from golden_files import assert_same_variables, channels_last, load
from published_files import write_bundle, write_npz, write_pickle

from ganfp_jax.interop import load_published, published, sizes
from ganfp_jax.interop.pickles import StoredNetwork
from ganfp_jax.models import create
from ganfp_jax.run.errors import UserError


def inputs(golden):
    """A recording's only input, channels last, as NumPy has it."""
    return np.asarray(golden.inputs[next(iter(golden.inputs))])


def assert_recorded(ours, golden, name, atol=1e-4):
    assert isinstance(ours, np.ndarray)
    recorded = channels_last(name, golden.out[name])
    if ours.ndim == 1:
        recorded = recorded.ravel()  # published critics answer (N, 1) or (N, 1, 1, 1)
    np.testing.assert_allclose(ours, recorded, rtol=0, atol=atol)


@pytest.fixture(scope="module")
def progan(tmp_path_factory):
    return load_published(files.write_progan(tmp_path_factory.mktemp("progan") / "any name", lod=0.3))


@pytest.mark.parametrize("lod", [0.0, 0.3, 1.6, 3.0])
def test_progan_at_every_level_of_detail(progan, lod):
    assert list(progan) == ["G", "D", "Gs"]
    images = load("progan_generator")
    assert_recorded(progan["Gs"](inputs(images), lod=lod), images, f"images_lod_{lod}")
    scores = load("progan_discriminator")
    assert_recorded(progan["D"](inputs(scores), lod=lod), scores, f"scores_lod_{lod}")


def test_progan_draws_at_the_files_own_level_of_detail_by_default(progan):
    golden = load("progan_generator")
    assert_recorded(progan["G"](inputs(golden)), golden, "images_lod_0.3")
    assert progan["G"].lod == pytest.approx(0.3)
    assert repr(progan["G"]) == "<G: ProGAN generator, takes (N, 8), lod 0.3, 4,488 parameters>"


def test_a_network_carries_what_it_is_made_of(progan):
    net = progan["D"]
    assert (net.name, net.kind, net.what, net.takes) == ("D", "critic", "ProGAN critic", "(N, 32, 32, 3)")
    assert net.model["name"] == "progan_discriminator"
    images = load("progan_discriminator").inputs["images_nchw"]
    assert_same_variables(create(**net.model), net.variables, images)


@pytest.mark.parametrize("which", files.CLASSIFIERS)
def test_classifier_in_every_mode(tmp_path, which):
    nets = load_published(files.write_classifier(tmp_path / "c", which))
    golden = load(f"classifier_{which}")
    logits = nets["C_im"](inputs(golden))
    recorded = golden.out["logits"]
    recorded = recorded.transpose(0, 2, 3, 1) if recorded.ndim == 4 else recorded  # a map, stored channels first
    np.testing.assert_allclose(logits, recorded, rtol=0, atol=1e-4)
    assert nets["C_im"].kind == "attribution"


def test_fingerprint_network(tmp_path):
    nets = load_published(files.write_fingerprint_network(tmp_path / "v"))
    assert list(nets) == ["EG", "D_rec", "EGs"]
    golden = load("visnet_autoencoder")
    reconstructions, fingerprints, logits = nets["EGs"](inputs(golden))
    assert_recorded(reconstructions, golden, "reconstructions_nchw")
    assert_recorded(fingerprints, golden, "fingerprints_nchw")
    assert_recorded(logits, golden, "logits")
    golden = load("visnet_discriminator")
    assert_recorded(nets["D_rec"](inputs(golden)), golden, "scores")


@pytest.mark.parametrize("classes", [0, 1])
def test_sngan_with_running_statistics_and_one_power_iteration(tmp_path, classes):
    alone = load_published(files.write_sngan(tmp_path / "g", "generator", classes=classes))
    assert list(alone) == ["generator"]
    golden = load(f"sngan_generator_classes{classes}")
    images = alone["generator"](inputs(golden))
    # Small recorded variances amplify rounding: see test_golden_sngan.
    assert_recorded(images, golden, "images_nchw_running_stats", 5e-4 if classes else 1e-4)
    difference = np.abs(images - channels_last("images", golden.out["images_nchw_running_stats"]))
    assert np.quantile(difference, 0.999) < 1e-4

    trainer = load_published(files.write_sngan(tmp_path / "t", "generator", "discriminator", classes=classes))
    assert trainer.keys() == {"generator", "discriminator"}
    for (path, one), (_, other) in zip(
        *(flatten_dict(nets["generator"].variables).items() for nets in (alone, trainer)), strict=True
    ):
        np.testing.assert_array_equal(one, other, err_msg=str(path))
    golden = load(f"sngan_discriminator_classes{classes}")
    labels = {"labels": np.zeros(2, np.int64)} if classes else {}  # the recorded calls had them
    for _ in range(2):  # a call changes nothing
        assert_recorded(trainer["discriminator"](inputs(golden), **labels), golden, "scores_first_call")


def test_sngan_critic_alone(tmp_path):
    nets = load_published(files.write_sngan(tmp_path / "d", "discriminator", classes=0))
    golden = load("sngan_discriminator_classes0")
    assert_recorded(nets["discriminator"](inputs(golden)), golden, "scores_first_call")


def test_cramer_and_mmd(tmp_path):
    prefix = files.write_cramer_or_mmd(tmp_path / "run" / "MMDGAN.model-1000")
    nets = load_published(prefix)
    assert list(nets) == ["generator", "discriminator"]
    golden = load("g_resnet5_generator")
    assert_recorded(nets["generator"](inputs(golden)), golden, "images_nhwc_batch_stats")
    golden = load("dcgan5_critic")
    assert_recorded(nets["discriminator"](inputs(golden)), golden, "hF")
    assert nets["discriminator"](inputs(golden)).shape == (4, 16)
    for other in (prefix.parent, Path(f"{prefix}.index"), prefix.parent / "checkpoint"):
        assert {name: net.model for name, net in load_published(other).items()} == {
            name: net.model for name, net in nets.items()
        }


# Sizes.

SHAPES = json.loads((Path(__file__).parents[1] / "golden" / "published_variables.json").read_text())


def hollow(shapes):
    """Variables of these shapes, which take no memory."""
    return {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}


def load_hollow(monkeypatch, kind, content):
    """`load_published` of a file of that format and content."""
    monkeypatch.setattr(published, "recognise", lambda path: kind)
    for reader in ("read_pickle", "read_npz", "read_bundle"):
        monkeypatch.setattr(published, reader, lambda path: content)
    return load_published("file")


@pytest.mark.parametrize(
    ("function", "count", "module"),
    [
        ("G_paper", 22_933_394, create("progan_generator", resolution=128)),
        ("D_paper", 22_941_313, create("progan_discriminator", resolution=128)),
        ("C_patch", 8_913_797, create("visnet_classifier", resolution=128, num_classes=5, num_features=512)),
        ("EG", 14_400_019, create("fingerprint_autoencoder", resolution=128, num_classes=5)),
        ("D_patch", 8_916_353, create("fingerprint_discriminator", resolution=128)),
    ],
)
def test_full_size_networks_of_pickles(monkeypatch, function, count, module):
    """Names and shapes as recorded from the published code; numbers of parameters as it counts them."""
    recorded = SHAPES["pickles"][function]
    variables = hollow(recorded["variables"])
    for kwargs in (recorded["static_kwargs"], {"resolution": 128}):
        stored = StoredNetwork("net", function, kwargs, variables)
        net = load_hollow(monkeypatch, "pickle", [stored])["net"]
        assert net.num_params == count
        assert create(**net.model) == module


def test_full_size_networks_of_sngan(monkeypatch):
    names = {part: hollow(shapes) for part, shapes in SHAPES["npz"].items()}
    assert [len(variables) for variables in names.values()] == [89, 56]
    for part, count in (("generator", 32_150_787), ("discriminator", 29_018_881)):
        net = load_hollow(monkeypatch, "npz", names[part])[part]
        assert net.num_params == count
        assert create(**net.model) == create(f"sngan_{part}", resolution=128)


@pytest.mark.parametrize(("family", "count", "critic"), [("CramerGAN", 76, 21_609_344), ("MMDGAN", 75, 17_676_944)])
def test_full_size_networks_of_cramer_and_mmd(monkeypatch, family, count, critic):
    variables = hollow(SHAPES["bundles"][family])
    assert len(variables) == count
    nets = load_hollow(monkeypatch, "bundle", variables)
    assert (nets["generator"].num_params, nets["discriminator"].num_params) == (11_764_035, critic)
    assert create(**nets["generator"].model) == create("resnet5_generator", resolution=128, statistics="batch")
    features = {"CramerGAN": 256, "MMDGAN": 16}[family]
    assert create(**nets["discriminator"].model) == create("dcgan5_critic", resolution=128, num_features=features)


@pytest.mark.parametrize(
    ("golden", "function", "model"),
    [
        ("progan_generator", "G_paper", "progan_generator"),
        ("progan_discriminator", "D_paper", "progan_discriminator"),
        ("classifier_postpool_4", "C_patch", "visnet_classifier"),
        ("classifier_patch_latent8", "C_patch", "visnet_classifier"),
        ("visnet_autoencoder", "EG", "fingerprint_autoencoder"),
        ("visnet_discriminator", "D_patch", "fingerprint_discriminator"),
    ],
)
def test_sizes_follow_from_shapes_where_no_arguments_say_them(golden, function, model):
    recorded = load(golden)
    shapes = {name: np.shape(array) for name, array in recorded.param.items()}
    given = sizes.read_arguments(function, recorded.meta)
    assert given["fmap_base"] == 64
    assert sizes.infer_settings(model, shapes, {}) == sizes.infer_settings(model, shapes, given)


# What is refused, in one line each.

FORMATS = {
    "progan_generator": "G_paper",
    "progan_discriminator": "D_paper",
    "classifier_postpool_4": "C_patch",
    "classifier_postpool_16": "C_patch",
    "classifier_patch_latent8": "C_patch",
    "visnet_autoencoder": "EG",
    "visnet_discriminator": "D_patch",
    "sngan_generator_classes1": "npz",
    "sngan_discriminator_classes1": "npz",
    "g_resnet5_generator": "bundle",
    "dcgan5_critic": "bundle",
}


def write(path, golden, variables):
    if FORMATS[golden] == "npz":
        write_npz(path, variables)
    elif FORMATS[golden] == "bundle":
        write_bundle(path, variables)
    else:
        stored = StoredNetwork("net", FORMATS[golden], dict(load(golden).meta), variables)
        write_pickle(path, [stored], as_tuple=False)
    return path


def refusal(path):
    with pytest.raises(UserError) as error:
        load_published(path)
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize("golden", FORMATS)
def test_all_that_is_wrong_with_the_variables_is_said_at_once(tmp_path, golden):
    variables = dict(load(golden).param)
    used = [name for name in variables if name != "lod" and not re.search(r"moving_|/N$|/u$|^l_y/", name)]
    missing, *misshapen = used[len(used) // 3 :: len(used) // 4][:3]
    del variables[missing]
    scope = "" if FORMATS[golden] != "bundle" else missing.split("/")[0] + "/"
    wrong = {name: np.zeros((*np.shape(variables[name]), 2), np.float32) for name in misshapen}
    message = refusal(
        write(tmp_path / "file", golden, variables | wrong | {f"{scope}stranger": np.zeros(1, np.float32)})
    )
    assert f"missing {missing};" in message
    assert f"surplus {scope}stranger;" in message
    for name in misshapen:
        assert f"{name} {wrong[name].shape} instead of {variables[name].shape}" in message


def test_a_long_list_says_how_much_longer_it_is(tmp_path):
    strangers = {f"stranger{i:02d}": np.zeros(1, np.float32) for i in range(25)}
    message = refusal(write(tmp_path / "file", "dcgan5_critic", load("dcgan5_critic").param | {
        f"discriminator/{name}": value for name, value in strangers.items()
    }))  # fmt: skip
    assert "stranger19 and 5 more" in message


@pytest.mark.parametrize("golden", FORMATS)
def test_a_network_without_most_of_its_variables(tmp_path, golden):
    names = list(load(golden).param)
    kept = [name for name in names if name != "lod"][:2]
    message = refusal(write(tmp_path / "file", golden, {name: load(golden).param[name] for name in kept}))
    assert re.search("missing|holds no|none of its layers|nothing says", message)


@pytest.mark.parametrize(
    ("golden", "changes", "words"),
    [
        ("classifier_postpool_4", {"use_residual": True}, "C_patch with use_residual=True is another network"),
        ("classifier_postpool_4", {"mode": "meanpool"}, "mode 'meanpool' is none of the published ones"),
        ("classifier_postpool_4", {"resolution": "32"}, "C_patch with resolution='32' makes no network"),
        ("classifier_postpool_4", {"fmap_max": 2**40}, "makes no network"),
        ("classifier_postpool_16", {"mode": None}, "static_kwargs lack mode and switching_res"),
        ("classifier_postpool_4", {"label_size": 7}, "4x4/Dense2/bias (5,) instead of (7,)"),
        ("classifier_postpool_4", {"latent_res": 5}, "C_patch with latent_res=5 makes no network"),
        ("progan_generator", {"label_size": 10}, "only a ProGAN without labels"),
        ("progan_generator", {"resolution": 64}, "missing"),
        ("progan_generator", {"resolution": 48}, "G_paper with resolution=48 makes no network"),
        ("progan_generator", {"fmap_decay": -1.0}, "makes no network"),
        ("visnet_autoencoder", {"fmap_decay": 3}, "its arguments leave a layer without feature maps"),
        ("progan_discriminator", {"mbstd_group_size": 0}, "D_paper with mbstd_group_size=0 makes no network"),
    ],
)
def test_arguments_that_make_another_network(tmp_path, golden, changes, words):
    stored = StoredNetwork("net", FORMATS[golden], load(golden).meta | changes, load(golden).param)
    write_pickle(tmp_path / "file", [stored], as_tuple=False)
    assert words in refusal(tmp_path / "file")


@pytest.mark.parametrize(("lod", "words"), [(3.5, "lod 3.5 is not from 0 to 3"), ([0.0, 0.0], "lod has the shape")])
def test_a_level_of_detail_that_no_network_of_the_size_has(tmp_path, lod, words):
    assert words in refusal(files.write_progan(tmp_path / "file", lod=lod))


@pytest.mark.parametrize(
    ("write_file", "name", "words"),
    [
        (write_npz, "block33/c1/W", "SNGAN critic: no network has a layer 'block33/c1/W'"),
        (write_npz, "block1000000/c1/W", "no network has a layer 'block1000000/c1/W'"),
        (write_npz, "block1000000000/c1/W", "no network has a layer 'block1000000000/c1/W'"),
        (write_npz, f"block{'9' * 400}/c1/W", "no network has a layer 'block999"),
        (write_npz, "block0/b1/gamma", "missing b3/avg_mean"),
        (
            write_bundle,
            "generator/g_res1000000.BN1.offset",
            "no network has a layer 'generator/g_res1000000.BN1.offset'",
        ),
        (
            write_bundle,
            "discriminator/d_h1000000000_conv/w",
            "no network has a layer 'discriminator/d_h1000000000_conv/w",
        ),
    ],
)
def test_numbers_in_names_cost_nothing(tmp_path, write_file, name, words):
    write_file(tmp_path / "x", {name: np.zeros((4, 4, 4, 4), np.float32)})
    assert words in refusal(tmp_path / "x")


@pytest.mark.parametrize(
    ("golden", "name"),
    [
        ("sngan_generator_classes1", "l1000000/W"),
        ("sngan_generator_classes1", "block30/c1/W"),
        ("sngan_discriminator_classes1", "block30/c1/W"),
        ("g_resnet5_generator", "generator/g_res30.BN1.offset"),
        ("dcgan5_critic", "discriminator/d_h1000000_lin/bias"),
        ("dcgan5_critic", "discriminator/d_h30_lin/bias"),
    ],
)
def test_numbers_in_a_whole_networks_names(tmp_path, golden, name):
    variables = dict(load(golden).param) | {name: np.zeros(4, np.float32)}
    assert re.search(
        "no network has a layer|makes no network|missing", refusal(write(tmp_path / "x", golden, variables))
    )


@pytest.mark.parametrize("side", [0, 2, 12, 2**21, 2**70, 2**800])
@pytest.mark.parametrize("golden", [golden for golden, kind in FORMATS.items() if kind not in ("npz", "bundle")])
@pytest.mark.parametrize("layer", ["Conv1/weight", "other"])
def test_sides_in_names(tmp_path, golden, layer, side):
    """Of a pickle whose arguments say nothing, so that sizes follow from names and shapes."""
    variables = dict(load(golden).param) | {f"{side}x{side}/{layer}": np.zeros((3, 3, 4, 4), np.float32)}
    write_pickle(tmp_path / "x", [StoredNetwork("net", FORMATS[golden], {}, variables)], as_tuple=False)
    assert re.search("no network has a layer|surplus|static_kwargs lack mode", refusal(tmp_path / "x"))
    alone = {name: array for name, array in variables.items() if name.startswith(f"{side}x")}
    write_pickle(tmp_path / "x", [StoredNetwork("net", FORMATS[golden], {}, alone)], as_tuple=False)
    assert re.search("no network has a layer|missing|none of its layers", refusal(tmp_path / "x"))


@pytest.mark.parametrize("error", [OverflowError, TypeError, ValueError])
def test_shapes_that_make_no_network(tmp_path, monkeypatch, error):
    def fail(*arguments):
        raise error("two\nlines")

    monkeypatch.setattr(published, "_flax_shapes", fail)
    assert "its arguments and shapes make no network" in refusal(files.write_classifier(tmp_path / "c"))


def test_arrays_that_are_no_gan(tmp_path):
    write_npz(tmp_path / "x", {"embeddings": np.zeros((2, 3), np.float32)})
    assert "holds no SNGAN, but embeddings" in refusal(tmp_path / "x")
    write_bundle(tmp_path / "y", {"InceptionV3/weights": np.zeros((2, 3), np.float32)})
    assert "neither generator/... nor discriminator/..., but InceptionV3/weights" in refusal(tmp_path / "y")


def test_a_snapshot_with_two_generators(tmp_path):
    arrays = load("sngan_generator_classes1").param
    both = {f"updater/model:{key}/{name}": array for key in ("one", "two") for name, array in arrays.items()}
    write_npz(tmp_path / "x", both)
    assert "a second generator under updater/model:two/" in refusal(tmp_path / "x")


IMAGES = np.zeros((4, 32, 32, 3), np.float32)


@pytest.mark.parametrize(
    ("network", "given", "options", "words"),
    [
        ("D", np.zeros((4, 3, 32, 32)), {}, r"shape \(4, 3, 32, 32\); give \(N, 32, 32, 3\)"),
        ("D", np.zeros((4, 16, 16, 3)), {"lod": 1}, r"give \(N, 32, 32, 3\)"),
        ("D", IMAGES[:0], {}, r"shape \(0, 32, 32, 3\)"),
        ("D", IMAGES.astype(np.uint8), {}, "uint8 values; give floats"),
        ("D", np.zeros((6, 32, 32, 3)), {}, "groups of 4; give a multiple, not 6"),
        ("D", IMAGES, {"lod": 3.5}, "lod 3.5 is not from 0 to 3"),
        ("G", np.zeros((4, 7)), {}, r"shape \(4, 7\); give \(N, 8\)"),
        ("G", np.zeros((4, 8)), {"lod": -1}, "lod -1 is not from 0 to 3"),
        ("G", np.zeros((4, 8)), {"labels": np.zeros(4, int)}, "takes no labels"),
    ],
)
def test_calls_that_no_network_takes(progan, network, given, options, words):
    with pytest.raises(UserError, match=words):
        progan[network](given, **options)


def test_calls_of_other_networks_that_are_refused(tmp_path):
    classifier = load_published(files.write_classifier(tmp_path / "c"))["C_im"]
    with pytest.raises(UserError, match=r"C_im \(attribution classifier\) takes no lod; ProGAN's networks do"):
        classifier(IMAGES, lod=0)
    sngan = load_published(files.write_sngan(tmp_path / "g", "generator"))["generator"]
    with pytest.raises(UserError, match="labels are to be 2 whole numbers from 0 to 0"):
        sngan(np.zeros((2, 8)), labels=np.array([0, 1]))


def test_the_tiny_file_is_the_golden_progan():
    nets = load_published(files.TINY)
    golden = load("progan_generator").param
    for name in ("G", "Gs"):
        np.testing.assert_array_equal(
            nets[name].variables["params"]["4x4"]["Conv"]["weight"], golden["4x4/Conv/weight"]
        )
    assert nets["D"].num_params == 4589
    assert nets["G"].lod == 0
