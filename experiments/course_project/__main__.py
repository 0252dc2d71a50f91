"""The course project's test of 15 and of 150 images over 20 dataset seeds, without and with votes.

    python -m experiments.course_project                   # trains the study of three sources first, if it is not there
    python -m experiments.course_project --variant=tiny    # the same path in a minute; its numbers mean nothing

It writes results.jsonl (a line per test, seed, network and view set) and prints the table.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganfp_jax.jobs.course_project import SUMMARY_HEADERS, summary_cells
from ganfp_jax.run import atomic

HERE = Path(__file__).parent


def run(config: str, workdir: Path, *settings: str) -> None:
    """Runs a job or resumes it."""
    command = [sys.executable, "-m", "ganfp_jax.main", f"--config=configs/{config}", f"--workdir={workdir}"]
    subprocess.run([*command, *settings], check=True)


def table(summary: Sequence[Mapping[str, Any]]) -> str:
    """The results as Markdown: a line per test, network and view set; the last column is the recall by source."""
    sources = list(summary[0]["right"])
    lines = [f"| {' | '.join([*SUMMARY_HEADERS, ', '.join(sources)])} |", f"|{'---|' * (len(SUMMARY_HEADERS) + 1)}"]
    for entry in summary:
        lines.append(f"| {' | '.join([*summary_cells(entry), ', '.join(str(n) for n in entry['right'].values())])} |")
    return "\n".join(lines)


def main() -> None:
    """Runs the missing jobs, then writes results.jsonl and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="", help="of configs/course_project.py, such as tiny")
    parser.add_argument("--out", type=Path, default=HERE, help="where the results go (default: beside this file)")
    args = parser.parse_args()
    name = f"course_project-{args.variant}" if args.variant else "course_project"
    study_variant = args.variant or "course"
    study, workdir = Path("runs") / f"quickstart-{study_variant}", Path("runs") / name
    if not (study / "results.json").exists():
        run(f"quickstart.py:{study_variant}", study)
    run(f"course_project.py:{args.variant or 'default'}", workdir, f"--config.study={study}")
    results = json.loads((workdir / "results.json").read_text())
    lines = "".join(json.dumps(row) + "\n" for row in results["rows"])
    args.out.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(args.out / "results.jsonl", lines.encode())
    print(table(results["summary"]))


if __name__ == "__main__":
    main()
