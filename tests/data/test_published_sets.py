"""Published sets in the trees, lists and tables in which they are distributed, a small one of each."""

import csv
import io
import json

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet as pq

from ganfp_jax.audit.sample import list_files
from ganfp_jax.data.labelled import Images, digest, fold_groups, open_labelled, open_splits, splits
from ganfp_jax.data.published_sets import LAYOUTS
from ganfp_jax.jobs import prepare
from ganfp_jax.run.errors import UserError


def image(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (value,) * 3).save(path)


def tree(root, *names):
    for name in names:
        image(root / name)
    return root


def png(value):
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (value,) * 3).save(stream, "PNG")
    return stream.getvalue()


def table(path, rows, delimiter=","):
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def write_parquet(path, columns, features=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"huggingface": json.dumps({"info": {"features": features}})} if features else None
    pq.write_table(pyarrow.table(columns).replace_schema_metadata(told), path)


def forensynths(root):
    """CNNDetection: train/ and val/ have the classes of ProGAN, test/ has generators, a few of them with classes."""
    for label in ("0_real", "1_fake"):
        tree(root, f"train/car/{label}/1.png", f"train/train/{label}/1.png", f"val/car/{label}/2.png")
        tree(root, f"test/progan/train/{label}/1.png", f"test/stylegan/car/{label}/1.png", f"test/biggan/{label}/1.png")


def gangen_detection(root):
    for label in ("0_real", "1_fake"):
        tree(root, f"SNGAN/{label}/1.png", f"MMDGAN/{label}/1.png")


def genimage(root):
    for split in ("train", "val"):
        for label in ("ai", "nature"):
            tree(root, f"ADM/imagenet_ai_0508_adm/{split}/{label}/{split}.png")
            tree(root, f"wukong/imagenet_ai_0424_wukong/{split}/{label}/{split}.JPEG")


def attribution_bench(root):
    tree(root, "real/COCO/1.png", "real/AnimalFace/cat/1.png", "FLUX/COCO/2.png", "FLUX/Scene/church/2.png")


def osma(root):
    """POSE: the lists lie below the folder in which their paths begin, one folder a split."""
    for name in ("real/celeba/1.png", "fake/SNGAN/celeba/1.png", "fake/SNGAN/lsun/seed1/1.png"):
        image(root / "OSMA" / name)
    for split, lines in {
        "train": "OSMA/real/celeba/1.png\t0\nOSMA/fake/SNGAN/celeba/1.png\t1\n",
        "test": "OSMA/fake/SNGAN/lsun/seed1/1.png\t1\nOSMA/real/gone.png\t0\n",
    }.items():
        path = root / f"split1_{split}" / "annotations" / f"{split}.txt"
        path.parent.mkdir(parents=True)
        path.write_text(lines)
    (root / "names.txt").write_text("real\nSNGAN\n")


def dna_det(root):
    tree(root, "images/1.png", "images/2.png", "images/3.png")
    (root / "celeba_train.txt").write_text("images/1.png\t0\nimages/2.png\t1\n")
    (root / "celeba_val.txt").write_text("images/3.png\t1\n")
    (root / "names.txt").write_text("Real\nProGAN\n")


def attribution88(root):
    tree(root, "cat/1.png", "dog/2.png", "dog/3.png")
    table(
        root / "set.csv", [("path", "label", "dlabel"), ("cat/1.png", 0, 4), ("dog/2.png", 1, 5), ("dog/3.png", 1, 5)]
    )
    (root / "names.txt").write_text("real\nCramerGAN\n")


def image_folder(root):
    tree(root, "train/real/1.png", "train/SD/2.png", "validation/SD/3.png", "validation/real/4.png")


