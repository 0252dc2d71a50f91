"""The cost of this package's work on this machine, beside PyTorch's and the device's limit.

    pip install -e '.[bench]'
    python -m experiments.benchmark                                   # all rows, at 32x32 and 128x128
    python -m experiments.benchmark --rows forward vote --batches 1 32 256 --sizes 128
    python -m experiments.benchmark --memory                          # and the peak memory of each competitor
    python -m experiments.benchmark --dtype=bfloat16                  # arithmetic; PyTorch: autocast
    python -m experiments.benchmark --variant=tiny                    # a minute or two; the numbers mean nothing

Each row, when it is done, appends a line per competitor to results.jsonl. Then the table is printed, and its ratios are
drawn (ratios.png). Rows with results from the same machine, versions and settings are not run again. Without the extra
only JAX's side runs. A row that takes longer than it may (`Row.least`) is named at the end, and the exit status is 1.
"""

import argparse
import contextlib
import functools
import importlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from experiments.benchmark.row import Options, Row
from ganfp_jax.run.memory import keep_memory

HERE = Path(__file__).parent
EXTRA = ("torch", "ttach")
HEADERS = ("row", "competitor", "ms a call", "images/s", "x ours", "of the limit", "peak MiB")
GANS = ("progan", "sngan", "cramergan", "mmdgan")
KINDS = ("forward", "vote", "training", *GANS, "generation", "folder", "verdict", "unknown")


def make_rows(
    kinds: Sequence[str], sizes: Sequence[int], batches: Sequence[int], options: Options
) -> Iterator[tuple[str, Callable[[], Row]]]:
    """(key, function that makes the row), in order; only that function imports and builds anything."""
    from experiments.benchmark import attribution, folder, gans
    from experiments.benchmark.first_verdict import first_verdict_row
    from experiments.benchmark.unknown import unknown_row

    views: dict[str, Any] = {"forward": attribution.forward_row, "vote": attribution.vote_row}
    one_batch = 32 if 32 in batches else batches[0]
    for kind in kinds:
        if kind == "unknown":  # the shipped network has one size
            for batch in batches:
                yield f"{kind} {batch}", functools.partial(unknown_row, batch)
            continue
        for size in sizes:
            if kind in views:
                for batch in batches:
                    yield f"{kind} {size} {batch}", functools.partial(views[kind], size, batch, options)
            elif kind == "training":
                yield f"{kind} {size}", functools.partial(attribution.training_row, size, one_batch, options)
            elif kind in GANS:
                yield f"{kind} {size}", functools.partial(gans.iteration_row, kind, size, options)
            elif kind == "generation":
                for family in GANS:
                    make = functools.partial(gans.generation_row, family, size, one_batch, options)
                    yield f"{kind} {family} {size}", make
            elif kind == "folder":
                yield f"{kind} {size} {options.files}", functools.partial(folder.folder_row, size, options)
            else:
                yield f"{kind} {size}", functools.partial(first_verdict_row, size, options)


def missing() -> list[str]:
    """The missing packages of the extra."""
    return [name for name in EXTRA if importlib.util.find_spec(name) is None]


def measure(row: Row, rounds: int, seconds: float, limit: Callable[[Any], float]) -> list[dict[str, Any]]:
    """One record per competitor, after a check that their answers agree."""
    from experiments.benchmark.timing import ratio, spread, take_turns

    calls = {name: make() for name, make in row.makers.items()}
    row.check({name: call() for name, call in calls.items()})
    cost = row.cost() if row.cost else None
    times = take_turns(calls, rounds, seconds)
    records = []
    for name in calls:
        took, whole = spread(times[name]), cost if name not in row.lesser else None
        records.append(
            {
                "row": row.name,
                "competitor": name,
                "images": row.images,
                "rounds": len(times[name]),
                "seconds": took._asdict(),
                "ratio_to_ours": ratio(times, name, row.ours)._asdict(),
                "cost": whole._asdict() if whole else None,
                "share_of_limit": limit(whole) / took.median if whole else None,
                "least": row.least.get(name),
            }
        )
    return records


