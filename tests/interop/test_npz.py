"""Chainer's archives: read bit for bit, nothing is unpickled, and no size is believed before its bytes are there."""

import io
import re
import struct
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from hostile_files import mutants, outcomes, refusal
from published_files import golden_arrays, write_npz

from ganfp_jax.interop.npz import read_npz

W = np.arange(12, dtype=np.float32).reshape(3, 4)


def assert_same(read, written):
    assert list(read) == list(written)
    for name, value in written.items():
        array = read[name]
        assert array.dtype == np.asarray(value).dtype and array.dtype.isnative and array.shape == np.shape(value)
        assert array.tobytes() == np.asarray(value).tobytes()


@pytest.mark.parametrize("compressed", [True, False])
def test_npz_round_trip(tmp_path, compressed):
    path = tmp_path / "ResNetGenerator_50000.npz"
    for name in ("sngan_generator_classes0", "sngan_discriminator_classes0"):
        arrays = golden_arrays(name)
        assert any(value.shape == () and value.dtype == np.int64 for value in arrays.values()) == ("generator" in name)
        write_npz(path, arrays, compressed)
        assert_same(read_npz(path), arrays)


def test_every_array_that_numpy_writes(tmp_path):
    rng = np.random.RandomState(0)
    arrays = {
        "fortran": np.asfortranarray(rng.standard_normal((3, 4, 5)).astype(np.float32)),
        "turned": W.T,
        "view": W[::2, 1:],
        "large": rng.standard_normal(200_000),
        "true": np.array([True, False]),
        "no axes": np.array(7),
        **{code: np.array([1, 0], code) for code in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")},
    }
    path = tmp_path / "a.npz"
    for compressed in (True, False):
        write_npz(path, arrays, compressed)
        assert_same(read_npz(path), arrays)
    write_npz(path, {"swapped": W.astype(">f4")})
    assert_same(read_npz(path), {"swapped": W})


def test_a_snapshot_of_a_trainer(tmp_path):
    """Its log is a text, what has no values yet is an object: both are passed over, and nothing is unpickled."""
    path = tmp_path / "snapshot_iter_50000"
    arrays = {"updater/model:opt_gen/l1/W": W, "updater/optimizer:opt_gen/l1/W/m": W * 2}
    write_npz(path, arrays | {"extensions/LogReport/_log": np.array('[{"loss": 1.5}]'), "note": np.array(b"x")})
    assert_same(read_npz(path), arrays)
    objects = {"updater/iteration": np.array(None), "extensions/Watch/best": np.array([Unpickled()], object)}
    write_npz(path, objects | arrays)
    assert_same(read_npz(path), arrays)


class Unpickled:
    def __reduce__(self):
        return pytest.fail, ("it was unpickled",)


def npy(array=W, version=None, pickled=False) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asanyarray(array), version, allow_pickle=pickled)
    return out.getvalue()


def described(description: str, data: bytes = W.tobytes(), version: bytes = b"\1\0") -> bytes:
    """An array with a description of one's own."""
    text = description.encode()
    return b"\x93NUMPY" + version + struct.pack("<H" if version == b"\1\0" else "<L", len(text)) + text + data


