"""The job `ablation`: votes by sets of views and by rules, compared -> ablation.csv, ablation.json, a page.

Each view of each image is classified once. Every set of views and every rule is evaluated on these logits, which stay
in `logits-<condition>.npz` for further sets and rules.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganfp_jax.attribution import pictures
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import Evaluation, open_images
from ganfp_jax.attribution.view_logits import REFERENCE, ViewLogits, ablate, evaluation_of, logits_npz, view_logits
from ganfp_jax.attribution.voting import check_vote
from ganfp_jax.baselines import beside
from ganfp_jax.data import labelled, perturb, reports
from ganfp_jax.data.views import resolve_views
from ganfp_jax.metrics.statistics import (
    accuracy_block,
)
from ganfp_jax.report import pages, wording
from ganfp_jax.report.ablation_figure import draw_ablation
from ganfp_jax.report.figures import png
from ganfp_jax.report.leak import leak_box, leak_of
from ganfp_jax.report.table import csv_text, doubt_table, votes_table
from ganfp_jax.run import atomic
from ganfp_jax.run.command import command
from ganfp_jax.run.config_keys import require
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.provenance import provenance
from ganfp_jax.run.run_folder import write_json

COLUMNS = (
    *("views", "rule", "num_views", "accuracy", "ci95_low", "ci95_high"),
    *("wrong_to_right", "right_to_wrong", "mcnemar_p", "images_per_second"),
)
METHOD = {
    "single_view": "the vote of every row is compared with the view identity, whether or not the set holds it",
    "holm_p": "Holm's correction over all rows of one condition but those of identity alone, which compare nothing",
    "independence": "McNemar, Holm and Wilson take images for independent, which crops of one photograph are not",
    "images_per_second": (
        "images over the sum of the measured seconds of the views of the set; each view was timed on its own, over all "
        "images, batch by batch, compilation and decoding left out; counting the votes is not in it"
    ),
    "disagreement": "1 - the share of views that chose the leading class",
    "control": "p (1 - p), with p the highest probability of the view identity: a doubt that costs no further view",
    "auroc": "of telling wrong answers from right ones by the signal; difference: disagreement minus control",
    "ci95": "accuracy: Wilson; auroc: bootstrap in which crops of one photograph, where known, are drawn together",
}


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `ablation`."""
    view_sets, rules, conditions = _checked(config)
    attributor = Attributor.load(config["checkpoint"])
    images = open_images(attributor, **config["data"], seed=config["seed"])
    views = list(dict.fromkeys([REFERENCE, *(view for names in view_sets.values() for view in names)]))
    results: dict[str, Any] = {"classes": list(attributor.classes), "method": METHOD, "conditions": []}
    first: ViewLogits | None = None
    for number, (condition, perturbation) in enumerate(conditions.items()):
        label = f"{condition}, {len(views)} views"
        measured = view_logits(
            attributor, images.under(perturbation), views, batch_size=config["batch_size"], label=label
        )
        if first is None:  # the images can be read, so the files of an earlier ablation are removed
            for path in [*workdir.glob("ablation-*.csv"), *workdir.glob("logits-*.npz")]:
                path.unlink()
        first = first or measured
        rows, doubt = ablate(measured, view_sets, rules, repeats=config["bootstrap"], seed=config["seed"])
        single = accuracy_block(measured.targets, measured.logits[REFERENCE].argmax(-1), attributor.classes)
        file = f"ablation-{condition}.csv" if number else "ablation.csv"
        atomic.write_bytes(workdir / file, csv_text(COLUMNS, rows).encode())
        atomic.write_bytes(workdir / f"logits-{condition}.npz", logits_npz(measured))
        results["conditions"].append(
            {
                "condition": condition,
                "file": file,
                "single_view": {"view": REFERENCE, **single},
                "seconds": measured.seconds,
                "rows": rows,
                "doubt": doubt,
            }
        )
        print(f"{condition}, {len(measured.names)} images\n\n{votes_table(rows)}\n")
        if doubt:
            print(f"Telling wrong answers from right ones (AUROC), {condition}\n\n{doubt_table(doubt, rules[0])}\n")
    write_json(workdir / "ablation.json", results)
    atomic.write_bytes(workdir / "ablation.png", png(draw_ablation, results))
    reports.report_rejected(measured.rejected, workdir)
    reports.report_notes(measured.notes, workdir)
    row = best_row(results["conditions"][0]["rows"])
    evaluation = evaluation_of(row, first or measured, attributor.classes)
    report = workdir / "report" / "index.html"
    read = images.under(config["perturb"][0]).part(images.folder.places(evaluation.names))
    results["leak"] = leak = write_page(report, attributor, read, evaluation, row, results, config)
    write_json(workdir / "ablation.json", results)
    if leak:
        print(leak_box(leak) + "\n")
    print(f"tables: {workdir / 'ablation.csv'}, {workdir / 'ablation.json'}  figure: {workdir / 'ablation.png'}")
    print(f"report: {report}")


