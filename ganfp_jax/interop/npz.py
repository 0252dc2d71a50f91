"""Chainer's `.npz` files: a zip archive of NumPy's `.npy` arrays. Nothing is ever unpickled.

Python's `zipfile` and NumPy read them after their declared sizes were checked: both libraries trust a declared size.
"""

import warnings
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from ganfp_jax.interop.stored_file import (
    Unreadable,
    check_finite,
    check_name,
    check_shape,
    check_total,
    open_stored,
    shown,
)
from ganfp_jax.interop.zip_archive import check_apart, open_zip, refuse_damage

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
    with open_stored(path) as file, open_zip(file) as archive:
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
    check_apart(archive)
    return members


def _array(archive: zipfile.ZipFile, name: str, member: zipfile.ZipInfo) -> np.ndarray | None:
    """Reads the array of a member; None for a text or objects."""
    size, name = member.file_size, shown(name)
    member.file_size += 1  # zipfile stops at this size and would not notice a longer content
    with refuse_damage(name), warnings.catch_warnings(action="ignore"):  # NumPy warns of Python 2's numbers, as 3L
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
