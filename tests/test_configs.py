"""Every config: its variants make what the jobs take, at every size, without running them."""

import importlib
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from ganfp_jax import models
from ganfp_jax.errors import UserError
from ganfp_jax.main import JOBS, default_workdir
from ganfp_jax.objectives import OBJECTIVES
from ganfp_jax.training import growing
from ganfp_jax.training.loop import PROGRAMS
from ganfp_jax.training.optimizers import make_adam

FILES = sorted(Path(__file__).parent.parent.glob("configs/*.py"))
NAMES = [path.stem for path in FILES]
TRAINED = [
    (name, variant) for name in ("progan", "sngan", "attribution") for variant in ("photos", "celeba", "lsun", "tiny")
]


def get(name, variant):
    return importlib.import_module(f"configs.{name}").get_config(variant).to_dict()


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_every_config_explains_itself_and_has_a_tiny_variant(path):
    module = runpy.run_path(str(path))
    assert f"python -m ganfp_jax.main --config=configs/{path.name}" in module["__doc__"]
    assert module["get_config"]("tiny").job in JOBS
    assert module["get_config"]().job == module["get_config"]("tiny").job
    with pytest.raises(UserError, match=r"unknown config variant 'smal'; choose from .*tiny"):
        module["get_config"]("smal")


def all_shapes(module, key, example):
    return jax.eval_shape(module.init, key, example)


@pytest.mark.parametrize(("name", "variant"), TRAINED)
def test_networks_and_optimisers_take_their_sections(name, variant):
    config = get(name, variant)
    resolution = config["resolution"]
    images = jnp.zeros((4, resolution, resolution, 3))
    key = jax.random.key(0)
    assert config["program"] in PROGRAMS
    if config["program"] == "attribution":
        network = models.create(**config["model"], resolution=resolution, num_classes=5)
        out, _ = jax.eval_shape(network.init_with_output, key, images)
        assert out.shape == (4, 5)
        make_adam(**config["optimizer"], num_steps=config["num_steps"])
        return
    generator = models.create(**config["generator"], resolution=resolution)
    critic = models.create(**config["critic"], resolution=resolution)
    latents = jnp.zeros((4, config["latents"]["size"]))
    assert jax.eval_shape(generator.init_with_output, key, latents)[0].shape == images.shape
    assert jax.eval_shape(critic.init_with_output, key, images)[0].shape == (4,)
    assert config["objective"]["name"] in OBJECTIVES
    assert config["data"]["source"] in config["data"]
    if "growing" in config:
        schedule = {k: v for k, v in config["growing"].items() if k != "repeats"}
        stages = growing.plan_stages(resolution=resolution, **schedule)
        assert stages[-1].level == 0
        make_adam(**config["optimizer"], learning_rate=stages[0].learning_rate, num_steps=stages[-1].last)
    else:
        make_adam(**config["optimizer"], num_steps=config["num_steps"])


def test_published_values():
    progan, sngan, visnet = (get(name, "celeba") for name in ("progan", "sngan", "attribution"))
    assert (progan["optimizer"]["beta1"], progan["optimizer"]["beta2"]) == (0.0, 0.99)
    assert progan["objective"]["args"] == {"drift": 0.001}
    assert progan["objective"]["penalty"] == {"weight": 10.0, "target": 1.0}
    assert progan["step"] == {
        "critic_steps": 1, "generator_first": False, "ema_decay": 0.999, "pixels": "signed", "augment": "none",
    }  # fmt: skip
    assert progan["growing"]["total_kimg"] == 12000
    assert (sngan["num_steps"], sngan["batch_size"], sngan["step"]["critic_steps"]) == (150_000, 32, 5)
    rate = [make_rate(sngan, step) for step in (0, 120_000, 135_000, 150_000)]
    assert rate == pytest.approx([2e-4, 2e-4, 1e-4, 0.0], abs=1e-9)
    assert (visnet["optimizer"]["learning_rate"], visnet["augment"], visnet["batch_size"]) == (1e-3, "mirror", 32)
    assert visnet["num_steps"] * visnet["batch_size"] == 100_000_000


def test_quality_measures_against_the_training_images_of_progan():
    quality, trained = get("quality", "default"), get("progan", "photos")["data"]
    assert quality["data"]["source"] == trained["source"]
    # The job asks for as many as it needs, so the count is not in the config.
    assert quality["data"]["photos"] | {"count": 3000} == trained["photos"]
    assert quality["data"]["folder"] == trained["folder"]
    assert quality["count"] == 16384  # as published
    for variant in ("default", "tiny"):
        config = get("quality", variant)
        assert config["kid"]["subset_size"] <= config["count"]


def make_rate(config, step):
    from ganfp_jax.training.optimizers import SCHEDULES

    optimizer = config["optimizer"]
    schedule = SCHEDULES[optimizer["schedule"]]
    return float(schedule(optimizer["learning_rate"], config["num_steps"], **optimizer["schedule_args"])(step))


def test_default_workdirs():
    assert default_workdir("configs/progan.py") == Path("runs/progan")
    assert default_workdir("configs/progan.py:tiny") == Path("runs/progan-tiny")