def shaped(shape: str, data: bytes = W.tobytes()) -> bytes:
    return described(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n", data)


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, content in members:
            file.writestr(zipfile.ZipInfo(name), content, method)
    return out.getvalue()


def one(content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    return archive(("a.npy", content), method=method)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_versions_of_the_array_format(tmp_path, version):
    path = tmp_path / "a.npz"
    path.write_bytes(one(npy(version=version)))
    assert_same(read_npz(path), {"a": W})


def test_shapes_of_python_2(tmp_path):
    path = tmp_path / "a.npz"
    for shape, array in (("(3L, 4L)", W), ("(12L,)", W.ravel()), ("(3, 4)", W)):
        path.write_bytes(one(shaped(shape)))
        assert_same(read_npz(path), {"a": array})


ENTRY = 46  # bytes of an entry of the directory, before its name


def changed(content: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    """Other bytes at an offset from the last place where this signature is."""
    at = content.rindex(signature) + offset
    return content[:at] + value + content[at + len(value) :]


def entry(offset: int, value: bytes, content: bytes = one(npy())) -> bytes:
    return changed(content, b"PK\1\2", offset, value)


def reaching(more: int) -> bytes:
    """Two arrays, of which the first is said to have more bytes than lie before the second."""
    at = TWO.index(b"PK\1\2") + 20
    size = struct.unpack_from("<L", TWO, at)[0] + more
    return TWO[:at] + struct.pack("<L", size) + TWO[at + 4 :]


def local(offset: int, value: bytes) -> bytes:
    return changed(GOOD, b"PK\3\4", offset, value)


def end(offset: int, value: bytes, content: bytes = one(npy())) -> bytes:
    return changed(content, b"PK\5\6", offset, value)


def deflated(stream: bytes, size: int, content: bytes) -> bytes:
    """An archive whose member has this deflated stream and claims this size."""
    crc = zlib.crc32(content)
    head = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, crc, len(stream), size, 5, 0) + b"a.npy" + stream
    listing = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 8, 0, 0, crc, len(stream), size, 5, 0, 0, 0, 0, 0, 0)
    listing += b"a.npy"
    return head + listing + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(listing), len(head), 0)


def deflate(content: bytes) -> bytes:
    return zlib.compress(content, 9, -zlib.MAX_WBITS)


def second_list() -> bytes:
    """What leads to a list of the format ZIP64 (which may be longer) in the comment of the last entry."""
    at = GOOD.rindex(b"PK\5\6")
    length = struct.unpack_from("<L", GOOD, at + 12)[0] + 20
    grown = entry(32, struct.pack("<H", 20))
    return grown[:at] + b"PK\6\7".ljust(20, b"\0") + end(12, struct.pack("<L", length))[at:]


def many_entries() -> bytes:
    members = archive(*((f"{number}.npy", b"") for number in range(10_001)), method=zipfile.ZIP_STORED)
    return end(8, b"\1\0\1\0", members)


LONG = struct.pack("<L", 0xFFFFFFFF)
GOOD = one(npy())
STORED = one(npy(), zipfile.ZIP_STORED)
TWO = archive(("a.npy", npy()), ("b.npy", npy()))
BOMB = npy(np.zeros(10_000_000, np.float32))
DAMAGED = "list of contents is damaged"

