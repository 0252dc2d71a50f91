"""Images in Parquet tables: as bytes, or as the structs of Hugging Face's data sets."""

import os
import re
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet as pq

from ganfp_jax.data import parquet
from ganfp_jax.data.decode import Record, Refused
from ganfp_jax.data.entries import IMAGE, REJECTED
from ganfp_jax.data.inputs import image_file
from ganfp_jax.run.errors import UserError


def write(path, columns, **settings):
    pq.write_table(pyarrow.table(columns), path, **settings)
    return str(path)


def listed(path, column=""):
    return list(parquet.rows(path, "set.parquet", column))


def contents(path, column=""):
    return [image_file(entry.path, entry.inside).read_bytes() for entry in listed(path, column)]


def test_rows_are_records_with_their_bytes(tmp_path):
    content = [bytes([k]) * (k + 1) for k in range(7)]
    path = write(tmp_path / "t.parquet", {"image_data": content, "label": list("rrffrrf")}, row_group_size=3)
    entries = listed(path)
    assert [entry.path for entry in entries] == [f"{path}/{k}" for k in range(7)]
    assert [entry.key for entry in entries] == [f"set.parquet/{k}" for k in range(7)]
    assert {entry.kind for entry in entries} == {IMAGE}
    assert contents(path) == content
    record = image_file(entries[4].path, entries[4].inside)
    assert isinstance(record, Record) and record.name == "4"


def test_structs_with_bytes(tmp_path):
    images = [{"bytes": b"one", "path": "1.png"}, {"bytes": None, "path": "2.png"}, None]
    path = write(tmp_path / "t.parquet", {"image": images, "prompt": ["a", "b", "c"]})
    first, *others = (image_file(entry.path, entry.inside) for entry in listed(path))
    assert first.read_bytes() == b"one"
    for other in others:
        with pytest.raises(Refused, match="no image in this row"):
            other.read_bytes()


def test_the_column_is_the_only_one_or_named(tmp_path):
    path = write(tmp_path / "t.parquet", {"image": [b"one"], "mask": [b"two"], "label": [1]})
    assert contents(path, "mask") == [b"two"]
    with pytest.raises(UserError, match=r"which column has the bytes .* of several\? it has image, mask; name"):
        listed(path)
    with pytest.raises(UserError, match=r"images, label\? it has image, mask"):
        listed(path, "label")
    with pytest.raises(UserError, match="none of its columns has any"):
        listed(write(tmp_path / "u.parquet", {"label": [1]}))


def test_a_damaged_table(tmp_path):
    path = tmp_path / "t.parquet"
    write(path, {"image": [bytes([k]) * 5000 for k in range(20)]}, compression="none", use_dictionary=False)
    entries = listed(str(path))
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(60_000) + whole[60_004:])
    with pytest.raises(Refused, match="damaged Parquet table: "):
        image_file(entries[0].path, entries[0].inside).read_bytes()
    path.write_bytes(b"no table")
    (entry,) = listed(str(path))
    assert entry.kind == REJECTED and entry.reason.startswith("not a Parquet table: ")


def claiming(path, rows):
    """A table of three rows whose footer claims others."""
    whole = Path(write(path, {"image": [b"an image"] * 3})).read_bytes()
    size = int.from_bytes(whole[-8:-4], "little")
    footer = re.sub(b"\x16\x06", lambda _: b"\x16" + _varint(2 * rows), whole[-8 - size : -8])  # 64-bit numbers of 3
    path.write_bytes(whole[: -8 - size] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    return str(path)


def _varint(number):
    digits = []
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


def test_more_rows_than_there_are(tmp_path):
    (entry,) = listed(claiming(tmp_path / "t.parquet", 2**60))
    assert (
        entry.kind == REJECTED and entry.reason == f"too large: a table of {2**60:,} rows, over the limit of 10,000,000"
    )
    *_, last = listed(claiming(tmp_path / "u.parquet", 4))
    with pytest.raises(Refused, match="damaged Parquet table: it has fewer rows than it says"):
        image_file(last.path, last.inside).read_bytes()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "t.parquet")
    (entry,) = listed(str(tmp_path / "t.parquet"))
    assert entry.kind == REJECTED and "not a regular file" in entry.reason


@pytest.mark.parametrize("error", [pyarrow.ArrowException, pyarrow.ArrowKeyError, pyarrow.ArrowMemoryError])
def test_any_error_of_the_reader_is_a_refusal(tmp_path, monkeypatch, error):
    path = write(tmp_path / "t.parquet", {"image": [b"an image"]})
    (entry,) = listed(path)

    def fail(*_, **__):
        raise error("out of\norder")

    monkeypatch.setattr(pq, "ParquetFile", fail)
    with pytest.raises(Refused, match=r"damaged Parquet table: .*out of order"):
        image_file(entry.path, entry.inside).read_bytes()
    (entry,) = listed(path)
    assert entry.kind == REJECTED and "out of order" in entry.reason
