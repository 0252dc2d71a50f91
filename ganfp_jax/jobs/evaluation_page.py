"""The page of an evaluation: the network beside cheap baselines on the same images, confusion, wrong answers."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from ganfp_jax import baselines
from ganfp_jax.attribution import pictures
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import CHUNK, Evaluation
from ganfp_jax.data import labelled, perturb
from ganfp_jax.jobs.baselines import CONDITIONS, ImageSet, first_at_random
from ganfp_jax.metrics.statistics import accuracy_block, proportion
from ganfp_jax.report.evaluation_page import write_report
from ganfp_jax.report.few import most_confused
from ganfp_jax.report.wording import immunised_by
from ganfp_jax.run.command import command
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress
from ganfp_jax.run.provenance import provenance


def check_baselines(config: Mapping[str, Any]) -> None:
    """Raises UserError unless the config section `baselines` can be run."""
    baselines.check([*config["methods"], *config["immunised_methods"]])
    perturb.check_immunisation(**config["immunise"])


def why_no_baselines(config: Mapping[str, Any], root: Path, folder: labelled.LabelledFolder) -> str | None:
    """Why no baseline can be shown beside the network, None where some can."""
    if not [*config["methods"], *config["immunised_methods"]]:
        return "config.baselines names none"
    try:
        if "train" not in labelled.splits(root):
            return f"{root} has no train/ of its own for them to learn from"
        known = labelled.open_labelled(root, split="train", classes=folder.classes, layout=folder.layout)
    except UserError as error:
        return str(error)
    absent = [name for label, name in enumerate(folder.classes) if not (known.labels == label).any()]
    return f"{known.root} has no image of {', '.join(absent)}" if absent else None


def where_possible(
    reason: str | None, measure: Callable[[], list[dict[str, Any]]]
) -> tuple[list[dict[str, Any]], str | None]:
    """The rows of `measure`, or none and why: `reason`, or what the training images lack when they are read.

    Baselines stand beside a network; without them its own results are as good as with them.
    """
    if reason:
        return [], reason
    try:
        return measure(), None
    except UserError as error:
        return [], str(error)


def measure_baselines(
    config: Mapping[str, Any],
    root: Path,
    folder: labelled.LabelledFolder,
    evaluation: Evaluation,
    *,
    resolution: int,
    resize: str,
    perturbation: str,
    seed: int,
) -> list[dict[str, Any]]:
    """What cheap methods reach on the images that the network was tested on, trained on some of `<root>/train/`.

    Args:
        config: the section `baselines` of configs/evaluate.py.
        root: where `folder` was opened; `why_no_baselines` is asked first.
        resolution, resize, perturbation, seed: of the evaluation.

    Returns:
        Rows of {"name", "condition", "metrics"}, as `report.page.write_report` takes them. Methods that read files
        instead of images have none under a perturbation.
    """
    place = {name: i for i, name in enumerate(folder.names)}
    indices = np.array([place[name] for name in evaluation.names])
    return baselines_under(
        config, root, folder, indices, [perturbation], resolution=resolution, resize=resize, seed=seed
    )


def baselines_under(
    config: Mapping[str, Any],
    root: Path,
    folder: labelled.LabelledFolder,
    indices: Int[np.ndarray, " n"],
    perturbations: Sequence[str],
    *,
    resolution: int,
    resize: str,
    seed: int,
) -> list[dict[str, Any]]:
    """The same for the images of `folder` at `indices`, which can be read, under each of several perturbations."""
    methods = [(name, name, False) for name in config["methods"]]
    methods += [(f"{name}_immunised", name, True) for name in config["immunised_methods"]]
    methods = [m for m in methods if "none" in perturbations or baselines.BASELINES[m[1]].needs == "images"]
    known = labelled.open_labelled(root, split="train", classes=folder.classes, layout=folder.layout)
    chosen = first_at_random(known.labels, config["images_per_source"], seed)
    train = ImageSet.read(known, resolution, resize, indices=chosen)
    fitted = {}
    with progress(len(methods), "baselines", "method") as bar:
        for called, name, immunised in methods:
            images = train.immunised(seed, config["immunise"]) if immunised else train
            fitted[called] = images.fit(name, folder.classes, seed)
            bar.update(1)
    predicted: dict[tuple[str, str], list[np.ndarray]] = {}
    for chunk in np.array_split(indices, -(-len(indices) // CHUNK)):
        test = ImageSet.read(folder, resolution, resize, indices=chunk)
        for called, method in fitted.items():
            for condition, samples in test.perturbed(method.name, perturbations, seed):
                predicted.setdefault((called, condition), []).append(baselines.predict(method, samples)[0])
    return [
        {
            "name": called,
            "condition": condition,
            "metrics": accuracy_block(folder.labels[indices], np.concatenate(parts), folder.classes),
        }
        for (called, condition), parts in predicted.items()
    ]


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
        baseline_rows: of `measure_baselines`.
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
    write_report(results, path)


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

    Plain data, as `report.page.write_report` takes them but for the pictures, which `pictures.with_views` adds.
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
        if any(row["name"].endswith("_immunised") for row in baseline_rows):
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
