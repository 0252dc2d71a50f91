"""A training that begins at trained weights."""

import dataclasses

import jax
import numpy as np
import pytest
import small_weights
from flax.serialization import to_state_dict
from flax.traverse_util import flatten_dict, unflatten_dict

from configs import attribution, fingerprint, mmdgan
from ganfp_jax.interop import start_from
from ganfp_jax.interop.load import load
from ganfp_jax.interop.weights import write_file
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import read_config, write_json
from ganfp_jax.training.checkpoint import Checkpoints
from ganfp_jax.training.programs import PROGRAMS
from ganfp_jax.training.state import AttributionState, NetworkState


def filled(shapes, seed):
    rng = np.random.RandomState(seed)
    return jax.tree.map(lambda leaf: rng.uniform(-1, 1, leaf.shape).astype(leaf.dtype), shapes)


def of_shipped(**model):
    """A config whose network is that of the shipped set, and its weights."""
    weights = load("photos32", "attribution")
    config = attribution.get_config("photos").to_dict() | {"start_from": "photos32"}
    sizes = {key: value for key, value in weights.model.items() if key not in ("num_classes", "resolution")}
    return config | {"resolution": weights.model["resolution"], "model": sizes | model}, weights


def test_the_same_classes_take_all_weights(capsys):
    config, weights = of_shipped()
    state = AttributionState(np.int32(0), NetworkState(filled(weights.variables["params"], 0), {}, {}))
    begun = start_from.read(config)(state, {"classes": weights.about["classes"]})
    jax.tree.map(np.testing.assert_array_equal, begun.network.params, weights.variables["params"])
    assert capsys.readouterr().out == ""


def test_weights_older_than_the_spectrum_have_none(tmp_path):
    weights = small_weights.network()
    older = {key: value for key, value in weights.model.items() if key != "spectral_features"}
    write_file(tmp_path / "older.safetensors", dataclasses.replace(weights, model=older))
    config = attribution.get_config("photos").to_dict() | {"start_from": str(tmp_path / "older.safetensors")}
    sizes = {key: value for key, value in older.items() if key not in ("num_classes", "resolution")}
    config |= {"resolution": older["resolution"], "model": sizes | {"spectral_features": 0}}
    start_from.read(config)
    with pytest.raises(UserError, match=r"model\.spectral_features \(0 there, 8 now\)"):
        start_from.read(config | {"model": sizes | {"spectral_features": 8}})


def test_other_classes_begin_with_a_new_last_layer(capsys):
    config, weights = of_shipped()
    classes = [*weights.about["classes"], "StyleGAN"]
    trained = flatten_dict(weights.variables["params"], sep="/")
    model = {**config["model"], "resolution": config["resolution"]}
    last = start_from._of_classes(model, len(classes))
    assert last
    assert {name for name, array in trained.items() if len(classes) - 1 in array.shape} >= last
    fresh = {
        name: np.zeros((*array.shape[:-1], len(classes)) if name in last else array.shape)
        for name, array in trained.items()
    }
    state = AttributionState(np.int32(0), NetworkState(unflatten_dict(fresh, sep="/"), {}, {}))
    begun = flatten_dict(start_from.read(config)(state, {"classes": classes}).network.params, sep="/")
    for name, array in begun.items():
        np.testing.assert_array_equal(array, fresh[name] if name in last else trained[name])
    out = capsys.readouterr().out
    assert "photos32 knows other sources" in out
    assert all(name in out for name in last)


def test_another_network_is_refused():
    config, weights = of_shipped(fmap_base=7, input="image")
    with pytest.raises(UserError) as error:
        start_from.read(config)
    assert "config.start_from photos32 holds another network: " in str(error.value)
    assert "give the values there, as in --config.model.fmap_base=..." in str(error.value)
    assert f"model.fmap_base ({weights.model['fmap_base']} there, 7 now)" in str(error.value)
    assert "model.input ('residual' there, 'image' now)" in str(error.value)


def test_a_gan_takes_both_networks_and_begins_anew_otherwise(tmp_path):
    config = mmdgan.get_config("tiny").to_dict()
    config["critic"]["first_weights"] = "scaled"
    program = PROGRAMS["gan"](config, tmp_path)
    shapes = jax.eval_shape(program.init, jax.random.key(0))
    trained, fresh = filled(shapes, 1), filled(shapes, 2)
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(7, to_state_dict(trained), program.metadata)
    checkpoints.close()
    write_json(tmp_path / "config.json", config)
    config["start_from"] = str(tmp_path)
    config["critic"]["first_weights"] = "published"  # which are not drawn
    begun = start_from.read(config)(fresh, program.metadata)
    for role in ("generator", "critic"):
        got, wanted, before = (getattr(state, role) for state in (begun, trained, fresh))
        jax.tree.map(np.testing.assert_array_equal, got.params, wanted.params)
        jax.tree.map(np.testing.assert_array_equal, dict(got.stats), dict(wanted.stats))
        jax.tree.map(np.testing.assert_array_equal, got.opt_state, before.opt_state)
    assert begun.step == fresh.step
    other = dict(read_config(tmp_path))
    other["generator"]["ch"] = other["critic"]["ch"] = config["generator"]["ch"] = config["critic"]["ch"] = 5
    write_json(tmp_path / "config.json", other)
    begin = start_from.read(config)
    shapes = jax.eval_shape(PROGRAMS["gan"](config, tmp_path).init, jax.random.key(0))
    with pytest.raises(UserError, match=r"does not hold the networks that its config\.json describes"):
        begin(filled(shapes, 3), program.metadata)
    config["generator"]["ch"] = 1
    with pytest.raises(UserError, match=r"holds another network: generator\.ch"):
        start_from.read(config)


@pytest.mark.parametrize(
    ("module", "start", "words"),
    [
        (mmdgan, "photos32/mmdgan", "is no run folder; a GAN begins at the run folder of one"),
        (attribution, "no/such/folder", "no/such/folder is not a run folder"),
        (fingerprint, "photos32", "holds another network: "),
        (attribution, "photos32/progan", "holds no attribution network"),
    ],
)
def test_what_cannot_be_begun_at_is_one_line(module, start, words):
    config = module.get_config("tiny").to_dict() | {"start_from": start}
    with pytest.raises(UserError) as error:
        start_from.read(config)
    assert words in str(error.value)
