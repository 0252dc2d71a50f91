"""Unknown generators: the small models learn and draw, the recipes are sound, and a dead generator is an error."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

from experiments.open_set import generators, stamps
from experiments.open_set.generators import RECIPES, Place, Recipe
from experiments.open_set.others import dcgan, diffusion, fitting, vae
from experiments.open_set.others.dcgan import Dcgan, Discriminator, Generator
from experiments.open_set.others.diffusion import Diffusion, Unet, signal
from experiments.open_set.others.vae import Decoder, Encoder, Vae
from experiments.zoo.__main__ import gan_configs
from ganfp_jax.data.decode import decode_image
from ganfp_jax.data.unknown import generator_of, open_unknown
from ganfp_jax.run.errors import UserError

SIDE, WIDTH = 8, 8


@pytest.fixture(scope="module")
def ramps():
    """Images in which the grey rises from left to right, more or less steeply."""
    rise = np.linspace(0, 1, SIDE) * np.arange(40, 240, 5)[:, None]
    return np.broadcast_to(rise[:, None, :, None], (len(rise), SIDE, SIDE, 3)).astype(np.uint8)


def losses(step, state, images, count):
    step, found = jax.jit(step), []
    for i, batch in zip(range(count), fitting.batches(images, 8, 0), strict=False):
        state, loss = step(state, batch, jax.random.fold_in(jax.random.key(0), i))
        found.append(float(loss))
    return found, state


def test_batches_are_images_or_their_mirrors(ramps):
    batch = next(fitting.batches(ramps, 64, 0))
    assert batch.shape == (64, SIDE, SIDE, 3) and batch.min() == -1 and batch.max() <= 1
    rising = batch[:, 0, -1, 0] > batch[:, 0, 0, 0]
    assert 16 < rising.sum() < 48
    stored = fitting.to_stored(np.where(rising[:, None, None, None], batch, batch[:, :, ::-1]))
    assert {image.tobytes() for image in stored} <= {image.tobytes() for image in ramps}


def test_stored_values_are_rounded_and_clipped():
    assert fitting.to_stored(jnp.array([[[[-2.0, -1.0, 0.0]]], [[[0.5, 1.0, 3.0]]]])).ravel().tolist() == [
        0, 0, 128, 191, 255, 255,
    ]  # fmt: skip


@pytest.mark.parametrize("resolution, times", [(4, 0), (8, 1), (32, 3), (64, 4)])
def test_resolutions_are_doublings_of_four(resolution, times):
    assert fitting.doublings(resolution) == times


def test_the_discriminator_learns_and_the_generator_changes(ramps, monkeypatch):
    monkeypatch.setattr(dcgan, "OPTIMIZER", optax.adam(1e-2, b1=0.5))  # the published rate takes more steps
    networks = Dcgan(Generator(SIDE, WIDTH), Discriminator(WIDTH))
    first = networks.init(jax.random.key(0))
    found, last = losses(networks.step, first, ramps, 20)
    assert min(found) < 0.7 * found[0]
    for part in ("generator", "statistics", "discriminator"):
        moved = jax.tree.map(lambda a, b: bool((a != b).any()), getattr(first, part), getattr(last, part))
        assert any(jax.tree.leaves(moved)), part


def test_the_bound_of_the_vae_falls(ramps):
    networks = Vae(Encoder(WIDTH), Decoder(SIDE, WIDTH))
    found, _ = losses(networks.step, networks.init(jax.random.key(0)), ramps, 20)
    assert np.mean(found[-3:]) < found[0] - 0.1


def test_the_error_of_the_noise_falls(ramps):
    model = Diffusion(Unet(WIDTH))
    found, state = losses(model.step, model.init(jax.random.key(0), SIDE), ramps, 20)
    assert found[0] == pytest.approx(1, abs=0.15)  # first it estimates no noise at all
    assert np.mean(found[-3:]) < 0.9
    apart = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), state.params, state.average)
    assert max(jax.tree.leaves(apart)) > 0


def test_denoising_a_known_noise_gives_the_image(monkeypatch, ramps):
    clean, noise = ramps[:2] / 127.5 - 1, np.random.default_rng(0).normal(size=(2, SIDE, SIDE, 3))
    image_share, noise_share = signal(jnp.full(2, 0.6))
    monkeypatch.setattr(diffusion, "apply", lambda *_: noise)
    back = Diffusion(Unet(WIDTH)).denoise({}, image_share * clean + noise_share * noise, 0.6, 0.0)
    np.testing.assert_allclose(back, clean, atol=1e-4)


@pytest.mark.parametrize("model", [dcgan, vae, diffusion])
def test_a_model_draws_by_seed(model, ramps):
    draw = model.train(ramps, name="untrained", steps=0, width=WIDTH, seed=0)
    images = draw(3, 1)
    assert images.shape == (3, SIDE, SIDE, 3) and images.dtype == np.uint8
    np.testing.assert_array_equal(images, draw(3, 1))
    assert (images != draw(3, 2)).any()


def test_recipes_have_two_seeds_of_each_family_on_two_sides():
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES)
    seeds = [(recipe.name.partition("-")[0], recipe.side) for recipe in RECIPES if recipe.kind == "seed"]
    families = {"ProGAN", "SNGAN", "CramerGAN", "MMDGAN"}
    assert sorted(seeds) == sorted((family, side) for family in families for side in ("development", "test"))
    for kind in ("architecture", "data"):
        assert {recipe.side for recipe in RECIPES if recipe.kind == kind} == {"development", "test"}
    assert set(generators.TINY) <= {recipe.name for recipe in RECIPES}


def test_another_seed_is_all_that_is_changed(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(generators.train, "run", lambda config, run: seen.append((config, run)))
    monkeypatch.setattr(generators, "Sampler", lambda run: None)
    monkeypatch.setattr(Place, "pictures", lambda self, name: tmp_path / name / "real")
    generators.zoo("mmdgan", 2)("MMDGAN-seed-2", Place(tmp_path, tmp_path, ""))
    (config, run), *_ = seen
    shipped = gan_configs(tmp_path / "crops" / "real", "")["mmdgan"]
    assert config == shipped | {"seed": 2} and shipped["seed"] == 0
    assert config["dead_after"] > 0
    assert run == tmp_path / "trained" / "MMDGAN-seed-2"


def noise(count, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3), np.uint8)


def test_what_is_drawn_is_read_as_unknown_and_not_made_again(tmp_path, capsys):
    made = []

    def make(name, place):
        made.append(name)
        return (lambda count, seed: np.zeros((count, 16, 16, 3), np.uint8)) if name == "dead" else noise

    recipes = [Recipe("test", "seed", name, 2, make) for name in ("dead", "alive")]
    died = generators.make_all(recipes, Place(tmp_path, None, "tiny"))
    assert died == [
        "dead is left out: all its images are nearly one (they differ by 0.0 grey values); take another seed"
    ]
    assert "alive: 2 of 2, about" in capsys.readouterr().out
    folder = open_unknown(tmp_path / "test")
    assert folder.classes == ("seed",) and len(folder.names) == generators.SIZES["tiny"]["drawn"]
    assert {generator_of(name) for name in folder.names} == {"seed/alive"}
    rows = [json.loads(line) for line in (tmp_path / "generators.jsonl").read_text().splitlines()]
    assert [row["name"] for row in rows] == ["alive"]
    assert (tmp_path / "sheets" / "alive.png").is_file()
    generators.make_all(recipes[1:], Place(tmp_path, None, "tiny"))
    assert made == ["dead", "alive"]


def test_stamps_lie_on_a_plain_ground(tmp_path):
    (tmp_path / stamps.FOLDER).mkdir(parents=True)
    pixels = np.zeros((20, 40, 4), np.uint8)
    pixels[5:15, 10:30] = 200, 10, 10, 255  # 20 wide and 10 high, all else transparent
    Image.fromarray(pixels).save(tmp_path / stamps.FOLDER / "red.png")
    stamps.write_stamps(tmp_path / "out", tmp_path, count=5, resolution=32, seed=0)
    images = [decode_image(path) for path in sorted((tmp_path / "out").glob("*.png"))]
    assert len({image.tobytes() for image in images}) == 5
    for image in images:
        colours, counts = np.unique(image.reshape(-1, 3), axis=0, return_counts=True)
        ground = colours[counts.argmax()]
        rows, columns = (np.flatnonzero((image != ground).any(2).any(axis)) for axis in (1, 0))
        width, height = np.ptp(columns) + 1, np.ptp(rows) + 1
        assert 18 <= width <= 32 and 1.6 < width / height < 2.4


def test_missing_stamps_are_named(tmp_path):
    with pytest.raises(UserError, match="has no stamp: install tuxpaint-stamps-default"):
        stamps.write_stamps(tmp_path / "out", tmp_path, count=1, resolution=16, seed=0)
