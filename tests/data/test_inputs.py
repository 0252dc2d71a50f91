"""What a user named: files, folders and patterns, each image once, in the order named."""

import collections
from pathlib import Path

import pytest

from ganfp_jax.data.inputs import BESIDE, IMAGE, REJECTED, find
from ganfp_jax.run.errors import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty empty images in two folders, and a note beside them."""
    folder = tmp_path_factory.mktemp("images")
    for i in range(40):
        place = folder / ("a" if i < 20 else "b/deep")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i:02d}.png").touch()
    (folder / "notes.txt").write_text("no image")
    return folder


def found(*images, kind=IMAGE):
    return [entry.path for entry in find(images) if entry.kind == kind]


def reasons(images, kind):
    return [(entry.path, entry.reason) for entry in find(images) if entry.kind == kind]


def keys(*images):
    return [entry.key for entry in find(images) if entry.kind == IMAGE]


def test_what_is_asked_for(folder, tmp_path, monkeypatch):
    a = sorted(str(path) for path in folder.glob("a/*.png"))
    assert found(str(folder / "a")) == found(str(folder / "a" / "*.png")) == found(f"{folder}/**/a/0*.png", *a) == a
    assert found(a[3], a[1], str(folder / "a" / ".." / "a" / "03.png")) == [a[3], a[1]]  # once, in the order given
    assert len(found(str(folder))) == len(found(f"{folder}/[ab]")) == 40
    monkeypatch.chdir(folder)
    assert found("a/0[0-2].png") == ["a/00.png", "a/01.png", "a/02.png"]
    (tmp_path / "odd[1].png").write_bytes(b"")
    assert found(str(tmp_path / "odd[1].png")) == [str(tmp_path / "odd[1].png")]  # a file of that name, no pattern
    mixed = [a[0], "missing.png", "*.jpeg", str(folder), str(folder)]
    assert reasons(mixed, REJECTED) == [("missing.png", "no such file"), ("*.jpeg", "nothing matches this pattern")]
    assert reasons(mixed, BESIDE) == [(str(folder / "notes.txt"), "not an image by its name")]


@pytest.mark.parametrize("nothing", ["", (), ("",)])
def test_nothing_named(nothing):
    with pytest.raises(UserError, match=r"no images: give --config\.images"):
        list(find(nothing))


def test_a_key_is_the_name_below_what_was_named(folder, monkeypatch):
    names = [f"a/{i:02d}.png" for i in range(20)] + [f"b/deep/{i:02d}.png" for i in range(20, 40)]
    assert keys(str(folder)) == keys(f"{folder}/") == keys(f"{folder}/**/*.png") == keys(f"{folder}/*/") == names
    assert keys(str(folder / "a" / "03.png")) == ["03.png"]
    monkeypatch.chdir(folder)
    assert keys(".") == keys("*/**/*.png") == names
    assert keys("a") == [name.removeprefix("a/") for name in names[:20]]


def test_links_in_circles_count_no_image_twice(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.png").touch()
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
    assert [Path(path).name for path in found(str(tmp_path / "**" / "*.png"), str(tmp_path / "a"))] == ["one.png"]


def test_many_files_are_listed_as_a_stream(tmp_path, monkeypatch):
    """A folder is looked up once, not once for each of its files; what is found is told while more is looked for."""
    for folder, number in {"a": 50, "a/b": 50, "c": 50}.items():
        (tmp_path / folder).mkdir()
        for i in range(number):
            (tmp_path / folder / f"{i:02}.png").touch()
    looked_up: collections.Counter[str] = collections.Counter()
    resolve = Path.resolve
    monkeypatch.setattr(Path, "resolve", lambda path: looked_up.update([str(path)]) or resolve(path))
    told: list[int] = []
    entries = list(find([str(tmp_path), f"{tmp_path}/**/*.png"], lambda: told.append(1)))
    assert len(entries) == 150 and len(told) == 300
    assert looked_up == dict.fromkeys([str(tmp_path / folder) for folder in ("a", "a/b", "c")], 1)
    looked_up.clear()
    first = next(entry for entry in find(str(tmp_path), lambda: told.append(1)))
    assert len(told) == 300 and first == entries[0] and not looked_up  # one folder alone remembers nothing
