"""Images from a generator's run folder: batches, encodings, the manifest, and memory that does not grow."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest
from golden_files import jit
from PIL import Image

from configs import cramergan, progan
from configs import generate as config_file
from ganfp_jax.data import labelled, manifests
from ganfp_jax.generation import folders as generation
from ganfp_jax.generation.folders import write_generated
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.jobs import generate
from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import write_json
from ganfp_jax.training.checkpoint import Checkpoints
from ganfp_jax.training.programs import PROGRAMS


def run_folder(workdir, config):
    """What training leaves at step 0, with a last layer that draws images of more than rounding's contrast."""
    program = PROGRAMS["gan"](config, Path())
    state = jit(program.init)(jax.random.key(0))
    if config["generator"]["name"] == "resnet5_generator":
        last = state.generator.params["g_h5"]
        params = state.generator.params | {"g_h5": last | {"weight": 20 * last["weight"]}}
        state = state.replace(generator=state.generator.replace(params=params))
    workdir.mkdir()
    write_json(workdir / "config.json", config)
    checkpoints = Checkpoints(workdir, keep=1)
    # As plain dictionaries: orbax also fills the state's classes with what their checked types refuse.
    generator = {"params": state.generator.params, "stats": state.generator.stats}
    plain = {"step": state.step, "generator": generator, "ema_params": state.ema_params}
    checkpoints.save(0, plain, program.metadata)
    checkpoints.close()
    return workdir


@pytest.fixture(scope="module")
def by_batch(tmp_path_factory):
    """A CramerGAN that normalises what it draws by the batch that it draws, 16 images."""
    config = cramergan.get_config("tiny").to_dict()
    config["generator"]["statistics"] = "batch"
    return run_folder(tmp_path_factory.mktemp("runs") / "cramergan", config)


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory):
    return run_folder(tmp_path_factory.mktemp("runs") / "progan", progan.get_config("tiny").to_dict())


def collect(sampler, count, batch_size, seed=3):
    return np.concatenate(list(sampler.stream(seed, count, batch_size)))


def test_a_generator_that_normalises_by_its_batch_draws_the_training_batch(by_batch):
    sampler = Sampler(by_batch)
    assert sampler.batch_size == 16
    sizes = [len(images) for images in sampler.stream(3, 40, 7)]
    assert sizes == [16, 16, 8]
    whole = collect(sampler, 40, 16)
    for batch_size in (1, 7, 40):
        np.testing.assert_array_equal(collect(sampler, 40, batch_size), whole)
    # A part of a batch is cut off only after the whole batch was drawn.
    np.testing.assert_array_equal(collect(sampler, 5, 5), whole[:5])
    # The neighbours matter: the same latents filled up with others give other images.
    z = np.random.RandomState(3).uniform(-1, 1, (16, 16)).astype(np.float32)
    np.testing.assert_array_equal(sampler.draw(z, 2), whole[:16])
    assert not np.array_equal(sampler.draw(z[:4], 2), whole[:4])


def test_any_other_generator_draws_image_i_whatever_the_batch(one_by_one):
    sampler = Sampler(one_by_one)
    assert sampler.batch_size is None
    assert [len(images) for images in sampler.stream(3, 20, 8)] == [8, 8, 4]
    whole = collect(sampler, 20, 20).astype(int)
    # Another batch size is another compilation, which may round a value to its neighbour.
    assert np.abs(collect(sampler, 20, 8) - whole).max() <= 1
    assert np.abs(collect(sampler, 20, 3) - whole).max() <= 1
    assert not np.array_equal(collect(sampler, 4, 4, seed=4), whole[:4])


@pytest.mark.parametrize("encoding", ["plain", "published"])
def test_the_encoding_is_applied_and_written_down(by_batch, tmp_path, encoding):
    config = config_file.get_config().to_dict() | {"generator": str(by_batch), "count": 6, "root": str(tmp_path)}
    generate.run(config | {"encoding": encoding}, tmp_path / "unused")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    origin = manifest["sources"]["CramerGAN"]
    assert (origin["encoding"], origin["count"], origin["seed"]) == (encoding, 6, 0)
    files = sorted((tmp_path / "CramerGAN").iterdir())
    assert [path.name for path in files] == [f"CRAMER_{i:08d}.png" for i in range(6)]
    spans = {(int(image.min()), int(image.max())) for image in (np.asarray(Image.open(path)) for path in files)}
    assert (spans == {(0, 255)}) == (encoding == "published")


def test_the_digest_is_that_of_the_weights_not_of_the_encoding(by_batch):
    plain, published = (Sampler(by_batch, encoding).origin for encoding in ("plain", "published"))
    assert plain["digest"] == published["digest"]
    assert plain | {"encoding": "published"} == published


def test_an_unknown_encoding_is_said_in_one_line(by_batch):
    with pytest.raises(UserError) as error:
        # The run-time types of the tests would refuse the word before the check does.
        getattr(Sampler.__init__, "__wrapped__", Sampler.__init__)(object.__new__(Sampler), by_batch, "png")
    assert str(error.value) == "config.encoding 'png' is unknown; choose one of plain, published"


