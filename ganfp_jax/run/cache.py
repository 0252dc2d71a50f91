"""The user's folder of compiled programs, which nobody else can write to."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path


def folder(name: str) -> Path | None:
    """Returns a folder that the user owns and can write to, made if need be; None where there is no such place.

    It lies below XDG_CACHE_HOME or ~/.cache or, where neither can be used, in the system's folder for temporary files.
    Its files are run as code, so the folder is closed to others; one that was open to them is emptied first.
    """
    for place in _places():
        path = place / name
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            if _is_ours(path):
                return path
        except OSError:
            continue
    return None


def keep_compiled() -> None:
    """Makes JAX keep compiled programs for the user's next run; JAX's environment variables take precedence."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ and (place := folder("compiled")):
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(place)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")


def _places() -> list[Path]:
    places = []
    with contextlib.suppress(RuntimeError):  # no home: HOME is not set, and the user has no name
        places.append(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ganfp_jax")
    with contextlib.suppress(OSError):  # there is no place for temporary files either
        places.append(Path(tempfile.gettempdir()) / f"ganfp_jax-{os.getuid() if hasattr(os, 'getuid') else 'cache'}")
    return places


def _is_ours(path: Path) -> bool:
    exposed = False
    for folder in (path.parent, path):
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or not is_owned(status):
            return False
        if open_to_others(status):  # whoever can write to the parent can replace the folder
            folder.chmod(0o700)
            exposed = True
    for file in path.iterdir() if exposed else ():
        if not file.is_dir():
            file.unlink()
    return os.access(path, os.W_OK | os.X_OK)


def is_owned(status: os.stat_result) -> bool:
    """Whether a file is this user's."""
    return not hasattr(os, "getuid") or status.st_uid == os.getuid()


def open_to_others(status: os.stat_result) -> bool:
    """Whether others may write to a file."""
    return os.name == "posix" and bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
