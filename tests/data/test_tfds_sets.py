"""Data sets of TFDS: written from labelled sets, read without TensorFlow, by name or by folder."""

import io
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ganfp_jax.data import sources
from ganfp_jax.data.decode import decode_image, png_bytes
from ganfp_jax.data.labelled import Images, open_labelled
from ganfp_jax.data.manifests import read_manifest, write_manifest
from ganfp_jax.data.tfds import records, sets
from ganfp_jax.jobs import prepare
from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError

FORMATS = ("a.png", "b.jpg", "c.webp", "d.bmp", "e.tif")


def noise(seed, side=16):
    return np.random.RandomState(seed).randint(0, 256, (side, side, 3), np.uint8)


@pytest.fixture(scope="module")
def labelled_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("labelled")
    for split, of in (("train", 0), ("test", 100)):
        for k, source in enumerate(("real", "ProGAN")):
            folder = root / split / source
            folder.mkdir(parents=True)
            for i, name in enumerate(FORMATS):
                Image.fromarray(noise(of + 10 * k + i)).save(folder / name)
    (root / "train" / "real" / "broken.png").write_bytes(b"no image")
    (root / "test" / "real" / "notes.txt").write_text("x")
    write_manifest(root, ["real", "ProGAN"], {"real": {"seed": 3}})
    return root


@pytest.fixture(scope="module")
def prepared(labelled_root, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("prepare")
    prepare.run({"data": {"root": str(labelled_root), "layout": "auto"}, "prepare": ""}, workdir)
    return workdir / "dataset"


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_prepared_set_is_the_folder_it_was_made_of(labelled_root, prepared, split):
    folder, dataset = open_labelled(labelled_root, split), open_labelled(prepared, split)
    assert dataset.classes == folder.classes == ("real", "ProGAN")
    usable = [i for i, name in enumerate(folder.names) if "broken" not in name]
    assert dataset.names == tuple(folder.names[i] for i in usable)
    assert dataset.labels.tolist() == folder.labels[usable].tolist()
    np.testing.assert_array_equal(Images(dataset, 16).decode().images, Images(folder, 16).decode().images)


def test_png_and_jpeg_are_kept_byte_for_byte(labelled_root, prepared):
    stored = {record.name: record.read_bytes() for record in open_labelled(prepared, "test").paths}
    for name in ("real/a.png", "ProGAN/b.jpg"):
        assert stored[name] == (labelled_root / "test" / name).read_bytes()
    assert stored["real/d.bmp"].startswith(b"\x89PNG")


def test_the_manifest_is_carried_along_and_what_is_refused_is_listed(labelled_root, prepared):
    assert read_manifest(prepared) == read_manifest(labelled_root)
    assert (prepared.parent / "rejected.csv").read_text() == (
        "image,reason\nreal/notes.txt,not an image by its name\nreal/broken.png,not an image\n"
    )


def test_prepared_again(labelled_root, prepared, capsys, tmp_path):
    before = {path.name: path.read_bytes() for path in prepared.iterdir()}
    config = {"data": {"root": str(labelled_root), "layout": "auto"}, "prepare": str(prepared)}
    prepare.run(config, tmp_path)
    assert "is there already" in capsys.readouterr().out
    prepare.run(config | {"prepare": str(tmp_path / "again")}, tmp_path)
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == before
    other = tmp_path / "other"
    for source in ("a", "b"):
        (other / source).mkdir(parents=True)
        Image.fromarray(noise(0)).save(other / source / "x.png")
    with pytest.raises(UserError, match="exists already: give another folder"):
        prepare.run({"data": {"root": str(other), "layout": "auto"}, "prepare": str(prepared)}, tmp_path)


def test_what_a_killed_run_left_is_cleared_away(labelled_root, tmp_path):
    left = tmp_path / ".out.incomplete"
    left.mkdir()
    (left / "rubbish").write_text("half")
    prepare.run({"data": {"root": str(labelled_root), "layout": "auto"}, "prepare": str(tmp_path / "out")}, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"out", ".out.lock", "rejected.csv"}
    left.mkdir()  # killed when the set was there, and only this was still to be removed
    (left / "rubbish").write_text("half")
    prepare.run({"data": {"root": str(labelled_root), "layout": "auto"}, "prepare": str(tmp_path / "out")}, tmp_path)
    assert not left.exists()


def test_one_process_at_a_time_makes_a_set(labelled_root, tmp_path):
    config = {"data": {"root": str(labelled_root), "layout": "auto"}, "prepare": str(tmp_path / "out")}
    with (
        atomic.locked(tmp_path / ".out.lock", wait=False),
        pytest.raises(UserError, match="another process is preparing"),
    ):
        prepare.run(config, tmp_path)


def test_a_set_with_another_manifest_is_not_taken_for_the_same(labelled_root, prepared, tmp_path):
    root = shutil.copytree(labelled_root, tmp_path / "set")
    config = {"data": {"root": str(root), "layout": "auto"}, "prepare": str(tmp_path / "out")}
    prepare.run(config, tmp_path)
    write_manifest(root, ["ProGAN", "real"], {})  # another order of the classes
    with pytest.raises(UserError, match="exists already"):
        prepare.run(config, tmp_path)


def test_a_set_is_opened_without_reading_its_images(prepared, tmp_path, monkeypatch):
    expected = open_labelled(prepared, "train")
    with monkeypatch.context() as patched:
        patched.setattr(records.Examples, "values", None)  # whoever reads, fails
        opened = open_labelled(prepared, "train")
    # A set that was made before there was an index still opens, and is the same.
    older = shutil.copytree(prepared, tmp_path / "older")
    (older / "index.json").unlink()
    for found in (opened, open_labelled(older, "train")):
        assert (found.names, found.labels.tolist()) == (expected.names, expected.labels.tolist())
        np.testing.assert_array_equal(Images(found, 16).decode().images, Images(expected, 16).decode().images)
    for damaged in (b"{", b"[]", b'{"train": {"labels": [0], "names": ["a"]}}'):
        (older / "index.json").write_bytes(damaged)
        with pytest.raises(UserError, match=r"index\.json does not belong to the 10 records of train"):
            open_labelled(older, "train")


def test_a_set_without_splits_stays_whole(labelled_root, tmp_path):
    root = tmp_path / "out"
    prepare.run({"data": {"root": str(labelled_root / "test"), "layout": "auto"}, "prepare": str(root)}, tmp_path)
    assert len(open_labelled(root, "test")) == len(open_labelled(root)) == 10


def test_splits_must_be_said_and_exist(prepared):
    with pytest.raises(UserError, match="has train and test: say which is meant"):
        open_labelled(prepared)


def test_a_source_without_a_usable_image_is_named(tmp_path):
    for source, content in (("a", b"x"), ("b", None)):
        (tmp_path / "set" / source).mkdir(parents=True)
        path = tmp_path / "set" / source / "x.png"
        path.write_bytes(content) if content else Image.fromarray(noise(0)).save(path)
    with pytest.raises(UserError, match="no image of a can be used"):
        prepare.run({"data": {"root": str(tmp_path / "set"), "layout": "auto"}, "prepare": ""}, tmp_path)


def test_a_damaged_set_is_one_clear_line(prepared, tmp_path):
    root = tmp_path / "damaged"
    root.mkdir()
    for path in prepared.iterdir():
        (root / path.name).write_bytes(path.read_bytes())
    (root / "dataset_info.json").write_text("{")
    with pytest.raises(UserError, match=r"damaged/dataset_info\.json cannot be read") as error:
        open_labelled(root, "train")
    assert "\n" not in str(error.value)


# --- data sets by name ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Two data sets as TFDS keeps them: one with images, one without; one of them with a name in two parts."""
    import tensorflow_datasets as tfds

    root = tmp_path_factory.mktemp("tfds")

    class TinyScenes(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.2.0")
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="bedroom")]  # noqa: RUF012 - TFDS's way

        def _info(self):
            features = {"image": tfds.features.Image(shape=(None, None, 3))}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, _):
            return {"train": self._generate_examples(range(6)), "test": self._generate_examples(range(6, 8))}

        def _generate_examples(self, seeds):
            for seed in seeds:
                yield seed, {"image": io.BytesIO(png_bytes(noise(seed, 20)))}

    class NoImages(TinyScenes):
        BUILDER_CONFIGS = []  # noqa: RUF012

        def _info(self):
            features = {"label": tfds.features.Scalar(np.int64)}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _generate_examples(self, seeds):
            for seed in seeds:
                yield seed, {"label": seed}

    for builder in (
        TinyScenes(data_dir=str(root), config="bedroom", file_format="array_record"),
        NoImages(data_dir=str(root), file_format="array_record"),
    ):
        builder.download_and_prepare()
    return root


