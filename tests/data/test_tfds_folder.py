"""The description of a data set is plain data: whatever it names, nothing is imported, built or made room for."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ganfp_jax.data import sources
from ganfp_jax.data.labelled import Images, digest, open_labelled
from ganfp_jax.data.tfds import folder as tfds_folder
from ganfp_jax.data.trees import splits
from ganfp_jax.jobs import prepare
from ganfp_jax.run.errors import UserError

OURS = "tensorflow_datasets.core.features."
TEXT = {"pythonClassName": f"{OURS}text_feature.Text", "text": {}}


def features_dict(features):
    return {"pythonClassName": f"{OURS}features_dict.FeaturesDict", "featuresDict": {"features": features}}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("set")
    for seed, place in enumerate(("train/real", "train/GAN", "test/real", "test/GAN")):
        (root / place).mkdir(parents=True)
        pixels = np.random.RandomState(seed).randint(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(root / place / "a.png")
    prepare.run({"data": {"root": str(root), "layout": "auto"}, "prepare": ""}, root / "run")
    return root / "run" / "dataset"


@pytest.fixture
def dataset(prepared, tmp_path):
    """A copy to be spoilt."""
    return shutil.copytree(prepared, tmp_path / "dataset")


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def features_of(dataset):
    return json.loads((dataset / "features.json").read_text())


def test_a_description(prepared):
    described = tfds_folder.describe(prepared)
    assert described.features == {"image": "Image", "label": "ClassLabel", "name": "Text"}
    assert {split: files.lengths for split, files in described.splits.items()} == {"train": (2,), "test": (2,)}
    assert tfds_folder.class_names(prepared) == ("GAN", "real")


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Modules that can be imported, and tell when they are."""
    for module in ("planted", "tensorflow_datasets_extra", "dataset"):
        (tmp_path / f"{module}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Text: pass\n")
    (tmp_path / "dataset" / "planted.py").write_text((tmp_path / "planted.py").read_text())
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "ran"


HOSTILE = {
    "a module": {"pythonClassName": "planted.Text", "text": {}},
    "a module of the data set": {"pythonClassName": "dataset.planted.Text", "text": {}},
    "a name like TFDS's": {"pythonClassName": "tensorflow_datasets_extra.Text"},
    "inside TFDS": {"pythonClassName": "tensorflow_datasets.core.features.text_feature.Text.planted"},
    "a sequence": {"pythonClassName": f"{OURS}sequence_feature.Sequence", "sequence": {"feature": TEXT}},
    "as older versions wrote it": {"type": "planted.Text", "content": {}},
    "both": {"pythonClassName": "planted.Text", "type": TEXT["pythonClassName"]},
    "no class": {"text": {}},
    "no text": {"pythonClassName": ["planted.Text"]},
    "nothing": None,
    "nested": features_dict({"inner": features_dict({"deep": {"pythonClassName": "planted.Text"}})}),
    "a dict without features": {"pythonClassName": f"{OURS}features_dict.FeaturesDict", "jsonFeature": {}},
}


@pytest.mark.parametrize("feature", HOSTILE.values(), ids=HOSTILE)
def test_no_feature_is_imported(dataset, planted, feature):
    top = features_of(dataset)
    top["featuresDict"]["features"]["extra"] = feature
    (dataset / "features.json").write_text(json.dumps(top))
    for door in (
        lambda: open_labelled(dataset, "train"),
        lambda: splits(dataset),
        lambda: prepare.run(
            {"data": {"root": str(dataset), "layout": "auto"}, "prepare": ""}, planted.parent / "again"
        ),
    ):
        with pytest.raises(UserError, match=r"features\.json (has a feature of the class|is no description)") as error:
            door()
        assert "\n" not in str(error.value) and len(str(error.value)) < 500
    assert not planted.exists()


