"""What each view alone says of images, and what every vote over them would say: views are classified once."""

import dataclasses
import io
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int, Int32

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import Evaluation, check_images, evaluation_metrics, nothing_read
from ganfp_jax.attribution.voting import Vote, count_votes
from ganfp_jax.data.labelled import Images
from ganfp_jax.metrics.statistics import (
    auroc,
    bootstrap_weights,
    holm,
    percentile_interval,
    proportion,
    vote_changes,
)

REFERENCE = "identity"  # the single view that every vote is compared with


@dataclasses.dataclass(frozen=True)
class ViewLogits:
    """What each view alone says of the N images that could be read, and the seconds that it took for all of them."""

    names: Sequence[str]
    targets: Int32[np.ndarray, " n"]
    origins: Sequence[str]
    logits: Mapping[str, Float[np.ndarray, "n k"]]
    seconds: Mapping[str, float]
    notes: Mapping[str, str]
    rejected: Sequence[tuple[str, str]]


def view_logits(
    attributor: Attributor,
    images: Images,
    views: Sequence[str],
    *,
    batch_size: int = 32,
    label: str = "ablation",
) -> ViewLogits:
    """Classify every image once in each view.

    Args:
        images: as for `evaluation.evaluate`.
        views: names of single views.
        batch_size: images a call.
        label: of the progress bar.

    Raises:
        UserError: as `evaluation.evaluate`, and a view that does not fit the network's images.
    """
    check_images(attributor, images)
    folder = images.folder
    voters = attributor.view_voters(views)
    kept: list[int] = []
    parts: dict[str, list[np.ndarray]] = {view: [] for view in voters}
    seconds = dict.fromkeys(voters, 0.0)
    notes: dict[str, str] = {}
    rejected = list(folder.left_out)
    for chunk in images.chunks(label):
        notes |= chunk.notes
        rejected += chunk.rejected
        if not len(chunk.kept):
            continue
        for view, voter in voters.items():
            if not kept:  # compile before the clock runs
                voter(chunk.images[:1], batch_size)
            clock = time.perf_counter()
            parts[view].append(np.asarray(voter(chunk.images, batch_size).view_logits[0]))
            seconds[view] += time.perf_counter() - clock
        kept += chunk.kept.tolist()
    if not kept:
        raise nothing_read(folder, rejected[len(folder.left_out) :])
    return ViewLogits(
        names=[folder.names[i] for i in kept],
        targets=folder.labels[kept],
        origins=images.part(kept).origins,
        logits={view: np.concatenate(arrays) for view, arrays in parts.items()},
        seconds=seconds,
        notes=notes,
        rejected=rejected,
    )


def logits_npz(measured: ViewLogits) -> bytes:
    """The content of `logits-<condition>.npz`.

    Arrays `views` (V), `images` (N), `origins` (N: what an image is a crop of, or itself), `targets` (N), `logits`
    (V, N, K).
    """
    content = io.BytesIO()
    np.savez(
        content,
        views=np.array(list(measured.logits)),
        images=np.array(measured.names),
        origins=np.array(measured.origins),
        targets=measured.targets,
        logits=np.stack(list(measured.logits.values())),
    )
    return content.getvalue()