def best_row(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Returns the vote with most right answers, of equals the one with fewest views; a single view if there is none."""
    votes = [row for row in rows if row["num_views"] > 1] or rows
    return max(votes, key=lambda row: (row["correct"], -row["num_views"]))


def write_page(
    path: Path,
    attributor: Attributor,
    images: labelled.Images,
    evaluation: Evaluation,
    row: Mapping[str, Any],
    results: Mapping[str, Any],
    config: Mapping[str, Any],
) -> dict[str, Any] | None:
    """Writes report/index.html; returns the leak: metadata that give the sources away.

    Args:
        path: the HTML file.
        attributor: the network.
        images: the readable images under the first perturbation.
        evaluation: the answers of the best vote for them.
        row: the row of that vote.
        results: the content of ablation.json.
        config: the job's config.
    """
    section, root, folder = config["baselines"], Path(config["data"]["root"]), images.folder
    baselines, why_not = beside.rows_or_reason(
        section, root, folder, lambda: beside.train_and_measure(section, root, images, [images.perturbation])
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
            "main": {**{key: row[key] for key in ("views", "rule", "holm_p")}, "metrics": evaluation.metrics},
            "baselines": baselines,
            **pictures.parts(attributor, images, evaluation),
            "immunised": wording.immunised_by(section["immunise"]),
            "photographs": labelled.origins(folder) != folder.names,
            "method": f"The network of {config['checkpoint']} was tested on the images of {folder.root}."
            + (f" No baseline was run: {why_not}." if why_not else ""),
        },
        path,
    )
    return leak_of(baselines)


def _checked(config: Mapping[str, Any]) -> tuple[dict[str, tuple[str, ...]], list[str], dict[str, str]]:
    """Checks the config; returns the sets by name, the rules, and the perturbations by condition."""
    require(config, "checkpoint")
    for key in ("view_sets", "rules", "perturb"):
        if not config[key] or isinstance(config[key], str):
            raise UserError(f"config.{key} needs a list of one or more: --config.{key}=\"('...', '...')\"")
        if len(set(config[key])) < len(config[key]):
            raise UserError(f"config.{key} names {_twice(config[key])!r} twice; leave one out")
    for rule in config["rules"]:
        check_vote("", rule, config["batch_size"])
    for perturbation in config["perturb"]:
        perturb.check_perturbation(perturbation)
    beside.check(config["baselines"])
    if config["bootstrap"] < 1:
        raise UserError(f"config.bootstrap is {config['bootstrap']}; the intervals need one repeat or more")
    view_sets = {label: resolve_views(label) for label in config["view_sets"]}
    known: dict[frozenset[str], str] = {}
    for label, views in view_sets.items():
        if (other := known.setdefault(frozenset(views), label)) != label:
            raise UserError(f"config.view_sets has {label!r} and {other!r}, which are the same views; leave one out")
    return view_sets, list(config["rules"]), {perturb.label(name): name for name in config["perturb"]}


def _twice(names: Sequence[str]) -> str:
    return next(name for name in names if list(names).count(name) > 1)
