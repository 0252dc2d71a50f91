"""The job `evaluate`: a checkpoint and a labelled folder -> predictions, metrics, refused and cut files, a page.

The way of a picture: `data.shown` decodes it, perturbs it and cuts it into tiles, `attribution.attributor` votes over
their views, `attribution.tiles` combines the tiles, `attribution.verdict` names the source, `attribution.predictions`
writes that down, `attribution.evaluation` counts, `report` shows.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganfp_jax.attribution import open_set, pictures, promises, whole_pictures
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.calibration import found_on
from ganfp_jax.attribution.evaluation import Evaluation, evaluate, open_images, per_photograph
from ganfp_jax.attribution.predictions import (
    METRICS,
    PREDICTIONS,
    forget_unknown,
    image_rows,
    write_metrics,
    write_outputs,
    write_unknown,
)
from ganfp_jax.attribution.typicality import Typical
from ganfp_jax.attribution.unknown_images import UnknownImages, ask_unknown
from ganfp_jax.attribution.voting import check_vote
from ganfp_jax.audit.quick import quick_check
from ganfp_jax.baselines import IMMUNISED, beside
from ganfp_jax.data import labelled, perturb
from ganfp_jax.data.tiles import Tiling
from ganfp_jax.data.unknown import open_unknown
from ganfp_jax.report import open_set_tables, pages, wording
from ganfp_jax.report.few import most_confused
from ganfp_jax.report.leak import leak_box, leak_of
from ganfp_jax.report.table import confusion_table, per_image_table, text_table
from ganfp_jax.run import processes
from ganfp_jax.run.command import command
from ganfp_jax.run.config_keys import require
from ganfp_jax.run.provenance import provenance
from ganfp_jax.training import known_images

UNKNOWN = "unknown"  # the folder of the answers for images of unknown sources
FEW = 30  # images that the console shows one by one
SOME = 5  # notes that it shows


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `evaluate`."""
    require(config, "checkpoint")
    tiling = Tiling(config["tiles"], config["min_luma_std"])
    tiling.check()
    check_vote(config["views"], config["rule"], config["batch_size"])
    beside.check(config["baselines"])
    attributor = Attributor.load(config["checkpoint"])
    config = {**config, "views": config["views"] or attributor.default_views}
    images = open_images(attributor, **config["data"], perturbation=config["perturb"], seed=config["seed"])
    strangers = _open_unknown(config, attributor)
    warnings = _warnings(config["checkpoint"], images.folder) if processes.first() else []
    clock = time.perf_counter()
    settings = {key: config[key] for key in ("views", "rule", "batch_size", "early_stopping")}
    evaluation = evaluate(attributor, images, **settings, tiling=tiling)
    report = workdir / "report" / "index.html"
    if processes.first():  # so that no result is lost where what follows fails
        if "verdicts" in evaluation.metrics and attributor.calibration and found_on(attributor.calibration, images):
            evaluation.metrics["verdicts"]["calibrated_on_these"] = True
        report.unlink(missing_ok=True)  # it may show other answers
        forget_unknown(workdir / UNKNOWN)
        write_outputs(workdir, evaluation)
    unknown = None if strangers is None else ask_unknown(attributor, strangers, **settings, tiling=tiling)
    if not processes.first():
        return
    seconds = {"evaluate": time.perf_counter() - clock}
    part = _measure_unknown(config, evaluation, images.folder, strangers, unknown, workdir)
    if len(evaluation.names) <= FEW:
        print(per_image_table(image_rows(evaluation)))
    images = images.part(images.folder.places(evaluation.names))
    rows, reason = _measure_baselines(config, images, seconds)
    evaluation.metrics["baselines"] = [{"name": row["name"], **row["metrics"]} for row in rows]
    evaluation.metrics["leak"] = leak = leak_of(rows)
    write_metrics(workdir, evaluation)
    if leak:
        print(leak_box(leak))
    write_page(report, attributor, evaluation, images, rows, config, seconds=seconds, warnings=warnings, unknown=part)
    print(summary(evaluation.metrics, wording.immunised_by(config["baselines"]["immunise"])))
    if reason:
        print(f"no baselines: {reason}")
    _report_files(evaluation, workdir)
    if part:
        print(f"\n{open_set_tables.text(part['metrics'])}\n")
        print(f"unknown sources: {workdir / UNKNOWN}")
    print(f"predictions: {workdir / PREDICTIONS}  metrics: {workdir / METRICS}  report: {report}")


