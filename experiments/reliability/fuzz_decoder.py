"""Damaged image files by the thousand through the decoder: each must give an image or a reason.

    python -m experiments.reliability.fuzz_decoder --files=20000 --seed=0

Files are made from small sound ones of every format by `mutations.mutate`; file n of a seed is always the same. They
are decoded in processes of their own, so that a crash of a C library is seen and counted. A file fails if the process
dies or takes longer than `--seconds`, if anything but `Refused` is raised, if the array or the reason is not as
`decode_image` promises, or if a second reading, in memory with other leftovers, gives something else. Writes
results.jsonl, keeps the files that failed in `--out`/failures, prints the table, and ends with status 1 if there are
any. For Linux: the memory limit needs /proc.
"""

import argparse
import ctypes
import json
import multiprocessing
import os
import random
import re
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL

from experiments.reliability.mutations import mutate
from experiments.reliability.seeds import seeds
from ganfp_jax.data.decode import MAX_PIXELS, Refused, open_file, picture_of, reason_of
from ganfp_jax.data.decoding.opened import check, opened
from ganfp_jax.run import atomic
from ganfp_jax.run.progress import progress

HERE = Path(__file__).parent
READ, REFUSED = "read", "refused"

_LIBC = ctypes.CDLL(None)
_M_PERTURB = -6  # of malloc.h
_FILLINGS = (0x55, 0xAA)


class Outcome(NamedTuple):
    """What became of one file."""

    verdict: str
    """READ, REFUSED, or how it failed."""
    detail: str
    """The reason, or more on the failure."""
    peak_kib: int = 0
    """The most memory that the process has held so far."""


def make_file(seed: int, number: int, sound: dict[str, bytes]) -> tuple[str, bytes]:
    """File `number` of `seed`: the name of the sound file that it was made from, and its content."""
    rng = random.Random(f"{seed}/{number}")
    name = rng.choice(list(sound))
    return name, mutate(sound[name], list(sound.values()), rng)


def decode_image(path: Path) -> np.ndarray:
    """As `data.decode.decode_image`, always in this process: its memory is filled, and its death is noticed here."""
    try:
        with open_file(path) as stream, opened(stream, path.name) as image:
            check(image, MAX_PIXELS)
            return picture_of(image).pixels
    except Refused:
        raise
    except Exception as error:
        raise Refused(reason_of(error)) from error


def read_twice(path: Path) -> Outcome:
    """Decode a file two times and hold the results against what `decode_image` promises."""
    found: list[np.ndarray | str] = []
    for filling in _FILLINGS:
        _fill_new_memory(filling)
        try:
            found.append(decode_image(path))
        except Refused as refused:
            found.append(str(refused))
        except BaseException as error:
            return Outcome("other exception", f"{type(error).__name__}: {error}"[:200])
        finally:
            _fill_new_memory(0)
    first, second = found
    if isinstance(first, str):
        if not first or first.splitlines() != [first] or len(first) > 250 or str(path) in first:
            return Outcome("bad reason", repr(first)[:200])
        return Outcome(REFUSED, first) if first == second else Outcome("two outcomes", f"{first}, then {second}"[:200])
    if (
        first.dtype != np.uint8
        or first.ndim != 3
        or first.shape[2] != 3
        or not first.size
        or not first.flags.c_contiguous
    ):
        return Outcome("bad array", f"{first.dtype} {first.shape}")
    same = isinstance(second, np.ndarray) and np.array_equal(first, second)
    return Outcome(READ, "") if same else Outcome("two outcomes", f"{first.shape}, then something else")


def _fill_new_memory(filling: int) -> None:
    """Have the C library fill what it allocates by `filling` from now on; 0 for no more.

    Pixels that a decoder never wrote are then others in the second reading. Without glibc nothing happens.
    """
    if hasattr(_LIBC, "mallopt"):
        _LIBC.mallopt(_M_PERTURB, filling)


