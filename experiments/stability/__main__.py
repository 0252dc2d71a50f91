"""Mistakes predicted by the stability of a verdict, beside its margin and p (1 - p), on the study's test images.

    python -m experiments.stability --images=runs/zoo/images/test     # the images of experiments/zoo
    python -m experiments.stability --variant=tiny --out=DIR          # images of its own, in a minute; means nothing

The shipped network votes on every image (as it is, and as JPEG 75) and on all its processed forms
(`ganfp_jax.attribution.stability`). The AUROC of a score is the chance that it is higher for an image whose source was
voted rightly than for one whose source was not, whatever became of it ("unsure" or "unknown" do not count here); ties
count half. 95 % intervals are a bootstrap of photographs and generated images. `p` is a view's highest probability.

It writes results.jsonl and stability.png and prints the table.
"""

import argparse
import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from experiments.stability.figure import draw_shares
from ganfp_jax.attribution import stability
from ganfp_jax.attribution.attributor import MANY, Attributor
from ganfp_jax.attribution.verdict import margins
from ganfp_jax.attribution.voting import Vote
from ganfp_jax.data import labelled
from ganfp_jax.data.decode import Picture
from ganfp_jax.data.looks import Look
from ganfp_jax.data.perturb import label
from ganfp_jax.data.tiles import TILING
from ganfp_jax.data.views import resolve_views, single_view
from ganfp_jax.generation.folders import write_generated, write_photographs
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.interop import shipped
from ganfp_jax.metrics.measures import Measure, Weights, with_intervals
from ganfp_jax.metrics.statistics import auroc
from ganfp_jax.report import figures
from ganfp_jax.run import atomic
from ganfp_jax.run.progress import progress

HERE = Path(__file__).parent
SET, SIDE, VIEWS, RULE = "photos32", 32, "d4", "majority"
CONDITIONS = ("none", "jpeg75")
CHUNK = 50  # images whose forms are in memory at a time
SIZES = {"": (1000, 1000), "tiny": (6, 5)}
"""Images of each source, and repeats of the bootstrap."""


class Found(NamedTuple):
    """What was measured of N images."""

    right: Bool[np.ndarray, " n"]
    scores: Mapping[str, Float[np.ndarray, " n"]]
    """Each high where a verdict is sure."""
    each: Sequence[stability.Stability]
    units: np.ndarray
    """The number of each image's photograph, or its own."""


def make_images(root: Path, count: int) -> Path:
    """Writes a small labelled folder of every generator and of crops of photographs."""
    for sampler in map(Sampler, shipped.generators(SET)):
        write_generated(sampler, root, count=count, seed=3, batch_size=count)
    write_photographs(root, source_name="real", count=count, resolution=SIDE, photos={"split": "all", "seed": 3})
    return root


def chosen(folder: labelled.LabelledFolder, count: int) -> np.ndarray:
    """The places of the same number of images of each source, evenly from all."""
    places = [np.flatnonzero(folder.labels == k) for k in range(len(folder.classes))]
    return np.concatenate([of[np.linspace(0, len(of) - 1, min(count, len(of)), dtype=int)] for of in places])