def too_slow(records: Sequence[dict[str, Any]]) -> list[str]:
    """A sentence for each row that takes longer than it may, beyond the spread of its rounds."""
    return [
        f"{record['row']} takes {1 / record['ratio_to_ours']['median']:.2f} times as long as {record['competitor']}; "
        f"at most {1 / record['least']:.2f} is allowed"
        for record in records
        if record.get("least") and record["ratio_to_ours"]["high"] < record["least"]
    ]


def peak_mib(key: str, competitor: str, arguments: Sequence[str]) -> float:
    """The peak memory of a new process that makes one row's competitor and calls it twice."""
    command = [sys.executable, "-m", "experiments.benchmark", *arguments, "--peak", key, competitor]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=HERE.parent.parent)
    return float(done.stdout.split()[-1])


def call_twice(make: Callable[[], Callable[[], Any]]) -> float:
    """The peak memory in MiB that a competitor's construction and two calls add to the memory before.

    It is the device's memory on a GPU, and this process's on CPU (Linux only), without its children's.
    """
    import jax

    theirs = None if missing() else importlib.import_module("torch").cuda  # the import counts for nobody
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    call = make()
    call()
    call()
    if jax.default_backend() == "cpu":
        return _resident("VmHWM") - before
    ours = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0)
    return max(ours, theirs.max_memory_allocated() if theirs else 0) / 2**20