BROKEN = {
    "nothing": (b"", "before what it says"),
    "a text": (b"weights " * 100, "no whole archive"),
    "the start of an archive": (GOOD[:-1], "no whole archive"),
    "a comment": (end(20, b"\5\0") + b"hello", "no whole archive"),
    "bytes after the end": (GOOD + b"\0", "no whole archive"),
    "bytes before the start": (b"#!/bin/sh\n" + GOOD, "no whole archive"),
    "no members": (archive(), "no whole archive"),
    "several disks": (end(4, b"\1\0"), "no whole archive"),
    "more members than there are": (end(8, b"\2\0\2\0"), DAMAGED),
    "fewer members than there are": (end(8, b"\1\0\1\0", TWO), DAMAGED),
    "65,535 members": (end(8, b"\xff" * 4), "no whole archive"),
    "a long directory": (end(12, LONG), "no whole archive"),
    "a directory elsewhere": (end(16, LONG), "no whole archive"),
    "a second list of contents": (second_list(), DAMAGED),
    "more entries than variables, though few are said": (many_entries(), DAMAGED),
    "an entry that is none": (entry(0, b"PK\1\3"), DAMAGED),
    "content elsewhere": (entry(42, LONG), "shares bytes with something else"),
    "content without a header": (entry(42, b"\1"), "Bad magic number"),
    "more bytes than there are": (entry(20, LONG), "shares bytes with something else"),
    "content that reaches into the next": (reaching(40), "'a' shares bytes with something else"),
    "another name before the content": (local(30, b"x"), "header b'x.npy' differ"),
    "a longer name before the content": (local(26, b"\6"), "File name in directory"),
    "a long extra field before the content": (local(28, b"\xff\xff"), "ends too early"),
    "one content for two": (entry(42, b"\0\0\0\0", TWO), "shares bytes with something else"),
    "encrypted": (entry(8, b"\1"), "encrypted"),
    "method 99": (entry(10, b"\x63"), "encrypted or packed in a way"),
    "bzip2": (one(npy(), zipfile.ZIP_BZIP2), "encrypted or packed in a way"),
    "lzma": (one(npy(), zipfile.ZIP_LZMA), "encrypted or packed in a way"),
    # Names.
    "a name twice": (archive(("a.npy", npy()), ("a.npy", npy(W + 1))), "'a' twice"),
    "an absolute name": (archive(("/etc/passwd.npy", npy())), "no array"),
    "a parent": (archive(("a/../../b.npy", npy())), "no array"),
    "a folder": (archive(("a/", b"")), "no array"),
    "no name": (archive((".npy", npy())), "no name"),
    "an escape in a name": (archive(("\x1b[31m.npy", npy())), "no name"),
    "a long name": (archive(("a" * 5000 + ".npy", npy())), "no name"),
    "a text file": (archive(("a.npy", npy()), ("README.md", b"hello")), "'README.md', which is no array"),
    "PyTorch": (archive(("archive/data.pkl", b"\x80\2N.")), "'archive/data.pkl', which is no array"),
    # Arrays.
    "no array": (one(b"hello, world, here I am"), "no NumPy array"),
    "an empty member": (one(b""), "no NumPy array"),
    "a version of tomorrow": (one(described("{}", version=b"\4\0")), "no NumPy array"),
    "a long description": (one(described("x" * 5000)), "no plain array"),
    "a description of 4 GB": (one(b"\x93NUMPY\2\0" + LONG + b"{}"), "no plain array"),
    "a description cut off": (one(npy()[:50]), "no plain array"),
    "a description that is code": (one(described("__import__('os').system('true')")), "no plain array"),
    "objects": (one(npy(np.array([1, "x"], object), pickled=True)), "pickled objects are never loaded"),
    "None": (one(npy(np.array(None), pickled=True)), "pickled objects are never loaded"),
    "fields": (one(npy(np.zeros(2, [("a", "f4")]))), "no plain array"),
    "objects in fields": (one(npy(np.zeros(2, [("a", "O")]), pickled=True)), "no plain array"),
    "complex numbers": (one(npy(np.zeros(2, complex))), "no plain array"),
    "dates": (one(npy(np.zeros(2, "M8[s]"))), "no plain array"),
    "bytes of no type": (one(npy(np.zeros(2, "V4"))), "no plain array"),
    "NaN": (one(npy(np.float32([0, np.nan]))), "not finite"),
    "infinity": (one(npy(np.array(np.inf))), "not finite"),
    "too few bytes": (one(npy()[:-1]), "should have the shape"),
    "too many bytes": (one(npy() + b"\0"), "should have the shape"),
    "a shape of 4 TB": (one(shaped("(1099511627776,)")), "should have the shape"),
    "a shape that wraps around": (one(shaped("(4294967296, 4294967296, 12)")), "should have the shape"),
    "a shape below zero": (one(shaped("(-3, -4)")), "should have the shape"),
    "a shape of large numbers": (one(shaped(f"({'9' * 30},)")), "should have the shape"),
    "a shape of words": (one(shaped("('a',)")), "no plain array"),
    "an empty axis": (one(shaped("(0, 4)", b"")), "should have the shape"),
    "many axes": (one(shaped(f"({'1, ' * 64})", W.tobytes()[:4])), "should have the shape"),
    "a number of a million bytes": (
        one(described("{'descr': '<f999999999', 'fortran_order': False, 'shape': (), }\n")),
        "no plain array",
    ),
    # Sizes and checksums.
    "another checksum": (entry(16, b"\0\0\0\0"), "Bad CRC-32"),
    "a larger size": (entry(24, struct.pack("<L", len(npy()) + 4)), "should have the shape"),
    "a smaller size": (entry(24, struct.pack("<L", len(npy()) - 4)), "Bad CRC-32"),
    "a size of 4 GB": (entry(24, LONG), "would become 4294967295, as weights never do"),
    "a size of 8 MB that is not there": (
        deflated(deflate(shaped("(2097152,)")), len(shaped("(2097152,)", b"")) + (8 << 20), b""),
        "Bad CRC-32",
    ),
    "a shorter content": (entry(20, struct.pack("<L", 30)), "Bad CRC-32"),
    "another content": (changed(STORED, W.tobytes(), 0, b"\1"), "Bad CRC-32"),
    "a stream that is none": (deflated(b"\xff" * 100, len(npy()), npy()), "cannot be unpacked"),
    "a stream that goes on": (deflated(deflate(npy() + bytes(100)), len(npy()), npy()), "Bad CRC-32"),
    "a bomb": (one(BOMB), "as weights never do"),
    "a bomb that claims to be small": (deflated(deflate(BOMB), len(npy()), npy()), "Bad CRC-32"),
    "a bomb after the array": (deflated(deflate(npy() + BOMB), len(npy()), npy()), "Bad CRC-32"),
    "many small bombs": (archive(*((f"{i}.npy", BOMB[: 128 + 4096]) for i in range(9000))), "as weights never do"),
}


