"""Groups of unknown images: are they those of the generators that made them, and is their number right?

    python -m experiments.grouping --known=DIR --development=DIR2 --unknown=DIR3   # some minutes on two CPU cores
    python -m experiments.grouping --variant=tiny --out=DIR   # the same path in a minute; its numbers mean nothing

`--development` and `--unknown` hold generators that the network has never seen, `<kind>/<name>/*.png`, as `python -m
experiments.open_set.generators` makes them; without one, drawings take its place, a kind each. The axes are those of
300 images of each known source in `--known`, such as runs/open_set/calibration, which `python -m
experiments.open_set` makes; without it, of the shipped generators and crops of the embedded photographs.

A draw mixes images of several generators, of each 5, 10, 20, 40 or 100, or as many as there are: those that the
network calls unknown, and then all, whatever it calls them. Draws of the development images choose space, linkage and
threshold, by ARI and by the number of groups; what the job ships with is measured on other draws of both folders.
Images that are alone count as groups of their own in NMI and ARI. The 95 % intervals are a bootstrap of the draws.
These share images and generators, so they say nothing of other generators.

It writes results.jsonl and groups.png and prints the tables. Traces in runs/grouping are not taken again.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from experiments.comparison.__main__ import make_images
from experiments.grouping.figure import groups_figure
from experiments.grouping.methods import LINKAGES, THRESHOLDS, groups_at, measures, spaces, summary
from experiments.grouping.pools import Images, Network, draws
from experiments.open_set.images import write_drawings
from ganfp_jax.attribution import clusters
from ganfp_jax.attribution.trials import Pool, Scorer, learn_scorer
from ganfp_jax.attribution.verdict import UNKNOWN
from ganfp_jax.run import atomic

HERE = Path(__file__).parent
EACH = (5, 10, 20, 40, 100)
CHOICE, MEASURE = 1, 2  # seeds of the draws
ALL = "all"


class Size(NamedTuple):
    """How much is read and measured."""

    known: int
    """Images of each known source."""
    drawings: int
    """Of each kind, where no folder is given."""
    choice: int
    """Draws of each number of generators, for the choice."""
    draws: int
    """The same for the measurement."""


SIZES = {"": Size(300, 100, 16, 50), "tiny": Size(24, 6, 2, 3)}


def read_side(network: Network, folder: Path, cache: Path) -> dict[str, Images]:
    """The images of every generator in `<kind>/<name>/`, by its name."""
    places = sorted(place for place in folder.glob("*/*") if place.is_dir())
    return {place.name: network.images(place, cache / place.parent.name / f"{place.name}.npz") for place in places}


def of_verdict(images: Mapping[str, Images], verdict: str) -> dict[str, np.ndarray]:
    """The traces of the images with a verdict, of the generators that have enough of them."""
    found = {name: of.traces[(of.verdicts == verdict) | (verdict == ALL)] for name, of in images.items()}
    return {name: traces for name, traces in found.items() if len(traces) >= clusters.SMALLEST}


def chosen(pool: Pool, scorer: Scorer, images: Mapping[str, np.ndarray], count: int) -> Iterator[dict[str, Any]]:
    """A row for each way to group the draws of development images, with the mean ARI and NMI."""
    drawn = [one for number in range(1, len(images) + 1) for one in draws(images, number, EACH, count, CHOICE)]
    for name, points_of in spaces(pool, scorer).items():
        for linkage in LINKAGES:
            found = [
                [measures(one.labels, labels) for labels in groups_at(points_of(one.traces), linkage)] for one in drawn
            ]
            for threshold, of in zip(THRESHOLDS, zip(*found, strict=True), strict=True):
                means = {key: float(np.mean([one[key] for one in of])) for key in of[0]}
                yield {"what": "choice", "space": name, "linkage": linkage, "threshold": threshold, **means}


def measured(scorer: Scorer, images: Mapping[str, np.ndarray], count: int) -> Iterator[dict[str, Any]]:
    """A row for each number of generators."""
    for number in range(1, len(images) + 1):
        drawn = draws(images, number, EACH, count, MEASURE)
        found = [measures(one.labels, clusters.cluster(scorer, one.traces).labels) for one in drawn]
        yield {"what": "groups", "generators": number, "of": list(images), "draws": len(found), **summary(found)}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The measured rows as Markdown."""
    lines = [
        "| images | verdict | generators | ARI | NMI | groups found | right number, % | alone, % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        shares = (f"{100 * row[name]['value']:.0f}" for name in ("right_number", "alone"))
        cells = (row["side"], row["verdict"], str(row["generators"]), *map(_cell, (row[k] for k in SHOWN)), *shares)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


SHOWN = ("ari", "nmi", "groups")


def _cell(measure: Mapping[str, Any]) -> str:
    low, high = measure["ci95"]
    return f"{measure['value']:.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    """Reads what is missing, measures, and writes and prints the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--known", type=Path, help="labelled images of the known sources, for the axes")
    parser.add_argument("--development", type=Path, help="generators for the choice")
    parser.add_argument("--unknown", type=Path, help="generators for the test")
    parser.add_argument("--checkpoint", default="photos32", help="the network")
    parser.add_argument("--variant", default="", choices=list(SIZES))
    parser.add_argument("--out", type=Path, default=HERE, help="where the results go (default: beside this file)")
    args = parser.parse_args()
    root, size = Path("runs") / f"grouping{'-' * bool(args.variant)}{args.variant}", SIZES[args.variant]
    if args.known is None:
        make_images(root / "known", size.known)
    write_drawings(root / "drawings", size.drawings)
    network = Network(args.checkpoint)
    pool = network.known(args.known or root / "known", size.known, root / "traces" / "known.npz")
    scorer, rows = learn_scorer(pool), []
    for side, folder in (("development", args.development), ("test", args.unknown)):
        place = folder or root / "drawings" / side
        images = read_side(network, place, root / "traces" / ("drawings" if folder is None else "given") / side)
        for verdict in (UNKNOWN, ALL):
            about = {"side": side, "verdict": verdict}
            of = of_verdict(images, verdict)
            if (side, verdict) == ("development", UNKNOWN):
                rows += [about | row for row in chosen(pool, scorer, of, size.choice)]
            rows += [about | row for row in measured(scorer, of, size.draws)]
    args.out.mkdir(parents=True, exist_ok=True)
    shown = [row for row in rows if row["what"] == "groups"]
    atomic.write_bytes(args.out / "results.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    atomic.write_bytes(args.out / "groups.png", groups_figure(shown))
    best = sorted((row for row in rows if row["what"] == "choice"), key=lambda row: -row["ari"])[:8]
    print(*(f"{row['ari']:.3f} {row['space']}, {row['linkage']}, {row['threshold']}" for row in best), sep="\n")
    print(table(shown))


if __name__ == "__main__":
    with threadpool_limits(1, user_api="blas"):
        main()