@pytest.mark.parametrize("name", ["strange_set", "strange_set/large", "strange_set:1.0.0", "mnist"])
def test_a_data_set_by_name_is_opened_no_other_way(dataset, planted, name):
    home = planted.parent / "home"
    place = home.joinpath(*name.split(":")[0].split("/"), "1.0.0")
    shutil.copytree(dataset, place)
    found = sources.tfds(name=name, data_dir=str(home), resolution=16)
    assert len(found) == 2
    top = features_of(place)
    top["featuresDict"]["features"]["extra"] = HOSTILE["a module"]
    (place / "features.json").write_text(json.dumps(top))
    for download in (False, True):
        with pytest.raises(UserError, match="has a feature of the class 'planted"):
            sources.tfds(name=name, data_dir=str(home), resolution=16, download=download)
    assert not planted.exists()


@pytest.mark.parametrize("name", ["huggingface:planted", "kaggle:planted", "strange_set/a=1"])
def test_names_that_bring_code_from_elsewhere(tmp_path, name):
    with pytest.raises(UserError, match="nothing else is read"):
        sources.tfds(name=name, data_dir=str(tmp_path), resolution=16)


def test_features_as_older_versions_wrote_them(dataset):
    places = {"image": "image_feature.Image", "label": "class_label_feature.ClassLabel", "name": "text_feature.Text"}
    old = {name: {"type": OURS + place, "content": {}, "proto_cls": ""} for name, place in places.items()}
    old |= {"box": {"type": f"{OURS}features_dict.FeaturesDict", "content": {"x": {"type": f"{OURS}feature.Tensor"}}}}
    top = {"type": f"{OURS}features_dict.FeaturesDict", "content": old}
    (dataset / "features.json").write_text(json.dumps(top))
    assert tfds_folder.describe(dataset).features["box"] == "FeaturesDict"
    assert open_labelled(dataset, "train").names == ("GAN/a.png", "real/a.png")


SPLIT = {"name": "train", "shardLengths": ["2"]}
SPOILT = {
    "no file": (None, "no such file"),
    "no list": ({"splits": 5}, "5 instead of a list"),
    "no split": ({"splits": ["train"]}, "'train' instead of an object"),
    "a number that is none": ({"splits": [SPLIT | {"shardLengths": ["-2"]}]}, "'-2' for a number of examples"),
    "true": ({"splits": [SPLIT | {"shardLengths": [True]}]}, "True for a number of examples"),
    "many digits": ({"splits": [SPLIT | {"shardLengths": ["9" * 5000]}]}, "for a number of examples"),
    "many examples": ({"splits": [SPLIT | {"shardLengths": ["1000000000000"]}]}, "has 2 examples, but"),
    "a way out": ({"splits": [SPLIT | {"filepathTemplate": "../{SPLIT}"}]}, r"files called '\.\./"),
    "a wide field": ({"splits": [SPLIT | {"filepathTemplate": "{SPLIT:>9000000000}"}]}, "files called"),
    "an attribute": ({"splits": [SPLIT | {"filepathTemplate": "{SPLIT.__class__}"}]}, "files called"),
    "another file": ({"splits": [SPLIT | {"filepathTemplate": "other"}]}, "other is missing, or no file"),
    "a name": ({"name": "../x"}, r"'\.\./x' for a name"),
    "a split's name": ({"splits": [SPLIT | {"name": "a/b"}]}, "'a/b' for a name"),
    "another format": ({"fileFormat": "tfrecord"}, "is kept as 'tfrecord'; prepare it with"),
    "a format of two lines": ({"fileFormat": "a\nb\ud800"}, r"is kept as 'a\\nb\\ud800'; prepare it with"),
    "a file for many parts": (
        {"splits": [{"name": "train", "shardLengths": ["2"] * 100_000, "filepathTemplate": "{DATASET}-{NUM_SHARDS}"}]},
        "one file {DATASET}-{NUM_SHARDS} for 100000 parts",
    ),
}


@pytest.mark.parametrize(("values", "message"), SPOILT.values(), ids=SPOILT)
def test_a_spoilt_description(dataset, values, message):
    if values is None:
        (dataset / "features.json").unlink()
    else:
        change(dataset / "dataset_info.json", **values)
    with pytest.raises(UserError, match=message) as error:
        open_labelled(dataset, "train")
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 100_000, "nested too deep"),
        (" " * (tfds_folder.MAX_BYTES + 1), "too large"),
        ("[]", "instead of an object"),
        ("\x00", "cannot be read"),
        ("", "cannot be read: Expecting value"),
    ],
    ids=["deep", "large", "list", "no JSON", "empty"],
)
def test_a_file_of_the_description_that_is_none(dataset, name, content, message):
    (dataset / name).write_text(content)
    with pytest.raises(UserError, match=message):
        open_labelled(dataset, "train")


