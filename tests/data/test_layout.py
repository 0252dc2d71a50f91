"""Trees that can be read in two ways are told, those that only look a little like them are read."""

from pathlib import Path

import pytest
from PIL import Image

from ganfp_jax.data import sources
from ganfp_jax.data.labelled import open_labelled
from ganfp_jax.data.layout import labels_in
from ganfp_jax.jobs import prepare
from ganfp_jax.run.errors import UserError

TWO_WAYS = {
    "ForenSynths": (["A/0_real", "A/1_fake", "B/x"], r"A has the folders 0_real and 1_fake: .*only 1_fake of A"),
    "GenImage": (["A/x/train/ai", "A/x/train/nature", "A/x/val/ai", "B/x"], r"A/x/train has the folders nature and ai"),
    "categories": (["A/car/0_real", "A/car/1_fake", "B"], r"A/car has the folders 0_real and 1_fake"),
    "capitals": (["A/Real", "A/FAKE", "B"], "A has the folders Real and FAKE"),
    "more words": (["A/training_real", "A/training_fake", "B"], "A has the folders training_real and training_fake"),
    "images of": (["A", "B/real_images", "B/fake_images", "B/other"], "B has the folders real_images and fake_images"),
    "splits": (["A/train", "A/val", "B"], r"A has the folders train and val: .*they are splits.* train/A and test/A"),
    "numbered splits": (["A/train2017", "A/test2017", "B"], "A has the folders train2017 and test2017"),
    "all three": (["A/training", "A/validation", "A/test", "B"], "A has the folders training and validation and test"),
    "splits for sources": (["training/A", "training/B", "testing/A"], "training and testing may be sources"),
}
ONE_WAY = {
    "plain": ["A", "B"],
    "shards": ["A/img_000", "A/img_001", "B/000"],
    "one label": ["A/real", "A/1", "B"],
    "one label each": ["A/0_real", "B/1_fake"],
    "one split": ["A/train", "B/train"],
    "labels as sources": ["0_real", "1_fake"],
    "sources below labels": ["real/camera", "fake/A", "fake/B"],
    "labels in different places": ["A/x/real", "A/y/fake", "B"],
    "vehicles": ["A/train", "A/bus", "A/car", "B"],
    "words inside words": ["A/unreal", "A/faker", "B/realm", "B/aim"],
    "both in one word": ["A/real_vs_fake", "A/more", "B"],
    "sentences": ["A/test images of cars", "A/train station", "B"],
}


def tree(root: Path, folders: list[str]) -> Path:
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(root / folder / "x.png")
    return root


@pytest.mark.parametrize(("folders", "message"), TWO_WAYS.values(), ids=TWO_WAYS)
def test_both_readings_are_told(tmp_path, folders, message):
    tree(tmp_path, folders)
    with pytest.raises(UserError, match=message) as error:
        open_labelled(tmp_path)
    assert "--config.data.layout=sources" in str(error.value) and "\n" not in str(error.value)
    folder = open_labelled(tmp_path, layout="sources")
    assert set(folder.classes) == {name.split("/")[0] for name in folders} and len(folder) == len(folders)
    assert folder.layout == "sources"


@pytest.mark.parametrize("folders", ONE_WAY.values(), ids=ONE_WAY)
def test_what_mixes_nothing_is_read(tmp_path, folders):
    assert len(open_labelled(tree(tmp_path, folders))) == len(folders)


def test_below_a_split(tmp_path):
    labels = ("0_real", "1_fake")
    tree(tmp_path, [f"{split}/{source}/{label}" for split in ("train", "test") for source in "AB" for label in labels])
    for split in ("train", "test"):
        with pytest.raises(UserError, match=f"{split}/A has the folders 0_real and 1_fake"):
            open_labelled(tmp_path, split)
        assert open_labelled(tmp_path, split, layout="sources").classes == ("A", "B")


def test_a_prepared_set_tells_as_the_folder_did(tmp_path):
    tree(tmp_path / "set", ["A/0_real", "A/1_fake", "B"])
    data = {"root": str(tmp_path / "set"), "layout": "auto"}
    with pytest.raises(UserError, match="A has the folders 0_real and 1_fake"):
        prepare.run({"data": data, "prepare": ""}, tmp_path / "run")
    prepare.run({"data": data | {"layout": "sources"}, "prepare": ""}, tmp_path / "run")
    with pytest.raises(UserError, match="dataset/A has the folders 0_real and 1_fake"):
        open_labelled(tmp_path / "run" / "dataset")
    assert len(open_labelled(tmp_path / "run" / "dataset", layout="sources")) == 3


def test_a_list_says_the_source_itself(tmp_path):
    tree(tmp_path, ["A/0_real", "A/1_fake"])
    (tmp_path / "list.csv").write_text("image,source\nA/0_real/x.png,real\nA/1_fake/x.png,A\n")
    assert open_labelled(tmp_path / "list.csv").classes == ("A", "real")


def test_real_images_with_fakes_beside_them(tmp_path):
    tree(tmp_path, ["x/0_real", "x/1_fake", "y"])
    with pytest.raises(UserError, match=r"x has the folders 0_real and 1_fake: .* alone, .*x/0_real, or rename"):
        sources.folder(root=tmp_path, resolution=8)
    assert len(sources.folder(root=tmp_path / "x" / "0_real", resolution=8)) == 1


def test_an_unknown_layout(tmp_path):
    with pytest.raises(UserError, match=r"unknown config\.data\.layout 'labels'; choose from auto, sources"):
        open_labelled(tmp_path, layout="labels")


def test_labels_among_real_images():
    assert labels_in(["a.png", "x/y/0_real/a.png", "x/y/1_fake/a.png"]) == ("x/y", ["0_real", "1_fake"])
    assert labels_in(["nature/a.png", "ai/a.png"]) == ("", ["nature", "ai"])
    assert labels_in(["train/a.png", "val/a.png", "real/a.png"]) is None
