"""The error that the user can fix, and a one-line description of any error."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path


class UserError(Exception):
    """Reports bad input in one line: what is wrong, where, and what to do.

    `ganfp_jax.main` prints the line and exits with status 2; it shows a traceback with `--debug` only.
    """


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yields the error, its cause, the cause of that, and so on."""
    cause: BaseException | None = error
    visited = set()  # an error that was raised again from its own consequence makes a circle
    while cause is not None and id(cause) not in visited:
        visited.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def explain(error: BaseException, workdir: Path | None) -> str:
    """Describes any error in one line: what is wrong, where, and what to do."""
    for cause in causes(error):
        if isinstance(cause, UserError):
            return str(cause)
        if isinstance(cause, OSError) and cause.errno in _FULL:
            place = _shown(cause.filename) if cause.filename else workdir
            return f"no space left on the device of {place}; free some and run the same command again, it resumes"
        # TensorStore, under orbax, reports a full disk in the text of a ValueError.
        if "No space left on device" in str(cause):
            return f"no space left on the device of {workdir}; free some and run the same command again, it resumes"
        if isinstance(cause, OSError) and cause.filename and cause.errno in REMEDIES:
            name, remedy = _shown(cause.filename), REMEDIES[cause.errno]
            return f"{name} cannot be written or read ({cause.strerror}); {remedy}"
    return f"{type(error).__name__}: {message(error)} (not foreseen; the same command with --debug shows where)"


_FULL = (errno.ENOSPC, errno.EDQUOT)
_OTHER_FOLDER, _TRY_AGAIN = "choose another folder", "look at its device, and run the same command again"
REMEDIES = {
    errno.EACCES: _OTHER_FOLDER,
    errno.EPERM: _OTHER_FOLDER,
    errno.EROFS: _OTHER_FOLDER,
    errno.EISDIR: "it is a folder where a file is wanted",
    errno.ENOTDIR: "a file stands in the place of one of its folders",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its links lead in circles",
    errno.EIO: _TRY_AGAIN,
    errno.ENODEV: _TRY_AGAIN,
    errno.ENXIO: _TRY_AGAIN,
    errno.EFBIG: "its file system takes no such large file; choose another folder",
    errno.EMFILE: "raise the number of files that may be open (ulimit -n)",
    errno.ENFILE: "end other programs, the system has too many files open",
}
_MAX_NAME = 300  # characters of a name that an error repeats


def _shown(name: object) -> str:
    text = os.fsdecode(name) if isinstance(name, bytes) else str(name)
    return text if len(text) <= _MAX_NAME else f"{text[:_MAX_NAME]}..."


def message(error: BaseException) -> str:
    """Returns an error's message on one line, without the quotes and escapes that ml_collections adds."""
    text = str(error)
    text = text[1:-1] if text[:1] in ("'", '"') and text[:1] == text[-1:] else text
    text = text.replace("\\n", " ").replace("\\'", "'").replace("\n", " ")
    return text.strip().rstrip(".") or type(error).__name__