def test_a_data_set_by_name(data_dir):
    found = sources.load(
        "tfds", name="tiny_scenes/bedroom", data_dir=str(data_dir), split="train[:4]", resolution=16, resize="crop"
    )
    assert found.images.shape == (4, 16, 16, 3)
    wanted = {noise(seed, 20)[2:18, 2:18].tobytes() for seed in range(6)}
    assert {image.tobytes() for image in found.images} < wanted
    assert found.names == ("000000_000000", "000001_000001", "000002_000002", "000003_000003")
    on_disk = sources.tfds(
        name="tiny_scenes/bedroom", data_dir=str(data_dir), split="train", resolution=16, count=4, cache_gib=0.0
    )
    np.testing.assert_array_equal(on_disk.images[:], found.images)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": ""}, "is not set: name one"),
        ({"name": "no_such_set"}, "no_such_set"),
        ({"name": "cifar10"}, "cifar10 .*prepare"),
        ({"name": "tiny_scenes/bedroom", "split": "validation"}, "validation"),
        ({"name": "no_images"}, "has no feature 'image': its features are label"),
    ],
)
def test_tfds_mistakes_are_one_clear_line(data_dir, settings, message):
    with pytest.raises(UserError, match=message) as error:
        sources.tfds(**{"data_dir": str(data_dir), "resolution": 16} | settings)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


def test_tfds_sets_are_read_without_tensorflow(prepared, data_dir):
    """Neither to write, nor to read: in a fresh process it is never imported."""
    root, again = str(prepared), f"{prepared}-again"
    code = f"""
import sys
from pathlib import Path
from ganfp_jax.jobs import prepare
from ganfp_jax.data import labelled, sources
prepare.run({{"data": {{"root": {root!r}, "layout": "auto"}}, "prepare": {again!r}}}, Path({again!r}))
labelled.Images(labelled.open_labelled({again!r}, "test"), 16).decode()
sources.tfds(name="tiny_scenes/bedroom", data_dir={str(data_dir)!r}, resolution=16)
assert "tensorflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_records_are_read_by_threads(prepared):
    folder = open_labelled(prepared, "train")
    expected = [decode_image(path) for path in folder.paths]
    many = Images(folder, 16).part(np.tile(np.arange(len(folder)), 40)).decode().images
    np.testing.assert_array_equal(many, np.tile(np.stack(expected), (40, 1, 1, 1)))


def test_the_name_of_the_data_set_is_ours(prepared):
    assert sets.is_dataset(prepared)
    assert f'"name": "{sets.NAME}"' in (prepared / sets.INFO).read_text()
