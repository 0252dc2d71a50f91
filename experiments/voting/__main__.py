"""When does a vote over views help, when does it hurt, and what does it cost?

    python -m experiments.voting                    # fold 0, network seeds 0 to 2: about two hours on two CPU cores
    python -m experiments.voting --folds 0 1 2      # the other folds too
    python -m experiments.voting --variant=tiny     # the same path in two minutes; its numbers mean nothing

There are two tasks (five sources; real and three trainings of one GAN) and two trainings (mirroring; all flips and
turns). For each, a network is trained for each seed as in the quickstart. It classifies every test image in each of 23
views under each condition (`configs/ablation.py`), and every rule counts every set of views. The results are
results.jsonl (a line per cell), voting.png and the printed tables. Finished parts are not run again.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from experiments.voting import counting, tables
from experiments.voting.figure import voting_figure
from ganfp_jax.run import atomic

HERE = Path(__file__).parent
TASKS = {
    "five sources": "quickstart-scratch",
    "three seeds of ProGAN": "quickstart-seeds",
}  # task -> study
TRAININGS = ("mirror", "d4")
CONDITIONS = ("none", "jpeg90", "jpeg75", "jpeg50", "noise15", "blur0.7")
BATCH_SIZE = 32  # batch size of the networks, as in the quickstart


class Network(NamedTuple):
    """One trained network and its ablation."""

    task: str
    training: str
    fold: int
    seed: int
    ablation: Path


def run(config: str, workdir: Path, **settings: object) -> None:
    """Runs a job or resumes it."""
    command = [sys.executable, "-m", "ganfp_jax.main", f"--config=configs/{config}", f"--workdir={workdir}"]
    subprocess.run([*command, *(f"--config.{key}={value}" for key, value in settings.items())], check=True)


def networks(task: str, variant: str, folds: Sequence[int], seeds: Sequence[int]) -> Iterator[Network]:
    """Trains and measures the networks of one task, and yields each as soon as it is measured."""
    tiny = f":{variant}" if variant else ""
    for fold in folds:
        name = (f"quickstart-{variant}" if variant else TASKS[task]) + (f"-fold{fold}" if fold else "")
        study, runs = Path("runs") / name, Path("runs") / f"voting-{name}"
        if not (study / "results.json").exists():
            _, _, of = TASKS[task].partition("-")
            run(f"quickstart.py:{variant or of}", study, **{"photos.fold": fold})
        for seed in seeds:
            for training in TRAININGS:
                # The study has trained the networks of seed 0.
                checkpoint = study / f"visnet-{training}" if seed == 0 else runs / f"visnet-{training}-seed{seed}"
                root = {"data.root": study / "images"}
                ablation = runs / f"{training}-seed{seed}"
                if not (ablation / "ablation.json").exists():
                    if seed:
                        size = {} if variant else {"batch_size": BATCH_SIZE}
                        recipe = {"augment": training, "seed": seed, "eval_images": 0}
                        run(f"attribution.py{tiny}", checkpoint, **recipe, **size, **root)
                    run(f"ablation.py{tiny}", ablation, checkpoint=checkpoint, perturb=CONDITIONS, **root)
                yield Network(task, training, fold, seed, ablation)


def main() -> None:
    """Runs the missing jobs, then counts the votes, and writes and prints the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--folds", nargs="+", type=int, default=[0], help="of the photographs")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the networks")
    parser.add_argument("--variant", default="", choices=["", "tiny"], help="tiny: small networks and one task")
    parser.add_argument("--out", type=Path, default=HERE, help="where the results go (default: beside this file)")
    args = parser.parse_args()
    tasks = args.tasks[:1] if args.variant else args.tasks
    done = [network for task in tasks for network in networks(task, args.variant, args.folds, args.seeds)]
    cells, doubts = [], []
    for task in tasks:
        for training in TRAININGS:
            measured = [(n.fold, n.ablation) for n in done if (n.task, n.training) == (task, training)]
            of = {"task": task, "training": training}
            cells += [of | cell for cell in counting.count_cells(measured)]
            doubts += [of | doubt for doubt in counting.read_doubts([ablation for _, ablation in measured])]
    counting.correct(cells)
    args.out.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in [*cells, *doubts])
    atomic.write_bytes(args.out / "results.jsonl", lines.encode())
    atomic.write_bytes(args.out / "voting.png", voting_figure(cells))
    print(tables.all_tables(cells, doubts))


if __name__ == "__main__":
    main()
