"""TensorFlow's checkpoints: read bit for bit, every checksum verified, no lie of an index believed."""

import os
import re
import struct

import numpy as np
import pytest
from google_crc32c import value as crc32c
from hostile_files import mutants, outcomes, refusal
from published_files import (
    add_block,
    block,
    bundle_entry,
    field,
    footer,
    golden_arrays,
    masked_crc,
    message,
    table,
    varint,
    write_bundle,
)

from ganfp_jax.interop.tensor_bundle import find_index, read_bundle

W = np.arange(12, dtype=np.float32).reshape(3, 4)
B = np.arange(4, dtype=np.float32)
PREFIX = "MMDGAN.model-150000"


def assert_same(read, written):
    assert list(read) == sorted(written)
    for name, value in written.items():
        array = read[name]
        assert array.dtype == np.asarray(value).dtype and array.shape == np.shape(value)
        assert array.tobytes() == np.asarray(value).tobytes()


@pytest.mark.parametrize("shards", [1, 3])
def test_bundle_round_trip(tmp_path, shards):
    arrays = golden_arrays("g_resnet5_generator") | golden_arrays("dcgan5_critic")
    arrays |= {"global_step": np.array(150_000, np.int32), "lr": np.array(1e-4, np.float32)}
    assert len(arrays) > 60
    write_bundle(tmp_path / PREFIX, arrays, shards)
    assert_same(read_bundle(tmp_path / PREFIX), arrays)


def test_every_number_type(tmp_path):
    codes = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1")
    arrays = {code: np.array([[1, 0, 100]], code) for code in codes}
    write_bundle(tmp_path / PREFIX, arrays)
    assert_same(read_bundle(tmp_path / PREFIX), arrays)


def test_every_way_to_name_a_checkpoint(tmp_path):
    write_bundle(tmp_path / PREFIX, {"a": W})
    index = tmp_path / f"{PREFIX}.index"
    (tmp_path / f"{PREFIX}.meta").write_bytes(b"never read")
    for name in ("", "checkpoint", PREFIX, f"{PREFIX}.index", f"{PREFIX}.meta", f"{PREFIX}.data-00000-of-00001"):
        assert find_index(tmp_path / name) == index
        assert_same(read_bundle(tmp_path / name), {"a": W})


def test_bundle_is_the_newest_of_a_folder(tmp_path):
    for step in (9, 10):
        write_bundle(tmp_path / f"model-{step}", {"step": np.array(step)})
    assert read_bundle(tmp_path)["step"] == 10
    assert read_bundle(tmp_path / "model-9")["step"] == 9


@pytest.mark.parametrize(
    "named",
    [
        "/home/somebody/checkpoint/model-1",
        "../elsewhere/model-1",
        "C:\\\\runs\\\\model-1",
        "mod\\145l-1",
        'a \\"quoted\\" folder/model-1',
    ],
)
def test_folders_that_a_checkpoint_names_are_not_entered(tmp_path, named):
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / "elsewhere").mkdir()
    write_bundle(tmp_path / "elsewhere" / "model-1", {"a": W + 1})
    write_bundle(here / "model-1", {"a": W})
    (here / "checkpoint").write_text(f'model_checkpoint_path: "{named}"\nall_model_checkpoint_paths: "x"\n')
    assert_same(read_bundle(here), {"a": W})
    (here / "model-1.index").unlink()
    assert "needs model-1.index beside it" in refusal(read_bundle, here)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"model_checkpoint_path: ",
        b'model_checkpoint_path: ""',
        b'model_checkpoint_path: "folder/"',
        b'model_checkpoint_path: "a\nb"',
        b'model_checkpoint_path: "a\\012b"',
        b'model_checkpoint_path: "\x1b[31m"',
        b'model_checkpoint_path: "a\\000b"',
        b'model_checkpoint_path: "' + b"a" * 5000 + b'"',
        b'model_checkpoint_path: "' + b"\\" * 100_001,
        b"\xff" * 100,
    ],
)
def test_a_text_that_names_no_checkpoint(tmp_path, content):
    (tmp_path / "checkpoint").write_bytes(content)
    assert "names no checkpoint" in refusal(read_bundle, tmp_path)


def test_bundle_with_missing_files(tmp_path):
    assert "holds no file checkpoint" in refusal(read_bundle, tmp_path)
    assert f"is not there, nor is {PREFIX}.index" in refusal(read_bundle, tmp_path / PREFIX)
    assert "cannot be read: File name too long" in refusal(read_bundle, tmp_path / ("a" * 300))
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: ".."')
    assert "needs ...index beside it" in refusal(read_bundle, tmp_path)
    write_bundle(tmp_path / PREFIX, {"a": W, "b": W}, shards=2)
    second = tmp_path / f"{PREFIX}.data-00001-of-00002"
    second.unlink()
    assert refusal(read_bundle, tmp_path).startswith(f"{second} is no file")
    (tmp_path / f"{PREFIX}.index").unlink()
    first = tmp_path / f"{PREFIX}.data-00000-of-00002"
    assert f"{first} needs {PREFIX}.index beside it" in refusal(read_bundle, first)


