"""Lists of paths and columns of tables, read as streams."""

import io
import sys

import pytest

from ganfp_jax.data import lists
from ganfp_jax.run.errors import UserError


@pytest.mark.parametrize(
    ("content", "paths"),
    [
        (b"a.png\nb c.png\n", ["a.png", "b c.png"]),
        (b"\xef\xbb\xbfa.png\r\n\r\n  \r\nb.png", ["a.png", "b.png"]),
        (b"two\nlines.png\0b.png\0", ["two\nlines.png", "b.png"]),
        (b"byte\xff.png\n", ["byte\udcff.png"]),
        (b"", []),
    ],
)
def test_a_path_a_line(tmp_path, content, paths):
    (tmp_path / "list.txt").write_bytes(content)
    assert list(lists.paths_of(str(tmp_path / "list.txt"))) == paths


def test_many_lines_and_standard_input(monkeypatch):
    names = [f"folder {k}/{'x' * (k % 300)}.png" for k in range(2000)]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(names).encode())))
    assert list(lists.paths_of("-")) == names
    monkeypatch.setattr(sys, "stdin", None)
    assert list(lists.paths_of("-")) == []


def test_what_is_no_list(tmp_path):
    (tmp_path / "binary").write_bytes(b"x" * 300_000)
    for name, words in {
        "missing.txt": "the list .*missing.txt cannot be read .No such file or directory.; give a text file",
        "binary": "has a line of over 65,536 bytes; give a text with a path a line",
        ".": "cannot be read .Is a directory.",
    }.items():
        with pytest.raises(UserError, match=words):
            list(lists.paths_of(str(tmp_path / name)))


def cells(tmp_path, text, column=""):
    (tmp_path / "table.csv").write_bytes(text.encode())
    return list(lists.cells_of(str(tmp_path / "table.csv"), column))


def test_a_column_of_a_table(tmp_path):
    assert cells(tmp_path, 'label,path\n1,a.png\n\n0,"b, c.png"\n') == ["a.png", "b, c.png"]
    assert cells(tmp_path, "\ufeffimage;source\na.png;real\n;real\n") == ["a.png", ""]
    assert cells(tmp_path, "file\timage\na.png\tb.png\nc.png\n", "file") == ["a.png", "c.png"]
    assert cells(tmp_path, "file\timage\na.png\tb.png\nc.png\n") == ["b.png", ""]  # a short row has no such cell


def test_no_such_column(tmp_path):
    with pytest.raises(UserError, match=r"no column image or path or .*; it has name, label: .*config\.column=NAME"):
        cells(tmp_path, "name,label\na.png,1\n")
    with pytest.raises(UserError, match=r"has no column img; it has name, label"):
        cells(tmp_path, "name,label\na.png,1\n", "img")
    with pytest.raises(UserError, match="it has no header"):
        cells(tmp_path, "")
    with pytest.raises(UserError, match=r"missing.csv cannot be read .No such file or directory.; give a CSV table"):
        list(lists.cells_of(str(tmp_path / "missing.csv"), ""))
