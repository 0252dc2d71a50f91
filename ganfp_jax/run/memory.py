"""The settings of glibc's memory allocator."""

import ctypes
import importlib.util
import os
import platform

# Constants of glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8


def keep_memory() -> bool:
    """Makes this process reuse the memory that it frees; returns whether that was done.

    On a CPU, XLA allocates the memory of a program anew at every call. glibc gives large blocks back to the system at
    once, and the system fills every page with zeros before it gives it out again. Keeping them makes training faster
    and takes more memory, since blocks of slightly different lengths do not replace each other; the memory is bounded.

    Call it before other threads start. It does nothing without glibc, with the environment variable
    GANFP_KEEP_MEMORY=0, or where JAX may find a GPU or TPU: there, threads that decode images need a heap each.
    """
    if os.environ.get("GANFP_KEEP_MEMORY") == "0":
        return False
    if platform.libc_ver()[0] != "glibc" or not _cpu_alone():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # No block comes from mmap, the end of the heap is kept and grows by 64 MiB, and all threads share one heap.
    settings = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 64 * 2**20, _ARENA_MAX: 1}
    done = [mallopt(setting, value) for setting, value in settings.items()]
    return all(done)


def _cpu_alone() -> bool:
    """Whether JAX has only the CPU; JAX is not started, since it would start threads."""
    if platforms := os.environ.get("JAX_PLATFORMS"):
        return platforms == "cpu"
    return not any(importlib.util.find_spec(name) for name in ("jax_plugins", "libtpu"))
