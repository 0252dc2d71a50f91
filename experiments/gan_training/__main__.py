"""The compilation, speed, memory and losses of every family, from some steps of training.

    python -m experiments.gan_training                                      # quickstart size, a CPU will do
    python -m experiments.gan_training --variant=celeba --steps=300         # published size, 128x128: for a GPU

It writes results.jsonl and losses.png. The images are crops of the embedded photographs at every size, so nothing is
downloaded. ProGAN runs at its last resolution, where a step costs most.
"""

import argparse
import dataclasses
import importlib
import json
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ganfp_jax.run.progress import progress
from ganfp_jax.training.gan_program import gan_program
from ganfp_jax.training.sharding import make_mesh, make_put, replicated

HERE = Path(__file__).parent
FAMILIES = ("progan", "sngan", "cramergan", "mmdgan")
LOSSES = ("critic_loss", "generator_loss")


@dataclasses.dataclass
class Training:
    """The figures of one family; `losses` has a row (critic's, generator's) per step."""

    figures: dict[str, Any]
    losses: np.ndarray


def config_of(family: str, variant: str) -> dict[str, Any]:
    """The family's config, with the embedded photographs as its real images."""
    module = importlib.import_module(f"configs.{family}")
    config = module.get_config(variant).to_dict()
    config["data"] = module.get_config("photos").to_dict()["data"]
    config["eval_images"] = 0
    return config


def train(family: str, variant: str, steps: int) -> Training:
    """Compiles the step of the last stage and runs it."""
    config = config_of(family, variant)
    program, mesh = gan_program(config, Path()), make_mesh()
    phase, put = program.phases[-1], make_put(mesh)
    low = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    state = jax.jit(program.init, out_shardings=replicated(mesh), compiler_options=low)(jax.random.key(0))
    batches, key = phase.batches(), jax.random.key(1)
    clock = time.perf_counter()
    step = jax.jit(phase.step, donate_argnums=0, out_shardings=replicated(mesh))
    compiled = step.lower(state, put(batches[0]), key).compile()
    compile_seconds = time.perf_counter() - clock

    losses = []
    with progress(steps, config["source_name"], "step") as bar:
        for i in range(steps):
            if i == min(5, steps - 1):  # excludes the first steps, which fetch data and warm up
                jax.block_until_ready(state)
                clock = time.perf_counter()
            state, metrics = compiled(state, put(batches[i]), jax.random.fold_in(key, i))
            losses.append([metrics[name] for name in LOSSES])
            bar.update()
        jax.block_until_ready(state)
    seconds = (time.perf_counter() - clock) / max(steps - min(5, steps - 1), 1)
    memory: Any = compiled.memory_analysis()
    figures = {
        "family": family,
        "variant": variant,
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "resolution": config["resolution"],
        "batch_size": phase.batch_size,
        "critic_steps": config["step"]["critic_steps"],
        "parameters": sum(leaf.size for leaf in jax.tree.leaves((state.generator.params, state.critic.params))),
        "compile_seconds": round(compile_seconds, 1),
        "seconds_per_step": round(seconds, 4),
        "images_per_second": round(phase.batch_size / seconds, 1),
        "step_memory_mib": round((memory.temp_size_in_bytes + memory.argument_size_in_bytes) / 2**20),
        "steps": steps,
        "final_losses": dict(
            zip(LOSSES, np.mean(np.array(losses[-10:], np.float64), 0).round(4).tolist(), strict=True)
        ),
    }
    return Training(figures, np.array(losses, np.float64))


def draw(trainings: list[Training], path: Path) -> None:
    """Draw a panel per family with both losses over the steps."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(trainings), figsize=(3.2 * len(trainings), 2.6), layout="constrained")
    for panel, training in zip(np.atleast_1d(panels), trainings, strict=True):
        for name, values in zip(LOSSES, training.losses.T, strict=True):
            panel.plot(values, linewidth=0.8, label=name.replace("_", " "))
        panel.set_title(training.figures["family"])
        panel.set_xlabel("step")
    np.atleast_1d(panels)[0].legend(fontsize="small")
    figure.savefig(path, dpi=130)


def table(rows: list[dict[str, Any]]) -> str:
    """The figures as Markdown, a line per family."""
    head = [
        "family",
        "size",
        "batch",
        "critic steps",
        "parameters",
        "compilation s",
        "s a step",
        "images/s",
        "memory MiB",
    ]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    keys = [key for key in rows[0] if key not in ("variant", "device", "jax", "steps", "final_losses")]
    lines += [f"| {' | '.join(str(row[key]) for key in keys)} |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    """Trains the families one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="photos", help="of the families' configs: photos, celeba, lsun or tiny")
    parser.add_argument("--steps", type=int, default=100, help="a family")
    parser.add_argument("--families", nargs="+", default=FAMILIES, choices=FAMILIES)
    parser.add_argument("--out", type=Path, default=HERE, help="where results.jsonl and losses.png go")
    args = parser.parse_args()
    trainings = [train(family, args.variant, args.steps) for family in args.families]
    args.out.mkdir(parents=True, exist_ok=True)
    rows = [training.figures for training in trainings]
    (args.out / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    draw(trainings, args.out / "losses.png")
    print(table(rows))


if __name__ == "__main__":
    main()
