"""What lies in a folder, in which order, and that it is found piece by piece."""

import os
from pathlib import Path

from ganfp_jax.data.listing import find_images, walk


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_the_order_is_that_of_the_parts_of_the_paths(tmp_path):
    touch(
        tmp_path,
        "a.png",
        "a/z.png",
        "a/b/c.png",
        "a b/x.PNG",
        "A/y.jpg",
        "a-/x.png",
        "b.txt",
        "a/.hidden.png",
        "a/n.md",
    )
    found = find_images(tmp_path)
    assert found.images == sorted(found.images, key=lambda path: path.parts) and len(found.images) == 6
    assert found.left_out == [
        (tmp_path / "a" / "n.md", "not an image by its name"),
        (tmp_path / "b.txt", "not an image by its name"),
    ]


def test_links_and_folders_with_an_images_name(tmp_path):
    touch(tmp_path, "a/1.png", "f.png/2.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "a" / "file.png").symlink_to(tmp_path / "a" / "1.png")
    (tmp_path / "a" / "dangling.png").symlink_to(tmp_path / "nowhere")
    found = find_images(tmp_path)
    assert [path.name for path in found.images] == ["1.png", "dangling.png", "file.png", "2.png"]
    assert found.left_out == [
        (tmp_path / "a" / "loop", "a link to a folder, which is not followed"),
        (tmp_path / "f.png", "is a folder"),
    ]


def test_files_are_given_before_all_folders_are_opened(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.png", "b/2.png")
    opened = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: opened.append(Path(path).name) or scandir(path))
    files = walk(tmp_path)
    assert next(files) == (str(tmp_path / "a" / "1.png"), "") and opened == [tmp_path.name, "a"]
    assert [*files] == [(str(tmp_path / "b" / "2.png"), "")]
