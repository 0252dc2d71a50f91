"""The library of convolution.cc: this machine's C++ compiler builds it once, in the user's cache."""

import contextlib
import ctypes
import functools
import hashlib
import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import jax
import jaxlib

from ganfp_jax.run import atomic, cache, console
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.reading import name_of, open_regular, read_json, read_regular

SOURCE = Path(__file__).with_name("convolution.cc")
HANDLERS = ("Convolution", "InputGradient", "FilterGradient")
VARIABLE = "GANFP_KERNELS"
CHOICES = ("auto", "off", "required")
PATIENCE = 300  # seconds; a hundred times what an idle machine needs
MAX_OUTPUT = 100_000  # bytes of the compiler's output that are read
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-w")


@functools.cache
def available() -> bool:
    """Whether the kernels can be called; the first call builds and registers them.

    The environment variable GANFP_KERNELS is "auto" (the default), "off" or "required". Where "auto" cannot build them,
    one line says why.

    Raises:
        UserError: the kernels are required but cannot be built, or the variable has another value.
    """
    wanted = os.environ.get(VARIABLE, "auto")
    if wanted not in CHOICES:
        raise UserError(f"{VARIABLE}={wanted}: choose from {', '.join(CHOICES)}")
    if wanted == "off":
        return False
    try:
        _register(_load(again=wanted == "required"))
    except (OSError, CannotBuild) as error:
        if wanted == "required":
            raise UserError(f"{VARIABLE}=required, but the kernels cannot be built: {_line(error)}") from error
        console.note(
            f"the CPU's own convolutions cannot be built ({_line(error)}); XLA's are used, which take up to twice as "
            f"long ({VARIABLE}=required tries again, {VARIABLE}=off says nothing)"
        )
        return False
    return True


class CannotBuild(Exception):  # noqa: N818 - a verdict about the compiler
    """The library cannot be built; the message says why."""


def _load(again: bool) -> ctypes.CDLL:
    """The library, which is built if it is missing; `again` retries a compiler that has failed before."""
    folder = cache.folder("kernels")
    if folder is None:
        raise CannotBuild("there is no folder for it: set XDG_CACHE_HOME to one that can be written to")
    path = folder / f"convolution-{_key()}.so"
    with contextlib.suppress(OSError, ValueError), _sound(path) as name:
        return ctypes.CDLL(name)
    _build(path, again)
    try:
        with _sound(path) as name:
            return ctypes.CDLL(name)
    except ValueError as error:  # another process wrote its own build at the same time, and only one digest matches
        raise CannotBuild(f"{path} {error}") from error


@contextlib.contextmanager
def _sound(path: Path) -> Iterator[str]:
    """A path to the library for the loader, after a check that we wrote it and that it is whole.

    A truncated library would crash the process, and somebody else's could run any code.

    Raises:
        OSError: it is missing.
        ValueError: others can write to it, or it is damaged.
    """
    digest = read_regular(_digest_of(path), 1000).decode()
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        if not cache.is_owned(status) or cache.open_to_others(status):
            raise ValueError("is not this user's alone")
        if digest != _digest(file.read()):
            raise ValueError("is damaged")
        yield name_of(path, file) if sys.platform == "linux" else str(path)


def _digest_of(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _digest(library: bytes) -> str:
    """The digest of the library and all that it depends on, so that none passes for another processor's."""
    return hashlib.sha256(_key().encode() + library).hexdigest()


def _build(path: Path, again: bool) -> None:
    """Writes the library and its digest; a compiler that fails is not tried again until it or the source changes."""
    try:
        compiler = shlex.split(os.environ.get("CXX", ""))
    except ValueError as error:
        raise CannotBuild(f"CXX={os.environ['CXX']} cannot be understood: {error}") from error
    compiler = compiler or list(filter(shutil.which, ("c++", "g++", "clang++")))[:1]
    if not compiler:
        raise CannotBuild("there is no C++ compiler (c++, g++ or clang++)")
    failure = path.with_suffix(".failed.json")
    if not again and (reason := _remembered(failure, compiler[0])):
        raise CannotBuild(f"{compiler[0]} failed before: {reason}")
    try:
        library = _compile(compiler)
    except CannotBuild as error:
        _write(failure, json.dumps({"compiler": _identity(compiler[0]), "reason": str(error)}).encode())
        raise
    failure.unlink(missing_ok=True)
    _write(path, library)
    _write(_digest_of(path), _digest(library).encode())


def _write(path: Path, content: bytes) -> None:
    """Writes a file that only this user can read, whole or not at all even if the power fails."""
    with atomic.writer(path) as file:
        if hasattr(os, "fchmod"):
            os.fchmod(file.fileno(), 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _remembered(failure: Path, compiler: str) -> str:
    """The reason why this compiler has failed before, or ""."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        record = read_json(failure)
        if record["compiler"] == _identity(compiler):
            return str(record["reason"])
    return ""


def _identity(compiler: str) -> list[str | int]:
    """Path, size and time of the compiler, which an update changes."""
    path = shutil.which(compiler)
    if path is None:
        return []
    status = os.stat(path)  # noqa: PTH116 - follows links
    return [os.path.realpath(path), status.st_size, status.st_mtime_ns]


def _compile(compiler: Sequence[str]) -> bytes:
    """Compiles the source and returns the library.

    Raises:
        CannotBuild: the compiler fails or takes longer than `PATIENCE`.
        OSError: the compiler is missing, or the disk is full.
    """
    with tempfile.TemporaryDirectory() as folder:
        built, log = Path(folder) / "library.so", Path(folder) / "log"
        command = [*compiler, *FLAGS, f"-I{jax.ffi.include_dir()}", "-o", str(built), str(SOURCE)]
        with log.open("wb") as output:
            status = _run(command, output)
        lines = log.read_bytes()[:MAX_OUTPUT].decode(errors="replace").splitlines()
        if status == 0 and built.is_file():
            return built.read_bytes()
    if status is None:
        raise CannotBuild(f"{compiler[0]} did not end in {PATIENCE} seconds")
    complaint = next((line for line in lines if "error" in line), " ".join(lines[:1]))
    raise CannotBuild(complaint or f"{compiler[0]} ended with status {status}")


def _run(command: Sequence[str], output: BinaryIO) -> int | None:
    """Runs the compiler and returns its exit status; kills it and its children and returns None on a timeout."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=os.name == "posix"
    )
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL) if os.name == "posix" else process.kill()
            process.wait()


def _key() -> str:
    """A digest of all that the machine code depends on."""
    parts = [SOURCE.read_text(), " ".join(FLAGS), jaxlib.__version__, platform.platform(), platform.machine()]
    parts += [os.environ.get("CXX", ""), sys.byteorder, _processor()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _processor() -> str:
    """The processor and its instruction sets, since different machines may share a home folder."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    identifying = {line for line in lines if line.startswith(_IDENTIFYING)}  # from all cores, which may differ
    return "\n".join(sorted(identifying))


# The keys of x86 and of ARM.
_IDENTIFYING = (
    "vendor_id",
    "cpu family",
    "model",
    "flags",
    "Features",
    "CPU implementer",
    "CPU architecture",
    "CPU part",
)


def _register(library: ctypes.CDLL) -> None:
    for name in HANDLERS:
        handler = jax.ffi.pycapsule(getattr(library, f"Ganfp{name}"))
        jax.ffi.register_ffi_target(f"ganfp_{name}", handler, platform="cpu")


def _line(error: Exception) -> str:
    """The error on one line, even where the compiler printed several."""
    return console.one_line(" ".join(str(error).split()))[:300]
