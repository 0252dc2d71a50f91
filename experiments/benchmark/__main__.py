"""What the vote of eight views costs, beside one view, a loop over the network, and PyTorch with ttach.

    pip install -e '.[bench]'
    python -m experiments.benchmark                                   # both sizes, batch 32
    python -m experiments.benchmark --batches 1 32 256 --seconds 120  # more batches
    python -m experiments.benchmark --variant=tiny                    # seconds; the numbers mean nothing

Writes results.jsonl (one line a row and competitor) and prints the table. Without the extra only the JAX rows are run.
"""

import argparse
import functools
import importlib.util
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ganfp_jax import atomic

HERE = Path(__file__).parent
EXTRA = ("torch", "ttach")
HEADERS = ("row", "competitor", "ms a call", "images/s", "x one view", "x vote")


class Row(NamedTuple):
    """Competitors at one task: `calls` by name; every other one is compared with the two in `references`."""

    name: str
    images: int
    calls: Mapping[str, Callable[[], object]]
    references: tuple[str, str]


def vote_row(size: int, batch: int, compile: bool) -> Row:
    """Eight views of `batch` images of `size` x `size`, and one; checked, and all compiled."""
    from experiments.benchmark.competitor import check_agreement
    from experiments.benchmark.vote import LOOP, ONE_VIEW, VOTE, jax_competitors, make_images, make_network

    network, images = make_network(size), make_images(batch, size)
    competitors = jax_competitors(network)
    if not missing():
        from experiments.benchmark.torch_vote import torch_competitors

        competitors += torch_competitors(network.params, network.input, compile)
    judge = next(competitor for competitor in competitors if competitor.name == LOOP)
    check_agreement(competitors, judge.answer(images), images)
    calls = {competitor.name: functools.partial(competitor.answer, images) for competitor in competitors}
    return Row(f"{size}x{size}, batch {batch}", batch, calls, (ONE_VIEW, VOTE))


def missing() -> list[str]:
    """The packages of the extra that are not installed."""
    return [name for name in EXTRA if importlib.util.find_spec(name) is None]


def measure(row: Row, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """One record a competitor."""
    from experiments.benchmark.timing import ratio, spread, take_turns

    times = take_turns(row.calls, rounds, seconds)
    one_view, vote = row.references
    return [
        {
            "row": row.name,
            "competitor": name,
            "images": row.images,
            "rounds": len(times[name]),
            "seconds": spread(times[name])._asdict(),
            "ratio_to_one_view": ratio(times, name, one_view)._asdict(),
            "ratio_to_vote": ratio(times, name, vote)._asdict(),
        }
        for name in row.calls
    ]


def machine() -> dict[str, Any]:
    """What the figures depend on besides the code."""
    from ganfp_jax.provenance import provenance

    packages = ("jax", "jaxlib", "flax", "numpy", *(name for name in EXTRA if name not in missing()))
    return provenance(packages) | {"processor": processor(), "threads": len(os.sched_getaffinity(0))}


def processor() -> str:
    """The name of the processor, where the system tells."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def table(records: Sequence[dict[str, Any]]) -> str:
    """Markdown, one line a row and competitor; brackets hold the bounds of 95 % of the rounds."""

    def cell(spread: dict[str, float], scale: float = 1.0, digits: int = 2) -> str:
        median, low, high = (f"{scale * spread[key]:.{digits}f}" for key in ("median", "low", "high"))
        return f"{median} [{low}, {high}]"

    lines = [f"| {' | '.join(HEADERS)} |", f"|{'---|' * len(HEADERS)}"]
    for record in records:
        cells = [
            record["row"],
            record["competitor"],
            cell(record["seconds"], 1000, 1),
            f"{record['images'] / record['seconds']['median']:.1f}",
            cell(record["ratio_to_one_view"]),
            cell(record["ratio_to_vote"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def caption(records: Sequence[dict[str, Any]]) -> str:
    """The line above the table: machine, versions, rounds."""
    about = records[0]["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    rounds = sorted({record["rounds"] for record in records})
    count = f"{rounds[0]}" if len(rounds) == 1 else f"{rounds[0]} to {rounds[-1]}"
    return (
        f"{about['processor']} ({about['devices']}), {about['threads']} threads; {versions}; "
        f"{count} rounds; {about['created']}."
    )


def main() -> None:
    """Runs all rows, then writes results.jsonl and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", choices=("full", "tiny"), default="full")
    parser.add_argument("--sizes", type=int, nargs="+", help="sides of the images (default: 32 128)")
    parser.add_argument("--batches", type=int, nargs="+", help="images a call (default: 32)")
    parser.add_argument("--rounds", type=int, help="at most so many a row (default: 60)")
    parser.add_argument("--seconds", type=float, help="a row begins no round after so long (default: 90)")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out; it needs a C++ compiler")
    parser.add_argument("--out", type=Path, default=HERE, help="where the results go (default: beside this file)")
    args = parser.parse_args()
    tiny = args.variant == "tiny"
    rounds, seconds = args.rounds or (3 if tiny else 60), args.seconds or (2 if tiny else 90)
    about = machine()
    records = []
    for size in args.sizes or ([16] if tiny else [32, 128]):
        for batch in args.batches or ([4] if tiny else [32]):
            row = vote_row(size, batch, compile=not (args.no_compile or tiny))
            records += [record | {"machine": about} for record in measure(row, rounds, seconds)]
            print(f"{row.name}: done", flush=True)
    lines = "".join(json.dumps(record) + "\n" for record in records)
    args.out.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(args.out / "results.jsonl", lines.encode())
    print(f"\n{caption(records)}\n\n{table(records)}")
    if missing():
        print(f"\nWithout PyTorch's rows: {', '.join(missing())} not installed; pip install -e '.[bench]'")


if __name__ == "__main__":
    main()
