"""What enrolments of one network reach: many draws of images at once, since no enrolled source depends on another."""

import functools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganfp_jax.attribution import enrolment, prototypes
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.enrolment import trained
from ganfp_jax.attribution.evaluation import evaluate
from ganfp_jax.attribution.traces import FEWEST, TILING, make_reader
from ganfp_jax.attribution.voting import Vote
from ganfp_jax.data import labelled, manifests
from ganfp_jax.data.looks import decode_and_look
from ganfp_jax.interop.load import load
from ganfp_jax.interop.weights import Weights

RATE = 0.01


class Traces:
    """The traces of images of one network, taken once."""

    def __init__(self, weights: Weights, images: Path) -> None:
        """Takes the network and the folder with known/, new/ and test/."""
        model, variables, self.classes = trained(weights)
        self.attributor = Attributor.of(weights, images)
        self.images, self.side = images, model["resolution"]
        self._read = make_reader(model, variables, weights.about["augment"])

    def tiles(self, split: str, source: str) -> list[Any]:
        """What the network is shown of a source's images, in the order of their names."""
        return decode_and_look(sorted((self.images / split / source).glob("*.png")), self.side, "crop", TILING).looks

    @functools.cache  # noqa: B019 - a network's traces are dropped with it
    def of(self, split: str, source: str) -> prototypes.Traces:
        """The traces of a source's images."""
        return self._read(self.tiles(split, source))

    @functools.cached_property
    def known(self) -> list[prototypes.Traces]:
        """The traces of the known sources that thresholds are chosen on."""
        return [self.of("known", name) for name in self.classes]

    @functools.cached_property
    def groups(self) -> list[np.ndarray]:
        """The photograph of each of these images, or its own number."""
        names = [sorted(path.stem for path in (self.images / "known" / name).glob("*.png")) for name in self.classes]
        return [
            np.unique([one.rpartition("_")[0] if name == "real" else one for one in of], return_inverse=True)[1]
            for name, of in zip(self.classes, names, strict=True)
        ]

    @functools.cached_property
    def space(self) -> prototypes.Space:
        """The space of the known sources."""
        return prototypes.learn_space([of.means for of in self.known])

    @functools.cached_property
    def right(self) -> list[np.ndarray]:
        """Which test images of each known source the network names rightly before anything is enrolled."""
        votes: list[Vote] = [self.attributor.look_at(self.tiles("test", name)).vote for name in self.classes]
        return [np.asarray(vote.predicted) == label for label, vote in enumerate(votes)]

    def given(self, source: str, points: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
        """Which test images of a source most views give to each enrolled prototype: (images, prototypes)."""
        of = self.of("test", source)
        gain = prototypes.lead_of(of.values, self.space, points) + of.slack[:, None] > thresholds
        counts = np.bincount(of.pictures)[:, None]
        totals = np.zeros((len(counts), len(points)))
        np.add.at(totals, of.pictures, gain)
        return totals > counts / 2


def curves(traces: Traces, source: str, kind: str, counts: Sequence[int], draws: int) -> Iterator[dict[str, Any]]:
    """A row for each number of images: share of the new source found, known accuracy lost, over draws."""
    rng, means = np.random.default_rng(0), traces.of("new", source).means
    numbers = np.repeat([count for count in counts if count < len(means)], draws)
    points = np.stack([means[rng.choice(len(means), count, replace=False)].mean(0) for count in numbers])
    thresholds = prototypes.choose_thresholds(traces.known, traces.groups, points, RATE)
    found = traces.given(source, points, thresholds).mean(0)
    given = [traces.given(name, points, thresholds) for name in traces.classes]
    lost = np.stack([(of & right[:, None]).mean(0) for of, right in zip(given, traces.right, strict=True)])
    for count in dict.fromkeys(numbers.tolist()):
        of = numbers == count
        yield {
            "what": "curve",
            "source": source,
            "kind": kind,
            "images": count,
            "draws": draws,
            "known": traces.classes,
            "accuracy_before": float(np.mean([right.mean() for right in traces.right])),
            "found": float(found[of].mean()),
            "found_range": [float(found[of].min()), float(found[of].max())],
            "lost": float(lost.mean(0)[of].mean()),
            "lost_range": [float(lost.mean(0)[of].min()), float(lost.mean(0)[of].max())],
            "worst": float(lost[:, of].mean(1).max()),
            "worst_source": traces.classes[int(lost[:, of].mean(1).argmax())],
        }


def groups(traces: Traces, source: str, other: str, draws: int) -> dict[str, Any]:
    """How often 20 images of one source, and 10 each of two, are said to fall into two groups."""
    rng = np.random.default_rng(0)
    known = [of.means for of in traces.known]
    one, two = (traces.of("new", name).means for name in (source, other))

    def divided(parts: Sequence[tuple[np.ndarray, int]]) -> bool:
        drawn = [of[rng.choice(len(of), count, replace=False)] for of, count in parts]
        return prototypes.two_groups(np.concatenate(drawn), known, traces.space) is not None

    return {
        "what": "two groups",
        "source": source,
        "other": other,
        "draws": draws,
        "one_source": sum(divided([(one, 20)]) for _ in range(draws)),
        "two_sources": sum(divided([(one, 10), (two, 10)]) for _ in range(draws)),
    }


def by_command(network: Path, images: Path, source: str, count: int) -> dict[str, Any]:
    """The same by the enrolled network itself, of one draw, with its time."""
    weights = load(network, "attribution")
    files = sorted((images / "new" / source).glob("*.png"))[: max(count, FEWEST)]
    known = part_of(images / "known", weights.about["classes"])
    clock = time.perf_counter()
    enrolled = enrolment.enrol(weights, source, files, known, rate=RATE, mixed=True)  # `groups` measures that
    seconds = time.perf_counter() - clock
    attributor = Attributor.of(enrolled.weights, network)
    test = part_of(images / "test", attributor.classes)
    folder = labelled.open_labelled(test, classes=attributor.classes)
    shown = labelled.Images(folder, attributor.resolution)
    found = evaluate(attributor, shown, views=attributor.default_views, rule="majority").metrics
    return {
        "what": "by command",
        "source": source,
        "images": len(files),
        "seconds": seconds,
        "said": enrolled.found,
        "per_class": found["per_class"],
    }


def part_of(root: Path, classes: Sequence[str], out: Path | None = None) -> Path:
    """A folder `out` of some of the sources of `root`, by default beside it."""
    part = out or root.parent / f"{root.name}-of-{'-'.join(classes)}"
    part.mkdir(parents=True, exist_ok=True)
    for name in classes:
        if not (part / name).exists():
            (part / name).symlink_to((root / name).resolve())
    origins = manifests.sources_of(root)
    manifests.write_manifest(part, list(classes), {name: origins[name] for name in classes})
    return part
