"""Images in Parquet tables: as bytes, or as the structs of Hugging Face's data sets."""

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