def metadata(root):
    for split, values in {"train": (1, 2), "validation": (3, 4), "test": (5, 6)}.items():
        for value in values:
            image(root / split / f"{value}.png", value)
    rows = [("file_name", "label", "category"), ("1.png", "real", "cat"), ("2.png", "SD", "dog")]
    table(root / "train" / "metadata.csv", rows)
    for split, values in {"validation": (3, 4), "test": (5, 6)}.items():
        lines = ({"file_name": f"{v}.png", "label": ("SD", "real")[v % 2], "tags": [1]} for v in values)
        (root / split / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def community_forensics(root):
    columns = {"image_name": ["a", "b"], "image_data": [png(1), png(2)], "model_name": ["COCO", "sdxl"]}
    columns |= {"label": [0, 1], "architecture": ["real", "LatDiff"]}
    write_parquet(root / "data" / "Systematic-00000-of-00001.parquet", columns)
    write_parquet(root / "data" / "PublicEval-00000-of-00001.parquet", columns)


def open_fake(root):
    images = [{"bytes": png(value), "path": None} for value in (1, 2, 3)]
    columns = {"image": images, "prompt": ["", "a", "b"], "label": [0, 1, 1], "model": ["", "flux", None]}
    features = {"label": {"names": ["real", "fake"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    write_parquet(root / "data" / "train-00000-of-00001.parquet", columns, features)


def celeba(root):
    for number in (1, 2, 3):
        image(root / "img_align_celeba" / f"00000{number}.jpg")
    (root / "list_eval_partition.txt").write_text("000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n")
    (root / "identity_CelebA.txt").write_text("000001.jpg 2880\n000002.jpg 2937\n000003.jpg 2880\n")


REAL_AND_PROGAN = [("progan", "progan/car"), ("progan", "progan/train"), ("real", "real/car"), ("real", "real/train")]
SETS = {
    "ForenSynths": (forensynths, "forensynths", False, {
        "train": REAL_AND_PROGAN,
        "test": [
            *(("biggan", "test/biggan/1_fake/1.png"), ("progan", "progan/train"), ("stylegan", "stylegan/car")),
            *(("real", "test/biggan/0_real/1.png"), ("real", "real/train"), ("real", "real/car")),
        ],
    }),
    "GANGen-Detection": (gangen_detection, "forensynths", False, {
        "": [
            *(("MMDGAN", "MMDGAN/1_fake/1.png"), ("SNGAN", "SNGAN/1_fake/1.png")),
            *(("real", "MMDGAN/0_real/1.png"), ("real", "SNGAN/0_real/1.png")),
        ],
    }),
    "GenImage": (genimage, "genimage", False, {
        split: [
            ("ADM", f"ADM/imagenet_ai_0508_adm/{name}/ai/{name}.png"),
            ("real", f"ADM/imagenet_ai_0508_adm/{name}/nature/{name}.png"),
            ("real", f"wukong/imagenet_ai_0424_wukong/{name}/nature/{name}.JPEG"),
            ("wukong", f"wukong/imagenet_ai_0424_wukong/{name}/ai/{name}.JPEG"),
        ]
        for split, name in {"train": "train", "test": "val"}.items()
    }),
    "ImageAttributionBench": (attribution_bench, "semantic", False, {
        "": [
            *(("FLUX", "FLUX/COCO"), ("FLUX", "FLUX/Scene/church"), ("real", "real/AnimalFace/cat")),
            ("real", "real/COCO"),
        ],
    }),
    "OSMA": (osma, "list", True, {
        "train": [("SNGAN", "OSMA/fake/SNGAN/celeba/1.png"), ("real", "OSMA/real/celeba/1.png")],
        "test": [("SNGAN", "OSMA/fake/SNGAN/lsun/seed1/1.png"), ("real", "OSMA/real/gone.png")],
    }),
    "DNA-Det": (dna_det, "list", True, {
        "train": [("ProGAN", "images/2.png"), ("real", "images/1.png")], "test": [("ProGAN", "images/3.png")],
    }),
    "Attribution88": (attribution88, "list", False, {}),
    "ImageFolder": (image_folder, "hf", False, {
        "train": [("SD", "train/SD/2.png"), ("real", "train/real/1.png")],
        "test": [("SD", "validation/SD/3.png"), ("real", "validation/real/4.png")],
    }),
    "metadata": (metadata, "hf", True, {
        "train": [("SD", "SD/dog"), ("real", "real/cat")],
        "test": [("SD", "test/6.png"), ("real", "test/5.png")],
    }),
    "Community Forensics": (community_forensics, "parquet", True, {
        split: [("real", f"data/{name}-00000-of-00001.parquet/0"), ("sdxl", f"data/{name}-00000-of-00001.parquet/1")]
        for split, name in {"train": "Systematic", "test": "PublicEval"}.items()
    }),
    "OpenFake": (open_fake, "parquet", True, {
        "train": [
            *(("fake", "data/train-00000-of-00001.parquet/2"), ("flux", "data/train-00000-of-00001.parquet/1")),
            ("real", "data/train-00000-of-00001.parquet/0"),
        ],
    }),
    "CelebA": (celeba, "celeba", True, {"train": [("real", "real/2880")], "test": [("real", "real/2880")]}),
}  # fmt: skip
"""Set -> what makes it, its layout, whether that is found out, and the (source, group of folds) of images by split."""


def said(folder):
    sources = [folder.classes[label] for label in folder.labels]
    return sorted(zip(sources, fold_groups(folder), strict=True))


@pytest.mark.parametrize("name", [name for name in SETS if SETS[name][3]])
def test_a_small_one_of_each(tmp_path, capsys, name):
    make, layout, is_found_out, expected = SETS[name]
    make(tmp_path)
    classes = sorted({source for images in expected.values() for source, _ in images})
    classes = classes if len(classes) > 1 else [*classes, "another"]
    assert splits(tmp_path, layout) == tuple(filter(None, expected))
    for split, images in expected.items():
        folder = open_labelled(tmp_path, split or None, classes, layout)
        assert said(folder) == sorted(images) and folder.layout == layout
        assert len(set(folder.names)) == len(folder)
        decoded = Images(folder, 8).decode()
        assert decoded.rejected == (
            (("OSMA/real/gone.png", "no such file"),) if "OSMA/real/gone.png" in folder.names else ()
        )
        if is_found_out:
            assert digest({"": open_labelled(tmp_path, split, classes)}) == digest({"": folder})
    assert capsys.readouterr().out.count(f"is read with data.layout={layout} (") == is_found_out


def test_a_table_that_numbers_its_sources(tmp_path, capsys):
    attribution88(tmp_path)
    folder = open_labelled(tmp_path / "set.csv", "train")
    assert said(folder) == [("CramerGAN", "CramerGAN/5"), ("CramerGAN", "CramerGAN/5"), ("real", "real/4")]
    assert "set.csv is read with data.layout=list" in capsys.readouterr().out
    (tmp_path / "names.txt").write_text("real\n")
    fails(
        r"numbers its sources, and .*/names.txt has none for 1: write their names there, one a line",
        tmp_path / "set.csv",
    )


def fails(message, *args, **kwargs):
    with pytest.raises(UserError, match=message) as error:
        open_labelled(*args, **kwargs)
    assert "\n" not in str(error.value)


def test_every_layout_has_a_set():
    assert set(LAYOUTS) == {layout for _, layout, _, _ in SETS.values()}


@pytest.mark.parametrize("name", ["ForenSynths", "GANGen-Detection", "GenImage"])
def test_trees_that_can_be_read_in_two_ways_name_the_layout(tmp_path, name):
    make, layout, _, expected = SETS[name]
    make(tmp_path)
    split = "test" if "test" in expected and name == "ForenSynths" else None
    fails(f"layout=sources reads them so.*config.data.layout={layout} reads so", tmp_path, split)


def test_sources_stay_sources_where_other_layouts_could_read_them(tmp_path, capsys):
    attribution_bench(tmp_path / "bench")
    assert fold_groups(open_labelled(tmp_path / "bench")) == open_labelled(tmp_path / "bench").names
    image_folder(tmp_path / "hf")
    assert open_labelled(tmp_path / "hf", "train").root == tmp_path / "hf" / "train"
    assert splits(tmp_path / "hf") == ("train",)
    assert not capsys.readouterr().out
    fails("has train but no test: .*, or --config.data.layout=hf, which tests on validation", tmp_path / "hf", "test")


def test_several_readings_are_named(tmp_path):
    tree(tmp_path, "a/1.png", "b/2.png")
    assert open_labelled(tmp_path).classes == ("a", "b")
    table(tmp_path / "metadata.csv", [("file_name", "label"), ("a/1.png", "x"), ("b/2.png", "y")])
    fails(r"can be read as sources \(.*\) or as hf \(.*\): say which with --config.data.layout=sources or hf", tmp_path)
    assert open_labelled(tmp_path, layout="sources").classes == ("a", "b")
    assert open_labelled(tmp_path, layout="hf").classes == ("x", "y")
    table(tmp_path / "metadata.csv", [("file_name", "text"), ("a/1.png", "x"), ("b/2.png", "y")])
    assert open_labelled(tmp_path).classes == ("a", "b")


def test_what_validates_is_no_test_where_there_is_one(tmp_path):
    metadata(tmp_path)
    assert [len(folder) for folder in open_splits(tmp_path).values()] == [2, 2]
    fails("has train and test but no images without a split", tmp_path)


def test_what_a_layout_leaves_out(tmp_path):
    gangen_detection(tmp_path)
    tree(tmp_path, "SNGAN/other/x.png", "stray.png")
    (tmp_path / "SNGAN" / "README.txt").write_text("x")
    assert sorted(open_labelled(tmp_path, layout="forensynths").left_out) == [
        ("SNGAN/README.txt", "not an image by its name"),
        ("SNGAN/other/x.png", "lies where layout forensynths has no images"),
        ("stray.png", "lies where layout forensynths has no images"),
    ]
    fails(r"has no image of the layout genimage \(.*\); SNGAN/README.txt: not an image", tmp_path, layout="genimage")


def test_rows_that_say_too_little_are_left_out(tmp_path):
    tree(tmp_path, "1.png", "2.png")
    rows = [("path", "label", "split"), ("1.png", "a", "val"), ("2.png", "b", "val"), ("3.png", "", ""), ("", "a", "")]
    path = table(tmp_path / "set.csv", [*rows, ("4.png", "b", "holdout")])
    folder = open_labelled(path, "test")
    assert folder.classes == ("a", "b") and folder.left_out == (
        ("3.png", "its row has no source"),
        ("", "its row names no image"),
        ("4.png", "its split holdout is none that is known"),
    )
    fails("names 1.png 2 times", table(path, [*rows, ("./1.png", "b", "train")]), "test")


def test_lists_of_several_divisions(tmp_path):
    osma(tmp_path)
    other = tmp_path / "split2_train" / "annotations" / "train.txt"
    other.parent.mkdir(parents=True)
    other.write_text("OSMA/real/celeba/1.png\t0\n")
    (other.parent / "names.txt").write_text("real\n")
    fails(
        "has several lists of train, split1_train/.*/train.txt and split2_train/.*/train.txt; give one of them",
        tmp_path,
        layout="list",
    )
    assert open_labelled(other, classes=["real"], layout="list").names == ("OSMA/real/celeba/1.png",)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("list", "has no lists of splits, such as train.txt"),
        ("parquet", "has no Parquet table"),
        ("celeba", "has no list_eval_partition.txt"),
        ("hf", r"has no image of the layout hf \(\{train,validation,test\}"),
    ],
)
def test_nothing_of_a_layout(tmp_path, layout, message):
    fails(message, tmp_path, layout=layout)
    fails("is no file and no folder", tmp_path / "gone", layout=layout)


def test_a_damaged_table_stops_nothing(tmp_path):
    open_fake(tmp_path)
    (tmp_path / "data" / "train-00001-of-00001.parquet").write_bytes(b"PAR1")
    folder = open_labelled(tmp_path, "train")
    assert len(folder) == 3 and folder.left_out[0][0] == "data/train-00001-of-00001.parquet"
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "1.png", "label": "x"}\nnothing\n')
    fails("has a line that is no JSON object: nothing", tmp_path, layout="hf")
    lines = '{"file_name": "/gone/1.png", "label": "x"}', '{"label": "x"}', '{"file_name": "2.png", "label": "y"}'
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    folder = open_labelled(tmp_path, layout="hf")
    assert folder.names == ("/gone/1.png", "2.png") and folder.left_out == (("", "its row names no image"),)


def test_folds_are_split_by_classes(tmp_path):
    forensynths(tmp_path)
    files = list_files({"train": open_labelled(tmp_path, "train", layout="forensynths")})
    assert {file.origin for file in files} == {"car", "train"}


def test_a_prepared_set_keeps_its_sources(tmp_path):
    gangen_detection(tmp_path / "set")
    config = {"data": {"root": str(tmp_path / "set"), "layout": "forensynths"}, "prepare": str(tmp_path / "prepared")}
    prepare.run(config, tmp_path / "run")
    for layout in ("auto", "forensynths"):
        folder = open_labelled(tmp_path / "prepared", layout=layout)
        assert folder.classes == ("MMDGAN", "SNGAN", "real")
        assert np.bincount(folder.labels).tolist() == [1, 1, 2]
