"""Runs the quickstart on each fold and writes the table: `python -m experiments.folds [--variant=tiny] [--out=DIR]`."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ganfp_jax.data.sources import FOLDS
from ganfp_jax.metrics.statistics import wilson_interval

HERE = Path(__file__).parent


def rows_of(results: dict[str, Any], fold: int) -> list[dict[str, Any]]:
    """The flat rows of one study: networks (single view and vote) and baselines."""
    rows = []
    for entry in results["evaluations"]:
        metrics = entry["metrics"]
        shared = {"fold": fold, "condition": entry["condition"], "method": f"VisNet, trained with {entry['network']}"}
        for views, block in (("identity", metrics["single_view"]), (entry["views_name"], metrics)):
            row = shared | {"views": views, "correct": block["correct"], "total": block["total"]}
            row["real"] = block["per_class"]["real"]
            if views != "identity":
                row |= {"vote_changes": metrics["vote_changes"], "per_photograph": entry["per_photograph"]}
            if row not in rows:
                rows.append(row)
    for entry in results["baselines"]:
        metrics = entry["metrics"]
        row = {"fold": fold, "condition": entry["condition"], "method": entry["name"], "views": "-"}
        rows.append(row | {k: metrics[k] for k in ("correct", "total")} | {"real": metrics["per_class"]["real"]})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The accuracies as Markdown: a line per method, a column per fold, and all folds pooled with a 95 % interval."""
    folds = sorted({row["fold"] for row in rows})
    head = ["images", "method", "views", *(f"fold {fold}" for fold in folds), "pooled (95 %)", "real, by fold"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for condition, method, views in dict.fromkeys((r["condition"], r["method"], r["views"]) for r in rows):
        same = [r for r in rows if (r["condition"], r["method"], r["views"]) == (condition, method, views)]
        correct, total = sum(r["correct"] for r in same), sum(r["total"] for r in same)
        low, high = wilson_interval(correct, total)
        cells = [condition, method, views, *(f"{100 * r['correct'] / r['total']:.1f}" for r in same)]
        cells += [f"{100 * correct / total:.1f} ({100 * low:.1f} to {100 * high:.1f}), n = {total}"]
        cells += [", ".join(f"{100 * r['real']['accuracy']:.0f}" for r in same)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Runs the missing folds, then writes results.jsonl and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="scratch", help="of configs/quickstart.py, such as tiny")
    parser.add_argument("--out", type=Path, help="where results.jsonl goes (default: beside this file)")
    parser.add_argument("--folds", nargs="+", type=int, default=[*range(len(FOLDS))], help="of the photographs")
    args = parser.parse_args()
    rows = []
    for fold in args.folds:
        # Fold 0 is the quickstart itself, which may be done already.
        name = f"quickstart-{args.variant}" + (f"-fold{fold}" if fold else "")
        workdir = Path("runs") / name
        command = [sys.executable, "-m", "ganfp_jax.main", f"--config=configs/quickstart.py:{args.variant}"]
        subprocess.run([*command, f"--workdir={workdir}", f"--config.photos.fold={fold}"], check=True)
        rows += rows_of(json.loads((workdir / "results.json").read_text()), fold)
    out = (args.out or HERE) / "results.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(table(rows))


if __name__ == "__main__":
    main()
