"""Labelled image folders: the order of the classes is never guessed, mistakes are said, bad files stop nothing."""

import csv
import json
import os
import sys

import numpy as np
import pytest
from PIL import Image

from ganfp_jax.data import labelled
from ganfp_jax.data.decode import encode_png
from ganfp_jax.data.labelled import Images, open_labelled, origins
from ganfp_jax.data.manifests import MANIFEST, read_manifest, write_manifest
from ganfp_jax.data.perturb import perturb
from ganfp_jax.data.reports import report_notes, report_rejected
from ganfp_jax.data.trees import splits
from ganfp_jax.run.errors import UserError


def make(root, counts, size=8):
    for label, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for index in range(count):
            encode_png(root / name / f"{index:02d}.png", np.full((size, size, 3), 50 * label + index, np.uint8))
    return root


def fails(message, *args, **kwargs):
    with pytest.raises(UserError, match=message) as error:
        open_labelled(*args, **kwargs)
    assert "\n" not in str(error.value)


def test_without_a_manifest_the_names_are_sorted(tmp_path):
    make(tmp_path, {"real": 2, "ProGAN": 1, "SNGAN": 3})
    folder = open_labelled(str(tmp_path))
    assert folder.classes == ("ProGAN", "SNGAN", "real")
    assert folder.labels.tolist() == [0, 1, 1, 1, 2, 2] and folder.labels.dtype == np.int32
    assert folder.names[0] == "ProGAN/00.png" and folder.names[-1] == "real/01.png"
    assert [path.relative_to(tmp_path).as_posix() for path in folder.paths] == list(folder.names)
    assert len(folder) == 6 and folder.root == tmp_path


def test_the_manifest_fixes_the_order(tmp_path):
    make(tmp_path, {"real": 1, "ProGAN": 1, "SNGAN": 1})
    sources = {"SNGAN": {"seed": 3, "count": 1, "checkpoint": "ab12", "encoding": "rint(127.5x + 127.5)"}, "real": {}}
    write_manifest(tmp_path, ["real", "SNGAN", "ProGAN"], sources)
    assert open_labelled(tmp_path).classes == ("real", "SNGAN", "ProGAN")
    assert open_labelled(tmp_path).labels.tolist() == [0, 1, 2]
    assert read_manifest(tmp_path) == {"classes": ["real", "SNGAN", "ProGAN"], "sources": sources}


def test_given_classes_come_first(tmp_path):
    make(tmp_path, {"real": 1, "SNGAN": 2})
    (tmp_path / MANIFEST).write_text("broken, and not needed")
    folder = open_labelled(tmp_path, classes=["SNGAN", "absent", "real"])
    assert folder.classes == ("SNGAN", "absent", "real")
    assert folder.labels.tolist() == [0, 0, 2]
    fails("source real is none of the classes SNGAN, ProGAN", tmp_path, classes=["SNGAN", "ProGAN"])


def test_one_class_needs_given_classes(tmp_path):
    make(tmp_path, {"real": 2})
    fails("one source only, real", tmp_path)
    assert open_labelled(tmp_path, classes=["ProGAN", "real"]).labels.tolist() == [1, 1]


def test_splits(tmp_path):
    make(tmp_path / "train", {"a": 3, "b": 3})
    make(tmp_path / "test", {"a": 1, "b": 1})
    assert len(open_labelled(tmp_path, "train")) == 6
    assert len(open_labelled(tmp_path, "test")) == 2
    assert len(open_labelled(tmp_path / "test")) == 2
    assert open_labelled(tmp_path, "test").names == ("a/00.png", "b/00.png")
    write_manifest(tmp_path, ["b", "a"], {})
    assert open_labelled(tmp_path, "test").classes == ("b", "a")
    write_manifest(tmp_path / "test", ["a", "b"], {})  # the nearer one
    assert open_labelled(tmp_path, "test").classes == ("a", "b")
    fails("has train and test but no source folders of its own", tmp_path)
    fails("unknown split 'validation'", tmp_path, "validation")


def test_a_root_without_splits_is_taken_whole(tmp_path):
    make(tmp_path, {"a": 1, "b": 1})
    assert open_labelled(tmp_path, "test").classes == ("a", "b")


