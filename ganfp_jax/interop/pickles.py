"""Published pickles of `tfutil` networks, read as data: no class is looked up and nothing is called.

ProGAN, the attribution classifier and the fingerprint network are published as pickles, and the published loader
executes the Python source inside. Here a machine (`interop.pickle_machine`) that knows only the opcodes and globals of
such files (section 9.1 of the reference spec) builds plain data. Arrays are made afterwards, from bytes whose number
must fit the shape.
"""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ganfp_jax.interop.pickle_machine import Global, Machine, Stub, damaged
from ganfp_jax.interop.stored_file import (
    Unreadable,
    check_finite,
    check_name,
    check_shape,
    open_stored,
    shown,
)

BUILD_FUNCTIONS = ("G_paper", "D_paper", "C_patch", "EG", "D_patch")

_STATE = ("version", "name", "static_kwargs", "build_module_src", "build_func_name", "variables")
_MAX_DEPTH = 8  # of lists and dicts inside static_kwargs

# The globals that a file may name -> the machine's action for a call; `ndarray` is only ever an argument.
_GLOBALS = {
    ("tfutil", "Network"): "Network",
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("collections", "OrderedDict"): "dict",
    ("config", "EasyDict"): "dict",
    ("_codecs", "encode"): "encode",  # how Python 3 writes bytes under protocol 2
} | {
    (f"numpy.{core}.{module}", name): kind
    for core in ("core", "_core")
    for module, name, kind in (
        ("multiarray", "_reconstruct", "array"),
        ("multiarray", "scalar", "scalar"),
        ("numeric", "_frombuffer", "buffer"),  # protocol 5
    )
}
_FLOATS = ("f2", "f4", "f8")
_NUMBERS = (*_FLOATS, "b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")


@dataclasses.dataclass(frozen=True)
class StoredNetwork:
    """One network of a pickle, as plain data.

    Attributes:
        name: the name that its training gave it, such as "G", "D", "Gs" or "C_im".
        build_func_name: the function that builds the network, one of `BUILD_FUNCTIONS`.
        static_kwargs: its arguments, such as resolution and label_size: numbers, texts, None, and lists and dicts of
          these.
        variables: float32 arrays by name, in stored order; they may be read-only.
    """

    name: str
    build_func_name: str
    static_kwargs: dict[str, Any]
    variables: dict[str, np.ndarray]


def read_pickle(path: Path) -> list[StoredNetwork]:
    """Reads the networks of a pickle of one `tfutil.Network` or of a tuple or list of them, in the file's order.

    It reads protocols 2 to 5 of Python 2 (texts as latin-1) and 3. It executes nothing of the file, neither its globals
    nor the source text for the published loader.

    Raises:
        UserError: the file cannot be opened or is damaged; it names a global that such networks do not need; it holds
          another network or version, or variables that are not finite arrays of floating-point numbers.
    """
    with open_stored(path) as file:
        reader = _Reader(file)
        top = reader.run()
        stubs = top if isinstance(top, tuple | list) else [top]
        networks: dict[str, StoredNetwork] = {}
        for stub in stubs:
            network = reader.network(stub)
            if network.name in networks:
                raise Unreadable(f"it holds two networks of the name {shown(network.name)}; give the published file")
            networks[network.name] = network
        if not networks:
            raise Unreadable("it holds no network; give the published file")
        return list(networks.values())


