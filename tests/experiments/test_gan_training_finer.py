"""The experiment on the last layers: trainings differ in what they say, and each gives three networks."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import jit
from small_weights import assert_same, generator, run_folder

from configs import cramergan
from experiments.gan_training import finer
from experiments.zoo.__main__ import gan_configs
from ganfp_jax import models
from ganfp_jax.data.decode import decode_image
from ganfp_jax.interop.load import load
from ganfp_jax.metrics.monitor import make_monitor
from ganfp_jax.run.run_folder import differences


@pytest.mark.parametrize("family", finer.FAMILIES)
@pytest.mark.parametrize("training", finer.TRAININGS)
def test_a_training_changes_what_it_says_alone(family, training, tmp_path):
    config = finer.config_of(family, training, tmp_path, "", None)
    zoo = gan_configs(tmp_path, "")[family]
    changed = {text.partition(" ")[0] for text in differences(zoo, config)}
    told = {key for name in finer.TRAININGS[training] for key in [name + ".decay_from" * name.endswith("args")]}
    assert changed == told | set(finer.KEPT) | {"critic.first_weights" for _ in range(family == "mmdgan")}
    assert config["num_steps"] == zoo["num_steps"]
    assert config["generator"]["upsampling"] == ("transposed" if training == "published" else "nearest")


def test_networks_of_a_training(tmp_path):
    """The last one gets statistics of its own, the average has the stored ones, and the best checkpoint is chosen."""
    config = cramergan.get_config("tiny").to_dict() | {"checkpoint_choice": "best_swd"}
    first, second, average = (generator("cramergan", seed=seed) for seed in range(3))
    saved, params = {8: first, 16: second}, average.variables["params"]
    run = run_folder(tmp_path / "run", config, saved, params, scored={8: 1.0, 16: 2.0})
    found = {name: (step, variables) for name, step, variables in finer.networks(run, config)}
    assert {name: step for name, (step, _) in found.items()} == {"last": 16, "average": 16, "chosen": 8}
    for name, weights in (("last", second), ("average", average), ("chosen", average)):
        jax.tree.map(np.testing.assert_array_equal, found[name][1]["params"], weights.variables["params"])
    stored = second.variables["batch_stats"]
    jax.tree.map(np.testing.assert_array_equal, found["average"][1]["batch_stats"], stored)
    assert_same(load(run), average.__class__(**vars(average) | {"variables": found["chosen"][1]}))

    # With statistics of its own, a network draws what it drew in training, but for the neighbours in its batch.
    network, z = models.create(**config["generator"], resolution=16), np.random.default_rng(0)
    z = jnp.asarray(z.uniform(-1, 1, (200, config["latents"]["size"])), jnp.float32)
    trained, _ = jit(lambda v: network.apply(v, z, train=True, mutable=["batch_stats"]))(found["last"][1])
    np.testing.assert_allclose(jit(network.apply)(found["last"][1], z), trained, atol=0.15)


def test_rows_are_replaced_and_sheets_grow(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 16, 3), np.uint8)
    about = {"family": "mmdgan", "training": "decay", "network": "last", "step": 16}
    crops = finer.Crops(noise[0], noise[1])
    for _ in range(2):  # the second goes on with the file of the first
        study = finer.Study(tmp_path, crops)
        study.add(about, noise[2])
        study.add(about | {"network": "average"}, noise[1])
    rows = [json.loads(line) for line in (tmp_path / "finer.jsonl").read_text().splitlines()]
    assert [row["network"] for row in rows] == ["last", "average"]
    exact = make_monitor(noise[0], seed=finer.SEED)(noise[2])
    assert rows[0]["swd16_16"] == pytest.approx(exact["swd16_16"], rel=1e-3)
    sheet = decode_image(tmp_path / "finer_mmdgan.png")
    assert sheet.shape == (3 * 34 - 2, 16 * 34 - 2, 3)