def _open_unknown(config: Mapping[str, Any], attributor: Attributor) -> labelled.Images | None:
    """Opens the images of unknown sources, if any are given; they are perturbed as the known ones."""
    if not config["unknown"]:
        return None
    folder, resize = open_unknown(config["unknown"]), config["data"]["resize"]
    return labelled.Images(folder, attributor.resolution, resize, config["perturb"], config["seed"])


def _measure_unknown(
    config: Mapping[str, Any],
    evaluation: Evaluation,
    folder: labelled.LabelledFolder,
    images: labelled.Images | None,
    unknown: UnknownImages | None,
    workdir: Path,
) -> dict[str, Any] | None:
    """Writes the answers for images of unknown sources, adds their metrics and returns the page's part; else None."""
    if images is None or unknown is None:
        return None
    write_unknown(workdir / UNKNOWN, unknown)
    found = open_set.measure(evaluation, folder, unknown, seed=config["seed"])
    evaluation.metrics["unknown"] = found.metrics
    write_metrics(workdir, evaluation)
    return pictures.unknown_part(found, images, unknown)


def _warnings(checkpoint: str, folder: labelled.LabelledFolder) -> list[str]:
    """Returns and prints warnings on files that give sources away, and images that the network may have seen."""
    warnings = [*filter(None, [known_images.warning_of(checkpoint, folder)]), *quick_check(folder)]
    for warning in warnings:
        print(f"warning: {warning}")
    return warnings


def _measure_baselines(
    config: Mapping[str, Any], images: labelled.Images, seconds: dict[str, float]
) -> tuple[list[dict[str, Any]], str | None]:
    """Returns the rows of the baselines, or the reason that there are none; their time is added to `seconds`."""
    clock, root = time.perf_counter(), Path(config["data"]["root"])
    rows, reason = beside.rows_or_reason(
        config["baselines"],
        root,
        images.folder,
        lambda: beside.train_and_measure(config["baselines"], root, images, [config["perturb"]]),
    )
    if rows:
        seconds["baselines"] = time.perf_counter() - clock
    return rows, reason


def _report_files(evaluation: Evaluation, workdir: Path) -> None:
    """Reports the files that were changed or refused."""
    for name, note in list(evaluation.notes.items())[:SOME]:
        print(f"{name}: {note}")
    if evaluation.notes:
        print(f"{len(evaluation.notes)} images were not taken as they are: {workdir / 'notes.csv'}")
    if evaluation.rejected:
        print(f"{len(evaluation.rejected)} files could not be used: {workdir / 'rejected.csv'}")


def summary(metrics: dict[str, Any], immunised: str = "") -> str:
    """Formats vote, single view, baselines, the vote's changes and the confusion matrix for the console.

    `immunised` describes the perturbations of the immunised baselines (`wording.immunised_by`).
    """

    def result(what: str, block: dict[str, Any]) -> tuple[str, str, str, str]:
        right = f"{block['correct']} of {block['total']}"
        return what, wording.percent(block["accuracy"]), wording.interval(block["ci95"]), right

    changes = metrics["vote_changes"]
    saved = ""
    if "views_saved" in metrics:
        saved = f", {wording.percent(metrics['views_saved'])} of the view evaluations saved by stopping early"
    rows = [
        result(f"one view ({metrics['single_view']['view']})", metrics["single_view"]),
        result(f"{metrics['rule']} of {len(metrics['views'])} view{'s' * (len(metrics['views']) != 1)}", metrics),
        *(result(wording.baseline_label(entry["name"], immunised), entry) for entry in metrics.get("baselines", ())),
    ]
    return "\n\n".join(
        [
            text_table(["", "accuracy", "95 %", "right"], rows, align="<>>>"),
            f"The vote repaired {changes['wrong_to_right']} and broke {changes['right_to_wrong']} "
            f"(McNemar p {wording.p_value(changes['mcnemar_p'])}); {metrics['images_per_second']:.0f} images/s{saved}.",
            *verdicts_sentence(metrics),
            confusion_table(metrics),
        ]
    )


def verdicts_sentence(metrics: Mapping[str, Any]) -> list[str]:
    """Returns a sentence on the decided images and the wrong ones among them; empty for an uncalibrated network."""
    if "verdicts" not in metrics:
        return []
    counts = metrics["verdicts"]
    wrong = f"{counts['wrong']:,} of them wrongly"
    if counts["decided"]:
        share = wording.percent(counts["wrong"] / counts["decided"])
        wrong += f" ({share}; 95% interval {wording.interval(counts['ci95'])})"
    unknown = f", {counts['unknown']:,} of them unknown" if "unknown" in counts else ""
    sentence = (
        f"By its calibration the network decides {counts['decided']:,} of {metrics['total']:,} images, {wrong}; "
        f"{counts['undecided']:,} are undecided{unknown}."
    )
    if counts.get("calibrated_on_these"):
        sentence += " These are the images that it was calibrated on: of others, more of the decided ones may be wrong."
    return [sentence]