class _Reader(Machine):
    """Reads one file: `run` executes its opcodes, then `network` converts each network."""

    globals: ClassVar = _GLOBALS

    def call(self, kind: str, arguments: tuple[Any, ...]) -> Any:
        """Returns a record of the call; only dicts and bytes are made, from data of the file."""
        match kind, arguments:
            case "dict", ():
                return {}
            case "dict", [[*pairs]] if all(isinstance(p, tuple | list) and len(p) == 2 for p in pairs):  # Python 2
                self.spend_items(len(pairs))
                if not all(isinstance(key, str) for key, _ in pairs):
                    raise damaged()
                return dict(pairs)
            case "encode", [str(text), "latin1"]:
                return self._encode(text)
            case ("Network", ()) | ("dtype" | "array" | "scalar" | "buffer", _):
                return Stub(kind, arguments)
        return super().call(kind, arguments)

    def _encode(self, text: str) -> bytes:
        self.spend(len(text))
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError as error:
            raise Unreadable("it holds text where an array's bytes should be; download it again") from error

    def network(self, stub: Any) -> StoredNetwork:
        if not isinstance(stub, Stub) or stub.kind != "Network" or not isinstance(stub.state, dict):
            raise Unreadable("it holds something other than networks; give the published file")
        state = stub.state
        version = state.get("version")
        if type(version) is not int or version != 2:
            raise Unreadable(f"a network of it has version {shown(version)}, not 2; only the published ones are read")
        missing, surplus = sorted(set(_STATE) - state.keys()), sorted(state.keys() - set(_STATE))
        if missing or surplus:
            raise Unreadable(f"a network of it lacks {shown(missing)} and adds {shown(surplus)}; download it again")
        function, variables = state["build_func_name"], state["variables"]
        if function not in BUILD_FUNCTIONS:
            raise Unreadable(f"it holds the network {shown(function)}; known are {', '.join(BUILD_FUNCTIONS)}")
        if not isinstance(state["static_kwargs"], dict) or not isinstance(variables, list):
            raise damaged()
        arrays: dict[str, np.ndarray] = {}
        self.spend_items(len(variables))
        for pair in variables:
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise damaged()
            name = check_name(pair[0], arrays)
            arrays[name] = self._variable(name, pair[1])
        kwargs = self._plain(state["static_kwargs"], 0)
        return StoredNetwork(check_name(state["name"], {}), function, kwargs, arrays)

    def _variable(self, name: str, stub: Any) -> np.ndarray:
        with np.errstate(all="ignore"):  # a value beyond float32 becomes infinite and is refused
            array = np.asarray(self._array(name, stub, _FLOATS), np.float32, order="C")
        return check_finite(name, array)

    def _array(self, name: str, stub: Any, types: tuple[str, ...]) -> np.ndarray:
        """Makes the array or scalar that a record describes, with one of the dtypes; a view where possible."""
        fortran: Any
        match stub:
            case Stub("array", [Global("ndarray"), (0,), b"b" | "b"], [1, shape, dtype, fortran, data]):
                pass
            case Stub("scalar", [dtype, data], None):
                shape, fortran = (), False
            case Stub("buffer", [data, dtype, shape, "C" | "F" as order], None):
                fortran = order == "F"
            case _:
                raise Unreadable(f"{shown(name)} is no array of numbers; download it again")
        match dtype:
            case Stub("dtype", [str(code), *_], [3, "<" | ">" | "|" as byte_order, None, None, None, *_]) if (
                code in types
            ):
                element = np.dtype(byte_order + code)
            case _:
                raise Unreadable(
                    f"{shown(name)} has elements that are no plain numbers; only {', '.join(types)} are read"
                )
        if isinstance(data, str):  # Python 2
            data = self._encode(data)
        if not isinstance(data, bytes | bytearray) or type(fortran) not in (bool, int):
            raise damaged()
        self.spend(len(data))
        shape = check_shape(shown(name), shape, element.itemsize, len(data))
        return np.frombuffer(data, element).reshape(shape, order="F" if fortran else "C")

    def _plain(self, value: Any, depth: int) -> Any:
        """Copies a value of static_kwargs; tuples become lists, NumPy's numbers become Python's."""
        self.spend_items(1)
        if depth > _MAX_DEPTH:
            raise Unreadable("its static_kwargs are nested without end; do not trust it")
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, tuple | list):
            return [self._plain(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return {key: self._plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, Stub) and value.kind == "scalar":
            return self._array("static_kwargs", value, _NUMBERS).item()
        raise Unreadable("its static_kwargs hold something other than plain data; download it again")
