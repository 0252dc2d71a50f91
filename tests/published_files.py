"""Writers of the published checkpoint formats, without TensorFlow and Chainer: what their own savers would write."""

import io
import pickle
import struct
import types
import zipfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from struct import pack
from typing import Any, ClassVar, NamedTuple

import google_crc32c
import numpy as np

from ganfp_jax.interop.pickles import StoredNetwork

# The published loader executes this text. No reader of ours may.
MODULE_SOURCE = "raise SystemExit('the source inside the pickle was executed')\n"

_DTYPES = {"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "int64": 9, "float16": 19}


class Network:
    """Stands in for `tfutil.Network`: pickled as its state."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self.state = dict(state)

    def __getstate__(self) -> dict[str, Any]:
        return self.state


class Pickler(pickle._Pickler):
    """Names modules as the published files do: `Network` is tfutil's, NumPy is older than version 2."""

    def save_global(self, obj: Any, name: str | None = None) -> None:
        module = "tfutil" if obj is Network else obj.__module__.replace("numpy._core", "numpy.core")
        if self.proto >= 4:
            self.save(module)
            self.save(obj.__name__)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{module}\n{obj.__name__}\n".encode())
        self.memoize(obj)

    dispatch: ClassVar = {**pickle._Pickler.dispatch, types.FunctionType: save_global}


class Python2Pickler(Pickler):
    """Writes text and bytes alike, as Python 2 does."""

    def save_string(self, obj: str | bytes) -> None:
        data = obj.encode("latin-1") if isinstance(obj, str) else obj
        short = len(data) < 256
        self.write(pickle.SHORT_BINSTRING + bytes([len(data)]) if short else pickle.BINSTRING + pack("<i", len(data)))
        self.write(data)
        self.memoize(obj)

    dispatch: ClassVar = {**Pickler.dispatch, str: save_string, bytes: save_string}


def golden_arrays(name: str) -> dict[str, np.ndarray]:
    """The variables of a golden file, as the published code calls them."""
    with np.load(Path(__file__).parent / "golden" / f"{name}.npz") as file:
        return {key.removeprefix("param/"): np.asarray(file[key]) for key in file.files if key.startswith("param/")}


def network_state(network: StoredNetwork) -> dict[str, Any]:
    """The state of a `tfutil.Network`, in its order; scalars are NumPy's, as `lod` is in published files."""
    return {
        "version": 2,
        "name": network.name,
        "static_kwargs": network.static_kwargs,
        "build_module_src": MODULE_SOURCE,
        "build_func_name": network.build_func_name,
        "variables": [(name, np.asarray(value)[()]) for name, value in network.variables.items()],
    }


def dump(value: Any, protocol: int = 4, pickler: type[Pickler] = Pickler) -> bytes:
    """Pickles anything that holds `Network`s."""
    file = io.BytesIO()
    pickler(file, protocol).dump(value)
    return file.getvalue()


def write_pickle(
    path: Path, networks: Sequence[StoredNetwork], as_tuple: bool, protocol: int = 4, pickler: type[Pickler] = Pickler
) -> None:
    """Writes one network alone, or a tuple of networks, as the published code pickles them."""
    stubs = tuple(Network(network_state(network)) for network in networks)
    if not as_tuple and len(stubs) != 1:
        raise ValueError(f"{len(stubs)} networks need a tuple")
    path.write_bytes(dump(stubs if as_tuple else stubs[0], protocol, pickler))


def write_npz(path: Path, arrays: Mapping[str, np.ndarray], compressed: bool = True) -> None:
    """Writes arrays as `chainer.serializers.save_npz` does."""
    with path.open("wb") as file:
        (np.savez_compressed if compressed else np.savez)(file, **arrays)


def write_bundle(prefix: Path, arrays: Mapping[str, np.ndarray], shards: int = 1) -> None:
    """Writes a V2 checkpoint of TensorFlow and the text file `checkpoint` beside it."""
    items = {b"": message({1: shards, 3: message({1: 1})})}
    contents = [b""] * shards
    for i, (name, value) in enumerate(sorted(arrays.items())):
        array = np.asarray(value)
        data = array.astype(array.dtype.newbyteorder("<")).tobytes()
        items[name.encode()] = bundle_entry(array, i % shards, len(contents[i % shards]), masked_crc(data))
        contents[i % shards] += data
    for shard, content in enumerate(contents):
        prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}").write_bytes(content)
    prefix.with_name(f"{prefix.name}.index").write_bytes(table(items))
    prefix.with_name("checkpoint").write_text(
        f'model_checkpoint_path: "{prefix.name}"\nall_model_checkpoint_paths: "{prefix.name}"\n'
    )