def ablate(
    measured: ViewLogits,
    view_sets: Mapping[str, Sequence[str]],
    rules: Sequence[str],
    *,
    repeats: int = 1000,
    seed: int = 0,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Count every set of views by every rule.

    Args:
        measured: the logits of all views of all sets, and of `REFERENCE`.
        view_sets: what each set is called -> its views.
        repeats, seed: of the bootstrap of the doubt signals.

    Returns:
        The rows of the table: `COLUMNS`, `correct`, `total`, `view_names`, and `holm_p`, which is None for
        `REFERENCE` alone. And for each set of several views how well two signals of doubt tell wrong answers from
        right ones: `views`, `num_views`, `errors_of` ("single_view" or a rule), `errors`, and `disagreement`, `control`
        and `difference` with `auroc` and `ci95`, which are None where no answer is wrong, or none right.
    """
    targets, total = measured.targets, len(measured.targets)
    single_logits = measured.logits[REFERENCE]
    single = single_logits.argmax(-1)
    top = np.asarray(jax.nn.softmax(single_logits)).max(-1).astype(np.float64)
    rows: list[dict[str, Any]] = []
    doubts: list[dict[str, Any]] = []
    for label, views in view_sets.items():
        stacked = np.stack([measured.logits[view] for view in views])
        votes = {rule: _count(stacked, rule) for rule in rules}
        speed = total / sum(measured.seconds[view] for view in views)
        for rule, vote in votes.items():
            predicted = np.asarray(vote.predicted)
            right = proportion(int((predicted == targets).sum()), total)
            low, high = right.pop("ci95")
            row = {"views": label, "rule": rule, "num_views": len(views), **right, "ci95_low": low, "ci95_high": high}
            row |= vote_changes(targets, single, predicted)
            rows.append(row | {"images_per_second": speed, "view_names": list(views)})
        if len(views) > 1:
            signals = {
                "disagreement": 1 - votes[rules[0]].votes.max(-1) / len(views),  # the counts are the same by any rule
                "control": top * (1 - top),
            }
            answers = {"single_view": single} | {rule: vote.predicted for rule, vote in votes.items()}
            doubts += [
                {"views": label, "num_views": len(views), "errors_of": name, "errors": int((answer != targets).sum())}
                | {"wrong": answer != targets, "signals": signals}
                for name, answer in answers.items()
            ]
    tested = [row for row in rows if row["view_names"] != [REFERENCE]]
    corrected = holm([row["mcnemar_p"] for row in tested])
    for row in rows:
        row["holm_p"] = None
    for row, p in zip(tested, corrected, strict=True):
        row["holm_p"] = p
    _, groups = np.unique(measured.origins, return_inverse=True)
    _measure_doubts(doubts, groups, repeats, seed)
    return rows, doubts


def evaluation_of(row: Mapping[str, Any], measured: ViewLogits, classes: Sequence[str]) -> Evaluation:
    """What one vote of the table, a row of `ablate`, said of every image: the same as `evaluate` with its views."""
    vote = _count(np.stack([measured.logits[view] for view in row["view_names"]]), row["rule"])
    metrics = evaluation_metrics(
        vote, measured.targets, classes, tuple(row["view_names"]), row["rule"], row["images_per_second"]
    )
    return Evaluation(
        names=measured.names,
        targets=measured.targets,
        vote=vote,
        metrics=metrics,
        notes=dict(measured.notes),
        rejected=measured.rejected,
    )


def _count(logits: Float[np.ndarray, "v n k"], rule: str) -> Vote:
    return jax.tree.map(np.asarray, count_votes(logits, rule))


def _measure_doubts(doubts: list[dict[str, Any]], groups: Int[np.ndarray, " n"], repeats: int, seed: int) -> None:
    """Replaces the answers and the signals of each entry by the areas; every entry sees the same bootstrap samples."""
    curves = [{name: auroc(signal, entry["wrong"]) for name, signal in entry["signals"].items()} for entry in doubts]
    drawn: list[dict[str, list[float | None]]] = [{name: [] for name in areas} for areas in curves]
    for weights in bootstrap_weights(groups, repeats, np.random.RandomState(seed)) if doubts else ():
        for areas, values in zip(curves, drawn, strict=True):
            for name, area in areas.items():
                values[name].append(area(weights))
    for entry, areas, values in zip(doubts, curves, drawn, strict=True):
        del entry["wrong"], entry["signals"]
        for name, area in areas.items():
            entry[name] = {"auroc": area(None), "ci95": percentile_interval(values[name])}
        ours, control = entry["disagreement"]["auroc"], entry["control"]["auroc"]
        differences = [
            None if a is None or b is None else a - b
            for a, b in zip(values["disagreement"], values["control"], strict=True)
        ]
        entry["difference"] = {
            "auroc": None if ours is None or control is None else ours - control,
            "ci95": percentile_interval(differences),
        }
