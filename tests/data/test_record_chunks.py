"""ArrayRecord files whose chunks say what they unpack to."""

import os

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter

from ganfp_jax.data.tfds.chunks import _chunks, check_chunks
from ganfp_jax.run.errors import UserError

# Sizes about those of a block and of what is left of one, so that headers fall into every place.
SIZES = (0, 1, 10, 65_000, 65_512, 65_536, 200_000, *range(65_400, 65_500, 3)) * 2


def write(path, options, records):
    writer = ArrayRecordWriter(str(path), options)
    for record in records:
        writer.write(record)
    writer.close()


@pytest.mark.parametrize(
    "options",
    ["group_size:1", "group_size:7", "group_size:65536", "group_size:1,uncompressed", "group_size:1,transpose"],
)
def test_chunks_are_found_to_the_end_of_the_file(tmp_path, options):
    rng = np.random.default_rng(0)
    write(tmp_path / "a", options, map(rng.bytes, SIZES))
    check_chunks(tmp_path / "a")
    with (tmp_path / "a").open("rb") as file:
        unpacked = sum(chunk.unpacked for chunk in _chunks(file, tmp_path / "a"))
    assert sum(SIZES) <= unpacked <= sum(SIZES) + 20_000  # with the file's own index


@pytest.mark.parametrize("options", ["group_size:1", "group_size:4,transpose"])
def test_what_unpacks_to_too_much_is_refused(tmp_path, options):
    write(tmp_path / "a", options, [b"small", bytes(2**27), b"small"])
    assert (tmp_path / "a").stat().st_size < 2**20
    with pytest.raises(UserError, match=r"a has [\d,]+ bytes that unpack to 134,217,7\d\d, more than images do"):
        check_chunks(tmp_path / "a")


def test_a_file_that_ends_early_is_refused(tmp_path):
    write(tmp_path / "a", "group_size:1", [os.urandom(100_000)])
    content = (tmp_path / "a").read_bytes()
    for end in (70, 64 + 39, len(content) // 2, len(content) - 1):
        (tmp_path / "cut").write_bytes(content[:end])
        with pytest.raises(UserError, match="it ends within a chunk"):
            check_chunks(tmp_path / "cut")
