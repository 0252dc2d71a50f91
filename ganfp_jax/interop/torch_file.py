"""PyTorch's files of tensors (`torch.save`, from version 1.6 on), read as data: no PyTorch, and nothing is executed.

Such a file is a zip archive: `data.pkl` is a pickle of names and shapes, `data/0` and so on hold the numbers. A pickle
may ask for any function; the machine of `interop.pickle_machine` reads it and knows those of tensors alone. A tensor is
made of bytes that lie in the archive, and all tensors together of no more than twice as many.
"""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ganfp_jax.interop.pickle_machine import Global, Machine, Stub, damaged
from ganfp_jax.interop.stored_file import (
    StoredFile,
    Unreadable,
    check_finite,
    check_name,
    check_shape,
    check_total,
    open_stored,
    shown,
)
from ganfp_jax.interop.zip_archive import check_apart, open_zip, refuse_damage

_MAX_PICKLE = 4 << 20  # bytes of data.pkl; that of the largest network known here takes 10,000
_DTYPES = {
    "Float": "f4",
    "Double": "f8",
    "Half": "f2",
    "Long": "i8",
    "Int": "i4",
    "Short": "i2",
    "Char": "i1",
    "Byte": "u1",
    "Bool": "b1",
}
STATES = ("state_dict", "model_state_dict", "model", "net", "network")
"""Keys under which trainings keep the tensors of a network, beside counters and optimisers."""


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """Reads the tensors of a network by name, such as "convs.0.weight", in the file's order and with their own dtypes.

    The file holds a dict of tensors, or a dict with such a dict under one of `STATES`. The prefix "module." of networks
    that were trained on several devices is left out.

    Raises:
        UserError: the file cannot be opened or is damaged; it asks for something that tensors do not need; it holds no
          tensors by name, or values that are not finite.
    """
    with open_stored(path) as file, open_zip(file, "PyTorch") as archive:
        members, root = _members(archive)
        content = _content(archive, members[f"{root}data.pkl"])
        reader = _Reader(StoredFile(io.BytesIO(content), len(content)), archive, members, root)
        tensors: dict[str, np.ndarray] = {}
        for name, stub in _state(reader.run()).items():
            name = check_name(name.removeprefix("module.") if isinstance(name, str) else name, tensors)
            tensors[name] = check_finite(name, reader.tensor(name, stub))
        return tensors


