"""Trained weights by their path: what each kind of place gives, and our own formats before published ones."""

import dataclasses
import json

import published_golden
from small_weights import CLASSES, assert_same, generator, network, refusal, run_folder

from configs import attribution, cramergan, progan
from ganfp_jax import models
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.interop.load import load
from ganfp_jax.interop.weights import FILE, write_file


def test_a_training_gives_its_newest_checkpoint(tmp_path):
    config = attribution.get_config("tiny").to_dict()
    folder = run_folder(tmp_path / "visnet", config, {8: network(seed=1), 16: network(seed=2)})
    weights = load(folder)
    assert_same(weights, network(seed=2))
    assert weights.origin == {"run_folder": "visnet", "step": 16}
    # A file that lies in the folder of a training is not taken for it: it may be older.
    write_file(folder / FILE, network(seed=1))
    assert_same(load(folder), network(seed=2))


def test_of_a_gan_the_running_average_is_taken(tmp_path):
    trained, average = generator("progan", seed=1), generator("progan", seed=2)
    config = progan.get_config("tiny").to_dict()
    folder = run_folder(tmp_path / "progan", config, {8: trained}, average.variables["params"])
    assert_same(load(folder), average)
    without = run_folder(tmp_path / "without", config, {8: trained})
    assert_same(load(without), trained)


def test_of_a_gan_the_best_checkpoint_is_taken_where_its_config_says_so(tmp_path):
    first, second = generator("progan", seed=1), generator("progan", seed=2)
    config, scored = progan.get_config("tiny").to_dict(), {8: 1.0, 16: 2.0}
    last = run_folder(tmp_path / "last", config, {8: first, 16: second}, scored=scored)
    assert_same(load(last), second)
    config["checkpoint_choice"] = "best_swd"
    best = run_folder(tmp_path / "best", config, {8: first, 16: second}, scored=scored)
    assert_same(load(best), first)
    assert load(best).origin == {"run_folder": "best", "step": 8}
    unscored = run_folder(tmp_path / "unscored", config, {8: first, 16: second})
    assert_same(load(unscored), second)


def test_a_run_folder_from_before_the_upsampling_could_be_chosen_is_read(tmp_path):
    config = cramergan.get_config("tiny").to_dict()
    del config["generator"]["upsampling"], config["checkpoint_choice"]
    trained = generator("cramergan")
    found = load(run_folder(tmp_path / "cramergan", config, {8: trained}))
    assert "upsampling" not in found.model
    assert models.create(**found.model).upsampling == "transposed"
    assert_same(dataclasses.replace(found, model=trained.model), trained)


def test_a_folder_with_a_file_does_for_the_file(tmp_path):
    write_file(tmp_path / FILE, network())
    assert_same(load(tmp_path), network())
    attributor = Attributor.load(tmp_path)
    assert (attributor.classes, attributor.resolution) == (tuple(CLASSES), 16)


def test_the_other_kind_is_refused(tmp_path):
    file = tmp_path / "network.safetensors"
    write_file(file, network())
    gan = tmp_path / "gan.safetensors"
    write_file(gan, generator("progan"))
    assert "holds no attribution network (but 'progan_generator')" in refusal(Attributor.load, gan)
    assert "holds no generator (but 'visnet_classifier')" in refusal(Sampler, file)
    (tmp_path / "config.json").write_text(json.dumps({"job": "evaluate"}))
    assert "holds no network (but 'evaluate')" in refusal(load, tmp_path)


def test_nothing_there(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "is not a run folder: it has no config.json and no weights.safetensors" in refusal(load, tmp_path / "empty")
    assert f"{tmp_path / 'no'} is not a run folder" in refusal(load, tmp_path / "no")
    assert f"there is no file {tmp_path / 'no.safetensors'}" in refusal(load, tmp_path / "no.safetensors")


def test_a_published_checkpoint_is_told_unless_our_own_weights_lie_beside_it(tmp_path):
    published_golden.write_cramer_or_mmd(tmp_path / "x.model-1000")
    assert f"{tmp_path} is a published checkpoint of generator" in refusal(load, tmp_path)
    write_file(tmp_path / FILE, network())
    assert_same(load(tmp_path), network())
