"""TensorFlow 1 checkpoints (V2, "tensor bundles"), read without TensorFlow (section 9.3 of the reference spec).

`PREFIX.index` is a LevelDB table: variable name -> position of its bytes in `PREFIX.data-00000-of-00001`. Both files
have CRC-32C checksums, and all of them are verified.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ganfp_jax.interop.stored_file import (
    MAX_VARIABLES,
    StoredFile,
    Unreadable,
    check_finite,
    check_name,
    check_shape,
    check_total,
    open_stored,
    refusals,
    shown,
)
from ganfp_jax.run.errors import UserError

CHECKPOINT = "checkpoint"  # the text file that names the newest prefix
TABLE_MAGIC = bytes.fromhex("57fb808b247547db")  # the last bytes of every LevelDB table

_FOOTER = 48
_TRAILER = 5  # bytes after each block: its compression and its checksum
_RAW, _SNAPPY = 0, 1
_MAX_TABLE = 2 << 20  # bytes of an index, which is read whole; a published one has about 6,000
_MAX_KEY = 512
_MAX_FILE_NAME = 200  # bytes
_SUFFIX = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
_NEWEST = re.compile(rb'\s*model_checkpoint_path:\s*"((?:[^"\\\n]|\\.)*)"')
# TensorFlow's numbers of the dtypes of variables.
_ELEMENTS = {1: "<f4", 2: "<f8", 3: "<i4", 4: "|u1", 5: "<i2", 6: "|i1", 9: "<i8", 19: "<f2"}

Fields = dict[int, list[int | bytes]]  # number of a field of a protocol buffer's message -> its values


def read_bundle(path: Path) -> dict[str, np.ndarray]:
    """Reads the variables of a checkpoint by name, such as "generator/g_h0_lin/Matrix", sorted, with their own dtypes.

    Args:
        path: the prefix ("DIR/MMDGAN.model-150000"), one of its files, the folder, or the folder's text file
          `checkpoint`, of which the newest entry is taken. That entry is looked for beside the text file, whatever
          folder it names: checkpoints are moved, and a file must not choose the folder that is read.

    Raises:
        UserError: a file is missing or cannot be opened, is damaged, compressed or big-endian, or holds other data than
          finite arrays of numbers.
    """
    index = find_index(path)
    with open_stored(index) as file:
        num_shards, entries = _read_index(file)
    arrays: dict[str, np.ndarray] = {}
    for shard in sorted({entry.shard for entry in entries.values()}):
        with open_stored(index.with_suffix(f".data-{shard:05d}-of-{num_shards:05d}")) as file:
            arrays |= _read_shard(file, {name: entry for name, entry in entries.items() if entry.shard == shard})
    return {name: arrays[name] for name in entries}


def find_index(path: Path) -> Path:
    """Finds the `PREFIX.index` of a checkpoint from any of the paths that `read_bundle` takes.

    Raises:
        UserError: the folder has no file `checkpoint`, the file names no prefix, or there is no such index.
    """
    with refusals(path):
        if path.is_dir():
            if not (path / CHECKPOINT).is_file():
                raise UserError(f"{path} holds no file {CHECKPOINT}; give the file that ends in .index")
            path = path / CHECKPOINT
        if path.is_file() and not _SUFFIX.search(path.name):
            with open_stored(path) as file:
                name = _newest(file)
        else:
            name = _SUFFIX.sub("", path.name)
        index = path.with_name(f"{name}.index")
        if not index.is_file():
            lacks = f"needs {index.name} beside it" if path.exists() else f"is not there, nor is {index.name}"
            raise UserError(f"{path} {lacks}; keep the files of a checkpoint in one folder, or check the path")
        return index


def is_checkpoint_text(start: bytes) -> bool:
    """Whether a file with this start is the text file `checkpoint` of a folder."""
    return _NEWEST.match(start) is not None


def _newest(file: StoredFile) -> str:
    """Reads the newest prefix, without folders."""
    match = _NEWEST.match(file.read_at(0, min(file.size, 1 << 16)))
    quoted = match[1] if match else b""
    path = re.sub(rb"\\([0-7]{3}|.)", lambda m: bytes([int(m[1], 8) & 255]) if len(m[1]) == 3 else m[1], quoted)
    name = re.split(r"[/\\]", path.decode("utf-8", "replace"))[-1]
    if not name or not name.isprintable() or len(name.encode()) > _MAX_FILE_NAME:
        raise Unreadable(f"it names no checkpoint ({shown(name)}); give the file that ends in .index")
    return name


class _Entry(NamedTuple):
    """The dtype, shape and place of a variable; offset and length are in bytes."""

    element: np.dtype
    shape: tuple[int, ...]
    shard: int
    offset: int
    length: int
    checksum: int


def _read_index(file: StoredFile) -> tuple[int, dict[str, _Entry]]:
    """Reads the number of data files, and every variable's entry by name."""
    if file.size > _MAX_TABLE:
        raise Unreadable(f"it has {file.size} bytes, an index far fewer; give the .index of a V2 checkpoint")
    items = dict(_items(file.read_at(0, file.size)))
    header = _fields(items.pop(b"", b""))
    if any(isinstance(value, bytes) for value in header.get(1, [])):
        raise Unreadable("it is a V1 checkpoint; save it again with TensorFlow as V2")
    num_shards = _number(header, 1)
    if _number(header, 2):
        raise Unreadable("it was written on a big-endian machine; save it again on a little-endian one")
    if not 1 <= num_shards <= 99_999:
        raise Unreadable(f"it says that it has {num_shards} data files; download it again")
    entries: dict[str, _Entry] = {}
    for key, value in items.items():
        if key.startswith(b"\0"):
            raise Unreadable("it holds variables in slices; save them unpartitioned")
        name = check_name(key.decode("latin-1"), entries)
        entries[name] = _entry(shown(name), _fields(value), num_shards)
    if not entries:
        raise Unreadable("it lists no variables; download it again")
    check_total(sum(entry.length for entry in entries.values()))
    return num_shards, entries


