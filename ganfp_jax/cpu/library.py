"""The library of convolution.cc, compiled once for this machine by its own C++ compiler, in the user's cache."""

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import jaxlib

from ganfp_jax.errors import UserError

SOURCE = Path(__file__).with_name("convolution.cc")
HANDLERS = ("Convolution", "InputGradient", "FilterGradient")
VARIABLE = "GANFP_KERNELS"
CHOICES = ("auto", "off", "required")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-w")


@functools.cache
def available() -> bool:
    """Whether the kernels can be called; the first call builds and registers them, in about three seconds.

    The environment variable GANFP_KERNELS is "auto" (the default: where there is a compiler), "off" or "required".

    Raises:
        UserError: they are required, and cannot be had; or the variable says something else.
    """
    wanted = os.environ.get(VARIABLE, "auto")
    if wanted not in CHOICES:
        raise UserError(f"{VARIABLE}={wanted}: choose from {', '.join(CHOICES)}")
    if wanted == "off":
        return False
    try:
        _register(_load())
    except (OSError, subprocess.SubprocessError) as error:
        if wanted == "required":
            raise UserError(f"{VARIABLE}=required, but the kernels cannot be built: {_reason(error)}") from error
        return False
    return True


def _load() -> ctypes.CDLL:
    path = _cache() / f"convolution-{_key()}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _compile(path)
    return ctypes.CDLL(str(path))


def _compile(path: Path) -> None:
    """Builds beside the target and moves it there, so that others see all of it or nothing."""
    compiler = shlex.split(os.environ.get("CXX", "")) or list(filter(shutil.which, ("c++", "g++", "clang++")))[:1]
    if not compiler:
        raise FileNotFoundError("there is no C++ compiler (c++, g++ or clang++)")
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        built = Path(folder) / path.name
        command = [*compiler, *FLAGS, f"-I{jax.ffi.include_dir()}", "-o", str(built), str(SOURCE)]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
        built.replace(path)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ganfp_jax" / "kernels"


def _key() -> str:
    """Of all that the machine code depends on."""
    parts = [SOURCE.read_text(), " ".join(FLAGS), jaxlib.__version__, platform.platform(), platform.machine()]
    parts += [os.environ.get("CXX", ""), sys.byteorder, _processor()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _processor() -> str:
    """The instructions it has; a home folder may be shared by different machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _register(library: ctypes.CDLL) -> None:
    for name in HANDLERS:
        handler = jax.ffi.pycapsule(getattr(library, f"Ganfp{name}"))
        jax.ffi.register_ffi_target(f"ganfp_{name}", handler, platform="cpu")


def _reason(error: OSError | subprocess.SubprocessError) -> str:
    """The compiler's first complaint, or what the system said."""
    output = (getattr(error, "stderr", None) or "").splitlines()
    return next((line for line in output if "error" in line), str(error))
