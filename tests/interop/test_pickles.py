"""Published pickles: what the reference classes write is read bit for bit, and nothing of a stranger's is executed."""

import collections
import contextlib
import dataclasses
import json
import pickle
import re
import struct
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from hostile_files import mutants, outcomes, refusal
from published_files import Network, Pickler, Python2Pickler, dump, golden_arrays, network_state, write_pickle

from ganfp_jax.interop.pickles import StoredNetwork, read_pickle

SMALL = StoredNetwork(
    "Gs",
    "G_paper",
    {"resolution": 128, "fused_scale": True, "normalize": None, "use": ["pixelnorm", 0.5]},
    {"lod": np.array(0.25, np.float32), "4x4/Dense/weight": np.arange(12, dtype=np.float32).reshape(3, 4)},
)
STATE = network_state(SMALL)
FLOAT = np.dtype("f4")
ZEROS = np.zeros(25_000, np.float32)
OBJECTS = np.array([1, "x"], object)
_reconstruct, scalar = (value.__reduce__()[0] for value in (ZEROS, np.float32(0)))


def golden_networks():
    """ProGAN's pickle in miniature: G, D and Gs."""
    g, d = (golden_arrays(f"progan_{kind}") for kind in ("generator", "discriminator"))
    kwargs = {"num_channels": 3, "resolution": 16, "label_size": 0, "fmap_base": 64, "dtype": "float32", "lr": 1e-3}
    return [
        StoredNetwork("G", "G_paper", kwargs, g),
        StoredNetwork("D", "D_paper", kwargs, d),
        StoredNetwork("Gs", "G_paper", {}, {name: np.asarray(value * 2) for name, value in g.items()}),
    ]


def assert_same(read, written):
    assert [(n.name, n.build_func_name, n.static_kwargs) for n in read] == [
        (n.name, n.build_func_name, n.static_kwargs) for n in written
    ]
    for stored, network in zip(read, written, strict=True):
        assert list(stored.variables) == list(network.variables)
        for name, value in network.variables.items():
            array = stored.variables[name]
            assert array.dtype == np.float32 and array.dtype.isnative and array.shape == np.shape(value)
            assert array.tobytes() == np.asarray(value, np.float32).tobytes()


@pytest.mark.parametrize("pickler", [Pickler, Python2Pickler])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickle_round_trip(tmp_path, protocol, pickler):
    path = tmp_path / "celeba_align_png_cropped.pkl"
    write_pickle(path, golden_networks(), True, protocol, pickler)
    assert_same(read_pickle(path), golden_networks())
    write_pickle(path, [SMALL], False, protocol, pickler)
    assert_same(read_pickle(path), [SMALL])


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_every_array_that_numpy_writes(tmp_path, protocol):
    """Column order, the other byte order, other precisions, views, scalars and arrays without axes."""
    a = np.random.RandomState(0).standard_normal((3, 4, 5)).astype(np.float32)
    arrays = {
        "fortran": np.asfortranarray(a),
        "swapped": a.astype(">f4"),
        "double": a.astype(np.float64),
        "half": a.astype(np.float16),
        "view": a[::2, 1:],
        "turned": a.T,
        "scalar": np.float64(0.5),
        "no_axes": np.array(0.5, np.float32),
    }
    state = STATE | {"variables": list(arrays.items())}
    path = tmp_path / "a.pkl"
    path.write_bytes(dump([Network(state)], protocol))
    assert_same(
        read_pickle(path), [dataclasses.replace(SMALL, variables={k: np.asarray(v) for k, v in arrays.items()})]
    )


def test_numpy_of_today_calls_its_modules_otherwise(tmp_path):
    path = tmp_path / "a.pkl"
    for protocol in (2, 4, 5):
        new = dump(Network(STATE), protocol, type("New", (Pickler,), {"save_global": save_global_as_today}))
        assert b"numpy._core" in new
        path.write_bytes(new)
        assert_same(read_pickle(path), [SMALL])


def save_global_as_today(self, obj, name=None):
    if obj is Network:
        return Pickler.save_global(self, obj, name)
    return pickle._Pickler.save_global(self, obj, name)