def test_a_missing_split_is_not_replaced_by_the_other(tmp_path):
    make(tmp_path / "train", {"a": 1, "b": 1})
    fails("has train but no test", tmp_path, "test")


def test_what_is_left_out_is_said(tmp_path):
    make(tmp_path, {"a": 1, "b": 1, ".cache": 1})
    (tmp_path / "a" / ".01.png").write_bytes(b"x")
    (tmp_path / "a" / "notes.txt").write_text("x")
    (tmp_path / "stray.png").write_bytes(b"x")
    (tmp_path / "readme.md").write_text("x")
    (tmp_path / "a" / "others").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "01.JPEG").write_bytes(b"x")  # listed: it is refused when decoded, not overlooked
    folder = open_labelled(tmp_path)
    assert folder.names == ("a/00.png", "b/00.png", "b/01.JPEG")
    assert folder.left_out == (
        ("a/notes.txt", "not an image by its name"),
        ("a/others", "a link to a folder, which is not followed"),
        ("stray.png", "lies in no source folder"),
    )


def test_images_may_lie_in_folders_of_a_source(tmp_path):
    make(tmp_path, {"a": 2, "b": 1})
    make(tmp_path / "a", {"x.png": 1, "00": 1, ".hidden": 1})
    (tmp_path / "a" / "x.png" / "loop").symlink_to(tmp_path / "a")
    folder = open_labelled(tmp_path)
    assert folder.names == ("a/00/00.png", "a/00.png", "a/01.png", "a/x.png/00.png", "b/00.png")
    assert folder.left_out == (
        ("a/x.png", "is a folder"),
        ("a/x.png/loop", "a link to a folder, which is not followed"),
    )
    assert Images(folder, 8).decode().kept.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names that are not UTF-8")
def test_names_that_would_break_a_table_are_escaped(tmp_path):
    make(tmp_path, {"a": 1, "b": 1})
    for name in (b"caf\xc3\xa9.png", b"bad\xff.png", b"new\nline\r.png", b"\xe2\x80\xa8.txt"):
        (tmp_path / "a" / os.fsdecode(name)).write_bytes(b"x")
    folder = open_labelled(tmp_path)
    assert set(folder.names) == {
        *("a/00.png", "a/café.png", r"a/bad\xff.png", r"a/new\nline\r.png", "b/00.png"),
    }
    assert folder.left_out == ((r"a/\u2028.txt", "not an image by its name"),)
    report_rejected(Images(folder, 8).decode().rejected, tmp_path)
    assert len(list(csv.reader((tmp_path / "rejected.csv").read_text().splitlines()))) == 4


HOSTILE = (
    "../..",
    "/absolute",
    "a/b",
    "..",
    ".hidden",
    "a\\b",
    "C:up",
    "bell\a",
    "evil\u202egnp",
    "x" * 256,
    "=1+1",
    "unsure",
)


@pytest.mark.parametrize("name", [*HOSTILE, "nul\0"])
def test_a_list_cannot_name_any_source(tmp_path, name):
    make(tmp_path, {"x": 2})
    with (tmp_path / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "source"), ("x/00.png", name), ("x/01.png", "real")])
    fails(r"list\.csv: the source name .*; rename that source$", tmp_path / "list.csv")
    fails(r"list\.csv: the source name .*; rename that source$", tmp_path / "list.csv", classes=["real", name])


@pytest.mark.parametrize("name", ["bell\a", "evil\u202egnp", "=1+1", "unsure", os.fsdecode(b"c\xff")])
def test_a_folder_of_any_name_is_no_source(tmp_path, name):
    make(tmp_path, {"real": 1, name: 1})
    fails("the source name .*; rename that source$", tmp_path)


@pytest.mark.parametrize("name", [*HOSTILE, "nul\0", "\ud800", 5, None, ["a"]])
def test_a_manifest_cannot_name_any_source(tmp_path, name):
    make(tmp_path, {"a": 1, "b": 1})
    (tmp_path / MANIFEST).write_text(json.dumps({"classes": ["a", name], "sources": {}}))
    fails("manifest.json is broken: the class name ", tmp_path)
    if isinstance(name, str):
        with pytest.raises(ValueError, match="the class name "):
            write_manifest(tmp_path, ["a", name], {})


