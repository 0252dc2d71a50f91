"""What README says under "How it works": one module or function and one entry each, and everything else knows it."""

import csv
import json
import operator
import re
import sys
import types
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from ml_collections import ConfigDict
from PIL import Image
from running import run_job

from configs import sngan
from ganfp_jax import Attributor, models
from ganfp_jax.attribution import verdict
from ganfp_jax.attribution.verdict import Rule, Score, decide
from ganfp_jax.baselines import BASELINES, Baseline
from ganfp_jax.baselines.method import Model
from ganfp_jax.data import sources, views
from ganfp_jax.data.decode import encode_png
from ganfp_jax.data.perturb import PERTURBATIONS, Perturbation, immunise, perturb
from ganfp_jax.data.real import real_images
from ganfp_jax.jobs import JOBS, Job
from ganfp_jax.models.network import Count, Network
from ganfp_jax.report import wording
from ganfp_jax.report.robustness_figure import panels
from ganfp_jax.run.errors import UserError

PHOTO = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)


@pytest.fixture
def module(monkeypatch):
    """Stands in for a new file: its name, and what is in it."""

    def add(name, **contents):
        made = types.ModuleType(name)
        vars(made).update(contents)
        monkeypatch.setitem(sys.modules, name, made)

    return add


class NewGenerator(Network):
    """One dense layer."""

    smallest: ClassVar[int] = 8
    latent_size: Count = 16
    width: Count = 4

    @nn.nowrap
    def check(self):
        if self.width > self.latent_size:
            raise UserError(f"width {self.width} is above latent_size {self.latent_size}")

    @nn.compact
    def __call__(self, latents, train=False):
        side = self.resolution
        x = nn.Dense(3 * side * side)(nn.relu(nn.Dense(self.width)(latents)))
        return jnp.tanh(x.reshape(-1, side, side, 3))


class PlainGenerator(NewGenerator):
    """A network of no check of its own and no limit."""

    check = Network.check
    smallest: ClassVar[int] = 1


def test_a_gan_is_trained_saved_and_makes_images(monkeypatch, module, tmp_path):
    monkeypatch.setitem(models.MODELS, "newgan_generator", NewGenerator)

    def get_config(variant="photos"):
        config = sngan.get_config(variant)
        config.source_name = "NewGAN"
        config.generator = {"name": "newgan_generator", "latent_size": 16, "width": 4}
        return config

    module("configs.newgan", get_config=get_config)
    few = {"num_steps": 2, "checkpoint_every": 2, "sample_every": 2, "log_every": 1, "eval_every": 2}
    run_job("newgan:tiny", tmp_path / "gan", few)
    images = tmp_path / "images"
    run_job("generate:tiny", tmp_path / "made", {"generator": tmp_path / "gan", "root": images, "count": 3})
    assert len(list((images / "NewGAN").glob("NewGAN_0000000?.png"))) == 3
    assert json.loads((images / "manifest.json").read_text())["sources"]["NewGAN"]["digest"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resolution": 4}, "model newgan_generator: resolution 4 is not a power of two of at least 8"),
        ({"resolution": 16, "width": 0}, "model newgan_generator: width is 0; give 1 or more"),
        ({"resolution": 16, "width": 99}, "model newgan_generator: width 99 is above latent_size 16"),
        ({"resolution": 16, "breadth": 1}, "takes no 'breadth'; it takes resolution, latent_size, width"),
    ],
)
def test_a_network_says_the_limits_of_its_settings(monkeypatch, settings, message):
    monkeypatch.setitem(models.MODELS, "newgan_generator", NewGenerator)
    with pytest.raises(UserError, match=re.escape(message)):
        models.create("newgan_generator", **settings)


def test_a_network_may_have_no_limits(monkeypatch):
    monkeypatch.setitem(models.MODELS, "plain_generator", PlainGenerator)
    assert models.create("plain_generator", resolution=2, width=99).width == 99


def test_a_data_source_is_read_by_its_settings(monkeypatch, tmp_path):
    def stripes(*, resolution, count):
        images = np.arange(count, dtype=np.uint8)[:, None, None, None] + np.zeros(
            (1, resolution, resolution, 3), np.uint8
        )
        names = tuple(map(str, range(count)))
        return sources.ImageSet(images, names, names)

    monkeypatch.setitem(sources.SOURCES, "stripes", stripes)
    data = {"source": "stripes", "stripes": {"count": 5}}
    assert real_images(data, resolution=8, workdir=tmp_path).images.shape == (5, 8, 8, 3)
    with pytest.raises(UserError, match=r"image source stripes: .* it takes resolution, count"):
        real_images({"source": "stripes", "stripes": {"number": 5}}, resolution=8, workdir=tmp_path)