HARMLESS = {
    "a name longer than the directory": entry(28, b"\xff\xff"),
    "an extra field longer than the directory": entry(30, b"\xff\xff"),
    "another order of keys": one(described("{'shape': (3, 4), 'descr': '<f4', 'fortran_order': False, }")),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_read_all_the_same(tmp_path, name):
    path = tmp_path / "a.npz"
    path.write_bytes(HARMLESS[name])
    assert_same(read_npz(path), {"a": W})


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    path = tmp_path_factory.mktemp("broken") / "a.npz"
    contents = [content for content, _ in BROKEN.values()]
    return dict(zip(BROKEN, outcomes(read_npz, len, path, contents), strict=True))


@pytest.mark.parametrize("name", BROKEN)
def test_refused(messages, name):
    assert re.search(BROKEN[name][1], messages[name] or "read")


def test_no_file(tmp_path):
    assert "is no file" in refusal(read_npz, tmp_path / "absent.npz")
    assert "is no file" in refusal(read_npz, tmp_path)


def test_a_large_sparse_file_is_not_read(tmp_path):
    path = tmp_path / "a.npz"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert "a published network at most" in refusal(read_npz, path)


def test_members_that_are_too_large_together(tmp_path):
    """A sparse file whose directory lists three arrays of 700 MiB each, within the size of the file."""
    path, size, listing = tmp_path / "a.npz", 700 << 20, b""
    with path.open("wb") as file:
        for name in (b"a.npy", b"b.npy", b"c.npy"):
            at = file.tell()
            file.write(struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 1, size, 5, 0) + name)
            listing += (
                struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 1, size, 5, 0, 0, 0, 0, 0, at) + name
            )
            file.write(b"x")
        end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 3, 3, len(listing), at + (300 << 20), 0)
        file.seek(at + (300 << 20))
        file.write(listing + end)
    assert f"has {3 * size} bytes, a published network at most 300 million numbers" in refusal(read_npz, path)


def assert_plain(arrays):
    assert all(value.dtype.kind in "fiub" and np.isfinite(value).all() for value in arrays.values())


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_damage_is_refused_or_harmless(tmp_path, method):
    """Of the archive, where checksums help, and of the arrays before they are packed, where none does."""
    content = archive(("a/W.npy", npy()), ("N.npy", npy(np.array(3))), ("b.npy", npy(W.astype("f2").T)), method=method)
    path = tmp_path / "a.npz"
    messages = outcomes(read_npz, assert_plain, path, mutants(content, 1000, seed=method))
    assert messages.count("") < 600  # dates and versions of a zip archive say nothing
    inside = [archive(("a.npy", mutant), method=method) for mutant in mutants(npy(), 1000, seed=method)]
    assert 20 < outcomes(read_npz, assert_plain, path, inside).count("") < 600


def test_cut_off_anywhere(tmp_path):
    messages = outcomes(read_npz, len, tmp_path / "a.npz", [GOOD[:end] for end in range(len(GOOD) + 1)])
    assert all(messages[:-1]) and not messages[-1]
