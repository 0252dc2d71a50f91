"""Curves of enrolment: how many images of a new source are found after K of them, and what the known ones lose.

    python -m experiments.enrolment                           # about ten minutes on two CPU cores
    python -m experiments.enrolment --seeds=DIR               # and other trainings of known families: DIR/NAME/*.png
    python -m experiments.enrolment --families SNGAN ProGAN   # only these generators are left out and enrolled
    python -m experiments.enrolment --variant=tiny --out=DIR  # the same path in a minute; its numbers mean nothing

- *A left-out architecture*: the study's small network (`configs/attribution.py`, 500 steps of 32 images) is trained on
  real and three of the four shipped generators, and the fourth is enrolled; with each in turn.
- *Another training of a known family*: the shipped network is given images of a training that differs from a known one
  in its seed alone, such as those of `experiments.open_set.generators` in `runs/open_set/generators/test/seed`.
- *The same pictures*: the shipped network is given processed photographs as a new source, crops that also stand in
  "real": reduced by 2 and enlarged again by Pillow's Lanczos filter, and as JPEG 75.

Photographs of training, of the thresholds' known images and of the test are three groups of scenes. Each K has 50 draws
from 200 images of the new source; the test has 400 more, and 400 of each known source. It writes results.jsonl and
enrolment.png and prints the tables. Images and networks in runs/enrolment are not made again.
"""

import argparse
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from configs import attribution
from experiments.enrolment import measure
from experiments.enrolment.figure import curves_figure
from ganfp_jax.data import manifests, perturb, sources
from ganfp_jax.generation.folders import write_generated, write_source
from ganfp_jax.generation.restorers import classical
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.interop import shipped, start_from
from ganfp_jax.interop.load import load
from ganfp_jax.run import atomic
from ganfp_jax.run.run_folder import open_run
from ganfp_jax.training.programs import train_to_the_end

HERE = Path(__file__).parent
SET = "photos32"
FAMILIES = ("CramerGAN", "MMDGAN", "ProGAN", "SNGAN")
SIDE = 32
SEEDS = {"train": 201, "known": 202, "new": 203, "test": 204}
SCENES = {"train": 1, "known": 0, "new": 0, "test": 2}  # the fold whose test scenes are taken
PROCESSED = {"lanczos": "reduced and enlarged by 2", "jpeg75": "JPEG 75"}


class Size(NamedTuple):
    """How much is made and measured."""

    train: int
    known: int
    new: int
    test: int
    draws: int
    counts: tuple[int, ...]


SIZES = {"": Size(800, 200, 200, 400, 50, (1, 5, 20, 50, 100)), "tiny": Size(48, 30, 30, 16, 3, (1, 5, 20))}


def make_images(root: Path, size: Size) -> None:
    """Writes `<root>/<split>/<source>`: crops, images of every generator, and the crops processed."""
    for split, seed in SEEDS.items():
        there = (manifests.read_manifest(root / split) or {"sources": {}})["sources"]
        count = getattr(size, split)
        for sampler in map(Sampler, shipped.generators(SET)):
            if sampler.source_name not in there:
                write_generated(sampler, root / split, count=count, seed=seed, batch_size=50)
        crops = sources.photos(split="test", fold=SCENES[split], count=count, resolution=SIDE, seed=seed)
        images, names = np.asarray(crops.images), [f"{name}.png" for name in crops.names]
        origin = {"photographs": sorted(set(crops.origins)), "seed": seed}
        for source, made in {"real": images, **{name: process(name, images) for name in PROCESSED}}.items():
            if source not in there:
                write_source(root / split, source, origin, names, zip(names, made, strict=True))


