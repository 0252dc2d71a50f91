"""Chainer's `.npz` files: a zip archive of NumPy's `.npy` arrays. Nothing is ever unpickled.

Python's `zipfile` and NumPy read them after their declared sizes were checked: both libraries trust a declared size.
`zipfile` also accepts what NumPy never writes, such as comments and encrypted members; these are refused.
"""

import contextlib
import itertools
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

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
    shown,
)

_END = struct.Struct("<4s4H2LH")
_LOCAL = 30  # bytes of the local header before a member's name and content
_LOCATOR = 20  # bytes of the locator of a ZIP64 directory, where there is one, just before the end record
_MAX_DIRECTORY = 4 << 20  # bytes of the central directory; that of the largest published network takes 10,000
# Weights hardly compress. An archive may hold this many times its own size, and at least this many bytes.
_MAX_RATIO, _SMALL = 8, 16 << 20

_MAX_HEADER = 4096  # bytes of an array's header
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    (3, 0): np.lib.format.read_array_header_2_0,  # it differs only in non-ASCII names of fields
}
_PASSED_OVER = "SUO"  # NumPy's kinds of texts and objects
_ELEMENTS = ("f2", "f4", "f8", "b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Reads the arrays of an `.npz` file by name, such as "block2/c1/W", in the file's order and with their own dtypes.

    Texts are skipped: a trainer's snapshot holds its log beside the networks. Python objects, such as the None of a
    parameter without values, are skipped as well and not unpickled.

    Raises:
        UserError: the file cannot be opened or is damaged; it holds no array of numbers, an array that is not finite,
          or more bytes than its size allows.
    """
    with open_stored(path) as file, _open(file) as archive:
        members = _members(archive)
        total = sum(member.file_size for member in members.values())
        if total > _SMALL + _MAX_RATIO * file.size:
            raise Unreadable(f"its {file.size} bytes would become {total}, as weights never do; do not trust it")
        check_total(total)
        arrays = {name: _array(archive, name, member) for name, member in members.items()}
        numbers = {name: array for name, array in arrays.items() if array is not None}
        if not numbers:
            raise Unreadable(
                f"it holds no plain array of numbers, but {shown(next(iter(arrays)))} (pickled objects are never "
                "loaded); give the file of one network's weights"
            )
        return numbers


def _open(file: StoredFile) -> zipfile.ZipFile:
    """Opens the archive; its only central directory must stand at its very end and be short."""
    at = file.size - _END.size
    signature, disk, first, here, count, length, offset, comment = _END.unpack(file.read_at(at, _END.size))
    whole = signature == b"PK\5\6" and disk == first == comment == 0 and here == count and offset + length == at
    if not whole or length > _MAX_DIRECTORY or not 0 < count <= MAX_VARIABLES:
        raise Unreadable("it is no whole archive as NumPy writes them; download it again")
    damaged = Unreadable("its list of contents is damaged; download it again")
    entries = file.read_at(offset, length).count(b"PK\1\2")
    if entries > MAX_VARIABLES or file.read_at(at - _LOCATOR, 4) == b"PK\6\7":
        raise damaged
    try:
        archive = zipfile.ZipFile(file.raw)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise damaged from error
    if len(archive.infolist()) != count:
        raise damaged
    return archive


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Returns the members by the names of their arrays, in the order of the directory."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        stored_name = member.orig_filename
        name = check_name(stored_name.removesuffix(".npy"), members)
        if not stored_name.endswith(".npy") or name.startswith("/") or ".." in name.split("/"):
            raise Unreadable(f"it holds {shown(stored_name)}, which is no array; give a file of weights")
        if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Unreadable(f"{shown(name)} is encrypted or packed in a way that NumPy never does; save it with NumPy")
        members[name] = member
    places = sorted((member.header_offset, member.compress_size, name) for name, member in members.items())
    for (start, length, name), (following, *_) in itertools.pairwise([*places, (archive.start_dir, 0, "")]):
        if start + _LOCAL + len(name) + length > following:
            raise Unreadable(f"{shown(name)} shares bytes with something else; do not trust it")
    return members


def _array(archive: zipfile.ZipFile, name: str, member: zipfile.ZipInfo) -> np.ndarray | None:
    """Reads the array of a member; None for a text or objects."""
    size, name = member.file_size, shown(name)
    member.file_size += 1  # zipfile stops at this size and would not notice a longer content
    with _refuse_damage(name), warnings.catch_warnings(action="ignore"):  # NumPy warns of Python 2's numbers, as 3L
        with archive.open(member) as content:
            shape, dtype = _header(content, name)
            if dtype.kind in _PASSED_OVER:
                return None
            if dtype.str[1:] not in _ELEMENTS:
                raise _no_numbers(name)
            check_shape(name, shape, dtype.itemsize, size - content.tell())
        with archive.open(member) as content:
            array = np.lib.format.read_array(content, allow_pickle=False, max_header_size=_MAX_HEADER)
            if content.read(1):
                raise Unreadable(f"{name} is longer than it says; download it again")
    return check_finite(name, np.asarray(array, array.dtype.newbyteorder("="), order="C"))


def _header(content: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Reads the shape and the dtype in the header of an array; nothing in it is executed."""
    try:
        read = _HEADERS[np.lib.format.read_magic(content)]
    except (ValueError, KeyError) as error:
        raise Unreadable(f"{name} is no NumPy array; download it again") from error
    try:
        shape, _, dtype = read(content, max_header_size=_MAX_HEADER)
    except zipfile.BadZipFile:
        raise
    except Exception as error:  # Python's parser and NumPy's raise several
        raise _no_numbers(name) from error
    return shape, dtype


def _no_numbers(name: str) -> Unreadable:
    return Unreadable(
        f"{name} is no plain array of numbers (pickled objects are never loaded); give the file of one "
        "network's weights"
    )


@contextlib.contextmanager
def _refuse_damage(name: str) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise Unreadable(
            f"{name} cannot be unpacked: {shown(str(error) or 'it ends too early')}; download it again"
        ) from error
