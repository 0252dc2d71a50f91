"""What a user named: files, folders and patterns, each image once, in the order named."""

import collections
import io
import tarfile
from pathlib import Path

import pytest

from ganfp_jax.data.entries import BESIDE, IMAGE, REJECTED
from ganfp_jax.data.inputs import find
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
    entries = list(find([str(tmp_path), f"{tmp_path}/**/*.png"], tick=lambda: told.append(1)))
    assert len(entries) == 150 and len(told) == 300
    assert looked_up == dict.fromkeys([str(tmp_path / folder) for folder in ("a", "a/b", "c")], 1)
    looked_up.clear()
    first = next(entry for entry in find(str(tmp_path), tick=lambda: told.append(1)))
    assert len(told) == 300 and first == entries[0] and not looked_up  # one folder alone remembers nothing


@pytest.fixture
def listed(folder, tmp_path, monkeypatch):
    """A folder to stand in, with a list and a table of images in another one, and an archive."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    for name in ("x.png", "y.png"):
        (tmp_path / "set" / name).touch()
    (tmp_path / "list.txt").write_text(f"set/y.png\nmissing.png\nset/y.png\n{folder}/a/00.png\nset\n")
    (tmp_path / "set" / "table.csv").write_text("image,label\ny.png,1\nmissing.png,0\n,\n,1\n")
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add("set", "inner")
    return tmp_path


def test_a_list_is_taken_line_by_line(folder, listed, monkeypatch):
    expected = ["set/y.png", "set/y.png", f"{folder}/a/00.png", "set/x.png", "set/y.png"]
    assert found("@list.txt") == expected
    assert keys("@list.txt")[-2:] == ["set/x.png", "set/y.png"]
    assert reasons(("@list.txt",), REJECTED) == [("missing.png", "no such file")]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"set/x.png\nset.tar\n")))
    assert found("-") == ["set/x.png", "set.tar/inner/x.png", "set.tar/inner/y.png"]
    assert found("@list.txt", "set/x.png", "@list.txt") == ["set/y.png", f"{folder}/a/00.png", "set/x.png"]  # each once
    (listed / "@list.txt").touch()
    assert found("@list.txt") == ["@list.txt"]  # a file of that name


def test_a_table_names_files_beside_it(listed):
    assert found("set/table.csv") == ["set/y.png"] and keys("set/table.csv") == ["y.png"]
    assert reasons("set/table.csv", REJECTED) == [("set/missing.png", "no such file"), ("set", "no path in this row")]
    with pytest.raises(UserError, match="has no column img"):
        list(find("set/table.csv", "img"))


def test_an_archive_is_read_like_a_folder_where_it_is_named(listed):
    inside = ["set.tar/inner/x.png", "set.tar/inner/y.png"]
    assert found("set.tar") == found("*.tar") == found("set.tar", "set.tar") == keys("set.tar") == inside
    assert ("./set.tar", "not an image by its name") in reasons(".", BESIDE)  # in a folder it is another file
    (listed / "set.tgz").touch()
    assert reasons("set.tgz", REJECTED) == [("set.tgz", "a packed archive; unpack it to a plain .tar")]
