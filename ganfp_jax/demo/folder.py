"""The folder of the uploads: its owner's alone, and gone with its process, also where that was killed."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = "ganfp_jax-"
LOCK = "lock"  # held as long as the process lives, and let go by the system when it is killed
YOUNG_S = 60  # a process that has just made its folder may not hold the lock yet


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """A new empty folder, which is deleted at the end; those that dead processes have left are deleted at once."""
    import filelock

    delete_dead(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name, filelock.FileLock(Path(name, LOCK)):
        folder = Path(name, "uploads")
        folder.mkdir()
        yield folder


def delete_dead(parent: Path) -> None:
    """Deletes what `own_folder` has left in `parent` for processes that live no more, of the same user."""
    import filelock

    for folder in parent.glob(f"{PREFIX}*"):
        lock = folder / LOCK
        with contextlib.suppress(OSError, filelock.Timeout):  # Timeout: it lives
            if folder.is_symlink() or not _is_mine(folder) or time.time() - lock.stat().st_mtime < YOUNG_S:
                continue
            with filelock.FileLock(lock, timeout=0):
                shutil.rmtree(folder / "uploads", ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)


def _is_mine(folder: Path) -> bool:
    return not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