def test_a_large_sparse_file_is_not_read(tmp_path):
    write_bundle(tmp_path / PREFIX, {"a": W})
    for name, reason in ((f"{PREFIX}.data-00000-of-00001", "at most"), (f"{PREFIX}.index", "")):
        os.truncate(tmp_path / name, 1 << 40)
        assert re.search(f"{name} is not read: it has {1 << 40} bytes.*{reason}", refusal(read_bundle, tmp_path))


# Indices of one's own. The data file is always W's bytes, then B's.

DATA = W.tobytes() + B.tobytes()
HEADER = message({1: 1, 3: message({1: 1})})
ENTRY_W = bundle_entry(W, 0, 0, masked_crc(W.tobytes()))
ENTRY_B = bundle_entry(B, 0, W.nbytes, masked_crc(B.tobytes()))
ITEMS = {b"": HEADER, b"a/W": ENTRY_W, b"a/b": ENTRY_B}
GOOD = table(ITEMS)


def index(items: dict[bytes, bytes] | None = None, **changes: bytes) -> bytes:
    """An index with other entries."""
    return table((ITEMS if items is None else items) | {key.encode(): value for key, value in changes.items()})


def entry(dtype=1, shape=((3,), (4,)), shard=0, offset=0, length=48, checksum=None, more=b"") -> bytes:
    """The index with another entry for W."""
    axes = b"".join(field(2, message({1: axis})) for (axis,) in shape)
    checksum = masked_crc(W.tobytes()) if checksum is None else checksum
    value = message({1: dtype, 2: axes, 3: shard, 4: offset, 5: length}) + varint(6 << 3 | 5)
    return table({b"": HEADER, b"a": value + struct.pack("<I", checksum) + more})


def header(value: bytes) -> bytes:
    return table(ITEMS | {b"": value})


def blocks(*contents: bytes, kind: int = 0, handles: list[bytes] | None = None) -> bytes:
    """A table of these blocks, whose index has other handles."""
    out, where = b"", []
    for content in contents:
        out, handle = add_block(out, content, kind)
        where.append(handle)
    out, meta = add_block(out, block([]))
    keys = [b"k%d" % number for number in range(len(handles or where))]
    out, top = add_block(out, block(list(zip(keys, handles or where, strict=True))))
    return out + footer(meta, top)


def entries(content: bytes, restarts: bytes = struct.pack("<2I", 0, 1)) -> bytes:
    """A table of one block with these bytes."""
    return blocks(content + restarts)


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def top(handle: bytes) -> bytes:
    """The good table with another handle of its index."""
    return GOOD[:-48] + footer(b"\0\0", handle)


PAIRS = block(sorted(ITEMS.items()))
DAMAGED = "is not read: it is damaged"
SHAPE = "should have the shape"

