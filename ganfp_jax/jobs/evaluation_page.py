"""The page of an evaluation: the network beside cheap baselines on the same images, confusion, wrong answers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganfp_jax.attribution import pictures
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import Evaluation
from ganfp_jax.baselines import IMMUNISED
from ganfp_jax.baselines.images import CONDITIONS
from ganfp_jax.data import labelled
from ganfp_jax.metrics.statistics import proportion
from ganfp_jax.report.few import most_confused
from ganfp_jax.report.pages import write_page as write
from ganfp_jax.report.wording import immunised_by
from ganfp_jax.run.command import command
from ganfp_jax.run.provenance import provenance


def write_page(
    path: Path,
    attributor: Attributor,
    evaluation: Evaluation,
    folder: labelled.LabelledFolder,
    baseline_rows: Sequence[dict[str, Any]],
    config: Mapping[str, Any],
    *,
    seconds: Mapping[str, float],
    warnings: Sequence[str] = (),
) -> None:
    """Writes report/index.html of the job `evaluate`.

    Args:
        path: of the HTML file.
        attributor: the network that was evaluated.
        folder: what it was evaluated on.
        baseline_rows: of `beside.measure`.
        config: of the job.
        seconds: what each stage took.
        warnings: what the files were seen to give away.
    """
    metrics = evaluation.metrics
    condition = CONDITIONS.get(config["perturb"], config["perturb"])
    views = config["views"] if isinstance(config["views"], str) else ",".join(config["views"])
    counts = np.bincount(evaluation.targets, minlength=len(folder.classes))
    count = int(counts[0]) if len(set(counts.tolist())) == 1 else None
    network = Path(config["checkpoint"]).name.removesuffix(".safetensors")
    same = {"resize": config["data"]["resize"], "perturbation": config["perturb"], "seed": config["seed"]}
    results = {
        "title": "Which generator made these images?",
        "command": command("evaluate", {**config, "views": views}),
        **provenance(),
        "config": config,
        "classes": list(folder.classes),
        "counts": {"train": {}, "test": dict(zip(folder.classes, counts.tolist(), strict=True))},
        "photographs": {"train": [], "test": []},
        "main": {
            "network": network,
            "condition": condition,
            "views": views,
            "rule": metrics["rule"],
            "count": count,
        },
        "evaluations": [
            {
                "network": network,
                "condition": condition,
                "count": count,
                "views_name": views,
                "metrics": metrics,
                "per_photograph": per_photograph(evaluation, folder),
            }
        ],
        "baselines": [row | {"count": count} for row in baseline_rows],
        "samples": pictures.samples(
            folder, evaluation.names, most_confused(metrics), resolution=attributor.resolution, resize=same["resize"]
        ),
        "wrong": pictures.with_views(wrong_images(evaluation), folder, resolution=attributor.resolution, **same),
        "fingerprints": pictures.fingerprint_parts(attributor, folder, evaluation.names, metrics, **same),
        "stages": [{"name": name, "seconds": spent} for name, spent in seconds.items()],
        "method": _method(evaluation, folder, baseline_rows, config),
        "immunised": immunised_by(config["baselines"]["immunise"]),
        "warnings": [f"Warning: {warning}." for warning in warnings],
    }
    write("evaluation", results, path)


def per_photograph(evaluation: Evaluation, folder: labelled.LabelledFolder) -> dict[str, Any]:
    """Accuracy on the images of each photograph, where the folder's manifest lists photographs."""
    origins = dict(zip(folder.names, labelled.origins(folder), strict=True))
    right: dict[str, list[bool]] = {}
    for name, target, predicted in zip(evaluation.names, evaluation.targets, evaluation.vote.predicted, strict=True):
        if origins[name] != name:
            right.setdefault(origins[name].partition("/")[2], []).append(bool(predicted == target))
    return {name: proportion(sum(hits), len(hits)) for name, hits in sorted(right.items())}


def wrong_images(evaluation: Evaluation, most: int = 24) -> list[dict[str, Any]]:
    """Images that the vote or the single view got wrong: the voted ones first, the sources in turn.

    Plain data, as `report.results.Wrong` but for the pictures, which `pictures.with_views` adds.
    """
    classes, vote, targets = evaluation.metrics["classes"], evaluation.vote, evaluation.targets
    single = vote.view_predictions[evaluation.metrics["views"].index(evaluation.metrics["single_view"]["view"])]
    shown: list[int] = []
    for wrong in (vote.predicted != targets, (vote.predicted == targets) & (single != targets)):
        indices = np.flatnonzero(wrong)
        before: Counter[int] = Counter()
        turn = []
        for target in targets[indices].tolist():
            turn.append(before[target])
            before[target] += 1
        shown += [int(i) for i in indices[np.argsort(turn, kind="stable")]]
    return [
        {
            "name": evaluation.names[i],
            "target": classes[targets[i]],
            "single": classes[single[i]],
            "voted": classes[vote.predicted[i]],
            "votes": {classes[k]: int(n) for k, n in enumerate(vote.votes[i]) if n},
            "confidence": float(vote.probabilities[i].max()),
            "views": [
                {"name": view, "called": "" if called < 0 else classes[called]}
                for view, called in zip(evaluation.metrics["views"], vote.view_predictions[:, i], strict=True)
            ],
        }
        for i in shown[:most]
    ]


def _method(
    evaluation: Evaluation,
    folder: labelled.LabelledFolder,
    baseline_rows: Sequence[Mapping[str, Any]],
    config: Mapping[str, Any],
) -> str:
    sentences = [f"The network of {config['checkpoint']} was tested on the images of {folder.root}."]
    if baseline_rows:
        count, immunise = config["baselines"]["images_per_source"], config["baselines"]["immunise"]
        root = config["data"]["root"]
        sentences.append(f"The baselines were trained on at most {count:,} images of each source of train/ of {root}.")
        if any(row["name"].endswith(IMMUNISED) for row in baseline_rows):
            sentences.append(
                f"Of the immunised ones' training images {immunise['share']:.0%} were perturbed "
                f"({', '.join(immunise['perturbations'])})."
            )
    if evaluation.notes:
        sentences.append(
            f"{len(evaluation.notes):,} images were not taken as they are "
            f"(resize={config['data']['resize']}, turned, converted: notes.csv)."
        )
    if evaluation.rejected:
        sentences.append(f"{len(evaluation.rejected):,} files could not be used (rejected.csv).")
    return " ".join(sentences)
