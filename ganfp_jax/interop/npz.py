"""Chainer's `.npz` files: a zip archive of NumPy's `.npy` arrays, of which nothing is ever unpickled.

Only what NumPy writes is read: one directory at the very end, members that are stored or deflated. Python's `zipfile`
takes far more than that, and believes a member's size before it has seen its bytes.
"""

import re
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ganfp_jax.interop.stored_file import (
    MAX_VARIABLES,
    Refused,
    StoredFile,
    check_finite,
    check_name,
    check_shape,
    check_total,
    open_stored,
    shown,
)

_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s22x2H")
_STORED, _DEFLATED = 0, 8
_MAX_DIRECTORY = 4 << 20  # bytes of the list of contents; the largest published network's takes 10,000
_CHUNK = 1 << 16
# Weights hardly shrink. An archive may hold this many times its own size, and a small one this much in any case.
_MAX_RATIO, _SMALL = 8, 16 << 20

_MAX_HEADER = 4096  # bytes of an array's description
# NumPy writes the description in this order; Python 2 wrote some numbers as 3L.
_HEADER = re.compile(
    rb"\{'descr': '([<>|])(?:([a-zA-Z])(\d{1,9})|O)', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,19}L?(?:, ?|(?=\))))*)\), \}\s*"
)
_PASSED_OVER = (b"S", b"U", None)  # texts, and objects, whose description has no size
_ELEMENTS = ("f2", "f4", "f8", "b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name, such as "block2/c1/W", in the file's order and their own number types.

    Texts are left out, since a trainer's snapshot holds its log beside the networks, and so are Python objects, of
    which NumPy keeps a pickle, such as the None of a parameter without values: they are not unpickled, but passed over.

    Raises:
        UserError: the file cannot be opened, is damaged, holds no array of numbers or one that is not finite, or more
          than its size can account for.
    """
    with open_stored(path) as file:
        members = _directory(file)
        total = sum(member.size for member in members)
        if total > _SMALL + _MAX_RATIO * file.size:
            raise Refused(f"its {file.size} bytes would become {total}, as weights never do; do not trust it")
        check_total(total)
        arrays = {member.name: _Content(file, member).array() for member in members}
        numbers = {name: array for name, array in arrays.items() if array is not None}
        if not numbers:
            raise Refused(
                f"it holds no plain array of numbers, but {shown(next(iter(arrays)))} (pickled objects are never "
                "loaded); give the file of one network's weights"
            )
        return numbers


class _Member(NamedTuple):
    """One array as the directory describes it: sizes in bytes, before and after compression."""

    name: str
    method: int
    crc: int
    offset: int
    end: int
    size: int


def _directory(file: StoredFile) -> list[_Member]:
    """What the archive holds, in the directory's order."""
    at = file.size - _END.size
    signature, disk, first, here, count, length, offset, comment = _END.unpack(file.read_at(at, _END.size))
    whole = signature == b"PK\5\6" and disk == first == comment == 0 and here == count and offset + length == at
    if not whole or length > _MAX_DIRECTORY or not 0 < count <= MAX_VARIABLES:
        raise Refused("it is no whole archive as NumPy writes them; download it again")
    listing = file.read_at(offset, length)
    members: dict[str, _Member] = {}
    start = 0
    for _ in range(count):
        if start + _ENTRY.size > length:
            raise _damaged()
        fields = _ENTRY.unpack_from(listing, start)
        signature, flags, method, crc, stored, size = fields[0], *fields[3:5], *fields[7:10]
        name_length, extra_length, comment_length, local = *fields[10:13], fields[16]
        stored_name = listing[start + _ENTRY.size :][:name_length]
        start += _ENTRY.size + name_length + extra_length + comment_length
        if signature != b"PK\1\2":
            raise _damaged()
        name = check_name(stored_name.decode("latin-1").removesuffix(".npy"), members)
        if not stored_name.endswith(b".npy") or name.startswith("/") or ".." in name.split("/"):
            raise Refused(f"it holds {shown(stored_name.decode('latin-1'))}, which is no array; give a file of weights")
        if flags & 1 or method not in (_STORED, _DEFLATED):
            raise Refused(f"{shown(name)} is encrypted or packed in a way that NumPy never does; save it with NumPy")
        content = _content_offset(file, local, stored_name)
        members[name] = _Member(name, method, crc, content, content + stored, size)
    previous = 0
    for member in sorted(members.values(), key=lambda member: member.offset):
        if not previous < member.offset <= member.end <= offset:
            raise Refused(f"{shown(member.name)} shares bytes with something else; do not trust it")
        previous = member.end
    if start != length:
        raise _damaged()
    return list(members.values())


def _content_offset(file: StoredFile, local: int, name: bytes) -> int:
    """Where a member's bytes start: behind its own header, which repeats the name."""
    signature, name_length, extra_length = _LOCAL.unpack(file.read_at(local, _LOCAL.size))
    if signature != b"PK\3\4" or name_length != len(name) or file.read_at(local + _LOCAL.size, len(name)) != name:
        raise _damaged()
    return local + _LOCAL.size + name_length + extra_length


class _Content:
    """The bytes of one member, unpacked only as far as they are asked for."""

    def __init__(self, file: StoredFile, member: _Member) -> None:
        self._file = file
        self._member = member
        self._name = shown(member.name)
        self._offset = member.offset
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._crc = 0

    def array(self) -> np.ndarray | None:
        """The array that the member is; None of a text or of objects."""
        magic = self._read(8)
        version, length_format = magic[6:], "<H" if magic[6:7] == b"\1" else "<L"
        if magic[:6] != b"\x93NUMPY" or version not in (b"\1\0", b"\2\0", b"\3\0"):
            raise Refused(f"{self._name} is no NumPy array; download it again")
        (length,) = struct.unpack(length_format, self._read(struct.calcsize(length_format)))
        header = _HEADER.fullmatch(self._read(length)) if length <= _MAX_HEADER else None
        if header is not None and header[2] in _PASSED_OVER:
            return None
        if header is None or (code := (header[2] + header[3]).decode()) not in _ELEMENTS:
            raise Refused(
                f"{self._name} is no plain array of numbers (pickled objects are never loaded); give the file of one "
                "network's weights"
            )
        axes = [int(axis.rstrip(b"L")) for axis in header[5].replace(b",", b" ").split()]
        element = np.dtype(header[1].decode() + code)
        num_bytes = self._member.size - len(magic) - struct.calcsize(length_format) - length
        shape = check_shape(self._name, axes, element.itemsize, num_bytes)
        data = self._read(num_bytes)
        if self._crc != self._member.crc or self._piece(1):
            raise Refused(f"{self._name} does not match its checksum; download it again")
        array = np.frombuffer(data, element).reshape(shape, order="F" if header[4] == b"True" else "C")
        return check_finite(self._name, np.asarray(array, element.newbyteorder("="), order="C"))

    def _read(self, length: int) -> bytearray:
        data = bytearray()
        while len(data) < length:
            piece = self._piece(length - len(data))
            if not piece:
                raise Refused(f"{self._name} ends before its array does; download it again")
            data += piece
        self._crc = zlib.crc32(data, self._crc)
        return data

    def _piece(self, most: int) -> bytes:
        """The next bytes, at most so many; none at the end."""
        if self._member.method == _STORED:
            return self._take(most)
        try:
            while not self._inflater.eof:
                packed = self._inflater.unconsumed_tail or self._take(_CHUNK)
                piece = self._inflater.decompress(packed, most)
                if piece or not packed:
                    return piece
        except zlib.error as error:
            raise Refused(f"{self._name} cannot be unpacked; download it again") from error
        return b""

    def _take(self, most: int) -> bytes:
        """The next bytes as they are stored."""
        taken = self._file.read_at(self._offset, min(most, _CHUNK, self._member.end - self._offset))
        self._offset += len(taken)
        return taken


def _damaged() -> Refused:
    return Refused("its list of contents is damaged; download it again")
