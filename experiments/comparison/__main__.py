"""Cllr of likelihood ratios by the size of the reference, on images that had no part in their calibration.

    python -m experiments.comparison                           # some minutes on two CPU cores
    python -m experiments.comparison --variant=tiny --out=DIR  # the same path in a minute; its numbers mean nothing

Images: of every shipped generator and of the embedded photographs, which the shipped network has not seen, the same
number each. Photographs are dealt into three parts, and so are generated images. Each part in turn is the test: its
trials get their ratios from axes, calibration and bounds that the two other parts have taught (`configs/compare.py`
does the same with its halves). The trials of all three are pooled; 95 % intervals are a bootstrap of the test's
photographs and generated images. *Left out* is a source whose images taught neither axes nor calibration: the trials
are those in which it is the reference, the case or both. The network has learned it nevertheless.

It writes results.jsonl and tippett.png (20 against 1) and prints the tables. Images in runs/comparison are not made
again.
"""

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from ganfp_jax.attribution.enrolment import trained
from ganfp_jax.attribution.likelihood import pool_of
from ganfp_jax.attribution.same_source import System, learn, validity
from ganfp_jax.attribution.traces import TILING, make_reader, read_known
from ganfp_jax.attribution.trials import Pool, Sizes, Trials, draw, quarters, resampled
from ganfp_jax.data import manifests, sources
from ganfp_jax.generation.folders import write_generated, write_source
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.interop import shipped
from ganfp_jax.interop.load import load
from ganfp_jax.metrics.groups import deal
from ganfp_jax.metrics.ratios import tippett
from ganfp_jax.report import figures
from ganfp_jax.report.tippett_figure import draw_tippett
from ganfp_jax.run import atomic

HERE = Path(__file__).parent
SET, SIDE, SEED, PARTS = "photos32", 32, 301, 3


class Size(NamedTuple):
    """How much is made and measured."""

    images: int
    """Of each source."""
    trials: tuple[Sizes, ...]
    draws: int
    repeats: int


SIZES = {
    "": Size(600, (Sizes(1, 1), Sizes(5, 1), Sizes(20, 1), Sizes(20, 5)), 50, 100),
    "tiny": Size(72, (Sizes(1, 1), Sizes(3, 2)), 3, 2),
}


def make_images(root: Path, count: int) -> None:
    """Writes `<root>/<source>`: images of every generator, and crops of all nine photographs."""
    there = (manifests.read_manifest(root) or {"sources": {}})["sources"]
    for sampler in map(Sampler, shipped.generators(SET)):
        if sampler.source_name not in there:
            write_generated(sampler, root, count=count, seed=SEED, batch_size=50)
    if "real" not in there:
        crops = sources.photos(split="all", count=count, resolution=SIDE, seed=SEED)
        names = [f"{name}.png" for name in crops.names]
        origin = {"photographs": sorted(set(crops.origins)), "seed": SEED}
        write_source(root, "real", origin, names, zip(names, np.asarray(crops.images), strict=True))


def read(root: Path, count: int) -> tuple[Pool, list[str]]:
    """The mean traces of all images by the shipped network, and the names of their sources."""
    weights = load(SET, "attribution", calibrated=False)
    model, variables, classes = trained(weights)
    reader = make_reader(model, variables, weights.about["augment"])
    return pool_of(read_known(reader, classes, [], root, count, "crop", "auto", TILING)), classes


def parts(pool: Pool) -> np.ndarray:
    """Part 0 to 2 of each picture; photographs stay whole, and each source is dealt alike."""
    found = np.zeros(len(pool.labels), int)
    rng = np.random.default_rng(SEED)
    for label in np.unique(pool.labels):
        mine = pool.labels == label
        found[mine] = deal(pool.groups[mine], PARTS, rng)
    return found


Found = list[tuple[np.ndarray, np.ndarray]]
"""Ratios and whether one source made both, of the trials themselves and of those of every bootstrap sample."""