def work(connection: Connection, seed: int, numbers: range, folder: str, memory_gib: float) -> None:
    """Read the files of `numbers` and send an `Outcome` for each; runs in a process of its own."""
    # What libraries print of damaged files is of no use, and megabytes long.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    warnings.simplefilter("ignore")
    sound = seeds()
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + int(memory_gib * 2**30),) * 2)
    path = Path(folder) / f"{os.getpid()}.img"
    connection.send(None)
    for number in numbers:
        path.write_bytes(make_file(seed, number, sound)[1])
        outcome = read_twice(path)
        connection.send(outcome._replace(peak_kib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


class Worker:
    """A process that reads files, and the one that it is reading."""

    def __init__(self, numbers: range, args: argparse.Namespace, folder: str) -> None:
        self.numbers, self._args, self._folder = numbers, args, folder
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe(duplex=False)
        self.process = context.Process(
            target=work, args=(theirs, self._args.seed, self.numbers, self._folder, self._args.memory), daemon=True
        )
        self.process.start()
        theirs.close()
        self.connection.recv()  # it is ready; an EOFError says that it could not even start
        self.since = time.monotonic()

    def outcome(self) -> Outcome | None:
        """What became of the file that is being read; None if it is being read still."""
        if self.connection.poll():
            try:
                outcome = self.connection.recv()
            except EOFError:
                self.process.join()
                outcome = Outcome("crash", f"exit code {self.process.exitcode}")
        elif time.monotonic() - self.since > self._args.seconds:
            self.process.kill()
            outcome = Outcome("hang", f"over {self._args.seconds:g} s")
        else:
            return None
        self.numbers = self.numbers[1:]
        if outcome.verdict in ("crash", "hang") and self.numbers:
            self.close()
            self._start()
        self.since = time.monotonic()
        return outcome

    def close(self) -> None:
        """Let go of the process."""
        self.process.join()
        self.connection.close()


def fuzz(args: argparse.Namespace) -> tuple[dict[str, Any], dict[int, Outcome]]:
    """Read all files. Returns the line for results.jsonl, and the failures by number."""
    sound = seeds()
    formats: dict[str, Counter[str]] = {}
    reasons: Counter[str] = Counter()
    failures: dict[int, Outcome] = {}
    peak, clock = 0, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, progress(args.files, "fuzz", "file") as bar:
        workers = [Worker(range(first, args.files, args.workers), args, folder) for first in range(args.workers)]
        while workers:
            wait([worker.connection for worker in workers], timeout=0.2)
            for worker in workers:
                while worker.numbers:
                    number, outcome = worker.numbers[0], worker.outcome()
                    if outcome is None:
                        break
                    name, _ = make_file(args.seed, number, sound)
                    verdict = outcome.verdict if outcome.verdict in (READ, REFUSED) else "failed"
                    formats.setdefault(name.split()[0], Counter())[verdict] += 1
                    if verdict == REFUSED:
                        reasons[kind_of(outcome.detail)] += 1
                    elif verdict == "failed":
                        failures[number] = outcome
                    peak = max(peak, outcome.peak_kib)
                    bar.update()
                if not worker.numbers:
                    worker.close()
            workers = [worker for worker in workers if worker.numbers]
    total = sum(formats.values(), Counter())
    result = {
        "files": args.files,
        "seed": args.seed,
        "read": total[READ],
        "refused": total[REFUSED],
        "failures": dict(Counter(outcome.verdict for outcome in failures.values())),
        "formats": {name: dict(counts) for name, counts in sorted(formats.items())},
        "reasons": dict(reasons.most_common()),
        "peak_mib": round(peak / 1024),
        "memory_limit_gib": args.memory,
        "seconds": round(time.perf_counter() - clock, 1),
        "versions": {"python": sys.version.split()[0], "pillow": PIL.__version__, "numpy": np.__version__},
    }
    return result, failures


def kind_of(reason: str) -> str:
    """A reason without the numbers and quoted bytes that differ from file to file; the decoders' own, in one word."""
    if reason.startswith("broken image"):
        return "broken image"
    return re.sub(r"\d[\d,x]*", "N", reason)


def table(result: dict[str, Any]) -> str:
    """Markdown: one line a format, then one line a reason."""
    lines = ["| made from | files | read | refused | failed |", "|---|---|---|---|---|"]
    for name, counts in [*result["formats"].items(), ("all", {READ: result["read"], REFUSED: result["refused"]})]:
        failed = counts.get("failed", 0) if name != "all" else sum(result["failures"].values())
        read, refused = counts.get(READ, 0), counts.get(REFUSED, 0)
        lines.append(f"| {name} | {read + refused + failed:,} | {read:,} | {refused:,} | {failed:,} |")
    lines += ["", "| reason | files |", "|---|---|"]
    lines += [f"| {reason} | {count:,} |" for reason, count in result["reasons"].items()]
    return "\n".join(lines)


def main() -> None:
    """Runs the files through, writes results.jsonl and the failures, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000, help="how many files to make (default: 20000)")
    parser.add_argument("--seed", type=int, default=0, help="of their making (default: 0)")
    parser.add_argument("--workers", type=int, default=1, help="processes that read (default: 1)")
    parser.add_argument("--seconds", type=float, default=20.0, help="after which a file counts as a hang (default: 20)")
    parser.add_argument("--memory", type=float, default=2.0, help="GiB that reading one file may take (default: 2)")
    parser.add_argument("--out", type=Path, default=HERE, help="where the results go (default: beside this file)")
    args = parser.parse_args()
    if min(args.files, args.workers) < 1:
        parser.error("--files and --workers must be at least 1")
    result, failures = fuzz(args)
    sound = seeds()
    for number, outcome in failures.items():
        kept = args.out / "failures"
        kept.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(kept / f"{args.seed}-{number}.img", make_file(args.seed, number, sound)[1])
        print(f"file {number}: {outcome.verdict}: {outcome.detail}", file=sys.stderr)
    args.out.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(args.out / "results.jsonl", (json.dumps(result) + "\n").encode())
    print(table(result))
    print(f"\nat most {result['peak_mib']:,} MiB of memory, {result['seconds']:,} s")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