def measure(attributor: Attributor, images: labelled.Images) -> Found:
    """Votes on all images in which there is something to see, and on their forms."""
    origins, parts = np.array(labelled.origins(images.folder)), []
    with progress(len(images), images.perturbation, "image", delay=2.0) as bar:
        for places in np.array_split(images.indices, -(-len(images) // CHUNK)):
            decoded = images.part(places).decode()
            made = [stability.forms(Picture(image, ()), SIDE, "crop", TILING) for image in decoded.images]
            seen = np.array([not form[stability.UNPROCESSED].flat for form in made])
            vote = attributor.vote(decoded.images[seen], VIEWS, RULE, MANY)
            each = stabilities(attributor, [form for form, of in zip(made, seen, strict=True) if of])
            kept = decoded.kept[seen]
            right = np.asarray(vote.predicted) == images.folder.labels[kept]
            parts.append((origins[kept], right, each, scores_of(vote, each)))
            bar.update(len(places))
    units, right, of_parts, scores = zip(*parts, strict=True)
    return Found(
        np.concatenate(right),
        {name: np.concatenate([of[name] for of in scores]) for name in scores[0]},
        [of for some in of_parts for of in some],
        np.unique(np.concatenate(units), return_inverse=True)[1],
    )


def stabilities(attributor: Attributor, made: Sequence[Mapping[str, Look]]) -> list[stability.Stability]:
    """The stability of the verdicts on images, given their forms, which share the calls."""
    verdicts = iter(attributor.judge([look for form in made for look in form.values()], VIEWS, RULE, MANY))
    found = [stability.of_verdicts(list(form), [next(verdicts) for _ in form]) for form in made]
    return [of for of in found if of is not None]


def scores_of(vote: Vote, each: Sequence[stability.Stability]) -> dict[str, Float[np.ndarray, " n"]]:
    """All scores."""
    logits = np.asarray(vote.view_logits, np.float64)  # (V, N, K)
    p = np.exp(logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)).max(-1)
    return {
        "stability": np.array([of.value for of in each]),
        "margin": margins(np.asarray(vote.probabilities), np.asarray(vote.predicted)),
        "p (1 - p), one view": -(p * (1 - p))[single_view(resolve_views(VIEWS))],
        "p (1 - p), mean over D4": -(p * (1 - p)).mean(0),
        "steps that keep the verdict": np.array([kept(of) for of in each]),
        "probability over the ladder": np.array([probability(of) for of in each]),
        **{f"stability, {name}": np.array([family(of, name) for of in each]) for name in each[0].curves},
    }


def kept(of: stability.Stability) -> float:
    """The share of all processings that leave the verdict as it is."""
    return float(np.mean([rung.verdict == of.own.verdict for rungs in of.curves.values() for rung in rungs]))


def probability(of: stability.Stability) -> float:
    """The mean probability of the voted source, over each family and over families."""
    return float(np.mean([np.mean([rung.probability for rung in rungs]) for rungs in of.curves.values()]))


def family(of: stability.Stability, name: str) -> float:
    """The stability by one family of processings alone."""
    return float(np.mean([rung.share for rung in of.curves[name]]))


def aurocs(found: Found) -> Measure:
    """The AUROC of every score, and by how much stability has more than each of the others."""
    areas = {name: auroc(scores, found.right) for name, scores in found.scores.items()}

    def at(weights: Weights) -> dict[str, Any]:
        values = {name: of(weights) for name, of in areas.items()}
        own = values["stability"]
        ahead = {
            name: None if own is None or value is None else own - value
            for name, value in values.items()
            if name != "stability"
        }
        return {"auroc": values, "ahead": ahead}

    return at


def row(condition: str, found: Found, repeats: int) -> dict[str, Any]:
    """The results on images under one condition."""
    measured = with_intervals(aurocs(found), found.units, repeats=repeats, seed=0, label=condition)
    return {
        "condition": label(condition),
        "images": len(found.right),
        "units": int(found.units.max()) + 1,
        "mistakes": int((~found.right).sum()),
        **measured,
        "within_one_source": {name: within(found, scores) for name, scores in found.scores.items()},
        "stability_by_source": {
            source: float(found.scores["stability"][named(found) == source].mean())
            for source in np.unique(named(found)).tolist()
        },
        "curves": {name: curves(found, which) for name, which in (("right", found.right), ("wrong", ~found.right))},
    }


def named(found: Found) -> np.ndarray:
    """The source that each image was named."""
    return np.array([of.source for of in found.each])


def within(found: Found, scores: Float[np.ndarray, " n"]) -> float | None:
    """The AUROC over pairs of images that were named one source, so that no source has an advantage."""
    hits, pairs = 0.0, 0
    for source in np.unique(named(found)):
        mine = named(found) == source
        right = found.right[mine]
        if (area := auroc(scores[mine], right)(None)) is not None:
            count = int(right.sum() * (~right).sum())
            hits, pairs = hits + area * count, pairs + count
    return hits / pairs if pairs else None


def curves(found: Found, which: Bool[np.ndarray, " n"]) -> dict[str, dict[str, float]]:
    """Of some images: processing -> the mean share of views, and the share of images that keep their verdict."""
    some = [of for of, mine in zip(found.each, which, strict=True) if mine]
    shares: dict[str, list[float]] = {}
    same: dict[str, list[bool]] = {}
    for of in some:
        for rung in (of.own, *(rung for rungs in of.curves.values() for rung in rungs)):
            shares.setdefault(rung.processing, []).append(rung.share)
            same.setdefault(rung.processing, []).append(rung.verdict == of.own.verdict)
    return {name: {"share": float(np.mean(shares[name])), "same": float(np.mean(same[name]))} for name in shares}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The AUROCs as Markdown, the highest in bold: a line a score."""
    heads = [f"{row['condition']}: {row['mistakes']} mistakes of n = {row['images']:,}" for row in rows]
    lines = [f"| AUROC | {' | '.join(heads)} |", f"|{'---|' * (len(rows) + 1)}"]
    for name in rows[0]["auroc"]:
        cells = []
        for row in rows:
            values = {key: of["value"] or 0 for key, of in row["auroc"].items()}
            best = "**" if 0 < values[name] == max(values.values()) else ""
            cells.append(f"{best}{_between(row['auroc'][name])}{best}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines.append("\nThe same among images that were named one source, and the stability of each source:")
    for row in rows:
        same = {name: row["within_one_source"][name] for name in ("stability", "margin")}
        lines += [f"{row['condition']}: {_listed(numbers)}" for numbers in (same, row["stability_by_source"])]
    return "\n".join(lines)


def _listed(numbers: Mapping[str, float | None]) -> str:
    return ", ".join(f"{name} {'–' if number is None else f'{number:.3f}'}" for name, number in numbers.items())


def _between(measure: Mapping[str, Any]) -> str:
    if measure["value"] is None:
        return "–"
    low, high = measure["ci95"] or (math.nan, math.nan)
    return f"{measure['value']:.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    """Votes, and writes and prints the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="a labelled folder of the shipped sources")
    parser.add_argument("--count", type=int, help="images of each source; by default 1,000")
    parser.add_argument("--variant", default="", choices=list(SIZES))
    parser.add_argument("--out", type=Path, default=HERE, help="where the results go (default: beside this file)")
    args = parser.parse_args()
    if not args.variant and args.images is None:
        parser.error("give --images, such as runs/zoo/images/test of experiments/zoo")
    clock, (count, repeats) = time.perf_counter(), SIZES[args.variant]
    attributor = Attributor.load(SET)
    root = args.images or make_images(Path("runs") / f"stability-{args.variant}", count)
    folder = labelled.open_labelled(root, classes=attributor.classes)
    places = chosen(folder, args.count or count)
    rows = []
    for condition in CONDITIONS:
        images = labelled.Images(folder, SIDE, perturbation=condition, chosen=places)
        rows.append(row(condition, measure(attributor, images), repeats))
    args.out.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(args.out / "results.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    atomic.write_bytes(args.out / "stability.png", figures.png(draw_shares, {"rows": rows}))
    print(table(rows))
    print(f"{time.perf_counter() - clock:.0f} s; {args.out / 'results.jsonl'}")


if __name__ == "__main__":
    main()
