"""Tables of strangers: every separator is read, and every fault is one line."""

import pytest

from ganfp_jax.data.tables import read_table
from ganfp_jax.run.errors import UserError


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_byte_order_marks_and_quotes(tmp_path, separator):
    text = f'\ufeffpath{separator}label\r\n"a{separator}\n1.png"{separator}real\r\n\r\nb.png{separator}"x ""y"""\r\n'
    (tmp_path / "t.csv").write_bytes(text.encode())
    table = read_table(tmp_path / "t.csv")
    assert table.header == ["path", "label"]
    assert table.rows == [(3, [f"a{separator}\n1.png", "real"]), (5, ["b.png", 'x "y"'])]


def test_columns_by_name(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,b\n1,2,3\n")
    table = read_table(tmp_path / "t.csv")
    assert (table.place("a", "columns.path"), table.first_of(("x", "b")), table.first_of(())) == (0, "b", None)
    with pytest.raises(UserError, match=r"t.csv has the column 'b' 2 times; it has a, b, b: .*--config.columns.path=N"):
        table.place("b", "columns.path")
    with pytest.raises(UserError, match=r"has no column 'c'; it has a, b, b: name another one"):
        table.place("c", "columns.path")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no row below a header"),
        (b"path,label\n", "has no row below a header"),
        (b"path,label\n\n  \n", "has no row below a header"),
        (b"path,label\n" + b"x" * 200_000 + b",real\n", "is no CSV table .field larger"),
    ],
)
def test_what_is_no_table_is_one_line(tmp_path, content, said):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=said) as error:
        read_table(tmp_path / "t.csv")
    assert "\n" not in str(error.value)


def test_missing_files_folders_and_bytes_that_are_no_text(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UserError, match=r"cannot be read .*; give a CSV file or a run folder"):
            read_table(path)
    (tmp_path / "t.csv").write_bytes(b"p\xffath,label\n\xff.png,real\n")
    assert read_table(tmp_path / "t.csv").header == ["p\\xffath", "label"]
