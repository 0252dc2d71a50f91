"""The page of an ablation: what is read and measured for it beside the table of votes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganfp_jax.attribution import pictures
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import Evaluation
from ganfp_jax.baselines import beside
from ganfp_jax.data import labelled
from ganfp_jax.jobs.evaluation_page import wrong_images
from ganfp_jax.report import pages
from ganfp_jax.report.few import most_confused
from ganfp_jax.report.leak import leak_of
from ganfp_jax.report.wording import immunised_by
from ganfp_jax.run.command import command
from ganfp_jax.run.provenance import provenance


def best_row(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The vote with most right answers, of equals the one with fewest views; a single view only where no vote is."""
    votes = [row for row in rows if row["num_views"] > 1] or rows
    return max(votes, key=lambda row: (row["correct"], -row["num_views"]))


def write_page(
    path: Path,
    attributor: Attributor,
    folder: labelled.LabelledFolder,
    evaluation: Evaluation,
    row: Mapping[str, Any],
    results: Mapping[str, Any],
    config: Mapping[str, Any],
) -> dict[str, Any] | None:
    """Writes report/index.html of the job `ablation`; returns what gives the sources away beside their pixels.

    Args:
        path: of the HTML file.
        attributor: the network.
        folder: the images.
        evaluation: what the best vote said of them under the first condition.
        row: of that vote.
        results: the content of ablation.json.
        config: of the job.
    """
    same = {"resize": config["data"]["resize"], "perturbation": config["perturb"][0], "seed": config["seed"]}
    resolution, names, root = attributor.resolution, evaluation.names, Path(config["data"]["root"])
    baselines, why_not = beside.rows_or_reason(
        config["baselines"],
        root,
        folder,
        lambda: beside.train_and_measure(
            config["baselines"],
            root,
            folder,
            names,
            [same["perturbation"]],
            resolution=resolution,
            resize=same["resize"],
            seed=same["seed"],
        ),
    )
    pages.write_page(
        "ablation",
        {
            "title": "How should the views vote?",
            "command": command("ablation", config),
            **provenance(),
            "config": config,
            "classes": results["classes"],
            "conditions": results["conditions"],
            "main": {
                **{key: row[key] for key in ("views", "rule", "holm_p")},
                "metrics": evaluation.metrics,
            },
            "baselines": baselines,
            "samples": pictures.samples(
                folder, names, most_confused(evaluation.metrics), resolution=resolution, resize=same["resize"]
            ),
            "wrong": pictures.with_views(wrong_images(evaluation), folder, resolution=resolution, **same),
            "immunised": immunised_by(config["baselines"]["immunise"]),
            "photographs": labelled.origins(folder) != folder.names,
            "fingerprints": pictures.fingerprint_parts(attributor, folder, names, evaluation.metrics, **same),
            "method": f"The network of {config['checkpoint']} was tested on the images of {folder.root}."
            + (f" No baseline was run: {why_not}." if why_not else ""),
        },
        path,
    )
    return leak_of(baselines)
