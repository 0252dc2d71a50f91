"""Crops of the embedded photographs: split by scene, reproducible, without the marks of JPEG. Folders of images."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from ganfp_jax.data import sources
from ganfp_jax.data.sources import FOLDS, PHOTOS, SOURCES, folder, load, photos
from ganfp_jax.run.errors import UserError


def scenes(image_set):
    return {PHOTOS[origin].scene for origin in image_set.origins}


# --- photographs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fold", range(3))
def test_no_scene_lies_on_both_sides(fold):
    train = photos(split="train", count=40, fold=fold)
    test = photos(split="test", count=40, fold=fold)
    assert scenes(test) == set(FOLDS[fold])
    assert not scenes(train) & scenes(test)
    assert scenes(train) | scenes(test) == {photo.scene for photo in PHOTOS.values()}


def test_every_scene_is_tested_on_once():
    assert sorted(scene for fold in FOLDS for scene in fold) == sorted({photo.scene for photo in PHOTOS.values()})


def test_scenes_take_turns_and_the_motorcycles_share_one():
    image_set = photos(split="all", count=32, resolution=16)
    order = [PHOTOS[origin].scene for origin in image_set.origins]
    assert len(set(order[:8])) == 8 and order == order[:8] * 4
    assert [origin for origin in image_set.origins if "motorcycle" in origin] == [
        "motorcycle_left", "motorcycle_right", "motorcycle_left", "motorcycle_right",
    ]  # fmt: skip
    assert image_set.names[:9:8] == ("astronaut_00000", "astronaut_00001")
    assert len(set(image_set.names)) == len(image_set) == 32
    assert image_set.images.shape == (32, 16, 16, 3) and image_set.images.dtype == np.uint8
    assert image_set.rejected == ()


def test_a_shorter_set_is_the_beginning_of_a_longer_one():
    long = photos(split="train", count=50, seed=3)
    for count in (1, 7, 30):
        short = photos(split="train", count=count, seed=3)
        np.testing.assert_array_equal(short.images, long.images[:count])
        assert short.names == long.names[:count]
    assert not (photos(split="train", count=30, seed=4).images == long.images[:30]).all((1, 2, 3)).any()
    # The same crops whatever other photographs the split has.
    everything = photos(split="all", count=60, seed=3)
    common = set(everything.names) & set(long.names)
    assert len(common) > 20
    for name in common:
        np.testing.assert_array_equal(
            everything.images[everything.names.index(name)], long.images[long.names.index(name)]
        )


def test_crops_are_pieces_of_the_reduced_photograph():
    image_set = photos(split="test", count=9, resolution=24, reduction=2.5)
    with Image.open(sources.photo_path("chelsea")) as image:
        size = int(image.width / 2.5), int(image.height / 2.5)
        reduced = np.asarray(image.resize(size, Image.Resampling.LANCZOS))
    windows = np.lib.stride_tricks.sliding_window_view(reduced, (24, 24, 3))[:, :, 0]
    for image, origin in zip(image_set.images, image_set.origins, strict=True):
        assert (windows == image).all((2, 3, 4)).any() == (origin == "chelsea")


def test_flat_crops_are_drawn_again():
    def stds(**options):
        images = photos(split="all", count=160, **options).images
        return (images @ [0.299, 0.587, 0.114]).std((1, 2))

    assert stds().min() >= 10
    assert stds(min_luma_std=25.0).min() >= 25
    assert stds(min_luma_std=0.0).min() < 10


def grid_line(image, period):
    """Strength of the line that a grid of `period` columns leaves in the spectrum of the steps between columns.

    Relative to its surroundings: about 1 where there is no grid.
    """
    steps = np.abs(np.diff(image.astype(float), axis=1)).mean((0, 2))
    steps = steps / np.convolve(np.pad(steps, 4, mode="edge"), np.ones(9) / 9, "valid") - 1

    def line(frequency):
        return abs((steps * np.exp(-2j * np.pi * frequency * np.arange(len(steps)))).mean())

    around = [line(1 / period + sign * offset / len(steps)) for offset in range(3, 13) for sign in (-1, 1)]
    return line(1 / period) / np.mean(around)


@pytest.mark.parametrize("name", ["flower", "grace_hopper", "rocket"])
def test_the_jpeg_grid_is_gone_after_reduction(name):
    native = sources.decode_image(sources.photo_path(name))
    reduced = sources._reduced(name, 2.0, 32)
    assert grid_line(native, 8) > 3
    assert grid_line(reduced, 8 * reduced.shape[1] / native.shape[1]) < 2  # photographs from PNG files reach 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "validation"}, "choose train, test or all"),
        ({"fold": 3}, "choose 0 to 2"),
        ({"count": 0}, "count 0"),
        ({"seed": -1}, "seed -1"),
        ({"resolution": 0}, "resolution 0"),
        ({"reduction": 1.0}, "JPEG"),
        ({"resolution": 256}, "too small for crops of 256x256"),
        ({"min_luma_std": 300.0}, "too few crops .* lower min_luma_std"),
    ],
)
def test_sources_refuse_mistakes(options, message):
    with pytest.raises(UserError, match=message) as error:
        photos(**{"split": "train", "count": 5} | options)
    assert "\n" not in str(error.value)


def test_a_missing_package_is_named_as_pip_knows_it(monkeypatch):
    monkeypatch.setattr(sources, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install scikit-image"):
        photos(split="train", count=1)


def test_photographs_are_found_without_importing_their_packages():
    code = (
        "import sys; from ganfp_jax.data.sources import photos; photos(split='all', count=9);"
        "slow = {'skimage', 'sklearn', 'matplotlib', 'jax', 'scipy'} & set(sys.modules); assert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- folders ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    files = ["b/2.png", "b/1.JPG", "a.webp", "c/deep/er/3.Tiff", ".hidden/4.png", "c/.5.png", "note.txt", "B/6.gif"]
    for index, file in enumerate(files):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        if file != "note.txt":
            with (tmp_path / file).open("wb") as out:
                suffix = file.rpartition(".")[2].lower()
                format = {"jpg": "JPEG", "tiff": "TIFF"}.get(suffix, suffix.upper())
                Image.new("RGB", (20, 16 + index), (index * 10, 0, 0)).save(out, format=format)
    (tmp_path / "note.txt").write_text("not an image")
    return tmp_path


def test_folder_reads_a_tree_in_order(tree):
    image_set = folder(root=tree, resolution=16)
    assert image_set.origins == ("B/6.gif", "a.webp", "b/1.JPG", "b/2.png", "c/deep/er/3.Tiff")
    assert image_set.names == ("000000_6", "000001_a", "000002_1", "000003_2", "000004_3")
    assert image_set.images.shape == (5, 16, 16, 3)
    assert np.abs(image_set.images[:, 8, 8, 0].astype(int) - [70, 20, 10, 0, 30]).max() <= 2


def test_folder_reports_what_it_refuses(tree):
    (tree / "a.webp").write_bytes(b"broken")
    (tree / "c/deep/er/0.png").touch()
    image_set = folder(root=tree, resolution=16)
    assert image_set.rejected == (
        ("a.webp", "not an image"),
        ("c/deep/er/0.png", "empty file"),
        ("note.txt", "not an image by its name"),
    )
    assert image_set.names == ("000000_6", "000002_1", "000003_2", "000005_3")


def test_count_takes_the_first_images_that_can_be_used(tree):
    everything = folder(root=tree, resolution=16)
    for count in (1, 3, 9):
        some = folder(root=tree, resolution=16, count=count)
        assert some.names == everything.names[:count]
        np.testing.assert_array_equal(some.images, everything.images[:count])
    (tree / "a.webp").write_bytes(b"broken")
    some = folder(root=tree, resolution=16, count=2)
    assert some.origins == ("B/6.gif", "b/1.JPG")
    assert some.rejected == (("a.webp", "not an image"), ("note.txt", "not an image by its name"))
    assert folder(root=tree, resolution=16, count=1).rejected == (("note.txt", "not an image by its name"),)


def test_a_set_is_in_memory_once(tmp_path):
    """Also where some files are refused, so that more are read for them."""
    for i in range(160):
        Image.new("RGB", (64, 64), (i, 0, 0)).save(tmp_path / f"{i:03d}.png")
    for i in range(0, 60, 2):
        (tmp_path / f"{i:03d}.png").write_bytes(b"broken")
    folder(root=tmp_path, resolution=64, count=2)  # what is imported and kept at the first call does not count
    tracemalloc.start()
    image_set = folder(root=tmp_path, resolution=64, count=120)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert image_set.images.nbytes < peak < 1.4 * image_set.images.nbytes
    usable = [*range(1, 60, 2), *range(60, 150)]
    assert image_set.images[:, 5, 5, 0].tolist() == usable
    assert [int(name) for name in (name.split("_")[1] for name in image_set.names)] == usable


def test_folder_mistakes(tree, tmp_path):
    with pytest.raises(UserError, match="not a folder"):
        folder(root=tree / "nowhere", resolution=16)
    (tree / "empty").mkdir()
    with pytest.raises(UserError, match=r"has no image file: looked for .apng .avif .bmp .gif"):
        folder(root=tree / "empty", resolution=16)
    with pytest.raises(UserError, match=r"no usable image, 5 refused: B/6.gif is 20x23, smaller than 64x64"):
        folder(root=tree, resolution=64)
    with pytest.raises(UserError, match="choose one of crop, area, refuse"):
        folder(root=tree, resolution=16, resize="stretch")
    with pytest.raises(UserError, match="count 0"):
        folder(root=tree, resolution=16, count=0)


# --- by name ---------------------------------------------------------------------------------------------------------


def test_load_by_name(tree):
    assert set(SOURCES) == {"photos", "folder", "tfds"}
    assert load("folder", root=str(tree), resolution=16, count=1).origins == ("B/6.gif",)
    assert len(load("photos", split="test", count=3)) == 3
    with pytest.raises(UserError, match="'celeba': choose one of photos, folder"):
        load("celeba")
    with pytest.raises(UserError, match="unexpected keyword argument 'size'; it takes split, count, fold"):
        load("photos", split="test", count=3, size=32)
    with pytest.raises(UserError, match=r"missing a required .*argument: 'root'"):
        load("folder", resolution=32)
