"""What a downloaded file is, by its content: its name may be anything."""

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from hostile_files import mutants, outcomes, refusal
from published_files import (
    Python2Pickler,
    StoredNetwork,
    add_block,
    block,
    footer,
    golden_arrays,
    write_bundle,
    write_npz,
    write_pickle,
)

from ganfp_jax.interop.formats import recognise

ARRAYS = golden_arrays("sngan_generator_classes0")
NAMES = ("a.pkl", "a.npz", "a.ckpt", "a", "a.zip", "model.data", "uc?export=download&id=1x")


@pytest.mark.parametrize("name", NAMES)
def test_pickles_and_archives_of_any_name(tmp_path, name):
    path = tmp_path / name
    network = StoredNetwork("G", "G_paper", {}, {})
    for protocol in (2, 3, 4, 5):
        write_pickle(path, [network], protocol % 2 == 0, protocol)
        assert recognise(path) == "pickle"
    write_pickle(path, [network], False, 2, Python2Pickler)
    assert recognise(path) == "pickle"
    for compressed in (True, False):
        write_npz(path, ARRAYS, compressed)
        assert recognise(path) == "npz"


def test_pytorch_of_any_name(tmp_path):
    for number, member in enumerate(("archive/data.pkl", "model_89/data.pkl", "a/byteorder", "a/.format_version")):
        path = tmp_path / f"{number}.bin"
        path.write_bytes(zipped(member))
        assert recognise(path) == "torch"


def test_every_way_to_name_a_checkpoint(tmp_path):
    write_bundle(tmp_path / "model-1", ARRAYS, shards=2)
    (tmp_path / "model-1.meta").write_bytes(b"\x0a\x05graph")
    for name in ("", "checkpoint", "model-1", "model-1.index", "model-1.meta", "model-1.data-00001-of-00002"):
        assert recognise(tmp_path / name) == "bundle"
    (tmp_path / "checkpoint").rename(tmp_path / "latest.txt")
    assert recognise(tmp_path / "latest.txt") == "bundle"


def test_a_checkpoint_of_which_files_are_missing(tmp_path):
    assert "holds no file checkpoint" in refusal(recognise, tmp_path)
    assert "is not there, nor is model-1.index" in refusal(recognise, tmp_path / "model-1")
    assert "cannot be read: File name too long" in refusal(recognise, tmp_path / ("a" * 300))
    write_bundle(tmp_path / "model-1", ARRAYS)
    (tmp_path / "model-1.index").unlink()
    for name in ("", "checkpoint", "model-1.data-00000-of-00001"):
        assert "needs model-1.index beside it" in refusal(recognise, tmp_path / name)


def test_no_text_leads_from_file_to_file_for_ever(tmp_path):
    for name in ("checkpoint", "loop.index"):
        (tmp_path / name).write_text('model_checkpoint_path: "loop"')
    assert "of no known format" in refusal(recognise, tmp_path)
    assert "of no known format" in refusal(recognise, tmp_path / "loop")


def zipped(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(name, "content")
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        file.addfile(tarfile.TarInfo("models/a.pkl"))
    return out.getvalue()


def safetensors() -> bytes:
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4)


def single_array() -> bytes:
    out = io.BytesIO()
    np.save(out, np.zeros(3))
    return out.getvalue()


def table_of_one_file() -> bytes:
    """How a V1 checkpoint ends: as an index does, but its tensors are inside."""
    out, meta = add_block(b"", block([]))
    return out + footer(meta, meta)


STRANGERS = {
    "nothing": (b"", "is empty; download it again"),
    "a page": (b"<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title>", "a web page"),
    "a page of another look": (b"\xef\xbb\xbf\r\n  <html lang=en>", "a web page"),
    "an answer in XML": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a web page"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n", "git lfs pull"),
    "PyTorch before": (pickle.dumps(0x1950A86A20F9469CFC6C, 2), "a PyTorch file of before version 1.6; save it again"),
    "safetensors": (safetensors(), "a safetensors file"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
    "one array": (single_array(), "a single NumPy array"),
    "gzip": (gzip.compress(pickle.dumps({})), "a packed archive; unpack it"),
    "tar": (tarred(), "a packed archive; unpack it"),
    "zip": (zipped("models/a.pkl"), "a zip archive of something other than arrays; unpack it"),
    "an empty zip": (b"PK\5\6" + bytes(18), "a zip archive of something other than arrays"),
    "xz": (b"\xfd7zXZ\0\0", "a packed archive"),
    "7z": (b"7z\xbc\xaf\x27\x1c", "a packed archive"),
    "a checkpoint of version 1": (table_of_one_file(), "a V1 checkpoint of TensorFlow"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "of no known format"),
    "zeros": (bytes(10_000), "of no known format"),
    "one byte": (b"\x80", "of no known format"),
    "words": (b"real\nProGAN\nSNGAN\n", "of no known format"),
}


@pytest.mark.parametrize("name", STRANGERS)
@pytest.mark.parametrize("file_name", ["a.pkl", "a.npz", "checkpoint", "a"])
def test_strangers(tmp_path, name, file_name):
    content, message = STRANGERS[name]
    path = tmp_path / file_name
    path.write_bytes(content)
    assert message in refusal(recognise, path)


@pytest.mark.parametrize("name", ["a page", "a pointer", "zeros", "one byte", "safetensors", "gzip"])
def test_strangers_that_are_called_an_index(tmp_path, name):
    content, message = STRANGERS[name]
    path = tmp_path / "a.index"
    path.write_bytes(content)
    assert message in refusal(recognise, path)
    assert message in refusal(recognise, tmp_path / "a")


@pytest.mark.parametrize("protocol", [0, 1])
def test_strangers_pickles_go_to_the_reader_that_says_what_they_ask_for(tmp_path, protocol):
    path = tmp_path / "a.pkl"
    path.write_bytes(b"cos\nsystem\n(Vtrue\ntR.")
    assert recognise(path) == "pickle"
    path.write_bytes(pickle.dumps(io.BytesIO, protocol))
    assert recognise(path) == "pickle"


def test_damage_is_recognised_or_refused(tmp_path):
    write_pickle(tmp_path / "a.pkl", [StoredNetwork("G", "G_paper", {}, {"a": np.zeros(3)})], False)
    write_npz(tmp_path / "a.npz", {"a": np.zeros(3)})
    write_bundle(tmp_path / "model-1", {"a": np.zeros(3)})
    for name in ("a.pkl", "a.npz", "model-1.index", "checkpoint"):
        path = tmp_path / name
        content = path.read_bytes()
        found = outcomes(recognise, check_format, path, mutants(content, 500, seed=0))
        assert found.count("") > 50
        path.write_bytes(content)


def check_format(name):
    assert name in ("pickle", "npz", "bundle", "torch")
