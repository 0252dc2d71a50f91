"""PyTorch's files: read bit for bit, nothing is executed, and no size is believed before its bytes are there."""

import io
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from hostile_files import mutants, outcomes, refusal
from published_files import TorchGlobal, TorchTensor, torch_archive, torch_members, torch_records

from ganfp_jax.interop.torch_file import read_torch

W = np.arange(12, dtype=np.float32).reshape(3, 4)
NUMBERS = {"data/0": W.tobytes()}


def written(path, content):
    path.write_bytes(content)
    return path


def assert_same(read, expected):
    assert list(read) == list(expected)
    for name, array in expected.items():
        assert read[name].dtype == array.dtype and read[name].shape == array.shape
        np.testing.assert_array_equal(read[name], array)


@pytest.mark.parametrize(("wrap", "root"), [("", "archive/"), ("state_dict", "model_89/"), ("model", "a/")])
def test_tensors_come_back(tmp_path, wrap, root):
    codes = ("f2", "f4", "f8", "i8", "u1")
    tensors = {f"{code}.weight": np.array([[1, 0, 3]], code) for code in codes} | {"count": np.array(7), "t": W.T}
    optimiser = {"state": {0: {"step": 3}}, "param_groups": [{"lr": 0.1, "amsgrad": False, "params": [0]}]}
    beside = {"epoch": 3, "optimizer": optimiser, "best": None}
    path = written(tmp_path / "net.pth", torch_archive(torch_records(tensors, wrap, beside), root))
    assert_same(read_torch(path), tensors)


def test_views_parameters_prefixes_and_archives_of_other_writers(tmp_path):
    part = TorchTensor("0", "Float", 12, (2, 2), (4, 1), offset=5)
    versions = OrderedDict({"": {"version": 1}})

    class State(OrderedDict):
        def __reduce__(self):
            return OrderedDict, (), {"_metadata": versions}, None, iter(self.items())

    members = torch_members(State({"module.a": part}), NUMBERS)
    members["data.pkl"] = members["data.pkl"].replace(b"c__main__\nOrderedDict", b"ccollections\nOrderedDict")
    assert_same(read_torch(written(tmp_path / "a.pth", torch_archive(members))), {"a": W[1:3, 1:3]})
    plain = torch_archive(torch_records({"a": W}))
    at = plain.index(b"PK\6\6")
    assert_same(read_torch(written(tmp_path / "b.pth", plain[:at] + plain[-22:])), {"a": W})  # without ZIP64


class Asks:
    def __init__(self, module, name, arguments=()):
        self.made = (TorchGlobal(module, name), arguments)

    def __reduce__(self):
        return self.made


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("torch", "load"),
        ("torch.nn.modules.conv", "Conv2d"),
        ("posix", "popen"),
    ],
)
def test_what_is_asked_for_is_said_and_not_done(tmp_path, module, name):
    path = tmp_path / "a.pth"
    for top in ({"a": Asks(module, name, ("touch /tmp/x",))}, Asks(module, name)):
        message = refusal(read_torch, written(path, torch_archive(torch_members(top, NUMBERS))))
        assert f"{module}.{name}" in message and "nothing was executed" in message


def tensor(**changes):
    values = {"key": "0", "kind": "Float", "count": 12, "shape": (3, 4), "strides": (4, 1), "offset": 0} | changes
    return torch_members({"a": TorchTensor(**values)}, NUMBERS)


def with_member(name, content, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for member, data in (torch_records({"a": W}) | {name: content}).items():
            file.writestr(zipfile.ZipInfo(f"archive/{member}"), data, method)
    return out.getvalue()


PLAIN = torch_archive(torch_records({"a": W}))
HOSTILE = {
    "an array larger than its bytes": (torch_archive(tensor(shape=(3, 400))), "reaches beyond its 12 numbers"),
    "an offset behind its bytes": (torch_archive(tensor(offset=1)), "reaches beyond its 12 numbers"),
    "an offset before them": (torch_archive(tensor(offset=-1)), "reaches beyond"),
    "steps back": (torch_archive(tensor(strides=(-4, 1))), "opcodes make no networks"),
    "too few steps": (torch_archive(tensor(strides=(4,))), "opcodes make no networks"),
    "the same number for ever": (torch_archive(tensor(shape=(10**6, 10**6), strides=(0, 0))), "again and again"),
    "no axis": (torch_archive(tensor(shape=(0, 4))), "should have the shape"),
    "a hundred axes": (torch_archive(tensor(shape=(1,) * 100, strides=(0,) * 100)), "should have the shape"),
    "numbers that are not there": (torch_archive(tensor(key="1")), "it lacks the numbers of 'a'"),
    "numbers elsewhere": (torch_archive(tensor(key="../version")), "it lacks the numbers of 'a'"),
    "another kind of numbers": (torch_archive(tensor(kind="BFloat16")), "torch.BFloat16Storage"),
    "not a number": (torch_archive(torch_records({"a": W * np.nan})), "not finite"),
    "no tensors": (torch_archive(torch_members({"a": 3}, NUMBERS)), "no tensors by name"),
    "nothing": (torch_archive(torch_members({}, NUMBERS)), "no tensors by name"),
    "a list": (torch_archive(torch_members([1], NUMBERS)), "no tensors by name"),
    "a name of two lines": (torch_archive(torch_records({"a\nb": W})), "no name of a variable"),
    "no pickle": (torch_archive(NUMBERS), "it has no data.pkl"),
    "two pickles": (torch_archive({"a/data.pkl": b"", "b/data.pkl": b""}, root=""), "it has no data.pkl"),
    "big numbers first": (torch_archive(torch_records({"a": W}) | {"byteorder": b"big"}), "little-endian"),
    "packed": (with_member("data/0", W.tobytes(), zipfile.ZIP_DEFLATED), "encrypted or packed"),
    "a memo that is not there": (torch_archive({"data.pkl": b"\x80\x02h\x05."}), "opcodes make no networks"),
    "a pickle of another kind": (torch_archive({"data.pkl": pickle.dumps({"a": 1.5}, 0)}), "the opcode"),
    "no end": (torch_archive({"data.pkl": b"\x80\x02}"}), "it ends at byte"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_refused(tmp_path, name):
    content, words = HOSTILE[name]
    assert words in refusal(read_torch, written(tmp_path / "a.pth", content))


def test_a_wide_record_that_says_something_else(tmp_path):
    at = PLAIN.index(b"PK\6\6")
    for place in (24, 32, 40, 48):  # members, members in all, bytes and place of the directory
        wrong = bytearray(PLAIN)
        wrong[at + place] ^= 1
        assert "damaged" in refusal(read_torch, written(tmp_path / "a.pth", bytes(wrong)))


def test_cut_off_anywhere(tmp_path):
    for end in range(0, len(PLAIN), 37):
        refusal(read_torch, written(tmp_path / "a.pth", PLAIN[:end]))


def test_damage_is_refused_or_harmless(tmp_path):
    content = torch_archive(torch_records({"a.weight": W, "b": W[0]}, "state_dict", {"epoch": 1}))
    found = outcomes(read_torch, check, tmp_path / "a.pth", mutants(content, 200, seed=0))
    assert 5 < found.count("") < 195


def check(tensors):
    for name, array in tensors.items():
        assert isinstance(name, str) and isinstance(array, np.ndarray) and np.isfinite(array).all()