def _members(archive: zipfile.ZipFile) -> tuple[dict[str, zipfile.ZipInfo], str]:
    """Returns the members by name, and the folder that all lie in, such as "archive/"."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = check_name(member.orig_filename, members)
        if (
            member.flag_bits & 1
            or member.compress_type != zipfile.ZIP_STORED
            or member.file_size != member.compress_size
        ):
            raise Unreadable(f"{shown(name)} is encrypted or packed, as PyTorch never does; save it with PyTorch")
        members[name] = member
    check_total(sum(member.file_size for member in members.values()))
    check_apart(archive)
    roots = [name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(roots) != 1:
        raise Unreadable("it has no data.pkl, in which PyTorch keeps the names; save it with torch.save")
    root = roots[0]
    order = members.get(f"{root}byteorder")
    if order is not None and order.file_size < 16 and _content(archive, order) != b"little":
        raise Unreadable("its numbers are not in little-endian order; save it on another machine")
    if members[f"{root}data.pkl"].file_size > _MAX_PICKLE:
        raise Unreadable("its data.pkl is larger than that of any network; do not trust it")
    return members, root


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with refuse_damage(shown(member.filename)):
        return archive.read(member)


def _state(top: Any) -> Mapping[Any, Any]:
    """Returns the dict of tensors in what a file holds."""
    if isinstance(top, dict):
        inner = next((top[key] for key in STATES if isinstance(top.get(key), dict)), top)
        if inner and all(isinstance(value, Stub) for value in inner.values()):
            return inner
    raise Unreadable(
        "it holds no tensors by name; save the state_dict() of a network, alone or under one of " + ", ".join(STATES)
    )


class _Reader(Machine):
    """Reads the pickle of an archive."""

    globals: ClassVar = {
        ("collections", "OrderedDict"): "dict",
        ("torch._utils", "_rebuild_tensor_v2"): "tensor",
        ("torch._utils", "_rebuild_parameter"): "parameter",
        ("torch", "Size"): "size",
        ("torch", "device"): "device",
        **{("torch", f"{name}Storage"): name for name in _DTYPES},
    }
    keys: ClassVar = (str, int)  # an optimiser numbers what it learns

    def __init__(
        self, file: StoredFile, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], root: str
    ) -> None:
        super().__init__(file)
        self._archive, self._members, self._root = archive, members, root
        self._storages: dict[str, bytes] = {}
        self._left = 2 * sum(member.file_size for member in members.values())  # bytes of tensors

    def call(self, kind: str, arguments: tuple[Any, ...]) -> Any:
        """Makes dicts, and records of tensors."""
        match kind, arguments:
            case "dict", ():
                return {}
            case "parameter", [Stub("tensor") as tensor, bool(), dict()]:
                return tensor
            case "tensor", [Stub("storage"), int(), tuple(), tuple(), bool(), dict()]:
                return Stub(kind, arguments)
            case ("size", [tuple()]) | ("device", [str(), *_]):
                return Stub(kind, arguments)
        return super().call(kind, arguments)

    def build(self, target: Any, state: Any) -> None:
        """Passes over the versions of layers, which PyTorch hangs on the dict of tensors."""
        if not isinstance(target, dict):
            super().build(target, state)

    def persistent(self, what: Any) -> Stub:
        """Returns the record of numbers that lie beside the pickle."""
        match what:
            case ("storage", Global(kind), str(key), str(), int()) if kind in _DTYPES:
                return Stub("storage", (kind, key))
        raise damaged()

    def tensor(self, name: str, stub: Stub) -> np.ndarray:
        """Makes the array of a record: a copy, with its own dtype."""
        match stub:
            case Stub("tensor", [Stub("storage", [kind, key]), int(offset), tuple(shape), tuple(strides), _, _]):
                pass
            case _:
                raise Unreadable(f"{shown(name)} is no tensor; save the state_dict() of a network")
        element = np.dtype(f"<{_DTYPES[kind]}")
        stored = self._storage(name, key)
        numbers = np.frombuffer(stored[: len(stored) - len(stored) % element.itemsize], element)
        length = _length(name, shape, element.itemsize)
        if not all(type(step) is int and step >= 0 for step in strides) or len(strides) != len(shape):
            raise damaged()
        last = offset + sum(step * (axis - 1) for step, axis in zip(strides, shape, strict=True))
        if type(offset) is not int or not 0 <= offset <= last < len(numbers):
            raise Unreadable(f"{shown(name)} reaches beyond its {len(numbers)} numbers; download it again")
        self._left -= length
        if self._left < 0:
            raise Unreadable("it uses the same numbers again and again; do not trust it")
        view = np.lib.stride_tricks.as_strided(
            numbers[offset:], shape, [step * element.itemsize for step in strides], writeable=False
        )
        return np.array(view, element.newbyteorder("="), order="C")

    def _storage(self, name: str, key: str) -> bytes:
        place = f"{self._root}data/{key}"
        if place not in self._members:
            raise Unreadable(f"it lacks the numbers of {shown(name)}; download it again")
        if key not in self._storages:
            self._storages[key] = _content(self._archive, self._members[place])
        return self._storages[key]


def _length(name: str, shape: tuple[Any, ...], itemsize: int) -> int:
    """Returns the number of bytes of a tensor of this shape."""
    total = itemsize
    for axis in shape[:16]:
        total *= axis if type(axis) is int else 0
    check_shape(shown(name), shape, itemsize, total)
    return total
