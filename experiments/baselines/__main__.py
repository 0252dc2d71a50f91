"""The accuracy of cheap methods with few and many training images, on the study's images.

    python -m experiments.baselines                   # about four minutes after the quickstart from scratch
    python -m experiments.baselines --variant=tiny    # the same path in a minute; its numbers mean nothing

It runs configs/baselines.py with each seed, which draws other training images. It writes results.jsonl and low_data.png
(of the first seed) and prints the table.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ganfp_jax.report import wording
from ganfp_jax.run import atomic

HERE = Path(__file__).parent
SEEDS = (0, 1, 2)
KEPT = ("method", "condition", "images_per_source", "correct", "total", "settings", "seconds_fit", "seconds_predict")


def run(variant: str, seed: int, settings: list[str]) -> Path:
    """Runs the job with one seed, unless it is done, and returns its run folder."""
    workdir = Path("runs") / f"baselines{variant.replace(':', '-')}-seed{seed}"
    command = [sys.executable, "-m", "ganfp_jax.main", f"--config=configs/baselines.py{variant}"]
    # The network does not depend on the draw, so only the first seed measures it.
    network = [] if seed == SEEDS[0] else ["--config.checkpoint="]
    subprocess.run([*command, f"--workdir={workdir}", f"--config.seed={seed}", *settings, *network], check=True)
    return workdir


def table(rows: list[dict[str, Any]]) -> str:
    """The means over the seeds as Markdown: a line per method and condition, a column per number of training images."""
    counts = sorted({row["images_per_source"] for row in rows if row["images_per_source"]})
    head = ["images", "method", *(f"{count:,}" for count in counts), "s to fit", "s to answer"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    kinds = dict.fromkeys((row["condition"], row["method"]) for row in rows)
    for condition, method in sorted(kinds, key=lambda kind: conditions.index(kind[0])):
        members = [row for row in rows if (row["condition"], row["method"]) == (condition, method)]
        cells = [condition, wording.baseline_label(method)]
        for count in counts:
            drawn = [100 * row["correct"] / row["total"] for row in members if row["images_per_source"] == count]
            spread = f" ({min(drawn):.1f} to {max(drawn):.1f})" if drawn and max(drawn) - min(drawn) >= 0.05 else ""
            cells.append(f"{sum(drawn) / len(drawn):.1f}{spread}" if drawn else "")
        last = members[-1]
        if last["images_per_source"] is None:
            cells[-1] = f"{100 * last['correct'] / last['total']:.1f}"
        seconds = ["" if last[key] is None else f"{last[key]:.1f}" for key in ("seconds_fit", "seconds_predict")]
        lines.append(f"| {' | '.join([*cells, *seconds])} |")
    return "\n".join(lines)


def main() -> None:
    """Runs the missing jobs, then writes results.jsonl and low_data.png and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="", help="of configs/baselines.py, such as tiny")
    parser.add_argument("--out", type=Path, default=HERE, help="where the results go (default: beside this file)")
    parser.add_argument("settings", nargs="*", help="further settings, such as --config.data.root=DIR after --")
    args = parser.parse_args()
    variant = f":{args.variant}" if args.variant else ""
    rows = []
    for seed in SEEDS:
        workdir = run(variant, seed, args.settings)
        results = json.loads((workdir / "baselines.json").read_text())
        rows += [{"seed": seed, **{key: row[key] for key in KEPT}} for row in results["rows"]]
        if seed == SEEDS[0]:
            atomic.write_bytes(args.out / "low_data.png", (workdir / "low_data.png").read_bytes())
    atomic.write_bytes(args.out / "results.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    print(table(rows))


if __name__ == "__main__":
    main()
