"""Every config: its variants make what the jobs take, at every size, without running them."""

import importlib
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganfp_jax import models
from ganfp_jax.data.perturb import immunise
from ganfp_jax.generation.folders import FILE_PREFIXES
from ganfp_jax.jobs import JOBS
from ganfp_jax.main import job_module
from ganfp_jax.models import pixels
from ganfp_jax.run.command_line import default_workdir
from ganfp_jax.run.errors import UserError
from ganfp_jax.training import growing
from ganfp_jax.training.objectives import OBJECTIVES
from ganfp_jax.training.objectives.fingerprint import LossWeights
from ganfp_jax.training.objectives.penalties import CriticPenalty
from ganfp_jax.training.optimizers import make_adam
from ganfp_jax.training.programs import PROGRAMS

FILES = sorted(Path(__file__).parent.parent.glob("configs/*.py"))
NAMES = [path.stem for path in FILES]
GANS = ("progan", "sngan", "cramergan", "mmdgan")
LABELLED = ("attribution", "fingerprint")
TRAINED = [(name, variant) for name in (*GANS, *LABELLED) for variant in ("photos", "celeba", "lsun", "tiny")]
SMOKED = (*GANS, "attribution", "generate", "evaluate")
TRAINED += [(name, "celeba-smoke") for name in SMOKED[:5]]
TRAINED += [("attribution", variant) for variant in ("spectral", "spectral-tiny", "open_set", "open_set-tiny")]


def get(name, variant):
    return importlib.import_module(f"configs.{name}").get_config(variant).to_dict()


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_every_config_explains_itself_and_has_a_tiny_variant(path):
    module = runpy.run_path(str(path))
    assert f"python -m ganfp_jax.main --config=configs/{path.name}" in module["__doc__"]
    assert module["get_config"]("tiny").job in JOBS
    full = module["get_config"](*["scratch"] * (path.stem == "quickstart"))  # the quickstart itself trains nothing
    assert full.job == module["get_config"]("tiny").job
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
    if config["program"] == "fingerprint":
        network = models.create(**config["model"], resolution=resolution, num_classes=5)
        assert jax.eval_shape(network.init_with_output, key, images)[0].logits.shape == (4, 5)
        critic = models.create(**config["critic"], resolution=resolution)
        assert jax.eval_shape(critic.init_with_output, key, images)[0].shape == (4,)
        LossWeights(**config["objective"])
        make_adam(**config["optimizer"], num_steps=config["num_steps"])
        return
    generator = models.create(**config["generator"], resolution=resolution)
    critic = models.create(**config["critic"], resolution=resolution)
    latents = jnp.zeros((4, config["latents"]["size"]))
    assert jax.eval_shape(generator.init_with_output, key, latents)[0].shape == images.shape
    answers = (4, config["critic"]["num_features"]) if "num_features" in config["critic"] else (4,)
    assert jax.eval_shape(critic.init_with_output, key, images)[0].shape == answers
    OBJECTIVES[config["objective"]["name"]](**config["objective"]["args"])
    CriticPenalty(**config["objective"]["penalty"])
    pixels.check(pixels=config["step"]["pixels"])
    assert config["data"]["source"] in config["data"]
    if "growing" in config:
        schedule = {k: v for k, v in config["growing"].items() if k != "repeats"}
        stages = growing.plan_stages(resolution=resolution, **schedule)
        assert stages[-1].level == 0
        make_adam(**config["optimizer"], learning_rate=stages[0].learning_rate, num_steps=stages[-1].last)
    else:
        make_adam(**config["optimizer"], num_steps=config["num_steps"])


@pytest.mark.parametrize("variant", ["spectral", "spectral-tiny"])
def test_rescaled_images_fill_the_networks(variant):
    config = get("attribution", variant)
    side, images = config["resolution"], np.zeros((100, *[config["data"]["crop_from"]] * 2, 3), np.uint8)
    for perturbation in set(config["immunise"]["perturbations"]):
        only = {"share": 1.0, "perturbations": (perturbation,), "side": side}
        assert immunise(images, np.random.default_rng(0), **only).shape == (100, side, side, 3)


def test_three_trainings_of_one_gan_differ_in_their_seed_only():
    study = get("quickstart", "seeds")
    sections = [study[name] for name in study["generators"]]
    assert [section["seed"] for section in sections] == [0, 1, 2]
    assert [section["source_name"] for section in sections] == ["ProGAN-0", "ProGAN-1", "ProGAN-2"]
    assert len({str(section | {"seed": 0, "source_name": ""}) for section in sections}) == 1
    assert "sngan" not in study


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
    for source in ("folder", "tfds"):  # the job takes as many as it counts, which memory holds
        assert quality["data"][source] | {"cache_gib": 4.0} == trained[source]
    assert quality["count"] == 16384  # as published
    for variant in ("default", "tiny"):
        config = get("quality", variant)
        assert config["kid"]["subset_size"] <= config["count"]


