"""The process that decodes image files for its parent, `pool`, which may kill it.

It writes an empty line when it has started. For every file it reads a line of JSON and, for a file without a path, its
content. It writes the memory that the file needs and waits for a line; then it writes a line about the picture and its
pixels, and of a signed file a line about its manifest: whatever that does to this process, the picture is safe by then.
A refusal ends the exchange early. It imports Pillow and NumPy, nothing heavier.
"""

import contextlib
import io
import json
import mmap
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any, BinaryIO

from ganfp_jax.data.claims import manifest
from ganfp_jax.data.decoding import budget, kinds
from ganfp_jax.data.decoding.files import open_file
from ganfp_jax.data.decoding.opened import check, check_size, opened
from ganfp_jax.data.decoding.refused import reason_of
from ganfp_jax.data.decoding.rgb import picture_of

_SPARE = 2**26  # bytes beyond the estimate
_GRACE = 60  # seconds beyond the deadline, at which the parent kills the process


def main() -> None:
    """Decodes the files that standard input names until it ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    quiet = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):  # libraries print messages about damaged files
        os.dup2(quiet, stream.fileno())
    warnings.simplefilter("ignore")
    questions = sys.stdin.buffer
    answers.write(b"\n")
    answers.flush()  # ready
    while line := questions.readline():
        job = json.loads(line)
        content = questions.read(job["size"])
        try:
            _limit_seconds(job["seconds"] + _GRACE)
            _decode(job, content, questions, answers)
        except Exception as error:
            _say(answers, refused=reason_of(error))
        _limit_seconds(0)


def _decode(job: dict[str, Any], content: bytes, questions: BinaryIO, answers: BinaryIO) -> None:
    with _stream(job, content) as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        canvas = kinds.webp_canvas(stream.read(kinds.HEAD))
        stream.seek(0)
        _limit_memory(3 * size)
        if canvas:  # the WebP library allocates it when the file is opened
            check_size(*canvas, job["max_pixels"])
            _ask(budget.needed(canvas[0] * canvas[1], "WEBP", size), questions, answers, job)
        with opened(stream, job["name"]) as image:
            check(image, job["max_pixels"])
            if not canvas:
                _ask(budget.needed(image.width * image.height, image.format or "", size), questions, answers, job)
            picture, kind = picture_of(image), image.format or ""
        signed = _is_signed(stream)
        reads = signed and bool(manifest.reader())
        claims = [*picture.claims, *([manifest.NOT_INSTALLED] if signed and not reads else [])]
        _say(answers, shape=picture.pixels.shape, remarks=picture.remarks, claims=claims, reads=reads)
        answers.write(picture.pixels.data)
        answers.flush()
        if reads:
            _limit_memory(size + manifest.MEMORY)
            _say(answers, claim=manifest.read(stream, kind))


def _is_signed(stream: Any) -> bool:
    """Whether a file has a manifest; its content is not copied, since the picture has the memory."""
    if isinstance(stream, io.BytesIO):
        return manifest.is_in(stream.getvalue())
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return manifest.is_in(content)


def _stream(job: dict[str, Any], content: bytes) -> contextlib.AbstractContextManager[Any]:
    return open_file(Path(job["path"])) if job["path"] else io.BytesIO(content)


def _ask(amount: int, questions: BinaryIO, answers: BinaryIO, job: dict[str, Any]) -> None:
    """Asks for the memory that the file needs, waits for it, and limits the process to it."""
    _limit_seconds(0)
    _say(answers, needs=amount)
    if not questions.readline():
        sys.exit()
    _limit_seconds(job["seconds"] + _GRACE)
    _limit_memory(min(amount, budget.MEMORY.total))


def _say(answers: BinaryIO, **what: Any) -> None:
    answers.write(json.dumps(what).encode() + b"\n")
    answers.flush()


def _limit_seconds(seconds: float) -> None:
    """Makes the system end this process after `seconds`, in case the parent is gone; 0 means never."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _limit_memory(amount: int) -> None:
    """Limits this process to `amount` bytes more than it holds, where the system supports that."""
    try:
        import resource

        held = int(Path("/proc/self/statm").read_bytes().split()[5]) * resource.getpagesize()
    except (ImportError, OSError):
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    with contextlib.suppress(ValueError):  # a lower hard limit holds anyway
        resource.setrlimit(resource.RLIMIT_DATA, (held + amount + _SPARE, hard))