def test_classes_that_are_given_are_looked_at(tmp_path):
    make(tmp_path, {"a": 1, "b": 1})
    fails("the classes: the source name '../b' has a path separator", tmp_path, classes=["a", "b", "../b"])
    fails("the classes: the source name 'a' stands there twice", tmp_path, classes=["a", "b", "a"])


def test_what_was_brought_to_size_is_told(tmp_path, capsys):
    report_notes({}, tmp_path)
    assert not list(tmp_path.iterdir()) and not capsys.readouterr().out
    report_notes({"a/0.png": "cropped from 9x8", "1,2.png": "reduced from 9x9"}, tmp_path)
    assert (tmp_path / "notes.csv").read_text() == 'image,note\na/0.png,cropped from 9x8\n"1,2.png",reduced from 9x9\n'
    assert capsys.readouterr().out.startswith("2 images were not taken as they are (a/0.png: cropped from 9x8)")


def test_missing_and_empty_folders(tmp_path):
    fails("is not a folder", tmp_path / "nowhere")
    fails("has no source folders", tmp_path)
    make(tmp_path, {"a": 1, "b": 0})
    fails("b has no image file: looked for .apng .avif .bmp", tmp_path)
    (tmp_path / "b" / "x.doc").touch()
    fails("b has no image file.*; b/x.doc: not an image by its name", tmp_path, classes=["a", "b"])


def test_manifest_and_folders_must_agree(tmp_path):
    make(tmp_path, {"a": 1, "b": 1})
    write_manifest(tmp_path, ["a", "b", "c"], {})
    fails("names the source c, but .* has no images of it", tmp_path)
    write_manifest(tmp_path, ["a"], {})
    fails("source b is not among the classes of .*manifest.json", tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "{}", '{"classes": []}', '{"classes": "ab"}', '{"classes": [1]}', '{"classes": ["a", "a"]}',
        '{"classes": ["../a"]}', '{"classes": [".."]}', '{"classes": [""]}', '{"classes": ["a"], "sources": []}',
        '{"classes": ["a"], "sources": {"a": 1}}', '{"classes": ["a"], "sources": {"b": {}}}', "\xff",
        *('{"classes": ["a"], "sources": {"a": {"photographs": ' + value + "}}}" for value in ("5", "[5]", '"a"')),
        '{"classes": ["a"], "sources": ' + "[" * 100_000, '{"classes": ["a"], "x": ' + "[" * 900 + "]" * 900 + "}",
    ],
)  # fmt: skip
def test_broken_manifests(text, tmp_path):
    make(tmp_path, {"a": 1, "b": 1})
    (tmp_path / MANIFEST).write_text(text, "latin-1")
    fails("manifest.json is broken: .* delete it", tmp_path)


def test_manifests_are_written_whole_and_checked(tmp_path):
    assert read_manifest(tmp_path) is None
    write_manifest(tmp_path, ("b", "ä"), {"ä": {"seed": 1}})
    assert json.loads((tmp_path / MANIFEST).read_text("utf-8")) == {
        "classes": ["b", "ä"],
        "sources": {"ä": {"seed": 1}},
    }
    before = (tmp_path / MANIFEST).read_bytes()
    for classes, sources in [(["a", "a"], {}), ([], {}), (["a"], {"b": {}}), (["a/b"], {})]:
        with pytest.raises(ValueError, match="not a manifest"):
            write_manifest(tmp_path, classes, sources)
    with pytest.raises(TypeError):
        write_manifest(tmp_path, ["a"], {"a": {"value": object()}})
    assert (tmp_path / MANIFEST).read_bytes() == before
    assert list(tmp_path.iterdir()) == [tmp_path / MANIFEST]
    (tmp_path / MANIFEST).write_text('{"classes": ["a"]}')
    assert read_manifest(tmp_path) == {"classes": ["a"], "sources": {}}