@pytest.mark.parametrize("variant", ["celeba", "lsun"])
@pytest.mark.parametrize("name", ["cramergan", "mmdgan"])
def test_published_values_of_cramer_and_mmd(name, variant):
    """Every flag of the published command and every default that it leaves in force."""
    config = get(name, variant)
    weight, layers, num_features = (10.0, 0.0, 256) if name == "cramergan" else (1.0, 1.0, 16)
    network = {"ch": 64, "bottom_width": 4, "max_multiplier": 16, "dtype": "float32"}
    generator, critic = config["generator"], config["critic"]
    assert generator == generator | network | {"name": "resnet5_generator", "latent_size": 100, "statistics": "batch"}
    ours = {} if name == "cramergan" else {"first_weights": "published"}
    assert critic == network | ours | {"name": "dcgan5_critic", "num_features": num_features}
    assert config["latents"] == {"size": 100, "distribution": "uniform"}
    assert config["resolution"] == 128
    assert config["objective"] == {
        "name": name.removesuffix("gan"),
        "args": {} if name == "cramergan" else {
            "kernel": "mix_rq_1dot", "estimate": "unbiased", "diagonal": "published",
        },
        "penalty": {"weight": weight, "target": 1.0, "norm": "height", "epsilon": 1e-5, "layers": layers},
    }  # fmt: skip
    optimizer = config["optimizer"]
    assert (optimizer["learning_rate"], optimizer["beta1"], optimizer["beta2"]) == (1e-4, 0.5, 0.9)
    assert (optimizer["epsilon"], optimizer["clip_norm"]) == (1e-8, 1.0)
    assert [make_rate(config, step) for step in (0, 75_000, 149_999)] == pytest.approx([1e-4] * 3)
    assert (config["batch_size"], config["num_steps"], config["seed"]) == (32, 150_000, 0)
    assert config["step"] == {
        "critic_steps": 5, "generator_first": False, "ema_decay": 0.0, "pixels": "unit", "augment": "none",
    }  # fmt: skip
    assert config["data"]["source"] == "folder"
    assert config["data"]["folder"]["resize"] == config["data"]["tfds"]["resize"] == variant
    assert config["source_name"] == {"cramergan": "CramerGAN", "mmdgan": "MMDGAN"}[name]


@pytest.mark.parametrize("variant", ["photos", "tiny"])
@pytest.mark.parametrize("name", ["cramergan", "mmdgan"])
def test_the_small_variants_correct_the_published_habits(name, variant):
    config = get(name, variant)
    assert config["objective"]["penalty"]["norm"] == "sample"
    assert config["objective"]["args"].get("diagonal", "exact") == "exact"
    assert config["generator"]["statistics"] == "running"
    # What makes the family what it is stays.
    published = get(name, "celeba")
    for section, key in (("objective", "name"), ("latents", "distribution"), ("step", "pixels")):
        assert config[section][key] == published[section][key]
    ours, theirs = config["objective"]["penalty"], published["objective"]["penalty"]
    assert ours | {"norm": "height"} == theirs


def test_published_values_of_sngan():
    config = get("sngan", "celeba")
    network = {"ch": 64, "bottom_width": 4, "num_classes": 1, "max_multiplier": 16, "dtype": "float32"}
    assert config["generator"] == config["generator"] | network | {"name": "sngan_generator", "latent_size": 128}
    assert config["critic"] == network | {"name": "sngan_discriminator"}
    assert config["latents"] == {"size": 128, "distribution": "normal"}
    assert config["objective"] == {"name": "hinge", "args": {}, "penalty": {}}
    assert not CriticPenalty(**config["objective"]["penalty"]).weight
    assert (config["optimizer"]["beta1"], config["optimizer"]["beta2"]) == (0.0, 0.9)
    assert config["step"] == {
        "critic_steps": 5, "generator_first": True, "ema_decay": 0.0, "pixels": "dithered", "augment": "none",
    }  # fmt: skip


def test_published_values_of_the_fingerprint_network():
    config = get("fingerprint", "celeba")
    network = {"fmap_base": 1024, "fmap_decay": 1.0, "fmap_max": 512, "dtype": "float32"}
    assert config["model"] == network | {"name": "fingerprint_autoencoder", "latent_res": 4}
    assert config["critic"] == network | {"name": "fingerprint_discriminator", "minibatch_stddev_group": 4}
    assert config["objective"] == {
        "class_weight": 1.0, "rec_weight": 20.0, "adversarial_weight": 0.1,
        "drift": 0.001, "penalty_weight": 10.0, "penalty_target": 1.0,
    }  # fmt: skip
    assert LossWeights(**config["objective"]) == LossWeights()
    optimizer = config["optimizer"]
    assert (optimizer["beta1"], optimizer["beta2"], optimizer["epsilon"]) == (0.0, 0.99, 1e-8)
    assert [make_rate(config, step) for step in (0, 400_000, 781_249)] == pytest.approx([1e-3] * 3)
    assert (config["resolution"], config["batch_size"], config["seed"]) == (128, 32, 1000)
    assert config["num_steps"] * config["batch_size"] == 25_000_000
    assert (config["ema_decay"], config["augment"], config["data"]["resize"]) == (0.999, "mirror", "celeba")


