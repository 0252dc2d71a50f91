"""The folder of the uploads: only its owner can read it, and it is deleted even where its process was killed."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = "ganfp_jax-"
LOCK = "lock"  # the process holds it as long as it lives; the system releases it after a kill
YOUNG_S = 60  # seconds; a process that has just made its folder may not hold the lock yet


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """Makes an empty folder, which is deleted at the end; folders that dead processes left are deleted at once."""
    import filelock

    delete_dead(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name, filelock.FileLock(Path(name, LOCK)):
        folder = Path(name, "uploads")
        folder.mkdir()
        yield folder


def delete_dead(parent: Path) -> None:
    """Deletes the folders in `parent` that `own_folder` made for dead processes of the same user."""
    import filelock

    for folder in parent.glob(f"{PREFIX}*"):
        lock = folder / LOCK
        with contextlib.suppress(OSError, filelock.Timeout):  # Timeout: its process lives
            if folder.is_symlink() or not _is_mine(folder) or time.time() - lock.stat().st_mtime < YOUNG_S:
                continue
            with filelock.FileLock(lock, timeout=0):
                shutil.rmtree(folder / "uploads", ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)


def _is_mine(folder: Path) -> bool:
    return not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