def tested(system: System, test: Pool, draws: int, repeats: int, left: int | None) -> Found:
    """The ratios of the trials of test images; of those with the left out source, where there is one."""
    rng = np.random.default_rng(SEED)
    points = test._replace(values=system.scorer.points(test.values))
    sides = quarters(points, rng) % 2
    samples = [(points, sides), *resampled(points, sides, repeats, rng)]
    return [_ratios(system, draw(*sample, system.scorer, system.sizes, draws, rng), left) for sample in samples]


def _ratios(system: System, trials: Trials, left: int | None) -> tuple[np.ndarray, np.ndarray]:
    which = np.full(len(trials.scores), True) if left is None else (trials.sources == left).any(1)
    return system.of_trials(trials)[which], trials.same[which]


def row(pool: Pool, classes: Sequence[str], sizes: Sizes, size: Size, left: int | None) -> dict[str, Any]:
    """What the ratios of such trials cost, over all parts."""
    part, known = parts(pool), pool.labels != (-1 if left is None else left)
    systems = [
        learn(pool.part((part != test) & known), classes, sizes, draws=size.draws, repeats=1, seed=SEED)
        for test in range(PARTS)
    ]
    found = [
        tested(system, pool.part(part == test), size.draws, size.repeats, left) for test, system in enumerate(systems)
    ]
    pooled = [
        (np.concatenate([r for r, _ in of]), np.concatenate([s for _, s in of])) for of in zip(*found, strict=True)
    ]
    ratios, same = pooled[0]
    return {
        "reference": sizes.reference,
        "case": sizes.case,
        "left_out": None if left is None else classes[left],
        **validity(pooled),
        "misleading_same": float((ratios[same] < 0).mean()),
        "misleading_different": float((ratios[~same] > 0).mean()),
        "bounds": [[math.exp(end) for end in system.bounds] for system in systems],
        "independent": [system.independent for system in systems],
        "trials": {"same": int(same.sum()), "different": int((~same).sum())},
        "tippett": tippett(ratios, same),
    }


def rows(pool: Pool, classes: Sequence[str], size: Size) -> Iterator[dict[str, Any]]:
    """The results: of all sources, and of each left out."""
    for sizes in size.trials:
        yield row(pool, classes, sizes, size, None)
    for left in range(len(classes)):
        yield row(pool, classes, size.trials[-2], size, left)


def table(results: Sequence[dict[str, Any]]) -> str:
    """The results as Markdown."""
    lines = [
        "| reference, case | left out | Cllr | least Cllr | misleading: one source, two, % | bounds |",
        "|---|---|---|---|---|---|",
    ]
    for of in results:
        costs = (_cost(of[name]) for name in ("cllr", "cllr_min"))
        misleading = f"{100 * of['misleading_same']:.1f}, {100 * of['misleading_different']:.1f}"
        lows, highs = zip(*of["bounds"], strict=True)
        bounds = f"{max(lows):.2g} to {min(highs):.3g}"
        sizes = f"{of['reference']}, {of['case']}"
        lines.append(f"| {sizes} | {of['left_out'] or '–'} | {' | '.join(costs)} | {misleading} | {bounds} |")
    return "\n".join(lines)


def _cost(measure: dict[str, Any]) -> str:
    low, high = measure["ci95"] or (math.nan, math.nan)
    return f"{measure['value']:.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    """Makes what is missing, measures, and writes and prints the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="", choices=list(SIZES))
    parser.add_argument("--out", type=Path, default=HERE, help="where the results go (default: beside this file)")
    args = parser.parse_args()
    root, size = Path("runs") / f"comparison{'-' * bool(args.variant)}{args.variant}" / "images", SIZES[args.variant]
    make_images(root, size.images)
    with threadpool_limits(1, user_api="blas"):
        results = list(rows(*read(root, size.images), size))
    args.out.mkdir(parents=True, exist_ok=True)
    shown = results[len(size.trials) - 2]
    atomic.write_bytes(args.out / "tippett.png", figures.png(draw_tippett, shown))
    plain = [{key: value for key, value in of.items() if key != "tippett"} for of in results]
    atomic.write_bytes(args.out / "results.jsonl", "".join(json.dumps(of) + "\n" for of in plain).encode())
    print(table(results))


if __name__ == "__main__":
    main()