def _resident(key: str) -> float:
    """VmRSS, the resident memory of this process, or VmHWM, its peak, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 2**10


def machine() -> dict[str, Any]:
    """The machine, versions and settings on which the figures depend."""
    from ganfp_jax.models.cpu import library
    from ganfp_jax.run.provenance import provenance

    packages = ("jax", "jaxlib", "flax", "numpy", *(name for name in EXTRA if name not in missing()))
    return provenance(packages) | {
        "processor": processor(),
        "threads": len(os.sched_getaffinity(0)),
        "kernels": library.available(),
    }


def processor() -> str:
    """The name of the processor, where the system has it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def table(records: Sequence[dict[str, Any]]) -> str:
    """The records as Markdown, a line per row and competitor; brackets hold the bounds of 95 % of the rounds."""

    def cell(spread: dict[str, float], scale: float = 1.0, digits: int = 2) -> str:
        median, low, high = (f"{scale * spread[key]:.{digits}f}" for key in ("median", "low", "high"))
        return f"{median} [{low}, {high}]"

    lines = [f"| {' | '.join(HEADERS)} |", f"|{'---|' * len(HEADERS)}"]
    for record in records:
        share, peak = record["share_of_limit"], record["peak_mib"]
        cells = [
            record["row"],
            record["competitor"],
            cell(record["seconds"], 1000, 1),
            f"{record['images'] / record['seconds']['median']:.1f}",
            cell(record["ratio_to_ours"]),
            "" if share is None else f"{100 * share:.0f} %",
            "" if peak is None else f"{peak:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def caption(records: Sequence[dict[str, Any]]) -> str:
    """The line above the table: machine, versions, rounds."""
    about = records[0]["machine"]
    rounds = sorted({record["rounds"] for record in records})
    count = f"{rounds[0]}" if len(rounds) == 1 else f"{rounds[0]} to {rounds[-1]}"
    return f"{describe(about)}; {records[0]['dtype']}; {count} rounds; {about['created']}."


def describe(about: dict[str, Any]) -> str:
    """A machine and its versions, as `machine` gives them."""
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    kernels = "our" if about["kernels"] else "XLA's"
    return f"{about['processor']} ({about['devices']}), {about['threads']} threads; {versions}; {kernels} convolutions"


def read_done(path: Path, about: dict[str, Any], dtype: str) -> list[dict[str, Any]]:
    """The records of `path` from this machine with these versions and this arithmetic."""
    lines = path.read_text().splitlines() if path.exists() else []
    records = [json.loads(line) for line in lines]
    same = [key for key in about if key != "created"]
    return [r for r in records if r["dtype"] == dtype and all(r["machine"][key] == about[key] for key in same)]


def main() -> None:
    """Runs the missing rows, appends them to results.jsonl and prints the table of all requested rows."""
    args = _parse()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # leaves GPU memory to PyTorch
    if not args.fresh_memory:
        keep_memory()  # helps all competitors
    with _quick_compilation() if args.variant == "tiny" else contextlib.nullcontext():
        _run(args)


def _run(args: argparse.Namespace) -> None:
    tiny = args.variant == "tiny"
    rounds, seconds = args.rounds or (1 if tiny else 60), args.seconds or (0.5 if tiny else 90)
    sizes, batches = args.sizes or ([16] if tiny else [32, 128]), args.batches or ([4] if tiny else [1, 32, 256])
    options = Options(
        dtype=args.dtype,
        compile=not (args.no_compile or tiny),
        torch=not missing(),
        files=args.files or (20 if tiny else 1000),
    )
    rows = dict(make_rows(args.rows, sizes, batches, options))
    if args.peak:
        key, competitor = args.peak
        print(call_twice(rows[key]().makers[competitor]))
        return
    about, path = machine(), args.out / "results.jsonl"
    args.out.mkdir(parents=True, exist_ok=True)
    records = read_done(path, about, args.dtype)
    done = {record["key"] for record in records}
    rates = None
    for key, make in rows.items():
        if key in done:
            print(f"{key}: in {path}", flush=True)
            continue
        if rates is None:
            from experiments.benchmark.limits import measure_rates

            rates = measure_rates(args.dtype, *((256, 8) if tiny else ()))
            print(f"limits: {rates.flops / 1e9:.0f} GFLOP/s, {rates.bytes / 1e9:.1f} GB/s", flush=True)
        row = make()
        new = measure(row, rounds, seconds, rates.seconds)
        measured = args.memory and not key.startswith("verdict")  # other processes do the work of a verdict
        for record in new:
            asked = [f"--{name}={value}" for name, value in (("variant", args.variant), ("dtype", args.dtype))]
            asked += ["--fresh-memory"] if args.fresh_memory else []
            asked += ["--sizes", *map(str, sizes), "--batches", *map(str, batches), f"--files={options.files}"]
            record["peak_mib"] = peak_mib(key, record["competitor"], asked) if measured else None
            record |= {"key": key, "dtype": args.dtype, "limits": rates._asdict(), "machine": about}
        with path.open("a") as file:
            file.write("".join(json.dumps(record) + "\n" for record in new))
        records += new
        print(f"{row.name}: done", flush=True)
    asked_for = [record for key in rows for record in records if record["key"] == key]
    print(f"\n{caption(asked_for)}\n\n{table(asked_for)}")
    if any(record["competitor"].startswith("PyTorch") for record in asked_for):
        from experiments.benchmark.figure import draw

        draw(asked_for, args.out / "ratios.png")
    else:
        print(f"\nWithout PyTorch's rows: {', '.join(missing())} not installed; pip install -e '.[bench]'")
    if not tiny and (sentences := too_slow(asked_for)):
        raise SystemExit("\n".join(sentences))


@contextlib.contextmanager
def _quick_compilation() -> Iterator[None]:
    """Compile with low effort, since tiny networks run for milliseconds and would compile for seconds."""
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", False)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", choices=("full", "tiny"), default="full")
    parser.add_argument("--rows", nargs="+", choices=KINDS, default=KINDS, help="which (default: all)")
    parser.add_argument("--sizes", type=int, nargs="+", help="sides of the images (default: 32 128)")
    parser.add_argument("--batches", type=int, nargs="+", help="images a call (default: 1 32 256)")
    parser.add_argument("--files", type=int, help="images in the folder (default: 1000)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of the arithmetic")
    parser.add_argument("--memory", action="store_true", help="also the peak memory, of a process a competitor")
    parser.add_argument("--fresh-memory", action="store_true", help="leave glibc's settings as they are")
    parser.add_argument("--rounds", type=int, help="at most so many a row (default: 60)")
    parser.add_argument("--seconds", type=float, help="a row begins no round after so long (default: 90)")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out; it needs a C++ compiler")
    parser.add_argument("--out", type=Path, default=HERE, help="where the results go (default: beside this file)")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
