"""The protocol on any network of the shipped sources: folders of images -> rows of results."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Integer

from experiments.open_set import scores
from ganfp_jax.attribution import calibration
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import evaluate, nothing_read
from ganfp_jax.attribution.open_set import Known, against, scores_of
from ganfp_jax.attribution.tiles import PictureVotes, join
from ganfp_jax.attribution.typicality import Typical
from ganfp_jax.attribution.verdict import NOTHING, UNKNOWN, UNSURE, Rule, decide
from ganfp_jax.data import labelled
from ganfp_jax.data.shown import shown
from ganfp_jax.data.tiles import Tiling
from ganfp_jax.data.unknown import generator_of
from ganfp_jax.models.fingerprints import Fingerprints
from ganfp_jax.run.errors import UserError

VIEWS, RULE = "d4", "majority"
ERROR_RATE, UNKNOWN_RATE = 0.01, 0.05
CENTRE = Tiling(tiles=0, min_luma_std=10.0)  # one image of each picture, so that all scores see the same
CONTROL = "held-out known images"
CHANGES = {
    CONTROL: "none",
    "JPEG 90": "jpeg90",
    "JPEG 75": "jpeg75",
    "JPEG 50": "jpeg50",
    "enlarged by 1.5": "rescale1.5",
    "enlarged by 2": "rescale2",
    "enlarged by 2, reduced again": "rescale2+rescale0.5",
    "reduced to 3/4, enlarged again": "rescale0.75+rescale1.3334",
}


@dataclasses.dataclass(frozen=True)
class Answers:
    """What the network said of N images of a folder, and all their scores.

    Attributes:
        names, labels: of the images, the latter as indices of the folder's classes.
        predicted: the voted source.
        verdicts: the source, or the word of the rule that forbids it.
        scores: by name, each high for known images.
    """

    names: Sequence[str]
    labels: Integer[np.ndarray, " n"]
    predicted: Integer[np.ndarray, " n"]
    verdicts: Sequence[str]
    scores: Mapping[str, np.ndarray]


class Network:
    """A network with its rules and fitted scores: `Network(attributor, calibration folder)`."""

    def __init__(self, attributor: Attributor, folder: Path) -> None:
        """Fits everything that is fitted on the images of one labelled folder."""
        self.attributor = attributor
        images = labelled.Images(labelled.open_labelled(folder, classes=attributor.classes), attributor.resolution)
        self.rules = self._rules(images)
        decoded = images.decode()
        self._detectors = scores.fit(attributor.fingerprints(decoded.images), images.folder.labels[decoded.kept])

    def _rules(self, images: labelled.Images) -> Sequence[Rule | Typical]:
        """The rules of the network's own calibration, or as `configs/calibrate.py` finds them on the images.

        There are none where the images are too few.
        """
        own = self.attributor.calibration_for(VIEWS, RULE)
        if own is not None and own.typicality is not None:
            return own.rules(self.attributor.classes)
        evaluation = evaluate(self.attributor, images, views=VIEWS, rule=RULE)
        try:
            return calibration.from_evaluation(
                self.attributor, evaluation, images.folder, ERROR_RATE, unknown_rate=UNKNOWN_RATE
            ).rules(self.attributor.classes)
        except UserError as error:
            print(f"not calibrated, so that no verdict is unsure or unknown: {error}")
            return ()

    def _look(self, images: labelled.Images) -> tuple[PictureVotes, Fingerprints, np.ndarray]:
        """The vote on each picture's centre, its fingerprint, and its index in the folder."""
        votes, fingerprints, kept = [], [], []
        rejected: list[tuple[str, str]] = []
        for chunk in shown(images, images.folder.root.name, CENTRE):
            rejected += chunk.rejected
            if not len(chunk.kept):
                continue
            votes.append(self.attributor.look_at(chunk.looks, VIEWS, RULE))
            fingerprints.append(self.attributor.fingerprints(np.concatenate([look.tiles for look in chunk.looks])))
            kept.append(chunk.kept)
        if not votes:
            raise nothing_read(images.folder, rejected)
        if rejected:
            print(f"{len(rejected)} files of {images.folder.root} could not be used: {': '.join(rejected[0])}")
        of_all = dataclasses.replace(
            fingerprints[0],
            images=np.concatenate([found.images for found in fingerprints]),
            logits=np.concatenate([found.logits for found in fingerprints]),
        )
        return join(votes), of_all, np.concatenate(kept)

    def ask(self, folder: labelled.LabelledFolder, perturbation: str = "none") -> Answers:
        """The answers for the images of a folder, perturbed as whole pictures."""
        images = labelled.Images(folder, self.attributor.resolution, perturbation=perturbation)
        pictures, fingerprints, kept = self._look(images)
        vote, classes = pictures.vote, self.attributor.classes
        words = decide(vote, self.rules, pictures.tiles)
        return Answers(
            names=[folder.names[i] for i in kept],
            labels=folder.labels[kept],
            predicted=np.asarray(vote.predicted),
            verdicts=[word or classes[k] for word, k in zip(words, vote.predicted, strict=True)],
            scores=scores_of(vote, self.rules) | scores.of_vote(vote) | self._detectors(fingerprints),
        )


