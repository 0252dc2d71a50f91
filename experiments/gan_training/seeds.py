"""Trains MMDGAN with several seeds and checks at every step whether its gradients are alive.

    python -m experiments.gan_training.seeds                        # ten seeds, both kinds of first weights
    python -m experiments.gan_training.seeds --variant=tiny --steps=8 --seeds 0 1

It writes seeds.jsonl, a line per training: `:photos` with its own `critic.first_weights` ("scaled") and with the
published ones.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from configs import mmdgan
from ganfp_jax.run.progress import progress
from ganfp_jax.training.gan_program import gan_program
from ganfp_jax.training.program import Program

HERE = Path(__file__).parent
FIRST_WEIGHTS = ("scaled", "published")
NETWORKS = ("generator", "critic")


def program_of(variant: str, seed: int, first_weights: str) -> Program:
    """The training without its evaluations."""
    config = mmdgan.get_config(variant).to_dict()
    config |= {"seed": seed, "eval_images": 0}
    config["critic"]["first_weights"] = first_weights
    return gan_program(config, Path())


def train(program: Program, step: Callable, init: Callable, seed: int, steps: int) -> dict[str, Any]:
    """The figures of one seed; all seeds share the step, since only their batches and keys differ."""
    phase, key = program.phases[-1], jax.random.key(seed)
    state, batches, norms = init(jax.random.fold_in(key, 0)), phase.batches(), []
    clock = time.perf_counter()
    with progress(steps, f"seed {seed}", "step") as bar:
        for i in range(steps):
            state, metrics = step(state, batches[i], jax.random.fold_in(jax.random.fold_in(key, 1), i))
            norms.append([metrics[f"{name}_grad_norm"] for name in NETWORKS])
            bar.update()
    lengths = np.array(jax.device_get(norms), np.float64)  # (steps, 2)
    assert phase.sample
    images = phase.sample(state).astype(np.float64)
    figures: dict[str, Any] = {"seed": seed, "steps": steps, "seconds": round(time.perf_counter() - clock, 1)}
    for name, column in zip(NETWORKS, lengths.T, strict=True):
        figures |= {
            f"{name}_zero_steps": int((column == 0).sum()),
            f"{name}_smallest": float(f"{column.min():.3g}"),
            f"{name}_last": float(f"{column[-1]:.3g}"),
        }
    return figures | {"std_between_images": round(float(images.std(0).mean()), 1)}


def main() -> None:
    """Trains all seeds, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="photos", choices=("photos", "tiny"))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--first-weights", nargs="+", default=FIRST_WEIGHTS, choices=FIRST_WEIGHTS)
    parser.add_argument("--out", type=Path, default=HERE, help="where seeds.jsonl goes")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for first_weights in args.first_weights:
        programs = {seed: program_of(args.variant, seed, first_weights) for seed in args.seeds}
        any_of_them = programs[args.seeds[0]]
        step, init = jax.jit(any_of_them.phases[-1].step, donate_argnums=0), jax.jit(any_of_them.init)
        for seed, program in programs.items():
            rows.append({"first_weights": first_weights} | train(program, step, init, seed, args.steps))
            (args.out / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            print(json.dumps(rows[-1]), flush=True)


if __name__ == "__main__":
    main()