class EasyDict(dict):
    """ProGAN's own kind of dict, whose entries are also attributes."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


EasyDict.__module__ = "config"


@pytest.mark.parametrize("protocol", [2, 4])
def test_arguments_become_plain_data(tmp_path, protocol):
    nested = EasyDict(a=collections.OrderedDict(b=(1, np.float32(0.5), np.int64(-3), np.bool_(True))), c=-(2**40))
    path = tmp_path / "a.pkl"
    path.write_bytes(dump(Network(STATE | {"static_kwargs": EasyDict(args=nested)}), protocol))
    kwargs = read_pickle(path)[0].static_kwargs
    assert kwargs == {"args": {"a": {"b": [1, 0.5, -3, True]}, "c": -(2**40)}}
    assert type(kwargs) is type(kwargs["args"]) is type(kwargs["args"]["a"]) is dict
    assert [type(value) for value in kwargs["args"]["a"]["b"]] == [int, float, int, bool]


def test_the_source_text_is_not_executed(tmp_path):
    canary = tmp_path / "canary"
    source = f"open({str(canary)!r}, 'w').close()\n"
    exec(source)
    canary.unlink()  # it would have been made
    path = tmp_path / "a.pkl"
    path.write_bytes(dump(Network(STATE | {"build_module_src": source})))
    assert_same(read_pickle(path), [SMALL])
    assert not canary.exists()


# The opcodes of strangers' pickles.


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def stack_global(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


class Call:
    """Pickled as the call of a function, with a state."""

    def __init__(self, function, *arguments, state=None):
        self.parts = (function, arguments, state) if state is not None else (function, arguments)

    def __reduce__(self):
        return self.parts


def payloads(canary: Path) -> dict[str, tuple[bytes, str]]:
    """Pickles that make a file when Python loads them, and what they ask for first."""
    code = f"open({str(canary)!r}, 'w').close()"
    command = f"touch '{canary}'"
    run = text(command) + b"\x85R."  # with the function on the stack
    evaluate = text(code) + b"\x85R."
    import_os = b"c__builtin__\n__import__\n" + text("os") + b"\x85R"
    return {
        "os.system": (b"cos\nsystem\n" + run, "os.system"),
        "protocol 0": (f"cposix\nsystem\np0\n(V{command}\np1\ntp2\nRp3\n.".encode(), "posix.system"),
        "protocol 5": (b"\x80\x05" + stack_global("os", "system") + run, "os.system"),
        "eval": (b"\x80\x02cbuiltins\neval\n" + evaluate, "builtins.eval"),
        "eval of Python 2": (b"\x80\x02c__builtin__\neval\n" + evaluate, "__builtin__.eval"),
        "exec": (b"\x80\x04" + stack_global("builtins", "exec") + evaluate, "builtins.exec"),
        "getattr": (
            b"\x80\x02cbuiltins\ngetattr\n" + import_os + text("system") + b"\x86R" + run,
            "builtins.getattr",
        ),
        "import": (b"\x80\x02" + import_os + b"0cos\nsystem\n" + run, "__builtin__.__import__"),
        "a path of names": (b"\x80\x04" + stack_global("os", "path.os.system") + run, "os.path.os.system"),
        "a path from a module that is needed": (
            b"\x80\x04" + stack_global("numpy", "testing._private.utils.os.system") + run,
            "numpy.testing._private.utils.os.system",
        ),
        "NumPy's way to execute": (
            b"\x80\x02cnumpy.testing._private.utils\nrunstring\n" + text(code) + b"}\x86R.",
            "numpy.testing._private.utils.runstring",
        ),
        "OBJ": (b"(cos\nsystem\n" + text(command) + b"o.", "os.system"),
        "a variable": (dump(Network(STATE | {"variables": [("a", Call(eval, code))]})), "builtins.eval"),
        "an argument": (dump(Network(STATE | {"static_kwargs": {"a": Call(exec, code)}}), 2), "builtins.exec"),
        "after a network": (dump(({}, Call(eval, code))), "builtins.eval"),
        "a state's": (dump(Call(np.dtype, "f4", state=Call(eval, code))), "builtins.eval"),
    }


@pytest.mark.parametrize("name", payloads(Path()))
def test_what_is_asked_for_is_said_and_not_done(tmp_path, name, monkeypatch):
    canary, path = tmp_path / "canary", tmp_path / "a.pkl"
    content, asked = payloads(canary)[name]
    path.write_bytes(content)
    assert refusal(read_pickle, path).endswith(
        f"it asks for {asked!r}, which no published network needs; nothing was executed"
    )
    assert not canary.exists()
    monkeypatch.setitem(sys.modules, "tfutil", types.SimpleNamespace(Network=Network))
    with contextlib.suppress(TypeError):  # of a type that takes no file as its state
        pickle.loads(content)
    assert canary.exists(), "the payload would have done nothing anyway"


def stored(**changes) -> bytes:
    """A network with another state."""
    return dump(Network(STATE | changes))


def variable(value, protocol: int = 4) -> bytes:
    return dump(Network(STATE | {"variables": [("a", value)]}), protocol)


def planted(opcodes: bytes, **changes) -> bytes:
    """A network with these opcodes where its state says HERE."""
    before, after = dump(Network(STATE | changes), 2).split(text("HERE"))
    return before + opcodes + after


def argument(opcodes: bytes) -> bytes:
    return planted(opcodes, static_kwargs={"x": "HERE"})


def made(shape, data, dtype=FLOAT, fortran=False, version=1) -> Call:
    """An array, as it is pickled, that says so."""
    return Call(_reconstruct, np.ndarray, (0,), b"b", state=(version, shape, dtype, fortran, data))


def array(*args, **kwargs) -> bytes:
    """A network with such an array."""
    return variable(made(*args, **kwargs))


def laughs(levels: int = 12, opener: bytes = b"(", closer: bytes = b"t") -> bytes:
    """Opcodes of ten times ten times ten... values."""
    opcodes = b"K\x07q" + bytes([192])
    for memo in range(192, 192 + levels):
        opcodes += opener + (b"h" + bytes([memo])) * 10 + closer + b"q" + bytes([memo + 1])
    return b"(" + opcodes + b"t"


def without(key: str) -> bytes:
    return dump(Network({k: v for k, v in STATE.items() if k != key}))


def size(count: int) -> bytes:
    return struct.pack("<Q", count)


GOOD = dump(Network(STATE))
ENCODE = b"c_codecs\nencode\n"
ORDERED = b"ccollections\nOrderedDict\n"
FIELDS = (3, "<", None, ("a",), {"a": (np.dtype(object), 0)}, -1, -1, 0)

BROKEN = {
    # No pickle, or not the whole of one.
    "nothing": (b"", "ends at byte 0"),
    "only a protocol": (b"\x80\x04", "ends at byte 2"),
    "no opcode": (b"\x80\x04\xff.", "no opcode"),
    "protocol 0": (dump(Network(STATE), 0), "opcode|asks for 'copy"),
    "a second object": (GOOD + GOOD, "more than one object"),
    "bytes after the end": (GOOD + b"\0", "more than one object"),
    "values left over": (b"\x80\x02NN.", "more than one object"),
    "an open mark": (b"\x80\x02(N.", "more than one object"),
    "an empty stack": (b"\x80\x02.", "opcodes make no networks"),
    "no mark": (b"\x80\x02]Ne.", "opcodes make no networks"),
    "no tuple's mark": (b"\x80\x02Nt.", "opcodes make no networks"),
    "an unknown memo": (b"\x80\x02h\x05.", "opcodes make no networks"),
    "a key without a value": (b"\x80\x02}(U\x01au.", "opcodes make no networks"),
    "a list as a key": (b"\x80\x02}]Ns.", "opcodes make no networks"),
    "append to nothing like a list": (b"\x80\x02}Na.", "opcodes make no networks"),
    "a global of numbers": (b"\x80\x04K\x01K\x02\x93.", "asks for"),
    "a global that never ends": (b"\x80\x02c" + b"a" * 5000 + b"\n.", "asks for 'aaa"),
    "a state for a class": (b"\x80\x02ctfutil\nNetwork\n}b.", "opcodes make no networks"),
    "two states": (GOOD[:-1] + b"}b.", "opcodes make no networks"),
    "a call of a text": (b"\x80\x02U\x01a)R.", "opcodes make no networks"),
    "a call with a list": (b"\x80\x02ctfutil\nNetwork\n]R.", "opcodes make no networks"),
    "text that is not UTF-8": (b"\x80\x02X\x02\0\0\0\xff\xfe.", "no whole pickle"),
    "opcode PERSID": (b"\x80\x02Psomebody\n.", "opcode PERSID"),
    "opcode BINPERSID": (b"\x80\x02K\x01Q.", "opcode BINPERSID"),
    "opcode EXT1": (b"\x80\x02\x82\x01.", "opcode EXT1"),
    "opcode EXT2": (b"\x80\x02\x83\x01\0.", "opcode EXT2"),
    "opcode EXT4": (b"\x80\x02\x84\x01\0\0\0.", "opcode EXT4"),
    "opcode INST": (b"(itfutil\nNetwork\n.", "opcode INST"),
    "opcode OBJ": (b"(ctfutil\nNetwork\no.", "opcode OBJ"),
    "opcode NEWOBJ_EX": (b"\x80\x04ctfutil\nNetwork\n)}\x92.", "opcode NEWOBJ_EX"),
    "opcode DUP": (b"\x80\x02]2e.", "opcode DUP"),
    "opcode NEXT_BUFFER": (b"\x80\x05\x97.", "opcode NEXT_BUFFER"),
    "opcode STRING": (b"S'\\q'\n.", "opcode STRING"),
    "opcode INT": (b"I" + b"9" * 5000 + b"\n.", "opcode INT"),
    # Sizes that the file does not have.
    "BINBYTES8": (b"\x80\x04\x8e" + size(1 << 62) + b"a.", "ends at byte"),
    "BINBYTES8 beyond the machine": (b"\x80\x04\x8e" + b"\xff" * 8 + b"a.", "no whole pickle"),
    "BINUNICODE8": (b"\x80\x04\x8d" + size(1 << 40) + b"a.", "ends at byte"),
    "BYTEARRAY8": (b"\x80\x05\x96" + size(1 << 40) + b"a.", "ends at byte"),
    "BINBYTES": (b"\x80\x03B\xff\xff\xff\xff.", "ends at byte"),
    "BINUNICODE": (b"\x80\x02X\xff\xff\xff\xff.", "ends at byte"),
    "BINSTRING": (b"\x80\x02T\xff\xff\xff\x7f.", "ends at byte"),
    "BINSTRING below zero": (b"\x80\x02T\xff\xff\xff\xff.", "no whole pickle"),
    "LONG4": (b"\x80\x02\x8b\xff\xff\xff\x7f.", "ends at byte"),
    "LONG4 below zero": (b"\x80\x02\x8b\xff\xff\xff\xff.", "no whole pickle"),
    "FRAME": (b"\x80\x04\x95" + size(1 << 62) + GOOD[11:], "ends at byte"),
    # Arrays that are none, or say what is not so.
    "a shape of 4 TB": (array((1 << 40,), b"\0" * 48), "should have the shape"),
    "a shape that wraps around": (array((1 << 32, 1 << 32, 12), b"\0" * 48), "should have the shape"),
    "a shape of large numbers": (array((1 << 2000, 1 << 2000), b"\0" * 48), "should have the shape"),
    "a shape below zero": (array((-3, -4), b"\0" * 48), "should have the shape"),
    "an empty axis": (array((0, 1 << 40), b""), "should have the shape"),
    "many axes": (array((1,) * 64, b"\0" * 4), "should have the shape"),
    "too few bytes": (array((3, 4), b"\0" * 47), "should have the shape"),
    "too many bytes": (array((3, 4), b"\0" * 49), "should have the shape"),
    "a shape of fractions": (array((3.0, 4.0), b"\0" * 48), "has no shape"),
    "a shape of truths": (array((True, True), b"\0" * 4), "has no shape"),
    "a shape of words": (array("ab", b"\0" * 4), "has no shape"),
    "no bytes": (array((1,), None), "opcodes make no networks"),
    "words for bytes": (array((1,), "\u20ac" * 4), "text where an array's bytes"),
    "an order that is neither": (array((1,), b"\0" * 4, fortran="yes"), "opcodes make no networks"),
    "an array of another version": (array((1,), b"\0" * 4, version=7), "no array of numbers"),
    "an array made of a shape": (variable(Call(_reconstruct, np.ndarray, (1 << 40,), b"b")), "no array of numbers"),
    "an array without a state": (variable(Call(_reconstruct, np.ndarray, (0,), b"b")), "no array of numbers"),
    "ndarray called": (variable(Call(np.ndarray, (1 << 40,))), "calls ndarray"),
    "a list": (variable([1.0, 2.0]), "no array of numbers"),
    "a number of Python's": (variable(1.0), "no array of numbers"),
    "a network": (variable(Network(STATE)), "no array of numbers"),
    "objects": (variable(OBJECTS), "no plain numbers"),
    "objects in Python 2": (variable(OBJECTS, 2), "no plain numbers"),
    "objects in fields": (variable(np.zeros(2, [("a", "O")])), "no plain numbers"),
    "objects as a scalar": (variable(Call(scalar, np.dtype(object), b"")), "no plain numbers"),
    "objects in fields of a type that calls itself f4": (
        array((1,), b"\0" * 4, Call(np.dtype, "f4", False, True, state=FIELDS)),
        "no plain numbers",
    ),
    "fields": (variable(np.zeros(2, [("a", "f4")])), "no plain numbers"),
    "words": (variable(np.array(["a"])), "no plain numbers"),
    "bytes": (variable(np.array([b"a"])), "no plain numbers"),
    "complex numbers": (variable(np.zeros(2, complex)), "no plain numbers"),
    "dates": (variable(np.zeros(2, "M8[s]")), "no plain numbers"),
    "whole numbers": (variable(np.zeros(2, int)), "no plain numbers"),
    "a type that is none": (array((1,), b"\0" * 4).replace(b"f4", b"f5"), "no plain numbers"),
    "NaN": (variable(np.float32([0, np.nan])), "not finite"),
    "infinity": (variable(np.float32(np.inf)), "not finite"),
    "more than float32 holds": (variable(np.float64([1e300])), "not finite"),
    # Other things than networks of version 2.
    "None": (dump(None), "other than networks"),
    "numbers": (dump((1, 2)), "other than networks"),
    "a class": (b"\x80\x02ctfutil\nNetwork\n.", "other than networks"),
    "an array alone": (dump(np.zeros(3, np.float32)), "other than networks"),
    "a dict": (dump(STATE), "other than networks"),
    "no networks": (dump(()), "holds no network"),
    "one network twice": (dump((Network(STATE), Network(STATE))), "two networks of the name 'Gs'"),
    "version 1": (stored(version=1), "version 1, not 2"),
    "version 3": (stored(version=3), "version 3, not 2"),
    "version True": (stored(version=True), "version True, not 2"),
    "version 2.0": (stored(version=2.0), "version 2.0, not 2"),
    "a large version": (stored(version=1 << 1900), "version a large int, not 2"),
    "no version": (without("version"), "version None, not 2"),
    **{f"no {key}": (without(key), f"lacks .'{key}'. and adds") for key in list(STATE)[1:]},
    "a further key": (stored(hook="x"), "adds .'hook'."),
    "a state of pairs": (dump(Call(Network, state=list(STATE.items()))), "other than networks"),
    "an unknown network": (stored(build_func_name="G_style"), "holds the network 'G_style'; known are G_paper"),
    "a network of no name": (stored(build_func_name=["G_paper"]), "holds the network"),
    "a name of two lines": (stored(name="G\nD"), "no name"),
    "an empty name": (stored(name=""), "no name"),
    "a long name": (stored(name="G" * 10_000), "no name"),
    "a variable of no name": (stored(variables=[(None, np.float32(0))]), "no name"),
    "a variable with an escape": (stored(variables=[("\x1b[31m", np.float32(0))]), "no name"),
    "a variable twice": (stored(variables=[("a", np.float32(0))] * 2), "'a' twice"),
    "three in a pair": (stored(variables=[("a", np.float32(0), 1)]), "opcodes make no networks"),
    "variables in a dict": (stored(variables={"a": np.float32(0)}), "opcodes make no networks"),
    "arguments in a list": (stored(static_kwargs=[]), "opcodes make no networks"),
    "arguments by number": (dump(Network(STATE | {"static_kwargs": {1: 2}})), "opcodes make no networks"),
    "bytes as an argument": (stored(static_kwargs={"a": b"x"}), "other than plain data"),
    "an array as an argument": (stored(static_kwargs={"a": np.zeros(3)}), "other than plain data"),
    "a class as an argument": (stored(static_kwargs={"a": np.ndarray}), "other than plain data"),
    "objects as an argument": (stored(static_kwargs={"a": Call(scalar, np.dtype(object), b"x")}), "no plain numbers"),
    # What grows.
    "laughing arguments": (argument(laughs()), "nested without end|more than 10000 things"),
    "laughing arguments in few levels": (argument(laughs(6)), "more than 10000 things"),
    "laughing lists": (argument(laughs(6, b"](", b"e")), "more than 10000 things"),
    "a laughing version": (planted(laughs(), version="HERE"), "has version"),
    "a laughing name": (planted(laughs(), name="HERE"), "no name"),
    "a laughing network": (planted(laughs(), build_func_name="HERE"), "holds the network"),
    "a laughing variable": (planted(laughs(), variables=[("a", "HERE")]), "no array of numbers"),
    "a laughing name of a variable": (planted(laughs(), variables=[("HERE", ZEROS)]), "no name"),
    "a laughing shape": (planted(laughs(), variables=[("a", made("HERE", b"\0" * 4))]), "has no shape"),
    "a laughing global": (b"\x80\x04" + laughs() + laughs() + b"\x93.", "asks for"),
    "a deep version": (planted(b")" + b"\x85" * 5_000, version="HERE"), "has version"),
    "a list in itself": (argument(b"]q\xf0h\xf0a"), "nested without end"),
    "a dict in itself": (argument(b"}q\xf0U\x01ah\xf0s"), "nested without end"),
    "nesting": (argument(b"(" * 3000 + b"t" * 3000), "nested without end"),
    "many opcodes": (argument(b"(" + b"N" * 60_000 + b"t"), "more than 50000 opcodes"),
    "many arguments": (argument(b"(" + b"N" * 11_000 + b"t"), "more than 10000 things"),
    "many variables": (stored(variables=[("a", None)] * 11_000), "more than 10000 things"),
    "the same array again and again": (
        stored(variables=[(f"{i}", ZEROS) for i in range(1000)]),
        "uses the same bytes again and again",
    ),
    "the same text again and again": (
        argument(b"(" + text("a" * 100_000) + b"q\xf0" + (ENCODE + b"h\xf0U\x06latin1\x86R") * 3000 + b"t"),
        "uses the same bytes again and again",
    ),
    "the same dict again and again": (
        argument(b"(](" + b"U\x01aN\x86" * 1000 + b"eq\xf0" + (ORDERED + b"h\xf0\x85R") * 3000 + b"t"),
        "more than 10000 things",
    ),
    "text encoded by another codec": (argument(ENCODE + b"C\x02ab" + text("zlib") + b"\x86R"), "calls encode in a way"),
    "an ordered dict of a number": (argument(ORDERED + b"K\x05\x85R"), "calls dict in a way"),
    "an ordered dict by number": (argument(ORDERED + b"]K\x01N\x86a\x85R"), "opcodes make no networks"),
}


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    path = tmp_path_factory.mktemp("broken") / "a.pkl"
    contents = [content for content, _ in BROKEN.values()]
    return dict(zip(BROKEN, outcomes(read_pickle, len, path, contents), strict=True))


@pytest.mark.parametrize("name", BROKEN)
def test_refused(messages, name):
    assert re.search(BROKEN[name][1], messages[name] or "read")


def test_no_file(tmp_path):
    assert "is no file" in refusal(read_pickle, tmp_path / "absent.pkl")
    assert "is no file" in refusal(read_pickle, tmp_path)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_pickle_cut_off_anywhere(tmp_path, protocol):
    content = dump((Network(STATE), Network(STATE | {"name": "G"})), protocol)
    path = tmp_path / "a.pkl"
    messages = outcomes(read_pickle, len, path, [content[:end] for end in range(len(content) + 1)])
    assert all(messages[:-1]) and not messages[-1]


def test_ordered_dicts_of_python_2(tmp_path):
    """They are called with their pairs."""
    path = tmp_path / "a.pkl"
    path.write_bytes(argument(ORDERED + b"](](U\x01aK\x01e](U\x01bNee\x85R"))
    assert read_pickle(path)[0].static_kwargs == {"x": {"a": 1, "b": None}}


def test_a_large_memo_is_not_a_large_table(tmp_path):
    content = argument(text("y") + b"r\xff\xff\xff\xff")
    assert outcomes(read_pickle, len, tmp_path / "a.pkl", [content]) == [""]


def assert_plain(networks):
    """Networks of numbers: nothing that could act."""
    for network in networks:
        json.dumps(network.static_kwargs)
        assert all(array.dtype == np.float32 and np.isfinite(array).all() for array in network.variables.values())


@pytest.mark.parametrize(("protocol", "pickler"), [(2, Pickler), (2, Python2Pickler), (4, Pickler), (5, Pickler)])
def test_damage_is_refused_or_harmless(tmp_path, protocol, pickler):
    content = dump((Network(STATE), Network(STATE | {"name": "G"})), protocol, pickler)
    messages = outcomes(read_pickle, assert_plain, tmp_path / "a.pkl", mutants(content, 1000, seed=protocol))
    assert 20 < messages.count("") < 600  # changed weights and names cannot be told
