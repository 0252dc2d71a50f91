"""What a reader of strangers' files owes, whatever the file: its content or one clear line, in little memory."""

import concurrent.futures
import multiprocessing
import random
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ganfp_jax.run.errors import UserError

MAX_MEMORY = 20 << 20  # bytes for a file of a few thousand; what hostile files ask for starts at 10**9

Reader = Callable[[Path], Any]


def refusal(read: Reader, path: Path) -> str:
    """The line with which a reader refuses a file or folder."""
    with pytest.raises(UserError) as error:
        read(path)
    return one_line(error.value, path)


def one_line(error: UserError, path: Path) -> str:
    message = str(error)
    assert message.startswith(str(path.parent)) and message.isprintable() and len(message) < 500 + len(str(path))
    return message


def outcomes(read: Reader, check: Callable[[Any], object], path: Path, contents: Sequence[bytes]) -> list[str]:
    """What a reader says to each content of a file: the line with which it refuses it, or nothing.

    Fails if it raises anything else, asks for much memory, or if `check` fails for what it has read. This runs in a
    process of its own: with the run-time checks of all annotations it would take fifty times as long.
    """
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_outcomes, read, check, path, contents).result()


def _outcomes(read: Reader, check: Callable[[Any], object], path: Path, contents: Sequence[bytes]) -> list[str]:
    messages = []
    tracemalloc.start()  # NumPy's arrays count as well
    for number, content in enumerate(contents):
        path.write_bytes(content)
        tracemalloc.reset_peak()
        message = ""
        try:
            check(read(path))
        except UserError as error:
            message = one_line(error, path)
        except BaseException as error:
            raise AssertionError(f"content {number}: {error!r}") from error
        assert tracemalloc.get_traced_memory()[1] < MAX_MEMORY + len(content), f"content {number}: {message}"
        messages.append(message)
    tracemalloc.stop()
    return messages


def mutants(content: bytes, count: int, seed: int) -> list[bytes]:
    """Contents with a few bytes changed, left out, repeated or moved, or with the end cut off."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        mutant = bytearray(content)
        for _ in range(rng.choice((1, 1, 2, 4))):
            at = rng.randrange(len(mutant) + 1)
            piece = slice(at, at + rng.randrange(1, 9))
            other = rng.randrange(len(mutant) + 1)
            match rng.randrange(7):
                case 0 | 1 if at < len(mutant):
                    mutant[at] ^= 1 << rng.randrange(8)
                case 2 if at < len(mutant):
                    mutant[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
                case 3:
                    del mutant[piece]
                case 4:
                    mutant[other:other] = mutant[piece]
                case 5:
                    mutant[at : at + 8] = rng.choice((b"\xff" * 8, b"\0" * 8, rng.randbytes(8)))
                case 6 if rng.random() < 0.2:
                    del mutant[at:]
        made.append(bytes(mutant))
    return made
