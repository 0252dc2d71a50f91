"""A machine for untrusted pickles: it builds plain data and looks nothing up, whatever the file asks for.

`pickletools` splits the file into opcodes. The machine knows only those that networks' files need; a global is a name
and a call an inert record, unless a reader of one kind of file makes data of it.
"""

import dataclasses
import pickletools
from collections.abc import Iterator, Mapping
from typing import IO, Any, ClassVar, cast

from ganfp_jax.interop.stored_file import MAX_VARIABLES, StoredFile, Unreadable, shown

_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_MAX_OPCODES = 50_000  # the three ProGAN networks take 5,000
_LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINSTRING", "SHORT_BINSTRING"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}


@dataclasses.dataclass(frozen=True)
class Global:
    """A global that the file names; it is only a text, even "os.system"."""

    kind: str


@dataclasses.dataclass(eq=False)
class Stub:
    """A call in the file: its function, arguments and state."""

    kind: str
    arguments: tuple[Any, ...]
    state: Any = None


class Machine:
    """Executes the opcodes of one file; a reader says in a class of its own what it knows.

    Attributes:
        globals: the globals that a file may name -> what a call of each is to the reader.
        keys: the types that the keys of dicts may have.
    """

    globals: ClassVar[Mapping[tuple[str, str], str]] = {}
    keys: ClassVar[tuple[type, ...]] = (str,)

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
        """Executes the file; returns the one object that it leaves.

        Raises:
            Unreadable: it is no whole pickle, or does what no writer of networks does.
        """
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
                    raise damaged()
                self._stack.append(self._memo[argument])
            case "GLOBAL":
                self._stack.append(self._find(*argument))
            case "STACK_GLOBAL":
                name, module = self._pop(), self._pop()
                self._stack.append(self._find(module, name))
            case "REDUCE" | "NEWOBJ":
                arguments, function = self._pop(), self._pop()
                self._stack.append(self._call(function, arguments))
            case "BUILD":
                state = self._pop()
                self.build(self._top(), state)
            case "BINPERSID":
                self._stack.append(self.persistent(self._pop()))
            case _:
                raise _needless(opcode)

    def _top(self) -> Any:
        if not self._stack:
            raise damaged()
        return self._stack[-1]

    def _pop(self) -> Any:
        self._top()
        return self._stack.pop()

    def _pop_mark(self) -> list[Any]:
        if not self._outer:
            raise damaged()
        items, self._stack = self._stack, self._outer.pop()
        return items

    def _append(self, items: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, list):
            raise damaged()
        target.extend(items)

    def _set(self, items: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, dict) or len(items) % 2 or not all(type(key) in self.keys for key in items[::2]):
            raise damaged()
        target.update(zip(items[::2], items[1::2], strict=True))

    def _call(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise damaged()
        return self.call(function.kind, arguments)

    def call(self, kind: str, arguments: tuple[Any, ...]) -> Any:
        """Returns what a call of a global becomes; of one that is not known it is refused."""
        raise Unreadable(f"it calls {kind} in a way that no network needs; nothing was executed")

    def build(self, target: Any, state: Any) -> None:
        """Keeps the state that the file gives an object."""
        if not isinstance(target, Stub) or target.state is not None:
            raise damaged()
        target.state = state

    def persistent(self, what: Any) -> Any:
        """Returns what an object that lies outside the pickle becomes."""
        raise _needless("BINPERSID")

    def _find(self, module: Any, name: Any) -> Global:
        """Returns the record of a global; nothing is imported."""
        kind = self.globals.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
        if kind is None:
            asked = f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else name
            raise Unreadable(f"it asks for {shown(asked)}, which no published network needs; nothing was executed")
        return Global(kind)

    def spend(self, num_bytes: int) -> None:
        """Counts bytes of the file that become data."""
        self._bytes_left -= num_bytes
        if self._bytes_left < 0:
            raise Unreadable("it uses the same bytes again and again; do not trust it")

    def spend_items(self, count: int) -> None:
        """Counts things of the file; it has only so many of them."""
        self._items_left -= count
        if self._items_left < 0:
            raise Unreadable(f"it holds more than {MAX_VARIABLES} things, a network far fewer; do not trust it")


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


def _needless(opcode: str) -> Unreadable:
    return Unreadable(f"it uses the opcode {opcode}, which no network needs; nothing was executed")


def damaged() -> Unreadable:
    """Returns the refusal of opcodes that no writer of networks leaves."""
    return Unreadable("its opcodes make no networks; download it again")
