"""Images that stay on disk: the same batches as from memory, for a classifier and for a GAN."""

import numpy as np
import pytest
from PIL import Image

from configs import attribution, progan
from ganfp_jax.data import labelled
from ganfp_jax.data.on_disk import ImagesOnDisk, fits
from ganfp_jax.data.preprocess import check_files, decode_and_fit
from ganfp_jax.data.sources import folder
from ganfp_jax.run.errors import UserError
from ganfp_jax.training.gan_program import gan_program
from ganfp_jax.training.labelled_images import decode_training, open_training

MEMORY, DISK = 4.0, 0.0


@pytest.fixture
def root(tmp_path):
    rng = np.random.RandomState(0)
    for source in ("a", "b"):
        (tmp_path / source).mkdir()
        for i in range(20):
            Image.fromarray(rng.randint(0, 256, (18, 17, 3), np.uint8)).save(tmp_path / source / f"{i:02d}.jpg")
    (tmp_path / "a" / "05.jpg").write_bytes(b"broken")
    return tmp_path


def test_rows_slices_and_iteration(root):
    files = sorted((root / "b").iterdir())
    images = decode_and_fit(files, 16).images
    on_disk = ImagesOnDisk(files, 16, "crop")
    assert (on_disk.shape, len(on_disk)) == (images.shape, 20)
    np.testing.assert_array_equal(on_disk[np.array([3, 3, 0])], images[[3, 3, 0]])
    np.testing.assert_array_equal(on_disk[5:9], images[5:9])
    np.testing.assert_array_equal(np.stack(list(on_disk)), images)


def test_a_file_that_breaks_later_is_named(root):
    files = sorted((root / "b").iterdir())
    on_disk = ImagesOnDisk(files, 16, "crop")
    files[2].write_bytes(b"gone")
    with pytest.raises(UserError, match=r"02\.jpg was readable when the run began, but now: not an image"):
        on_disk[[1, 2]]


def test_checking_says_what_decoding_says(root):
    files = sorted((root / "a").iterdir())
    decoded, checked = decode_and_fit(files, 16), check_files(files, 16)
    assert checked.refused == decoded.refused == {5: "not an image"}
    assert checked.notes == decoded.notes and len(checked.notes) == 19
    assert checked.kept.tolist() == decoded.kept.tolist()


def test_what_fits():
    assert fits(1024, 32, 3 * 2**20 / 2**30) and not fits(1025, 32, 3 * 2**20 / 2**30)


@pytest.mark.parametrize(
    "immunise", [{"share": 0.0, "perturbations": ()}, {"share": 0.5, "perturbations": ("jpeg75",)}]
)
def test_a_classifier_gets_the_same_batches(root, tmp_path_factory, immunise):
    config = attribution.get_config("tiny").to_dict() | {"immunise": immunise}
    config["data"]["root"] = str(root)
    (root / "b" / "notes.txt").write_text("x")
    batches, notes = [], []
    for gib in (MEMORY, DISK):
        config["data"]["cache_gib"] = gib
        workdir = tmp_path_factory.mktemp("run")
        train = decode_training(config, open_training(config), workdir)
        assert isinstance(train.images, ImagesOnDisk) == (gib == DISK)
        rejected = "image,reason\na/05.jpg,not an image\nb/notes.txt,not an image by its name\n"
        assert (workdir / "rejected.csv").read_text() == rejected
        notes.append((workdir / "notes.csv").read_text().splitlines())
        batches.append(train.batches(16, 0, config["immunise"]))
    assert notes[0] == notes[1] and len(notes[0]) == 1 + 39 and notes[0][1] == "a/00.jpg,cropped from 17x18"
    for step in (0, 1, 7):
        memory, disk = batches[0][step], batches[1][step]
        np.testing.assert_array_equal(memory["image"], disk["image"])
        np.testing.assert_array_equal(memory["label"], disk["label"])


def test_a_gan_gets_the_same_batches_at_every_size(root, tmp_path):
    config = progan.get_config("tiny").to_dict()
    config["data"] |= {"source": "folder"}
    config["eval_images"] = 0
    programs = []
    for gib in (MEMORY, DISK):
        config["data"]["folder"] = {"root": str(root), "resize": "crop", "cache_gib": gib}
        programs.append(gan_program(config, tmp_path))
    sizes = []
    for memory, disk in zip(*(program.phases for program in programs), strict=True):
        image = memory.batches()[2]["image"]
        np.testing.assert_array_equal(image, disk.batches()[2]["image"])
        sizes.append(image.shape[1])
    assert len(set(sizes)) > 1


def test_a_shorter_set_on_disk_is_the_beginning(root):
    disk = folder(root=root, resolution=16, count=7, cache_gib=DISK)
    memory = folder(root=root, resolution=16, count=7)
    assert disk.names == memory.names and disk.rejected == memory.rejected == (("a/05.jpg", "not an image"),)
    np.testing.assert_array_equal(disk.images[:], memory.images)


def test_training_images_of_a_class_without_any(root, tmp_path):
    config = attribution.get_config("tiny").to_dict()
    config["data"] |= {"root": str(root), "cache_gib": DISK}
    for path in (root / "a").iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(UserError, match=r"/a has no usable image, such as a/00\.jpg: not an image"):
        decode_training(config, labelled.open_labelled(root), tmp_path)