def test_a_pipe_is_not_waited_for(dataset):
    file = next(dataset.glob("*train*"))
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(UserError, match="is missing, or no file"):
        open_labelled(dataset, "train")


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([0, 2], ["a", "b"], "has the label 2 and 2 classes"),
        ([0, -1], ["a", "b"], "has the label -1 and 2 classes"),
        ([0, True], ["a", "b"], "has the label True"),
        ([0, 0.5], ["a", "b"], "has the label 0.5"),
        ([0, 1], ["a", "a"], "an image named 'a': no name, or used twice"),
        ([0, 1], ["a", 5], "an image named 5"),
        ([0, 1], ["a", ""], "an image named ''"),
        (["0", "1"], ["a", "b"], "has the label '0'"),
    ],
)
def test_an_index_of_what_is_not_there(dataset, labels, names, message):
    change(dataset / "index.json", train={"labels": labels, "names": names})
    with pytest.raises(UserError, match=message):
        open_labelled(dataset, "train")


def test_an_index_with_half_a_character(dataset):
    change(dataset / "index.json", train={"labels": [0, 1], "names": ["a\ud800", "b\udcff"]})
    assert open_labelled(dataset, "train").names == (r"a\ud800", r"b\xff")


def test_more_examples_than_a_file_can_hold_images(dataset):
    """A megabyte of packed empty records would be a list of many gigabytes."""
    from array_record.python.array_record_module import ArrayRecordWriter

    file = next(dataset.glob("*train*"))
    writer = ArrayRecordWriter(str(file), "group_size:65536")
    for _ in range(20_000):
        writer.write(b"")
    writer.close()
    change(dataset / "dataset_info.json", splits=[SPLIT | {"shardLengths": ["20000"]}])
    with pytest.raises(UserError, match=r"has 20,000 examples in .* bytes: they cannot be images"):
        open_labelled(dataset, "train")


def test_damaged_records_are_refused_and_the_others_read(dataset):
    file = next(dataset.glob("*train*"))
    content = bytearray(file.read_bytes())
    start = content.index(b"\x89PNG")
    content[start : start + 400] = bytes(400)
    file.write_bytes(content)
    folder = open_labelled(dataset, "train")
    read = Images(folder, 16).decode()
    assert len(read.images) == 1 and len(read.rejected) == 1
    assert len(digest({"train": folder})) == 64


def test_the_current_folder_is_not_looked_into_for_modules(tmp_path):
    """`python -m` would do so: a data set in which somebody works may hold files of any name."""
    for module in ("typing", "absl", "numpy", "jax", "PIL", "tensorflow", "tensorflow_datasets"):
        (tmp_path / f"{module}.py").write_text("open('ran', 'w')\nraise ImportError('planted')\n")
    command = [sys.executable, "-m", "ganfp_jax.main", "--config=no_such_file.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("real\nreal\n", "the source name 'real' stands there twice"),
        ("../../up\nreal\n", r"the source name '\.\./\.\./up' has a path separator"),
        ("/absolute\nreal\n", "the source name '/absolute' has a path separator"),
        ("unknown\nreal\n", "the source name 'unknown' is a column or a verdict"),
        ("a\u202eb\nreal\n", "has a mark that turns the direction"),
    ],
)
def test_class_names_that_no_source_can_have(dataset, names, message):
    (dataset / "label.labels.txt").write_text(names)
    with pytest.raises(UserError, match=message):
        open_labelled(dataset, "train")


def test_class_names_written_on_another_system(dataset):
    (dataset / "label.labels.txt").write_bytes(b"GAN\r\nreal\r\n")
    assert open_labelled(dataset, "train").classes == ("GAN", "real")
