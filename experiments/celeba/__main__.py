"""The commands of docs/celeba.md, one after the other: from the folder img_align_celeba to the published table.

    python -m experiments.celeba --photographs=img_align_celeba      # as published, for a GPU
    python -m experiments.celeba --variant=celeba-smoke              # tiny networks, photographs made here: minutes
    python -m experiments.celeba --photographs=DIR --dry-run         # shows the commands

The same command resumes a stopped run.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from experiments.celeba.photographs import write_photographs

GANS = ("progan", "sngan", "cramergan", "mmdgan")


class Sizes(NamedTuple):
    """The number of images per source, and the first photograph of the real test images."""

    train: int
    test: int
    test_from: int


SIZES = {"celeba": Sizes(100_000, 10_000, 182_637), "celeba-smoke": Sizes(24, 8, 24)}


def commands(variant: str, photographs: str) -> list[list[str]]:
    """The arguments of `python -m ganfp_jax.main`, in order; see docs/celeba.md."""
    sizes, images = SIZES[variant], f"runs/{variant}/images"
    arguments = [[f"--config=configs/{gan}.py:{variant}", f"--config.data.folder.root={photographs}"] for gan in GANS]
    for split, count, first, seed in (("train", sizes.train, 0, 1), ("test", sizes.test, sizes.test_from, 2)):
        into = [f"--config.root={images}/{split}", f"--config.count={count}"]
        arguments.append(
            [
                f"--config=configs/generate.py:{variant}",
                f"--workdir=runs/{variant}/real-{split}",
                *into,
                f"--config.folder.root={photographs}",
                f"--config.folder.first={first}",
            ]
        )
        arguments += [
            [
                "--config=configs/generate.py",
                f"--workdir=runs/{variant}/{gan}-{split}",
                *into,
                f"--config.generator=runs/{gan}-{variant}",
                f"--config.seed={seed}",
            ]
            for gan in GANS
        ]
    arguments.append(["--config=configs/audit.py", f"--workdir=runs/{variant}/audit", f"--config.data.root={images}"])
    arguments.append([f"--config=configs/attribution.py:{variant}", f"--config.data.root={images}"])
    arguments.append([f"--config=configs/evaluate.py:{variant}"])
    return arguments


def run(arguments: list[str]) -> None:
    """Runs one command, as a user would."""
    if status := subprocess.run([sys.executable, "-m", "ganfp_jax.main", *arguments]).returncode:
        sys.exit(status)


def parse() -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="celeba", choices=tuple(SIZES))
    parser.add_argument("--photographs", default="", help="the folder img_align_celeba; celeba-smoke can make one")
    parser.add_argument("--dry-run", action="store_true", help="show the commands only")
    args = parser.parse_args()
    if not args.photographs and args.variant == "celeba":
        parser.error("--photographs=DIR is needed: the folder img_align_celeba, as downloaded")
    return args


def run_all() -> None:
    """Runs all commands and prints the accuracy of the network."""
    args = parse()
    clock, photographs = time.perf_counter(), args.photographs or f"runs/{args.variant}/img_align_celeba"
    if not args.photographs and not args.dry_run:
        write_photographs(Path(photographs), count=SIZES[args.variant].train + SIZES[args.variant].test)
    for arguments in commands(args.variant, photographs):
        print(f"== python -m ganfp_jax.main {shlex.join(arguments)}", flush=True)
        if not args.dry_run:
            run(arguments)
    if not args.dry_run:
        metrics = json.loads(Path(f"runs/evaluate-{args.variant}/metrics.json").read_text())
        one, vote = metrics["single_view"]["accuracy"], metrics["accuracy"]
        print(f"one view {one:.4f}, vote {vote:.4f}, of {metrics['total']} images; {time.perf_counter() - clock:.0f} s")


if __name__ == "__main__":
    run_all()
