"""Published pickles of `tfutil` networks, read as data: no class is looked up and nothing is called.

ProGAN, the attribution classifier and the fingerprint network are published as pickles, and the published loader
executes the Python source inside. Here `pickletools` splits the file into opcodes, and a machine that knows only the
opcodes and globals of such files (section 9.1 of the reference spec) builds plain data. A global is a name and a call
an inert record. Arrays are made afterwards, from bytes whose number must fit the shape.
"""

import dataclasses
import pickletools
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from ganfp_jax.interop.stored_file import (
    MAX_VARIABLES,
    StoredFile,
    Unreadable,
    check_finite,
    check_name,
    check_shape,
    open_stored,
    shown,
)

BUILD_FUNCTIONS = ("G_paper", "D_paper", "C_patch", "EG", "D_patch")

_STATE = ("version", "name", "static_kwargs", "build_module_src", "build_func_name", "variables")
_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_MAX_OPCODES = 50_000  # the three ProGAN networks take 5,000
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
_LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINSTRING", "SHORT_BINSTRING"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
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


@dataclasses.dataclass(frozen=True)
class _Global:
    """A global that the file names; it is only a text, even "os.system"."""

    kind: str


@dataclasses.dataclass(eq=False)
class _Stub:
    """A call in the file: its function, arguments and state."""

    kind: str
    arguments: tuple[Any, ...]
    state: Any = None