class Protocol:
    """All that is measured of a network; every method yields rows of `results.jsonl`."""

    def __init__(self, network: Network, test: labelled.LabelledFolder, repeats: int) -> None:
        """Asks the network about the known images that all unknown ones are compared with.

        Args:
            network: the network.
            test: the known images.
            repeats: of the bootstraps.
        """
        self.network, self.classes, self.repeats = network, network.attributor.classes, repeats
        answers = network.ask(test)
        groups = np.unique(_origins(answers, test), return_inverse=True)[1]
        self.known = Known(answers.scores, answers.predicted == answers.labels, answers.labels, groups)
        self.answers = answers

    def known_row(self) -> dict[str, Any]:
        """The known images themselves."""
        return {
            "side": "known", "kind": "known", "generator": "", "generators": None, "images": len(self.answers.names),
            "accuracy": float(self.known.right.mean()), "called": self._called(self.answers),
            "by_source": self._by_source(self.answers),
        }  # fmt: skip

    def changed_rows(self, held_out: labelled.LabelledFolder) -> Iterator[dict[str, Any]]:
        """Other known images, as they are (the control), rescaled and recompressed: they should stay known."""
        for kind, perturbation in CHANGES.items():
            answers = self.network.ask(held_out, perturbation)
            side = "control" if kind == CONTROL else "known, changed"
            row = self._row(side, kind, answers, _origins(answers, held_out))
            accuracy = float((answers.predicted == answers.labels).mean())
            yield row | {"accuracy": accuracy, "by_source": self._by_source(answers)}

    def unknown_rows(self, side: str, folder: labelled.LabelledFolder) -> Iterator[dict[str, Any]]:
        """Images of unknown sources: a row for each kind and, where it has several generators, for each of these."""
        answers = self.network.ask(folder)
        made_by = np.array([generator_of(name) for name in answers.names])
        in_folders = made_by != np.array(answers.names)
        for k, kind in enumerate(folder.classes):
            mine = answers.labels == k
            generators = np.unique(made_by[mine & in_folders]).tolist()
            row = self._row(side, kind, _part(answers, mine), made_by[mine].tolist())
            yield row | {"generators": len(generators) or None}
            for name in generators if len(generators) > 1 else ():
                part = _part(answers, made_by == name)
                yield self._row(side, kind, part, part.names) | {"generator": name.partition("/")[2]}

    def _row(self, side: str, kind: str, answers: Answers, groups: Sequence[str]) -> dict[str, Any]:
        return {
            "side": side, "kind": kind, "generator": "", "generators": None, "images": len(answers.names),
            "called": self._called(answers),
            "scores": against(self.known, answers.scores, groups, repeats=self.repeats),
        }  # fmt: skip

    def _called(self, answers: Answers) -> dict[str, int]:
        counts = Counter(answers.verdicts)
        return {name: counts[name] for name in (*self.classes, UNSURE, UNKNOWN, NOTHING)}

    def _by_source(self, answers: Answers) -> dict[str, dict[str, int]]:
        """Source -> how many of its images have each verdict."""
        verdicts, found = np.array(answers.verdicts), {}
        for k, name in enumerate(self.classes):
            found[name] = dict(Counter(verdicts[answers.labels == k].tolist()))
        return found


def choose(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The score with the highest mean AUROC over the generators of the development kinds, and all these means.

    The mean serves the choice alone: what the chosen score is worth is told by kind, on the kinds of the test.
    """
    of_side = [row for row in rows if row["side"] == "development"]
    single = [row for row in of_side if row["generator"] or (row["generators"] or 1) == 1]
    means = {
        name: float(np.mean([row["scores"][name]["auroc"]["value"] for row in single])) for name in single[0]["scores"]
    }
    return {"side": "choice", "score": max(means, key=means.__getitem__), "rules": len(means), "mean_auroc": means}


def _origins(answers: Answers, folder: labelled.LabelledFolder) -> list[str]:
    origins = dict(zip(folder.names, labelled.origins(folder), strict=True))
    return [origins[name] for name in answers.names]


def _part(answers: Answers, mine: Bool[np.ndarray, " n"]) -> Answers:
    places = np.flatnonzero(mine)
    return Answers(
        names=[answers.names[i] for i in places.tolist()],
        labels=answers.labels[places],
        predicted=answers.predicted[places],
        verdicts=[answers.verdicts[i] for i in places.tolist()],
        scores={name: values[places] for name, values in answers.scores.items()},
    )
