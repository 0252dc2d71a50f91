"""Trained weights: run folders and files hold the same, and a file that is not whole says so in one line."""

import dataclasses
import hashlib
import json

import jax
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from flax.traverse_util import flatten_dict
from small_weights import CLASSES, GENERATORS, assert_same, draw, generator, network, refusal, run_folder

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.interop.load import load
from ganfp_jax.interop.weights import KEY, digest, read_file, write_file

ALL = {
    "progan": lambda: generator("progan"),
    "sngan": lambda: generator("sngan"),
    "cramergan": lambda: generator("cramergan"),
    "cramergan by batch": lambda: generator("cramergan", "batch"),
    "attribution": network,
    "spectral": lambda: network(spectral_features=6),
    "fingerprint": lambda: network("fingerprint"),
}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A whole file of an attribution network; the tests copy it before they damage it."""
    path = tmp_path_factory.mktemp("files") / "network.safetensors"
    write_file(path, network())
    return path


@pytest.mark.parametrize("name", ALL)
def test_a_file_gives_back_what_was_written(tmp_path, name):
    weights, path = ALL[name](), tmp_path / "new" / "folder" / "x.safetensors"
    written = write_file(path, weights)
    assert written == digest(weights.variables)
    for back in (read_file(path), load(path), load(str(path), weights.kind)):
        assert_same(back, weights)
        assert back.origin == weights.origin
    # Written again, from what was read and with everything in another order, it has the same bytes.
    upside_down = jax.tree.map(lambda x: x, weights.variables)
    upside_down = {name: dict(reversed(tree.items())) for name, tree in reversed(upside_down.items())}
    shuffled = dataclasses.replace(weights, variables=upside_down, about=dict(reversed(weights.about.items())))
    for again in (load(path), shuffled):
        assert write_file(tmp_path / "again.safetensors", again) == written
        assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_the_safetensors_library_reads_all_of_it(file):
    with safetensors.safe_open(file, "np") as opened:
        described = json.loads(opened.metadata()[KEY])
        arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no dictionary
    assert (described["format"], described["version"], described["kind"]) == ("weights", 1, "attribution")
    assert described["about"] == {"classes": CLASSES, "augment": "d4"}
    assert described["origin"] == {"run_folder": "attribution", "step": 8}
    assert described["model"]["name"] == "visnet_classifier"
    assert all(name.startswith("params/") and array.dtype == np.float32 for name, array in arrays.items())
    expected = flatten_dict(network().variables, sep="/")
    assert arrays.keys() == expected.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, expected[name])


def test_the_digest_is_the_one_that_manifests_record():
    """By its description, of arrays that are neither contiguous nor in the order of their names."""
    b, a, mean = np.arange(6, dtype=np.float32).reshape(2, 3).T, np.float32(2), np.ones(3, np.float32)
    variables = {"params": {"4x4": {"b": b, "a": a}}, "batch_stats": {"b4": {"mean": mean}}}
    total = hashlib.sha256()
    for name, array in (("[0]['4x4']['a']", a), ("[0]['4x4']['b']", b), ("[1]['batch_stats']['b4']['mean']", mean)):
        total.update(name.encode() + array.tobytes())
    assert digest(variables) == total.hexdigest()
    assert digest({**variables, "batch_stats": {"b5": {"mean": mean}}}) != total.hexdigest()


@pytest.mark.parametrize("name", ["sngan", "cramergan by batch"])
def test_a_generator_draws_the_same_images_from_its_file(tmp_path, name):
    weights = ALL[name]()
    config = GENERATORS[name.split()[0]].get_config("tiny").to_dict()
    if weights.about["batch_size"]:
        config["generator"]["statistics"] = "batch"
    folder = run_folder(tmp_path / "gan", config, {8: weights})
    file = tmp_path / "gan.safetensors"
    write_file(file, load(folder))
    by_folder, by_file = Sampler(folder), Sampler(file)
    assert by_folder.origin == {
        "generator": str(folder), "step": 8, "digest": digest(weights.variables), "encoding": "plain",
    }  # fmt: skip
    assert by_file.origin == by_folder.origin | {"generator": str(file)}
    assert (by_file.source_name, by_file.resolution) == (by_folder.source_name, by_folder.resolution)
    assert by_file.batch_size == by_folder.batch_size == weights.about["batch_size"]
    images = [np.concatenate(list(sampler.stream(3, 20, 16))) for sampler in (by_folder, by_file)]
    assert images[0].std() > 0
    np.testing.assert_array_equal(*images)


@pytest.mark.parametrize(("augment", "views"), [("none", "identity"), ("mirror", "mirror"), ("d4", "d4"), (None, "d4")])
def test_a_network_votes_over_what_it_was_trained_on(tmp_path, file, augment, views):
    def trained_with(header):
        header["about"].pop("augment")  # as older files lack it
        header["about"] |= {"augment": augment} if augment else {}

    assert Attributor.load(rewrite(file, tmp_path / "x.safetensors", trained_with)).default_views == views


def test_of_weights_that_were_not_trained_here_no_step_is_told(tmp_path):
    imported = dataclasses.replace(generator("sngan"), origin={"file": "G.npz", "format": "npz", "sha256": "0" * 64})
    write_file(tmp_path / "G.safetensors", imported)
    assert "step" not in Sampler(tmp_path / "G.safetensors").origin
    assert load(tmp_path / "G.safetensors").origin == imported.origin


@pytest.mark.parametrize("length", [0, 4, 8, 40, 0.5, -1])
def test_a_file_that_was_cut_short(tmp_path, file, length):
    data, cut = file.read_bytes(), tmp_path / "cut.safetensors"
    cut.write_bytes(data[: int(length * len(data)) if isinstance(length, float) else length])
    assert f"{cut} cannot be read as safetensors" in refusal(load, cut)


@pytest.mark.parametrize("data", [b"accuracy,0.97\n" * 99, b"\x89PNG\r\n\x1a\n" + bytes(99), bytes(999), b"{}"])
def test_another_kind_of_file(tmp_path, data):
    (tmp_path / "model").write_bytes(data)
    assert "cannot be read as safetensors" in refusal(load, tmp_path / "model")


def test_more_bytes_than_the_header_tells_of(tmp_path, file):
    (tmp_path / "long.safetensors").write_bytes(file.read_bytes() + b"\0")
    assert "cannot be read as safetensors" in refusal(load, tmp_path / "long.safetensors")


def test_a_file_of_another_tool(tmp_path):
    for metadata in (None, {"format": "pt"}):
        safetensors.numpy.save_file({"conv.weight": np.zeros((3, 3), np.float32)}, tmp_path / "x.safetensors", metadata)
        assert "is of another tool (its header has no 'ganfp_jax')" in refusal(load, tmp_path / "x.safetensors")


def test_one_bit_of_a_weight(tmp_path, file):
    data = bytearray(file.read_bytes())
    data[-1000] ^= 1
    (tmp_path / "x.safetensors").write_bytes(data)
    assert "is damaged: its weights do not have the digest" in refusal(load, tmp_path / "x.safetensors")


def rewrite(file, path, change_header=lambda header: None, change_tensors=lambda tensors: None):
    """A copy of `file` whose header and tensors were changed by hand."""
    with safetensors.safe_open(file, "np") as opened:
        header = json.loads(opened.metadata()[KEY])
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no dictionary
    change_tensors(tensors)
    header = change_header(header) or header
    safetensors.numpy.save_file(tensors, path, {KEY: header if isinstance(header, str) else json.dumps(header)})
    return path


def test_all_tensors_that_are_not_the_networks_are_named(tmp_path, file):
    names = sorted(flatten_dict(network().variables, sep="/"))
    lost, flat, double = names[0], next(name for name in names if name.endswith("weight")), names[-1]

    def change(tensors):
        del tensors[lost]
        tensors[flat] = tensors[flat].reshape(-1)
        tensors[double] = tensors[double].astype(np.float64)
        tensors["params/stranger"] = np.zeros(1, np.float32)

    message = refusal(load, rewrite(file, tmp_path / "x.safetensors", change_tensors=change))
    assert "does not hold the weights of its network visnet_classifier: " in message
    assert f"missing {lost}, surplus params/stranger, " in message
    assert f"{flat} is F32 {np.prod(flatten_dict(network().variables, sep='/')[flat].shape)} in the place of" in message
    assert f"{double} is F64" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header: "{", "the header of"),
        (lambda header: "[]", "the header of"),
        (lambda header: {key: header[key] for key in header if key != "model"}, "KeyError: 'model'"),
        (lambda header: header.update(kind="critic"), "is damaged (kind)"),
        (lambda header: header.update(origin=None, about=[]), "is damaged (about, origin)"),
        (lambda header: header.update(version=2), "is in version 2 of the format 'weights', read here is 1"),
        (lambda header: header.update(format="other"), "update ganfp_jax"),
        (lambda header: header["model"].update(name="visnet2"), "cannot be made here: model 'visnet2' is unknown"),
        (lambda header: header["model"].update(resolution=15), "resolution 15 is not a power of two"),
        (lambda header: header["model"].update(fmap_base="many"), "cannot be made here"),
        (
            lambda header: header["about"].update(classes=["a", "b"]),
            "about.classes is ['a', 'b'] in the place of 3",
        ),
        (lambda header: header["about"].update(classes=["a", "b", "b"]), "the source name 'b' stands there twice"),
        (lambda header: header["about"].update(classes=[1, 2, 3]), "the source name 1 is no text but int"),
        (lambda header: header["about"].update(classes=["a", "b", "../c"]), "'../c' has a path separator"),
        (lambda header: header["about"].update(classes=["a", "b", "\ud800"]), "'\\ud800' is no UTF-8"),
        (lambda header: header["about"].clear(), "about.classes is None"),
        (lambda header: header["about"].update(augment="turn"), "about.augment is 'turn', none of none, mirror, d4"),
        (lambda header: header["about"].update(augment={}), "about.augment is {}, none of none, mirror, d4"),
        (lambda header: header.update(kind="generator"), "visnet_classifier is no generator"),
        (lambda header: "[" * 100_000, "the header of"),
        (lambda header: json.dumps(header)[:-1] + ', "more": ' + "[" * 9_000 + "]" * 9_000 + "}", "nested too deeply"),
        (lambda header: header["model"].update(fmap_decay="x"), "cannot be made here"),
        (lambda header: header["model"].update(fmap_decay=-1000), "cannot be made here"),
        (lambda header: header["model"].update(fmap_decay=99), "cannot be made here"),
        (lambda header: header["model"].update(fmap_decay=float("nan")), "cannot be made here"),
        (lambda header: header["model"].update(fmap_decay=float("inf")), "no size of a network is above 1048576"),
        (lambda header: header["model"].update(num_features=16.0), "cannot be made here"),
        (lambda header: header["model"].update(spectral_features=-1), "spectral_features is -1; give 0 or more"),
        (lambda header: header["model"].update(spectral_features=1.5), "cannot be made here"),
        (lambda header: header["model"].update(spectral_features="x"), "cannot be made here"),
        (lambda header: header["model"].update(spectral_features=1, resolution=2**19), "of up to 1024 pixels a side"),
        (lambda header: header["model"].update(num_features=[16]), "cannot be made here"),
        (lambda header: header["model"].update(num_classes="x"), "cannot be made here"),
        (lambda header: header["model"].update(resolution=2**40), "'resolution' is 1099511627776; no size"),
        (lambda header: header["model"].update(resolution=2**4000), "'resolution' is a large int; no size"),
        (lambda header: header["model"].update(resolution=[16]), "resolution [16] is not a power of two"),
        (lambda header: header["model"].update(mode="a\nb"), "cannot be made here"),
        (lambda header: header["model"].update(name=["visnet_classifier"]), "cannot be made here"),
    ],
)
def test_a_header_that_was_changed(tmp_path, file, change, message):
    assert message in refusal(load, rewrite(file, tmp_path / "x.safetensors", change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source_name": ""}, "the source name '' is empty"),
        ({"source_name": "/tmp/real"}, "'/tmp/real' has a path separator"),
        ({"source_name": ".."}, """'..' begins with ".\""""),
        ({"latents": {"size": 17, "distribution": "uniform"}}, "for latents of 16 numbers"),
        ({"latents": {"size": 16, "distribution": "cauchy"}}, "about.latents is"),
        ({"latents": {"size": 16, "distribution": ["uniform"]}}, "about.latents is"),
        ({"latents": {"size": 16, "distribution": {"uniform": 1}}}, "about.latents is"),
        ({"pixels": ["unit"]}, "about.pixels is ['unit'], none of signed, dithered, unit"),
        ({"pixels": {"unit": 1}}, "about.pixels is {'unit': 1}, none of"),
        ({"pixels": "half"}, "about.pixels is 'half', none of signed, dithered, unit"),
        ({"batch_size": 16}, "about.batch_size is 16, but it does not normalise by batches"),
    ],
)
def test_what_using_a_generator_needs_is_asked_for_before_it_is_written(tmp_path, change, message):
    weights = generator("cramergan")
    wrong = dataclasses.replace(weights, about=weights.about | change)
    assert message in refusal(write_file, tmp_path / "x.safetensors", wrong)
    assert not list(tmp_path.iterdir())


def test_a_generator_by_batch_needs_its_batch(tmp_path):
    weights = generator("cramergan", "batch")
    wrong = dataclasses.replace(weights, about=weights.about | {"batch_size": None})
    assert "about.batch_size is None" in refusal(write_file, tmp_path / "x.safetensors", wrong)


def test_weights_of_another_network_are_not_written(tmp_path):
    weights = network()
    wrong = dataclasses.replace(weights, variables=draw(weights.model | {"num_classes": 4}))
    assert "does not hold the weights of its network" in refusal(write_file, tmp_path / "x.safetensors", wrong)
    critic = dataclasses.replace(weights, model=weights.model | {"name": "fingerprint_discriminator"})
    assert "cannot be made here" in refusal(write_file, tmp_path / "x.safetensors", critic)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    assert "choose another file" in refusal(write_file, tmp_path / "file" / "x.safetensors", network())
    (tmp_path / "folder.safetensors").mkdir()
    assert "choose another file" in refusal(write_file, tmp_path / "folder.safetensors", network())
