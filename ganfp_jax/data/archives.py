"""Images in tar archives, such as those of WebDataset, read where they lie."""

import tarfile
from collections.abc import Iterator
from typing import NamedTuple

from ganfp_jax.data.decoding.files import MAX_BYTES
from ganfp_jax.data.decoding.refused import Refused
from ganfp_jax.data.entries import BESIDE, IMAGE, REJECTED, Entry
from ganfp_jax.data.listing import NO_IMAGE, is_named_like_an_image
from ganfp_jax.run.reading import open_regular

TAR = "tar"
SUFFIXES = (".tar",)
PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


class Member(NamedTuple):
    """An image in an archive that is not compressed; a `decode.Record`."""

    archive: str
    name: str
    offset: int
    size: int

    def read_bytes(self) -> bytes:
        """Returns the encoded image.

        Raises:
            Refused: it is too large, or the archive ends within it.
            OSError: the archive cannot be read.
        """
        if not 0 <= self.size <= MAX_BYTES:
            raise Refused(f"too large: a file of {self.size:,} bytes")
        with open_regular(self.archive) as file:
            file.seek(self.offset)
            content = file.read(self.size)
        if len(content) < self.size:
            raise Refused("the archive ends within this image")
        return content


def members(path: str, key: str) -> Iterator[Entry]:
    """Lists a tar archive, whose headers alone are read, one after the other.

    A member is shown as `<archive>/<member>`. Hidden members and folders are left out, as in folders; links are
    reported. Of a damaged archive, what lies before the damage is listed, then the archive itself as rejected.

    Args:
        path: the archive.
        key: its name within what the user named.
    """
    number = 0
    try:
        with open_regular(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # it would keep all of them
                if member.size < 0 or archive.offset <= member.offset:  # it would come again and again
                    raise tarfile.ReadError("bad header")
                if member.isdir() or _is_hidden(member.name):
                    continue
                number += 1
                yield _entry(path, key, member)
            file.seek(archive.offset)
            if file.read(tarfile.BLOCKSIZE).strip(b"\0"):  # tarfile takes a header that is none for the end
                raise tarfile.ReadError("bad header")
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        yield Entry(REJECTED, path, key, _damage(error, number))


def _entry(path: str, key: str, member: tarfile.TarInfo) -> Entry:
    shown, own = f"{path}/{member.name}", f"{key}/{member.name}"
    if not is_named_like_an_image(member.name):
        return Entry(BESIDE, shown, own, NO_IMAGE)
    if not member.isreg() or member.issparse():
        return Entry(REJECTED, shown, own, "a link or a device in an archive, which is not followed")
    return Entry(IMAGE, shown, own, inside=(TAR, path, member.name, member.offset_data, member.size))


def _is_hidden(name: str) -> bool:
    return name.rpartition("/")[2].startswith(".")


def _damage(error: Exception, number: int) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror.lower()}"
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return f"a damaged archive: {reason}, after {number} files" if number else f"not a tar archive: {reason}"
