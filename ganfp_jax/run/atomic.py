"""Files that are either whole or absent, and locks for what takes more than one file."""

import contextlib
import errno
import os
import platform
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes `data` to `path`, replacing an older file in one step.

    A reader sees the old file, the new file or none, never a part of one. The temporary file lies in the same folder,
    which must exist. It is hidden, so that a file left by a killed process is not taken for an image.

    Raises:
        OSError: the folder is missing or cannot be written to.
    """
    with writer(path) as file:
        file.write(data)


@contextlib.contextmanager
def writer(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Opens a file to write piece by piece; it replaces `path`, as in `write_bytes`, when the block ends without error.

    Raises:
        OSError: the folder is missing or cannot be written to.
    """
    path = Path(path)
    # tempfile is not used, because its files are readable by their owner only, whatever the umask says.
    beginning = path.name.encode(errors="ignore")[:80].decode(errors="ignore")  # a longer name could pass the limit
    temporary = path.with_name(f".{beginning}.{_HOST}-{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:  # an error of writing names no file
            error.filename = str(path)
        with contextlib.suppress(OSError):  # the first error tells more
            temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def on_device_of(path: str | os.PathLike[str]) -> Iterator[None]:
    """Makes an error of a full device inside the block name `path`; errors of libraries name no file.

    Raises:
        OSError: ENOSPC, which replaces the library's error.
    """
    try:
        yield
    except Exception as error:
        named = getattr(error, "filename", None)
        if not named and (getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in str(error)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise


def sweep(folder: str | os.PathLike[str]) -> None:
    """Removes the temporary files that killed processes of this machine left in `folder` and below."""
    for place, _, names in os.walk(folder):
        for name in names:
            left = _LEFT.search(name)
            if left and left["host"] == _HOST and not _runs(int(left["pid"])):
                Path(place, name).unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: str | os.PathLike[str], *, wait: bool) -> Iterator[None]:
    """Holds the lock of the file `path`; the file is made, and an empty file may stay behind.

    The system releases the lock when a process ends, however it ends.

    Args:
        path: a hidden file, in a folder that must exist.
        wait: whether to wait until no other process holds the lock.

    Raises:
        BlockingIOError: another process holds it, and `wait` is False.
        OSError: the file cannot be made.
    """
    import filelock  # the import takes a while, and most writers need no lock

    lock = filelock.FileLock(path, timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except filelock.Timeout as held:
        raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK), str(path)) from held
    try:
        yield
    finally:
        lock.release()


_HOST = re.sub(r"\W", "_", platform.node())[:40]
_LEFT = re.compile(r"^\..*\.(?P<host>\w*)-(?P<pid>\d+)-\d+\.tmp$", re.DOTALL)


def _runs(pid: int) -> bool:
    if os.name == "nt":  # Windows would send that process a Ctrl-C
        return True
    try:
        os.kill(pid, 0)  # signal 0 only tests whether the process exists
    except ProcessLookupError:
        return False
    except OSError:  # the process is another user's
        return True
    return True
