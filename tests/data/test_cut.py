"""Photographs of a folder that become the real images of a labelled set."""

import json

import numpy as np
import pytest
from PIL import Image

from configs import attribution, generate
from ganfp_jax.data import labelled, manifests
from ganfp_jax.data.cut import Cuts
from ganfp_jax.data.decode import decode_image
from ganfp_jax.generation import folders
from ganfp_jax.jobs import generate as job
from ganfp_jax.run.errors import UserError


@pytest.fixture
def photographs(tmp_path):
    """Eight JPEGs of the size of aligned CelebA; the fourth is none."""
    folder = tmp_path / "img_align_celeba"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(1, 9):
        coarse = Image.fromarray(rng.integers(0, 256, (14, 11, 3), np.uint8))
        coarse.resize((178, 218)).save(folder / f"{number:06d}.jpg", quality=95)
    (folder / "000004.jpg").write_text("no image")
    (folder / "list_eval_partition.txt").write_text("000001.jpg 0")
    return folder


def cut(photographs, root, **changes):
    config = generate.get_config("celeba").to_dict()
    config["folder"] |= {"root": str(photographs), "first": changes.pop("first", 0)}
    config |= {"root": str(root)} | changes
    job.run(config, root.parent)


def test_each_is_the_published_window(photographs, tmp_path):
    cut(photographs, tmp_path / "images", count=2)
    written = sorted((tmp_path / "images" / "real").iterdir())
    assert [path.name for path in written] == ["000000_000001.png", "000001_000002.png"]
    for path, photograph in zip(written, sorted(photographs.glob("*.jpg")), strict=False):
        np.testing.assert_array_equal(decode_image(path), decode_image(photograph)[57:185, 25:153])
    manifest = json.loads((tmp_path / "images" / "manifest.json").read_text())
    assert manifest == {
        "classes": ["real"],
        "sources": {
            "real": {
                "source": "folder", "count": 2, "resolution": 128, "root": str(photographs), "first": 0,
                "resize": "celeba", "encoding": "plain",
            }
        },
    }  # fmt: skip


def test_ranges_that_do_not_meet_share_no_photograph(photographs, tmp_path, capsys):
    """Also where one was refused: its place is not taken by the next range's first."""
    cut(photographs, tmp_path / "train", count=5)
    assert "1 files could not be used" in (out := capsys.readouterr().out)
    assert f"4 images in {tmp_path / 'train'}" in out
    assert "000004.jpg," in (tmp_path / "rejected.csv").read_text()
    cut(photographs, tmp_path / "test", count=3, first=5)
    names = [{path.name for path in (tmp_path / split / "real").iterdir()} for split in ("train", "test")]
    assert names[0] == {f"00000{i}_00000{i + 1}.png" for i in (0, 1, 2, 4)}
    assert names[1] == {f"00000{i}_00000{i + 1}.png" for i in (5, 6, 7)}


def test_cut_photographs_are_a_source_beside_generated_ones(photographs, tmp_path):
    cut(photographs, tmp_path / "images", count=3)
    (tmp_path / "images" / "GAN").mkdir()
    Image.new("RGB", (128, 128)).save(tmp_path / "images" / "GAN" / "0.png")
    manifests.write_manifest(tmp_path / "images", ["real", "GAN"], {})
    folder = labelled.open_labelled(tmp_path / "images")
    assert folder.classes == ("real", "GAN")
    assert labelled.Images(folder, 128, resize="refuse").decode().images.shape == (4, 128, 128, 3)


def test_photographs_as_downloaded_are_cut_beside_generated_ones(photographs, tmp_path):
    """As `attribution.py:celeba` reads a set whose real images nobody has cut."""
    config = attribution.get_config("celeba")
    cut(photographs, tmp_path / "cut", count=2)
    (tmp_path / "images" / "GAN").mkdir(parents=True)
    Image.new("RGB", (128, 128)).save(tmp_path / "images" / "GAN" / "0.png")
    (tmp_path / "images" / "real").symlink_to(photographs)
    folder = labelled.open_labelled(tmp_path / "images")
    found = labelled.Images(folder, config.resolution, resize=config.data.resize).decode()
    assert [name for name, _ in found.rejected] == ["real/000004.jpg"]
    assert len(found.images) == 8
    for image, path in zip(found.images[1:], sorted((tmp_path / "cut" / "real").iterdir()), strict=False):
        np.testing.assert_array_equal(image, decode_image(path))


def test_cut_again_and_of_other_photographs(photographs, tmp_path):
    for _ in range(2):
        cut(photographs, tmp_path / "images", count=2)
    with pytest.raises(UserError, match=r"real holds other files, such as 000000_000001\.png"):
        cut(photographs, tmp_path / "images", count=2, first=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 9}, "has 8 images; 0 to 8 .from 0. are asked for; lower config.count or config.folder.first"),
        ({"count": 2, "first": 7}, "has 8 images; 7 to 8 .from 0. are asked for"),
        ({"count": 1, "first": -1}, "config.folder.first is -1 and config.count 1; give 0 and 1, or more"),
        ({"count": 1, "first": 3}, "none of 1 photographs in .* can be used: 000004.jpg"),
        ({"count": 1, "resolution": 256}, r"000001\.jpg a window of 256x256 around \(89, 121\) leaves the image"),
    ],
)
def test_cut_refuses_mistakes(changes, message, photographs, tmp_path):
    with pytest.raises(UserError, match=message) as error:
        cut(photographs, tmp_path / "images", **changes)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("images/real/*"))


@pytest.mark.parametrize(
    ("root", "resize", "message"),
    [
        ("", "celeba", r"the folder of photographs is not set: give it, --config\.folder\.root=DIR"),
        ("nowhere", "celeba", "nowhere is not a folder: set config.folder.root to a folder of photographs"),
        (".", "stretch", "unknown resize 'stretch'"),
    ],
)
def test_cut_refuses_a_folder_that_is_named_wrongly(root, resize, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        folders.write_cuts(
            tmp_path / "images",
            source_name="real",
            count=1,
            resolution=128,
            folder={"root": root, "first": 0, "resize": resize},
        )


def test_long_and_strange_names_become_usable_ones(photographs, tmp_path):
    strange = tmp_path / "strange"
    (strange / "below").mkdir(parents=True)
    source = (photographs / "000001.jpg").read_bytes()
    for path in ("below/a\nb.jpg", "below/same.jpg", "same.jpg", f"{'x' * 250}.jpg"):
        (strange / path).write_bytes(source)
    cuts = Cuts(strange, first=0, count=4, resolution=128, resize="celeba")
    assert len(set(cuts.names)) == 4
    assert all("/" not in name and "\n" not in name and len(name) <= 255 for name in cuts.names)
    assert [name for name, _ in cuts] == list(cuts.names)
