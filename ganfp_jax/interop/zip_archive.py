"""Untrusted zip archives of arrays: their directory is checked before Python's `zipfile` reads it.

`zipfile` trusts declared sizes, and accepts what writers of weights never write, such as comments; it is refused.
"""

import contextlib
import itertools
import struct
import zipfile
import zlib
from collections.abc import Iterator

from ganfp_jax.interop.stored_file import MAX_VARIABLES, StoredFile, Unreadable, shown

_END = struct.Struct("<4s4H2LH")
_LOCAL = 30  # bytes of the local header before a member's name and content
_LOCATOR = 20  # bytes of the locator of a ZIP64 directory, where there is one, just before the end record
_MAX_DIRECTORY = 4 << 20  # bytes of the central directory; that of the largest published network takes 10,000
_END64 = struct.Struct("<4sQ2H2L4Q")  # the directory's end record in an archive of the kind ZIP64


def open_zip(file: StoredFile, writer: str = "NumPy") -> zipfile.ZipFile:
    """Opens the archive; its only central directory must stand at its very end and be short.

    Args:
        file: the archive.
        writer: who writes such archives; only "PyTorch" puts the records of ZIP64 behind the directory.

    Raises:
        Unreadable: it is no whole archive, or has too many members.
    """
    at = file.size - _END.size
    signature, disk, first, here, count, length, offset, comment = _END.unpack(file.read_at(at, _END.size))
    wide = file.read_at(max(at - _LOCATOR, 0), 4) == b"PK\6\7"
    end = at - _LOCATOR - _END64.size if wide and writer == "PyTorch" else at
    whole = signature == b"PK\5\6" and disk == first == comment == 0 and here == count and offset + length == end
    if not whole or length > _MAX_DIRECTORY or not 0 < count <= MAX_VARIABLES:
        raise Unreadable(f"it is no whole archive as {writer} writes them; download it again")
    damaged = Unreadable("its list of contents is damaged; download it again")
    entries = file.read_at(offset, length).count(b"PK\1\2")
    if entries > MAX_VARIABLES or (wide and end == at):
        raise damaged
    if wide and _END64.unpack(file.read_at(end, _END64.size))[6:] != (count, count, length, offset):
        raise damaged  # zipfile would believe the wide record, which was not checked
    try:
        archive = zipfile.ZipFile(file.raw)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise damaged from error
    if len(archive.infolist()) != count:
        raise damaged
    return archive


def check_apart(archive: zipfile.ZipFile) -> None:
    """Raises unless each member has its own bytes: a small file could hold the same ones many times.

    Raises:
        Unreadable: two share bytes.
    """
    places = sorted(
        (member.header_offset, member.compress_size, member.orig_filename.removesuffix(".npy"))
        for member in archive.infolist()
    )
    for (start, length, name), (following, *_) in itertools.pairwise([*places, (archive.start_dir, 0, "")]):
        if start + _LOCAL + len(name) + length > following:
            raise Unreadable(f"{shown(name)} shares bytes with something else; do not trust it")


@contextlib.contextmanager
def refuse_damage(name: str) -> Iterator[None]:
    """Turns what `zipfile` raises for a damaged member into `Unreadable`."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise Unreadable(
            f"{name} cannot be unpacked: {shown(str(error) or 'it ends too early')}; download it again"
        ) from error