def place_seeds(root: Path, seeds: Path, size: Size) -> list[str]:
    """Copies images of other trainings to `<root>/new` and, the later half, to `<root>/test`; returns their names."""
    names = sorted(path.name for path in seeds.iterdir() if path.is_dir())
    for name in names:
        files = sorted((seeds / name).glob("*.png"))[: size.new + size.test]
        half = min(size.new, len(files) // 2)
        for split, of in (("new", files[:half]), ("test", files[half:])):
            (root / split / name).mkdir(parents=True, exist_ok=True)
            for path in of:
                shutil.copyfile(path, root / split / name / path.name)
    return names


def process(name: str, images: np.ndarray) -> np.ndarray:
    """Crops, processed in one of the ways of `PROCESSED`."""
    if name != "lanczos":
        return perturb.perturb(images, name, 0, np.arange(len(images)))
    smaller = images.reshape(len(images), SIDE // 2, 2, SIDE // 2, 2, 3).mean((2, 4)).round().astype(np.uint8)
    enlarge = classical.load("lanczos-x2").forward
    return np.stack([enlarge(image) for image in smaller]).astype(np.uint8)


def train(root: Path, out: Path, left_out: str, variant: str) -> None:
    """Trains the study's network on all sources but one; its images are those of `root`/train."""
    known = [name for name in load(SET).about["classes"] if name != left_out]
    config = attribution.get_config(variant or "photos")
    config.eval_images = 0
    if not variant:
        config.batch_size, config.num_steps = 32, 500
    config.data.root = str(measure.part_of(root / "train", known))
    settings = config.to_dict()
    with open_run(out, settings):
        train_to_the_end(settings, out, start_from.read)


def rows(
    workdir: Path, families: Sequence[str], seeds: Sequence[str], size: Size, variant: str
) -> Iterator[dict[str, Any]]:
    """The results: of other trainings, of processed photographs, of each left-out generator, of one by the command."""
    images = workdir / "images"
    traces = measure.Traces(load(SET, "attribution"), images)
    for name in seeds:
        yield from measure.curves(traces, name, "another training of a known family", size.counts, size.draws)
    for name, words in PROCESSED.items():
        yield from measure.curves(traces, name, f"the same pictures, {words}", size.counts, size.draws)
    for name in families:
        train(images, workdir / f"visnet-{name}", name, variant)
        traces = measure.Traces(load(workdir / f"visnet-{name}", "attribution"), images)
        yield from measure.curves(traces, name, "left-out architecture", size.counts, size.draws)
        other = next(known for known in traces.classes[::-1] if known != "real")
        yield measure.groups(traces, name, other, min(20, size.draws))
    yield measure.by_command(workdir / f"visnet-{families[0]}", images, families[0], min(20, size.new))


def table(results: Sequence[dict[str, Any]]) -> str:
    """The curves as Markdown: a line per new source, a column per number of images."""
    curves = [row for row in results if row["what"] == "curve"]
    counts = sorted({row["images"] for row in curves})
    lines = [f"| new source | {' | '.join(f'K = {count}' for count in counts)} |", f"|{'---|' * (len(counts) + 1)}"]
    for source in dict.fromkeys(row["source"] for row in curves):
        of = {row["images"]: row for row in curves if row["source"] == source}
        cells = [
            f"{100 * row['found']:.1f} ({100 * row['found_range'][0]:.0f} to {100 * row['found_range'][1]:.0f}); "
            f"{100 * row['lost']:.2f} ({100 * row['lost_range'][1]:.1f}; {100 * row['worst']:.1f})"
            for row in (of[count] for count in counts)
        ]
        lines.append(f"| {source} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *(json.dumps(row) for row in results if row["what"] != "curve")])


def main() -> None:
    """Makes what is missing, measures, and writes and prints the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="", choices=list(SIZES))
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=FAMILIES, help="the generators left out")
    parser.add_argument("--seeds", type=Path, help="a folder with images of other trainings, NAME/*.png")
    parser.add_argument("--out", type=Path, default=HERE, help="where the results go (default: beside this file)")
    args = parser.parse_args()
    workdir, size = Path("runs") / f"enrolment{'-' * bool(args.variant)}{args.variant}", SIZES[args.variant]
    make_images(workdir / "images", size)
    seeds = [] if args.seeds is None else place_seeds(workdir / "images", args.seeds, size)
    results = list(rows(workdir, args.families, seeds, size, args.variant))
    args.out.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(args.out / "results.jsonl", "".join(json.dumps(row) + "\n" for row in results).encode())
    atomic.write_bytes(args.out / "enrolment.png", curves_figure([row for row in results if row["what"] == "curve"]))
    print(table(results))


if __name__ == "__main__":
    main()