def test_ten_thousand_images_are_drawn_a_batch_at_a_time(one_by_one, tmp_path, monkeypatch):
    """Drawing keeps step with writing: nothing is drawn before what came before it lies on the disk."""
    sampler = Sampler(one_by_one)
    drawn, written, ahead = 0, 0, []

    def draw(params, stats, latents):
        nonlocal drawn
        drawn += len(latents)
        ahead.append(drawn - written)
        return np.zeros((len(latents), 16, 16, 3), np.uint8)

    def encode_png(path, image):
        nonlocal written
        written += 1

    monkeypatch.setattr(sampler, "_sample", draw)
    monkeypatch.setattr(generation, "encode_png", encode_png)
    write_generated(sampler, tmp_path, count=10_000, seed=0, batch_size=64)
    assert written == 10_000
    assert drawn == 10_048  # the last batch is a whole one
    assert max(ahead) == 64

    first = next(iter(sampler.stream(0, 10**12, 64)))  # asking for more than there is memory for costs nothing
    assert first.shape == (64, 16, 16, 3)


def test_jobs_that_write_into_one_root_all_stand_in_its_manifest(tmp_path, monkeypatch):
    read = manifests.read_manifest

    def slowly(root):
        manifest = read(root)
        time.sleep(0.02)  # longer than the others take to read: without a lock, entries get lost
        return manifest

    def write(name):
        generation.write_source(tmp_path, name, {"seed": name}, ["0.png"], [("0.png", np.zeros((8, 8, 3), np.uint8))])

    monkeypatch.setattr(labelled, "read_manifest", slowly)
    names = list("abcdefgh")
    with ThreadPoolExecutor(4) as pool:  # a lock belongs to an open file: threads wait for each other as processes do
        list(pool.map(write, names))
    manifest = read(tmp_path)
    assert sorted(manifest["classes"]) == names
    assert manifest["sources"] == {name: {"seed": name} for name in names}


def write_one(root, count, seed=0, images=None):
    images = np.zeros((count, 8, 8, 3), np.uint8) if images is None else images
    names = [f"{i}.png" for i in range(count)]
    named = zip(names, images, strict=True)
    generation.write_source(root, "ProGAN", {"seed": seed, "count": count}, names, named)


def test_other_images_are_not_mixed_into_a_source(tmp_path):
    write_one(tmp_path, 3)
    left = tmp_path / f".manifest.json.{atomic._HOST}-99999999-1.tmp"
    left.write_bytes(b"{")  # of a killed job
    write_one(tmp_path, 4)  # the same command again, or a larger count
    assert not left.exists()
    with pytest.raises(UserError, match=r"ProGAN holds other files, such as 2\.png, .*remove that folder"):
        write_one(tmp_path, 2)
    with atomic.locked(tmp_path / ".ProGAN.lock", wait=False), pytest.raises(UserError, match="another process is wri"):
        write_one(tmp_path, 4)


def test_while_images_are_being_replaced_the_manifest_does_not_tell_of_the_old_ones(tmp_path):
    write_one(tmp_path, 2)

    def killed():
        yield np.ones((8, 8, 3), np.uint8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_one(tmp_path, 2, seed=1, images=killed())
    assert json.loads((tmp_path / "manifest.json").read_text()) == {"classes": ["ProGAN"], "sources": {"ProGAN": {}}}
    with pytest.raises(KeyboardInterrupt):  # what is only written again is still the same
        write_one(tmp_path, 2, seed=1)
        write_one(tmp_path, 2, seed=1, images=killed())
    assert json.loads((tmp_path / "manifest.json").read_text())["sources"] == {"ProGAN": {"seed": 1, "count": 2}}


def test_a_folder_that_holds_no_generator(tmp_path):
    write_json(tmp_path / "config.json", {"job": "evaluate"})
    with pytest.raises(UserError, match="holds no generator"):
        Sampler(tmp_path)
    for change, message in (({"count": 0}, "config.count is 0"), ({"generator": ""}, "config.generator is empty")):
        with pytest.raises(UserError, match=message):
            generate.run(config_file.get_config().to_dict() | change, tmp_path)


def test_file_names_are_the_published_ones_and_fit_into_any_folder(tmp_path):
    names = [generation.file_name(source, 7) for source in ("ProGAN", "SNGAN", "CramerGAN", "MMDGAN")]
    assert names == ["ProGAN_00000007.png", "SNGAN_00000007.png", "CRAMER_00000007.png", "MMD_00000007.png"]
    for i in range(3):
        (tmp_path / generation.file_name("x" * 255, i)).touch()
    assert len(list(tmp_path.iterdir())) == 3
    (tmp_path / "images").mkdir()
    generation.write_photographs(
        tmp_path / "images", source_name="x" * 255, count=2, resolution=32, photos={"split": "all", "seed": 0}
    )
    assert len(list((tmp_path / "images" / ("x" * 255)).iterdir())) == 2
