"""Does a folder of JPEGs feed the attribution network's training, and does memory stay flat?

    python -m experiments.pipeline                       # 20,000 JPEGs of 178x218, one epoch at 128x128
    python -m experiments.pipeline --images=200 --variant=tiny

It makes the JPEGs (aligned CelebA's size; crops of the embedded photographs, enlarged, with noise, quality 90) in a
temporary folder, as files and as a data set of `configs/prepare.py`, and trains on each from disk (`data.cache_gib=0`)
for an epoch. The training itself logs the share of time for which a step waits for its batch (`input_wait`). It is an
upper bound, since the device may work meanwhile. Memory is the process's resident set, read every second. It prints a
table and writes results.jsonl and memory.png.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganfp_jax.data import sources
from ganfp_jax.run import atomic
from ganfp_jax.run.progress import progress

HERE = Path(__file__).parent
SIZE = (178, 218)  # width, height
CLASSES = ("a", "b", "c", "d", "e")


def make_images(root: Path, count: int) -> None:
    """Writes `count` JPEGs into five folders below `root`."""
    crops = np.asarray(sources.photos(split="all", count=min(count, 500), resolution=96).images)
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (root / name).mkdir(parents=True)
    with progress(count, "make JPEGs", "image") as bar:
        for i in range(count):
            enlarged = Image.fromarray(crops[i % len(crops)]).resize(SIZE, Image.Resampling.BICUBIC)
            noisy = np.clip(np.asarray(enlarged) + rng.integers(-8, 9, (SIZE[1], SIZE[0], 3)), 0, 255)
            Image.fromarray(noisy.astype(np.uint8)).save(root / CLASSES[i % len(CLASSES)] / f"{i:06d}.jpg", quality=90)
            bar.update()


def train(root: Path, workdir: Path, variant: str, steps: int) -> dict[str, Any]:
    """Trains from disk and returns the training's logged figures and its memory every second."""
    settings = {
        "data.root": root, "data.resize": "crop", "data.cache_gib": 0.0, "num_steps": steps, "eval_images": 0,
        "log_every": max(1, steps // 20), "checkpoint_every": steps,
    }  # fmt: skip
    command = [sys.executable, "-m", "ganfp_jax.main", f"--config=configs/attribution.py:{variant}"]
    command += [f"--workdir={workdir}", *(f"--config.{key}={value}" for key, value in settings.items())]
    clock, memory = time.perf_counter(), []
    process = subprocess.Popen(command)
    while process.poll() is None:
        memory.append((round(time.perf_counter() - clock, 1), _resident_mib(process.pid)))
        time.sleep(1)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()][
        1:
    ]  # from the second on: the first compiles
    wait, rate = (np.array([row[key] for row in rows]) for key in ("input_wait", "images_per_second"))
    return {
        "steps": steps,
        "input_wait": float(np.average(wait, weights=1 / rate)),  # by time: rows have equal numbers of images
        "images_per_second": float(len(rate) / (1 / rate).sum()),
        "memory": [(seconds, mib) for seconds, mib in memory if mib],
    }


def _resident_mib(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(lines[0].split()[1]) / 1024 if lines else 0.0


def figure(results: list[dict[str, Any]]) -> bytes:
    """The memory over time as a PNG."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(7, 3), layout="constrained")
    axes = drawn.subplots()
    for result in results:
        seconds, mib = zip(*result["memory"], strict=True)
        axes.plot(seconds, mib, label=result["input"])
    axes.set(xlabel="seconds", ylabel="resident memory, MiB")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def table(results: list[dict[str, Any]]) -> str:
    """The results as Markdown."""
    lines = ["| input | steps | images/s | waiting | memory at a quarter | at the end | peak |", "| --- " * 7 + "|"]
    for row in results:
        mib = [value for _, value in row["memory"]]
        lines.append(
            f"| {row['input']} | {row['steps']:,} | {row['images_per_second']:.0f} | {100 * row['input_wait']:.2f} % | "
            f"{mib[len(mib) // 4]:,.0f} MiB | {mib[-2]:,.0f} MiB | {max(mib):,.0f} MiB |"
        )
    return "\n".join(lines)


def main() -> None:
    """Makes the images, trains twice, then writes and prints the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--variant", default="celeba", help="of configs/attribution.py")
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=HERE, help="where the results go (default: beside this file)")
    args = parser.parse_args()
    from configs import attribution

    steps = int(args.images * args.epochs / attribution.get_config(args.variant).batch_size)
    with tempfile.TemporaryDirectory() as name:
        root, prepared = Path(name) / "images", Path(name) / "prepared"
        make_images(root, args.images)
        command = [sys.executable, "-m", "ganfp_jax.main", "--config=configs/prepare.py", f"--workdir={name}/prepare"]
        subprocess.run([*command, f"--config.data.root={root}", f"--config.prepare={prepared}"], check=True)
        results = [
            {"input": what, "images": args.images, **train(of, Path(name) / what, args.variant, steps)}
            for what, of in (("folder of files", root), ("prepared data set", prepared))
        ]
    args.out.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in results)
    atomic.write_bytes(args.out / "results.jsonl", lines.encode())
    atomic.write_bytes(args.out / "memory.png", figure(results))
    print(table(results))


if __name__ == "__main__":
    main()