def write_page(
    path: Path,
    attributor: Attributor,
    evaluation: Evaluation,
    images: labelled.Images,
    baseline_rows: Sequence[dict[str, Any]],
    config: Mapping[str, Any],
    *,
    seconds: Mapping[str, float],
    warnings: Sequence[str] = (),
    unknown: Mapping[str, Any] | None = None,
) -> None:
    """Writes report/index.html of the job `evaluate`.

    Args:
        path: the HTML file.
        attributor: the evaluated network.
        evaluation: its answers.
        images: the readable images.
        baseline_rows: rows of `beside.measure`.
        config: the job's config.
        seconds: seconds of each stage.
        warnings: sentences on facts that give the sources away.
        unknown: the part on images of unknown sources, a `report.results.Unknown`; None without.
    """
    folder, metrics, condition = images.folder, evaluation.metrics, perturb.label(images.perturbation)
    views = config["views"] if isinstance(config["views"], str) else ",".join(config["views"])
    counts = np.bincount(evaluation.targets, minlength=len(folder.classes))
    count = int(counts[0]) if len(set(counts.tolist())) == 1 else None
    network = Path(config["checkpoint"]).name.removesuffix(".safetensors")
    tested = {"network": network, "condition": condition, "count": count}
    results = {
        "title": "Which generator made these images?",
        "command": command("evaluate", {**config, "views": views}),
        **provenance(),
        "config": config,
        "classes": list(folder.classes),
        "counts": {"train": {}, "test": dict(zip(folder.classes, counts.tolist(), strict=True))},
        "photographs": {"train": [], "test": []},
        "main": {**tested, "views": views, "rule": metrics["rule"]},
        "evaluations": [
            {**tested, "views_name": views, "metrics": metrics, "per_photograph": per_photograph(evaluation, folder)}
        ],
        "baselines": [row | {"count": count} for row in baseline_rows],
        **pictures.parts(attributor, images, evaluation),
        **_wholes(attributor, images, evaluation, config),
        "stages": [{"name": name, "seconds": spent} for name, spent in seconds.items()],
        "method": _method(evaluation, folder, baseline_rows, config),
        "immunised": wording.immunised_by(config["baselines"]["immunise"]),
        "warnings": [f"Warning: {warning}." for warning in warnings],
        "unknown": unknown,
    }
    pages.write_page("evaluation", results, path)


def _wholes(
    attributor: Attributor, images: labelled.Images, evaluation: Evaluation, config: Mapping[str, Any]
) -> dict[str, Any]:
    """The samples and the wrong answers, where any picture was not looked at as one tile: whole, with maps."""
    if evaluation.pictures is None or (evaluation.pictures.tiles == 1).all():
        return {}
    tiling, sources = Tiling(config["tiles"], config["min_luma_std"]), most_confused(evaluation.metrics)
    wrong = pictures.wrong_images(evaluation)
    return {
        "samples": whole_pictures.samples(images, sources, tiling),
        "wrong": whole_pictures.with_maps(wrong, attributor, images, tiling, config["rule"]),
    }


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
    sentences += verdicts_sentence(evaluation.metrics)
    typical = next((rule for rule in evaluation.rules if isinstance(rule, Typical)), None)
    sentences += [] if typical is None else [promises.promised(typical)]
    sentences.append(promises.about_sources(folder.classes, typical))
    if evaluation.pictures is not None and evaluation.pictures.tiles.max() > 1:
        looked_at = evaluation.metrics["tiles"]
        sentences.append(
            f"Of a picture it saw at most {looked_at['at_most']} tiles, {looked_at['mean']:.1f} in the mean; in "
            f"{looked_at['nothing_to_see']:,} pictures there was nothing to see."
        )
    if evaluation.notes:
        sentences.append(
            f"{len(evaluation.notes):,} images were not taken as they are "
            f"(resize={config['data']['resize']}, turned, converted: notes.csv)."
        )
    if evaluation.rejected:
        sentences.append(f"{len(evaluation.rejected):,} files could not be used (rejected.csv).")
    return " ".join(sentences)