def bundle_entry(array: np.ndarray, shard: int, offset: int, checksum: int) -> bytes:
    """An index's value for one variable."""
    axes = [(2, message({1: axis})) for axis in array.shape]
    shape = b"".join(field(number, value) for number, value in axes)
    numbers = {1: _DTYPES[array.dtype.name], 2: shape, 3: shard, 4: offset, 5: array.nbytes}
    return message(numbers) + varint(6 << 3 | 5) + pack("<I", checksum)


def table(items: Mapping[bytes, bytes], per_block: int = 20) -> bytes:
    """A LevelDB table, with shared prefixes and restarts as TensorFlow writes them."""
    out, handles, pairs = b"", {}, sorted(items.items())
    for start in range(0, len(pairs), per_block):
        out, handle = add_block(out, block(pairs[start : start + per_block]))
        handles[pairs[start : start + per_block][-1][0]] = handle
    out, meta = add_block(out, block([]))
    out, index = add_block(out, block(sorted(handles.items()), restart_every=1))
    return out + footer(meta, index)


def add_block(out: bytes, content: bytes, kind: int = 0) -> tuple[bytes, bytes]:
    """Appends a block with its trailer; returns the file so far and the block's handle."""
    sealed = content + bytes([kind])
    return out + sealed + pack("<I", masked_crc(sealed)), varint(len(out)) + varint(len(content))


def footer(meta: bytes, index: bytes) -> bytes:
    """The last 48 bytes of a table."""
    return (meta + index).ljust(40, b"\0") + pack("<Q", 0xDB4775248B80FB57)


def block(pairs: Sequence[tuple[bytes, bytes]], restart_every: int = 16) -> bytes:
    """The entries of one block and its restarts."""
    out, restarts, last = b"", [], b""
    for i, (key, value) in enumerate(pairs):
        shared = 0
        if i % restart_every == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    restarts = restarts or [0]
    return out + pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def message(fields: Mapping[int, int | bytes]) -> bytes:
    """A protocol buffer's message; zeros are left out, as proto3 does."""
    return b"".join(field(number, value) for number, value in fields.items() if value != 0)


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class TorchTensor:
    """Stands in for a tensor: numbers that lie beside the pickle, with an offset, a shape and strides."""

    def __init__(self, key: str, kind: str, count: int, shape: Sequence[int], strides: Sequence[int], offset: int = 0):
        self.storage = TorchStorage(key, kind, count)
        self.arguments = (offset, tuple(shape), tuple(strides), False, OrderedDict())

    def __reduce__(self) -> tuple[Any, ...]:
        return TorchGlobal("torch._utils", "_rebuild_tensor_v2"), (self.storage, *self.arguments)


class TorchGlobal:
    """Stands in for a function or class of PyTorch; a call would fail."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self, *_: Any) -> None:
        raise SystemExit("it was called")


class TorchStorage(NamedTuple):
    """Stands in for numbers of one kind that lie beside the pickle."""

    key: str
    kind: str
    count: int


class TorchPickler(pickle._Pickler):
    """Writes what `torch.save` writes, by protocol 2."""

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, TorchStorage):
            return None
        return "storage", TorchGlobal("torch", f"{obj.kind}Storage"), obj.key, "cpu", obj.count

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, TorchGlobal):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        else:
            super().save(obj, save_persistent_id)


_TORCH_KINDS = {"float32": "Float", "float64": "Double", "float16": "Half", "int64": "Long", "uint8": "Byte"}


def torch_records(
    tensors: Mapping[str, np.ndarray], wrap: str = "", beside: Mapping[str, Any] = {}
) -> dict[str, bytes]:
    """The members of such a file: a dict of tensors, or a dict with it under `wrap` and other things beside."""
    state, numbers = OrderedDict(), {}
    for number, (name, array) in enumerate(tensors.items()):
        strides = [step // array.itemsize for step in array.strides]
        state[name] = TorchTensor(str(number), _TORCH_KINDS[array.dtype.name], array.size, array.shape, strides)
        numbers[f"data/{number}"] = array.tobytes("A")
    return torch_members({wrap: state, **beside} if wrap else state, numbers)


def torch_members(top: Any, numbers: Mapping[str, bytes]) -> dict[str, bytes]:
    """The members of a file that holds this object."""
    content = io.BytesIO()
    TorchPickler(content, 2).dump(top)
    return {"data.pkl": content.getvalue(), "byteorder": b"little", **numbers, "version": b"3\n"}


def torch_archive(members: Mapping[str, bytes], root: str = "archive/") -> bytes:
    """A zip archive as PyTorch writes it: nothing is packed, and the records of ZIP64 stand at the end."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(root + name), content)
    content = out.getvalue()
    count, length, offset = struct.unpack_from("<HLL", content, len(content) - 12)
    wide = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, length, offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, offset + length, 1)
    return content[:-22] + wide + locator + content[-22:]