BROKEN = {
    "nothing": (b"", "does not end as an index"),
    "a footer alone": (GOOD[-48:], DAMAGED),
    "the magic alone": (GOOD[-8:], "does not end as an index"),
    "a text": (b"weights " * 100, "does not end as an index"),
    "bytes after the end": (GOOD + b"\0", "does not end as an index"),
    "bytes before the start": (b"\0" + GOOD, "does not match its checksum|damaged"),
    "a large file": (bytes(3 << 20), "an index far fewer"),
    "a changed entry": (flipped(GOOD, 20), "a block of it does not match its checksum"),
    "a changed index of blocks": (flipped(GOOD, len(GOOD) - 60), "a block of it does not match its checksum"),
    "snappy": (blocks(PAIRS, kind=1), "compressed with Snappy"),
    "way 9": (blocks(PAIRS, kind=9), "compressed in way 9"),
    # Tables that lie about themselves.
    "no handle": (GOOD[:-48] + b"\xff" * 40 + GOOD[-8:], DAMAGED),
    "an index beyond the end": (top(varint(1 << 62) + varint(10)), DAMAGED),
    "an index of 4 EB": (top(varint(0) + varint(1 << 62)), DAMAGED),
    "an index of nothing": (top(varint(0) + varint(0)), "checksum|damaged"),
    "a block beyond the end": (blocks(PAIRS, handles=[varint(1 << 40) + varint(10)]), DAMAGED),
    "a block in the footer": (blocks(PAIRS, handles=[varint(0) + varint(1 << 20)]), DAMAGED),
    "a handle that ends early": (blocks(PAIRS, handles=[b"\x80"]), DAMAGED),
    "a handle of half": (blocks(PAIRS, handles=[b"\0"]), DAMAGED),
    "a block again and again": (blocks(PAIRS, handles=[varint(0) + varint(len(PAIRS))] * 100), DAMAGED),
    "an empty block again and again": (blocks(block([]), handles=[varint(0) + varint(8)] * 100), DAMAGED),
    "blocks out of order": (blocks(block([(b"b", ENTRY_B)]), block([(b"", HEADER), (b"a", ENTRY_W)])), DAMAGED),
    "many restarts": (entries(b"", struct.pack("<I", 0xFFFFFFFF)), DAMAGED),
    "a block of three bytes": (blocks(b"abc"), DAMAGED),
    "a varint that never ends": (entries(b"\x80" * 100), DAMAGED),
    "a varint cut off": (entries(b"\0\x80"), DAMAGED),
    "a first key that repeats another": (entries(b"\5\0\0"), DAMAGED),
    "a key that repeats more than there is": (entries(b"\0\1\0a\2\1\0b"), DAMAGED),
    "a key of 4 GB": (entries(b"\0" + varint(1 << 32) + b"\0"), DAMAGED),
    "a value of 4 GB": (entries(b"\0\0" + varint(1 << 32)), DAMAGED),
    "a long key": (index({b"": HEADER, b"a" * 600: ENTRY_W}), DAMAGED),
    "keys that grow": (
        entries(b"\0\1\0a" + b"".join(varint(n) + b"\1\0a" for n in range(1, 5000))),
        DAMAGED,
    ),
    "keys that fall": (blocks(block([(b"b", ENTRY_B), (b"a", ENTRY_W)])), DAMAGED),
    "one key twice": (blocks(block([(b"", HEADER), (b"a", ENTRY_W), (b"a", ENTRY_W)])), DAMAGED),
    "many variables": (index({b"": HEADER} | {b"%05d" % n: b"" for n in range(10_001)}), DAMAGED),
    # The header.
    "no header": (table({b"a": ENTRY_W}), "says that it has 0 data files"),
    "no variables": (table({b"": HEADER}), "lists no variables"),
    "an empty table": (table({}), "says that it has 0 data files"),
    "big-endian": (header(message({1: 1, 2: 1})), "big-endian"),
    "no data files": (header(message({3: b""})), "0 data files"),
    "many data files": (header(message({1: 1 << 60})), "data files"),
    "the header of version 1": (header(field(1, message({1: b"x"}))), "V1 checkpoint"),
    "a header of text": (header(b"\xff" * 20), DAMAGED),
    # Entries.
    "an entry of text": (index(a=b"\xff" * 20), DAMAGED),
    "an empty entry": (index(a=b""), "type 0"),
    "an entry cut off": (index(a=ENTRY_W[:-2]), DAMAGED),
    "a field of 4 GB": (index(a=varint(7 << 3 | 2) + varint(1 << 32)), DAMAGED),
    "a group": (index(a=varint(7 << 3 | 3)), DAMAGED),
    "a number for a shape": (index(a=message({1: 1, 2: 5})), DAMAGED),
    "a text for a number": (index(a=message({1: b"x"})), DAMAGED),
    "a text for an axis": (index(a=message({1: 1, 2: message({2: message({1: b"x"})})})), DAMAGED),
    "a name with an escape": (index({b"": HEADER, b"\x1b[31m": ENTRY_W}), "no name"),
    "a name that is not ASCII": (index({b"": HEADER, b"\xff": ENTRY_W}), "no name"),
    "a slice": (index({b"": HEADER, b"\0a": ENTRY_W}), "slices"),
    "strings": (entry(dtype=7), "type 7, no plain number"),
    "complex numbers": (entry(dtype=8), "type 8"),
    "bfloat16": (entry(dtype=14), "type 14"),
    "references": (entry(dtype=101), "type 101"),
    "another data file": (entry(shard=1), "lies in data file 1 of 1"),
    "a data file far away": (entry(shard=1 << 62), "lies in data file"),
    "a shape of 4 TB": (entry(shape=((1 << 40,),)), SHAPE),
    "a shape that wraps around": (entry(shape=((1 << 32,), (1 << 32,), (12,))), SHAPE),
    "a shape below zero": (entry(shape=(((1 << 64) - 1,), ((1 << 64) - 12,))), SHAPE),
    "an empty axis": (entry(shape=((0,), (4,)), length=0), SHAPE),
    "many axes": (entry(shape=((1,),) * 100_000, length=4), SHAPE),
    "too few bytes": (entry(length=47), SHAPE),
    "another type": (entry(dtype=2), SHAPE),
    "an offset beyond the end": (entry(offset=len(DATA)), "ends at byte 64"),
    "an offset of 4 EB": (entry(offset=1 << 62), "ends at byte 64"),
    "the largest offset": (entry(offset=(1 << 70) - 1), "ends at byte 64"),
    "a length beyond the end": (entry(shape=((1 << 20,),), length=4 << 20), "ends at byte 64"),
    "another place": (entry(offset=4), "'a' does not match its checksum"),
    "another checksum": (entry(checksum=0), "'a' does not match its checksum"),
    "shared bytes": (index({b"": HEADER, b"a": ENTRY_W, b"b": ENTRY_W}), "'b' shares bytes with another variable"),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The path of an index beside which lies the data."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "a.data-00000-of-00001").write_bytes(DATA)
    return folder / "a.index"


@pytest.fixture(scope="module")
def messages(checkpoint):
    contents = [content for content, _ in BROKEN.values()]
    return dict(zip(BROKEN, outcomes(read_bundle, len, checkpoint, contents), strict=True))


@pytest.mark.parametrize("name", BROKEN)
def test_refused(messages, name):
    assert re.search(BROKEN[name][1], messages[name] or "read")


def test_what_is_broken_is_otherwise_good(checkpoint):
    for content in (GOOD, blocks(PAIRS), header(HEADER)):
        checkpoint.write_bytes(content)
        assert_same(read_bundle(checkpoint), {"a/W": W, "a/b": B})
    checkpoint.write_bytes(entry())
    assert_same(read_bundle(checkpoint), {"a": W})


def test_broken_data(tmp_path):
    data = tmp_path / f"{PREFIX}.data-00000-of-00001"
    for bad in (np.nan, np.inf):
        write_bundle(tmp_path / PREFIX, {"a": W, "b": B + bad})
        assert "'b' has values that are not finite" in refusal(read_bundle, tmp_path)
    write_bundle(tmp_path / PREFIX, {"a": W, "b": B})
    content = data.read_bytes()
    for at in range(0, len(content), 5):
        data.write_bytes(flipped(content, at))
        assert "does not match its checksum" in refusal(read_bundle, tmp_path)
    data.write_bytes(content[:-1])
    assert "ends at byte 63" in refusal(read_bundle, tmp_path)
    data.write_bytes(b"")
    assert "ends at byte 0" in refusal(read_bundle, tmp_path)


def test_variables_that_are_too_large_together(tmp_path):
    """Three sparse data files of 700 MiB each, none of which is too large alone."""
    size = 700 << 20
    hollow = np.broadcast_to(np.float32(0), (size // 4,))
    items = {name: bundle_entry(hollow, shard, 0, 0) for shard, name in enumerate((b"a", b"b", b"c"))}
    (tmp_path / "a.index").write_bytes(table({b"": message({1: 3, 3: message({1: 1})})} | items))
    for shard in range(3):
        with (tmp_path / f"a.data-{shard:05d}-of-00003").open("wb") as file:
            file.truncate(size)
    line = refusal(read_bundle, tmp_path / "a.index")
    assert f"has {3 * size} bytes, a published network at most 300 million numbers" in line


def assert_plain(arrays):
    assert all(value.dtype.kind in "fiu" and np.isfinite(value).all() for value in arrays.values())


def test_damage_is_refused_or_harmless(checkpoint):
    """Of the index, where checksums help, and of its blocks and entries before they are sealed, where none does."""
    messages = outcomes(read_bundle, assert_plain, checkpoint, mutants(GOOD, 1000, seed=0))
    assert messages.count("") < 300  # of the block of statistics and of the footer's padding
    inside = [blocks(mutant) for mutant in mutants(PAIRS, 1000, seed=1)]
    handles = add_block(b"", PAIRS)[1]
    inside += [blocks(PAIRS, handles=[mutant]) for mutant in mutants(handles, 300, seed=2)]
    inside += [GOOD[:-48] + mutant[:40].ljust(40, b"\0") + GOOD[-8:] for mutant in mutants(GOOD[-48:-8], 300, seed=3)]
    inside += [table({b"": HEADER, b"a": mutant}) for mutant in mutants(ENTRY_W, 1000, seed=4)]
    assert 20 < outcomes(read_bundle, assert_plain, checkpoint, inside).count("") < 1300


def test_cut_off_anywhere(checkpoint):
    messages = outcomes(read_bundle, len, checkpoint, [GOOD[:end] for end in range(len(GOOD) + 1)])
    assert all(messages[:-1]) and not messages[-1]


def slow_crc(data: bytes) -> int:
    """CRC-32C by its definition."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ REMAINDERS[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def remainder(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ 0x82F63B78 * (byte & 1)
    return byte


REMAINDERS = [remainder(byte) for byte in range(256)]


def test_crc32c_is_the_published_one():
    """The library's checksum against published values (RFC 3720, B.4) and the definition."""
    assert crc32c(b"") == 0 and crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA and crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    data = np.random.RandomState(0).bytes(300)
    assert [crc32c(data[:length]) for length in range(300)] == [slow_crc(data[:length]) for length in range(300)]