@pytest.mark.parametrize("name", (*GANS, *LABELLED))
def test_celeba_and_lsun_are_one_training(name):
    celeba, lsun = get(name, "celeba"), get(name, "lsun")
    if name in GANS:
        for config, dataset, split, resize in (
            (celeba, "celeb_a", "train", "celeba"),
            (lsun, "lsun/bedroom", "train[:200000]", "lsun"),
        ):
            data = config.pop("data")
            assert (data["tfds"]["name"], data["tfds"]["split"]) == (dataset, split)
            assert data["tfds"]["resize"] == data["folder"]["resize"] == resize
    else:  # both are of images that have the size already; CelebA's photographs alone are cut where they have not
        assert (celeba["data"].pop("resize"), lsun["data"].pop("resize")) == ("celeba", "refuse")
    assert celeba == lsun


@pytest.mark.parametrize("name", SMOKED)
def test_celeba_smoke_goes_the_published_way(name):
    """Tiny, few and short; the images are those of `:celeba`, and so is what is done with them."""
    celeba, smoke = flatten(get(name, "celeba")), flatten(get(name, "celeba-smoke"))
    assert smoke.keys() | SMALLER == celeba.keys() | SMALLER
    changed = {key for key in smoke if smoke[key] != celeba.get(key)}
    assert changed <= SMALLER
    assert smoke.get("resolution", 128) == 128


SMALLER = {
    *("generator.ch", "critic.ch", "generator.max_multiplier", "critic.max_multiplier"),
    *("generator.fmap_base", "critic.fmap_base", "generator.fmap_max", "critic.fmap_max"),
    *("model.fmap_base", "model.fmap_max", "growing.first_resolution"),
    *(f"growing.{length}_kimg" for length in ("fade", "stable", "total")),
    *(f"growing.{what}.{side}" for what in ("batch_size", "learning_rate") for side in (4, 8, 16, 32, 64, 128)),
    *("batch_size", "num_steps", "step.critic_steps", "num_samples", "eval_images", "count", "compile_effort"),
    *("log_every", "eval_every", "sample_every", "checkpoint_every"),
    *("data.root", "data.folder.root", "folder.root", "checkpoint"),
    *("baselines.methods", "baselines.immunised_methods"),
}


def flatten(config, prefix=""):
    flat = {}
    for key, value in config.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def test_published_files_are_named_and_nothing_is_stretched_unasked():
    assert FILE_PREFIXES == {"CramerGAN": "CRAMER", "MMDGAN": "MMD"}
    for variant in ("default", "real", "celeba", "lsun", "celeba-smoke", "tiny"):
        assert get("generate", variant)["encoding"] == "plain"


def make_rate(config, step):
    from ganfp_jax.training.optimizers import SCHEDULES

    optimizer = config["optimizer"]
    schedule = SCHEDULES[optimizer["schedule"]]
    return float(schedule(optimizer["learning_rate"], config["num_steps"], **optimizer["schedule_args"])(step))


def test_default_workdirs():
    assert default_workdir("configs/progan.py") == Path("runs/progan")
    assert default_workdir("configs/progan.py:tiny") == Path("runs/progan-tiny")


BY_BATCHES = ("evaluate", "attribute", "calibrate", "ablation", "robustness")


def votes():
    """Every (config file, variant) that votes, with each key of its vote and a value that is none."""
    wrong = {"rule": "loudest", "rules": ("loudest",), "views": "identity,sideways", "view_sets": ("sideways",)}
    for path in FILES:
        for variant in ("tiny", *(["scratch"] * (path.stem == "quickstart"))):
            config = get(path.stem, variant)
            values = wrong | ({"batch_size": 0} if config["job"] in BY_BATCHES else {})
            for key in sorted(values.keys() & config.keys()):
                yield pytest.param(path.stem, variant, key, values[key], id=f"{path.stem}-{variant}-{key}")


@pytest.mark.parametrize(("name", "variant", "key", "value"), list(votes()))
def test_a_wrong_vote_is_said_before_anything_is_opened(tmp_path, name, variant, key, value):
    nowhere = {"checkpoint": "nowhere", "plain": "nowhere", "study": "nowhere"}
    config = get(name, variant)
    config |= {where: path for where, path in nowhere.items() if where in config} | {key: value}
    if "data" in config:
        config["data"]["root"] = "nowhere"
    with pytest.raises(UserError, match=r"unknown vote rule 'loudest'; choose|unknown view 'sideways'|batch_size is 0"):
        job_module(config["job"]).run(config, tmp_path)
    assert not list(tmp_path.iterdir())