class _Reader:
    """Reads one file: `run` executes its opcodes, then `network` converts each network."""

    def __init__(self, file: StoredFile) -> None:
        self._file = file
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []  # the stacks below the marks
        self._memo: dict[int, Any] = {}
        # A file may refer to a part many times. The data made of all references must not exceed what the file can fill:
        # every byte once as text of protocol 2 and once in an array.
        self._bytes_left = 2 * file.size
        self._items_left = MAX_VARIABLES

    def run(self) -> Any:
        try:
            for count, (opcode, argument) in enumerate(_opcodes(self._file)):
                if count == _MAX_OPCODES:
                    raise Unreadable(f"it has more than {_MAX_OPCODES} opcodes, a network far fewer; do not trust it")
                self._step(opcode, argument)
        except ValueError as error:
            raise Unreadable(f"it is no whole pickle ({shown(str(error))}); download it again") from error
        top = self._pop()
        if self._stack or self._outer or self._file.tell() != self._file.size:
            raise Unreadable("it holds more than one object; download it again")
        return top

    def _step(self, opcode: str, argument: Any) -> None:
        match opcode:
            case "PROTO" | "STOP":
                pass
            case "FRAME":  # it only gives the number of bytes that follow
                if argument > self._file.size - self._file.tell():
                    raise Unreadable(f"it ends at byte {self._file.size}, inside a frame; download it again")
            case "NONE":
                self._stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                self._stack.append(opcode == "NEWTRUE")
            case _ if opcode in _LITERALS:
                self._stack.append(argument)
            case "EMPTY_LIST":
                self._stack.append([])
            case "EMPTY_DICT":
                self._stack.append({})
            case "EMPTY_TUPLE":
                self._stack.append(())
            case "MARK":
                self._outer.append(self._stack)
                self._stack = []
            case "TUPLE":
                items = self._pop_mark()
                self._stack.append(tuple(items))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                items = [self._pop() for _ in range(int(opcode[-1]))]
                self._stack.append(tuple(reversed(items)))
            case "APPEND":
                self._append([self._pop()])
            case "APPENDS":
                self._append(self._pop_mark())
            case "SETITEM":
                value, key = self._pop(), self._pop()
                self._set([key, value])
            case "SETITEMS":
                self._set(self._pop_mark())
            case "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = self._top()
            case "MEMOIZE":
                self._memo[len(self._memo)] = self._top()
            case "BINGET" | "LONG_BINGET":
                if argument not in self._memo:
                    raise _damaged()
                self._stack.append(self._memo[argument])
            case "GLOBAL":
                self._stack.append(_find(*argument))
            case "STACK_GLOBAL":
                name, module = self._pop(), self._pop()
                self._stack.append(_find(module, name))
            case "REDUCE" | "NEWOBJ":
                arguments, function = self._pop(), self._pop()
                self._stack.append(self._call(function, arguments))
            case "BUILD":
                state, stub = self._pop(), self._top()
                if not isinstance(stub, _Stub) or stub.state is not None:
                    raise _damaged()
                stub.state = state
            case _:
                raise _needless(opcode)

    def _top(self) -> Any:
        if not self._stack:
            raise _damaged()
        return self._stack[-1]

    def _pop(self) -> Any:
        self._top()
        return self._stack.pop()

    def _pop_mark(self) -> list[Any]:
        if not self._outer:
            raise _damaged()
        items, self._stack = self._stack, self._outer.pop()
        return items

    def _append(self, items: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, list):
            raise _damaged()
        target.extend(items)

    def _set(self, items: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, dict) or len(items) % 2 or not all(isinstance(key, str) for key in items[::2]):
            raise _damaged()
        target.update(zip(items[::2], items[1::2], strict=True))

    def _call(self, function: Any, arguments: Any) -> Any:
        """Returns a record of the call; only dicts and bytes are made, from data of the file."""
        if not isinstance(function, _Global) or not isinstance(arguments, tuple):
            raise _damaged()
        match function.kind, arguments:
            case "dict", ():
                return {}
            case "dict", [[*pairs]] if all(isinstance(p, tuple | list) and len(p) == 2 for p in pairs):  # Python 2
                self._spend_items(len(pairs))
                if not all(isinstance(key, str) for key, _ in pairs):
                    raise _damaged()
                return dict(pairs)
            case "encode", [str(text), "latin1"]:
                return self._encode(text)
            case ("Network", ()) | ("dtype" | "array" | "scalar" | "buffer", _):
                return _Stub(function.kind, arguments)
        raise Unreadable(f"it calls {function.kind} in a way that no network needs; nothing was executed")

    def _encode(self, text: str) -> bytes:
        self._spend(len(text))
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError as error:
            raise Unreadable("it holds text where an array's bytes should be; download it again") from error

    def _spend(self, num_bytes: int) -> None:
        self._bytes_left -= num_bytes
        if self._bytes_left < 0:
            raise Unreadable("it uses the same bytes again and again; do not trust it")

    def network(self, stub: Any) -> StoredNetwork:
        if not isinstance(stub, _Stub) or stub.kind != "Network" or not isinstance(stub.state, dict):
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
            raise _damaged()
        arrays: dict[str, np.ndarray] = {}
        self._spend_items(len(variables))
        for pair in variables:
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise _damaged()
            name = check_name(pair[0], arrays)
            arrays[name] = self._variable(name, pair[1])
        kwargs = self._plain(state["static_kwargs"], 0)
        return StoredNetwork(check_name(state["name"], {}), function, kwargs, arrays)

    def _spend_items(self, count: int) -> None:
        self._items_left -= count
        if self._items_left < 0:
            raise Unreadable(f"it holds more than {MAX_VARIABLES} things, a network far fewer; do not trust it")

    def _variable(self, name: str, stub: Any) -> np.ndarray:
        with np.errstate(all="ignore"):  # a value beyond float32 becomes infinite and is refused
            array = np.asarray(self._array(name, stub, _FLOATS), np.float32, order="C")
        return check_finite(name, array)

    def _array(self, name: str, stub: Any, types: tuple[str, ...]) -> np.ndarray:
        """Makes the array or scalar that a record describes, with one of the dtypes; a view where possible."""
        fortran: Any
        match stub:
            case _Stub("array", [_Global("ndarray"), (0,), b"b" | "b"], [1, shape, dtype, fortran, data]):
                pass
            case _Stub("scalar", [dtype, data], None):
                shape, fortran = (), False
            case _Stub("buffer", [data, dtype, shape, "C" | "F" as order], None):
                fortran = order == "F"
            case _:
                raise Unreadable(f"{shown(name)} is no array of numbers; download it again")
        match dtype:
            case _Stub("dtype", [str(code), *_], [3, "<" | ">" | "|" as byte_order, None, None, None, *_]) if (
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
            raise _damaged()
        self._spend(len(data))
        shape = check_shape(shown(name), shape, element.itemsize, len(data))
        return np.frombuffer(data, element).reshape(shape, order="F" if fortran else "C")

    def _plain(self, value: Any, depth: int) -> Any:
        """Copies a value of static_kwargs; tuples become lists, NumPy's numbers become Python's."""
        self._spend_items(1)
        if depth > _MAX_DEPTH:
            raise Unreadable("its static_kwargs are nested without end; do not trust it")
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, tuple | list):
            return [self._plain(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return {key: self._plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, _Stub) and value.kind == "scalar":
            return self._array("static_kwargs", value, _NUMBERS).item()
        raise Unreadable("its static_kwargs hold something other than plain data; download it again")


def _opcodes(file: StoredFile) -> Iterator[tuple[str, Any]]:
    """Yields the file's opcodes with their arguments, up to STOP.

    Raises:
        ValueError: an argument is malformed.
    """
    name = ""
    while name != "STOP":
        code = file.read(1)
        opcode = _OPCODES.get(code)
        if opcode is None:
            raise Unreadable(f"it is no whole pickle (there is no opcode {code!r}); download it again")
        name = opcode.name
        if name == "GLOBAL":
            yield name, tuple(file.readline().removesuffix(b"\n").decode("latin-1") for _ in range(2))
        elif opcode.arg is None:
            yield name, None
        elif opcode.arg.n == pickletools.UP_TO_NEWLINE:  # protocol 0, or a reference to another object
            raise _needless(name)
        else:
            yield name, opcode.arg.reader(cast(IO[bytes], file))  # it calls only `read`


def _find(module: Any, name: Any) -> _Global:
    """Returns the record of a global; nothing is imported."""
    kind = _GLOBALS.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
    if kind is None:
        asked = f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else name
        raise Unreadable(f"it asks for {shown(asked)}, which no published network needs; nothing was executed")
    return _Global(kind)


def _needless(opcode: str) -> Unreadable:
    return Unreadable(f"it uses the opcode {opcode}, which no network needs; nothing was executed")


def _damaged() -> Unreadable:
    return Unreadable("its opcodes make no networks; download it again")