def _entry(name: str, fields: Fields, num_shards: int) -> _Entry:
    dtype, shard, offset, length, checksum = (_number(fields, field) for field in (1, 3, 4, 5, 6))
    if dtype not in _ELEMENTS:
        raise Unreadable(f"{name} is of TensorFlow's type {dtype}, no plain number; give a checkpoint of TensorFlow 1")
    if shard >= num_shards:
        raise Unreadable(f"{name} lies in data file {shard} of {num_shards}; download it again")
    element = np.dtype(_ELEMENTS[dtype])
    axes = [_number(_fields(axis), 1) for shape in _messages(fields, 2) for axis in _messages(_fields(shape), 2)]
    return _Entry(element, check_shape(name, axes, element.itemsize, length), shard, offset, length, checksum)


def _read_shard(file: StoredFile, entries: Mapping[str, _Entry]) -> dict[str, np.ndarray]:
    """Reads the variables of one data file."""
    arrays, end = {}, 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].offset):
        if entry.offset < end:
            raise Unreadable(f"{shown(name)} shares bytes with another variable; do not trust it")
        end = entry.offset + entry.length
        data = file.read_at(entry.offset, entry.length)
        if _masked(data) != entry.checksum:
            raise Unreadable(f"{shown(name)} does not match its checksum; download it again")
        arrays[name] = check_finite(shown(name), np.frombuffer(data, entry.element).reshape(entry.shape))
    return arrays


def _items(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields every key of a LevelDB table with its value, in ascending order of the keys."""
    if len(table) < _FOOTER or not table.endswith(TABLE_MAGIC):
        raise Unreadable("it does not end as an index does; download it again")
    footer = _Bytes(table[-_FOOTER:])
    footer.varint(), footer.varint()  # the metaindex block, which checkpoints leave empty
    count, last, end = 0, None, 0
    for _, handle in _block(table, footer.varint(), footer.varint()):
        where = _Bytes(handle)
        offset, size = where.varint(), where.varint()
        if offset < end:
            raise _damaged()
        end = offset + size + _TRAILER
        for key, value in _block(table, offset, size):
            count += 1
            if (last is not None and key <= last) or count > MAX_VARIABLES:
                raise _damaged()
            last = key
            yield key, value


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yields the entries of one block; a key shares the start of the key before."""
    end = offset + size
    if end + _TRAILER > len(table) - _FOOTER:
        raise _damaged()
    if _masked(table[offset : end + 1]) != int.from_bytes(table[end + 1 : end + _TRAILER], "little"):
        raise Unreadable("a block of it does not match its checksum; download it again")
    if table[end] != _RAW:
        how = "with Snappy" if table[end] == _SNAPPY else f"in way {table[end]}"
        raise Unreadable(f"it is compressed {how}, as TensorFlow's own indices are not; save it again with TensorFlow")
    num_restarts = int.from_bytes(table[end - 4 : end], "little")
    if (length := size - 4 * (num_restarts + 1)) < 0:
        raise _damaged()
    block = _Bytes(table[offset : offset + length])
    key = b""
    while block.left:
        shared, unshared, length = block.varint(), block.varint(), block.varint()
        if shared > len(key) or shared + unshared > _MAX_KEY:
            raise _damaged()
        key = key[:shared] + block.take(unshared)
        yield key, block.take(length)


class _Bytes:
    """Bytes that are read from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._position

    def take(self, length: int) -> bytes:
        if length > self.left:
            raise _damaged()
        self._position += length
        return self._data[self._position - length : self._position]

    def varint(self) -> int:
        """Reads a number in groups of seven bits, of 64 bits at most."""
        value = 0
        for shift in range(0, 64, 7):
            (byte,) = self.take(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise _damaged()


def _fields(message: int | bytes) -> Fields:
    """Returns the values of a protocol buffer's message by field: numbers as int, everything else as bytes."""
    if isinstance(message, int):
        raise _damaged()
    rest = _Bytes(message)
    fields: Fields = {}
    while rest.left:
        field, kind = divmod(rest.varint(), 8)
        value: int | bytes
        if kind == 0:
            value = rest.varint()
        elif kind == 2:
            value = rest.take(rest.varint())
        elif kind in (1, 5):
            value = int.from_bytes(rest.take(8 if kind == 1 else 4), "little")
        else:
            raise _damaged()
        fields.setdefault(field, []).append(value)
    return fields


def _number(fields: Fields, field: int) -> int:
    """Returns the number in a field; an absent field means 0."""
    value = fields.get(field, [0])[-1]
    if isinstance(value, bytes):
        raise _damaged()
    return value


def _messages(fields: Fields, field: int) -> list[int | bytes]:
    return fields.get(field, [])


def _masked(data: bytes) -> int:
    """Returns the CRC-32C as it is stored: rotated and shifted, since a checksum of checksums is weak."""
    from google_crc32c import value as crc32c

    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _damaged() -> Unreadable:
    return Unreadable("it is damaged; download it again")