def fit_brightness(training):
    levels = [training.samples[training.labels == k].mean() for k in range(training.num_classes)]
    return Model(lambda images: -np.abs(images.mean((1, 2, 3))[:, None] - np.array(levels)))


def test_a_baseline_is_measured_and_named(monkeypatch, tmp_path):
    monkeypatch.setitem(BASELINES, "brightness", Baseline(fit_brightness, "mean brightness"))
    rng = np.random.default_rng(0)
    for split, k, i in np.ndindex(2, 2, 6):
        folder = tmp_path / "set" / ("train", "test")[split] / ("dark", "light")[k]
        folder.mkdir(parents=True, exist_ok=True)
        encode_png(folder / f"{i}.png", (rng.integers(0, 128, (16, 16, 3)) + 100 * k).astype(np.uint8))
    changes = {"data.root": tmp_path / "set", "checkpoint": "", "train_counts": (6,), "methods": ("brightness",)}
    printed = run_job("baselines:tiny", tmp_path / "job", changes | {"immunised_methods": ("brightness",)})
    assert "mean brightness" in printed and "mean brightness, immunised" in printed
    rows = list(csv.DictReader((tmp_path / "job" / "baselines.csv").read_text().splitlines()))
    assert {float(row["accuracy"]) for row in rows if row["method"] == "brightness"} == {1.0}


def dim(images, strength, seed, numbers):
    return (images * (1 - strength / 100)).astype(np.uint8)


def test_a_perturbation_is_done_immunised_against_and_named(monkeypatch):
    new = Perturbation(dim, "dimP (percent of the light)", "{}% darker", "dimming, %", highest=99.0)
    monkeypatch.setitem(PERTURBATIONS, "dim", new)
    np.testing.assert_array_equal(perturb(PHOTO, "dim50"), PHOTO // 2)
    assert (perturb(PHOTO, "dim10-60") <= PHOTO * 0.9).all()
    darker = immunise(PHOTO, np.random.default_rng(0), share=1.0, perturbations=("dim50",))
    np.testing.assert_array_equal(darker, PHOTO // 2)
    with pytest.raises(UserError, match=r"unknown perturbation 'dim100'.* dimP \(percent of the light\)"):
        perturb(PHOTO, "dim100")
    assert wording.condition_label("dim10-60") == "10–60% darker"
    attacks = [{"attack": name, "family": family} for name, family in (("none", "none"), ("dim50", "dim"))]
    assert panels({"attacks": attacks}) == {"dimming, %": [("clean", "clean"), ("dim50", "50")]}


def test_a_family_of_views_votes(monkeypatch):
    family = views.Family(
        re.compile(r"roll(\d+)"),
        lambda roll: f"roll{int(roll[1])}",
        lambda images, roll: jnp.roll(jnp.asarray(images), int(roll[1]), axis=1),
        "rollR for R rows down (roll3)",
    )
    monkeypatch.setitem(views.FAMILIES, "roll", family)
    assert views.resolve_views("identity,roll03") == ("identity", "roll3")
    np.testing.assert_array_equal(views.apply_view(PHOTO, "roll3"), np.roll(PHOTO, 3, axis=1))
    with pytest.raises(UserError, match=r"rollR for R rows down \(roll3\)"):
        views.resolve_views("sideways")
    (found,) = Attributor.load("photos32").attribute([Image.fromarray(PHOTO[0])], views="identity,roll3")
    assert list(found.views) == ["identity", "roll3"]


def test_a_job_runs_by_its_config(monkeypatch, module, tmp_path):
    monkeypatch.setitem(JOBS, "count_letters", Job())
    module("configs.count_letters", get_config=lambda variant="": ConfigDict({"job": "count_letters", "text": "abc"}))
    module("ganfp_jax.jobs.count_letters", run=lambda config, workdir: print(len(config["text"]), workdir.name))
    assert run_job("count_letters", tmp_path / "run", {"text": "abcd"}) == "4 run\n"
    assert json.loads((tmp_path / "run" / "config.json").read_text()) == {"job": "count_letters", "text": "abcd"}


def test_a_score_of_certainty_forbids_verdicts(monkeypatch):
    agreement = Score(lambda vote: np.asarray(vote.votes).max(1) / np.asarray(vote.votes).sum(1), operator.ge)
    monkeypatch.setitem(verdict.SCORES, "agreement", agreement)
    vote = Attributor.load("photos32").vote(PHOTO, views="d4")
    shares = agreement.of(vote)
    words = decide(vote, [Rule("agreement", 0.75, "disputed")])
    assert words == ["" if share >= 0.75 else "disputed" for share in shares]
    assert decide(vote, [Rule("agreement", 1.01, "disputed")]) == ["disputed"] * 3