def test_decode_says_what_was_refused_and_what_was_done(tmp_path):
    make(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "a" / "01.png").write_bytes(b"broken")
    Image.new("RGB", (12, 10), (7, 7, 7)).save(tmp_path / "b" / "00.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "b" / "02.png")
    folder = open_labelled(tmp_path)
    decoded = Images(folder, 8).decode()
    assert decoded.kept.tolist() == [0, 2, 3, 4]
    assert decoded.images[:, 0, 0, 0].tolist() == [0, 2, 7, 51]
    assert folder.labels[decoded.kept].tolist() == [0, 0, 1, 1]
    assert decoded.rejected == (
        ("a/01.png", "not an image"),
        ("b/02.png", "is 4x4, smaller than 8x8; resize=area would enlarge it"),
    )
    assert decoded.notes == {"b/00.png": "cropped from 12x10"}


def test_decode_some(tmp_path):
    make(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "b" / "02.png").write_bytes(b"broken")
    folder = open_labelled(tmp_path)
    for indices in ([4, 5, 0], np.array([4, 5, 0])):
        decoded = Images(folder, 8, "refuse").part(indices).decode()
        assert decoded.kept.tolist() == [4, 0]
        assert decoded.images[:, 0, 0, 0].tolist() == [51, 0]
        assert decoded.rejected == (("b/02.png", "not an image"),)
    assert Images(folder, 8).part([]).decode().images.shape == (0, 8, 8, 3)


def test_images_are_perturbed_by_their_place_in_the_folder(tmp_path):
    make(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "a" / "01.png").write_bytes(b"broken")
    folder = open_labelled(tmp_path)
    clean, noisy = Images(folder, 8), Images(folder, 8, perturbation="noise15", seed=3)
    assert len(clean) == 6 and clean.origins == folder.names
    part = noisy.part(folder.places(["b/01.png", "a/01.png", "a/00.png"]))
    assert part.indices.tolist() == [4, 1, 0] and part.origins == ("b/01.png", "a/01.png", "a/00.png")
    decoded = part.decode()
    assert decoded.kept.tolist() == [4, 0] and decoded.rejected == (("a/01.png", "not an image"),)
    every = clean.decode().images
    np.testing.assert_array_equal(decoded.images, perturb(every[[3, 0]], "noise15", 3, numbers=np.array([4, 0])))
    np.testing.assert_array_equal(part.under("none").decode().images, every[[3, 0]])


def test_images_in_chunks_are_those_decoded_at_once(tmp_path, monkeypatch):
    make(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "a" / "01.png").write_bytes(b"broken")
    images = Images(open_labelled(tmp_path), 8, perturbation="jpeg75")
    whole = images.decode()
    monkeypatch.setattr(labelled, "CHUNK", 4)
    chunks = list(images.chunks("read"))
    assert [len(chunk.kept) for chunk in chunks] == [2, 3]
    np.testing.assert_array_equal(np.concatenate([chunk.images for chunk in chunks]), whole.images)
    assert [*chunks[0].rejected, *chunks[1].rejected] == list(whole.rejected)
    assert [len(chunk.kept) for chunk in images.part([]).chunks("none")] == [0]


@pytest.mark.parametrize("settings", [{"resize": "stretch"}, {"perturbation": "melt"}])
def test_images_that_cannot_be_made_are_refused_before_any_is_read(tmp_path, settings):
    make(tmp_path, {"a": 1, "b": 1})
    with pytest.raises(UserError, match="choose"):
        Images(open_labelled(tmp_path), 8, **settings)


def test_origins_are_photographs_where_the_manifest_lists_them(tmp_path):
    for name in ("real/coffee_00001", "real/coffee_00002", "real/cat_00001", "GAN/coffee_00001"):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    names = ("GAN/coffee_00001.png", "real/cat_00001.png", "real/coffee_00001.png", "real/coffee_00002.png")
    assert origins(open_labelled(tmp_path)) == names
    write_manifest(tmp_path, ("real", "GAN"), {"real": {"photographs": ["coffee"]}, "GAN": {"seed": 1}})
    found = origins(open_labelled(tmp_path))
    assert found == ("real/cat_00001.png", "real/coffee", "real/coffee", "GAN/coffee_00001.png")


# --- lists ------------------------------------------------------------------------------------------------------------


def listed(root, text):
    make(root, {"x": 3, "y": 3})
    path = root / "list.csv"
    path.write_text(text)
    return path


def test_a_list_names_files_anywhere_below_or_beside(tmp_path):
    path = listed(tmp_path, "image,source\nx/02.png,ProGAN\ny/01.png,real\nx/01.png,ProGAN\ny/nothing.png,real\n")
    folder = open_labelled(path, "train")
    assert folder.classes == ("ProGAN", "real") and folder.labels.tolist() == [0, 0, 1, 1]
    assert folder.names == ("x/01.png", "x/02.png", "y/01.png", "y/nothing.png")
    decoded = Images(folder, 8).decode()
    assert decoded.kept.tolist() == [0, 1, 2] and decoded.rejected == (("y/nothing.png", "no such file"),)
    assert origins(folder) == folder.names
    write_manifest(tmp_path, ["real", "ProGAN"], {})
    assert open_labelled(path).classes == ("real", "ProGAN")


def test_a_list_may_say_the_split(tmp_path):
    path = listed(
        tmp_path, "source,split,image\na,train,x/01.png\nb,train,y/01.png\na,test,x/02.png\nb,test,y/02.png\n"
    )
    assert splits(path) == ("train", "test")
    assert open_labelled(path, "test").names == ("x/02.png", "y/02.png")
    assert open_labelled(path, "train", classes=["b", "a"]).names == ("y/01.png", "x/01.png")
    fails("has train and test: say which is meant", path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its first line must be"),
        ("image,source\n", "its first line must be"),
        ("file,colour\nx/01.png,a\n", "its first line must be image,source or image,source,split"),
        ("image,source,source\nx/01.png,a,b\n", "its first line must be image,source or image,source,split"),
        ("image,source\nx/01.png\n", "row 2: every row needs 2 values"),
        ("image,source\nx/01.png,a,b\n", "row 2: every row needs 2 values"),
        ("image,source\nx/01.png,a\n,b\n", "row 3: every row needs 2 values"),
        ("image,source,split\nx/01.png,a,val\n", "row 2: split 'val' is none of train, test"),
        ("image,source,split\nx/01.png,a,test\n", "has no images of the split train"),
        ("image,source\nx/01.png,a\nx/02.png,a\n", "has one source only, a"),
        ("image,source\nx/01.png,a\nx/01.png,a\ny/01.png,b\n", "names x/01.png 2 times"),
        ("image,source,split\nx/01.png,a,train\ny/01.png,b,train\nx/./01.png,a,test\n", "names x/01.png 2 times"),
        ("image,source\nx/01.png,a\nx/01.png,b\n", "names x/01.png 2 times"),
        ('image,source\n"x/01.png,a\n', "is no CSV list of images"),
    ],
)
def test_broken_lists(tmp_path, text, message):
    fails(message, listed(tmp_path, text), "train")


def test_a_pipe_is_no_manifest_and_no_list(tmp_path):
    make(tmp_path, {"a": 1, "b": 1})
    os.mkfifo(tmp_path / MANIFEST)
    os.mkfifo(tmp_path / "list.csv")
    fails("manifest.json is broken: .*not a regular file", tmp_path)
    fails("list.csv is not a folder", tmp_path / "list.csv")


def test_a_list_of_bytes_is_no_list(tmp_path):
    path = listed(tmp_path, "")
    path.write_bytes(bytes(range(256)))
    fails("is no CSV list of images", path)


def test_images_of_another_size_than_the_networks_are_one_line(tmp_path):
    for source in ("a", "b"):
        (tmp_path / source).mkdir()
        encode_png(tmp_path / source / "0.png", np.zeros((16, 16, 3), np.uint8))
    images = labelled.Images(labelled.open_labelled(tmp_path), 16, perturbation="rescale0.5")
    with pytest.raises(UserError, match=r"rescale0\.5 makes images of 8x8, and the network takes 16x16"):
        images.decode()
