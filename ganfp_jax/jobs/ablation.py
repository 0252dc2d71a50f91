"""The job `ablation`: which views and which rule a vote should have -> ablation.csv, ablation.json, a page.

Each view of each image is classified once; every set of views and every rule is then counted on those logits, which
stay in `logits-<condition>.npz` for whoever wants to count others.
"""

import csv
import dataclasses
import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int, Int32

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import Evaluation, check_classes, nothing_read, read_chunks
from ganfp_jax.attribution.voting import Vote, check_vote, count_votes
from ganfp_jax.baselines import beside
from ganfp_jax.data import labelled, perturb
from ganfp_jax.data.views import resolve_views
from ganfp_jax.jobs import ablation_page
from ganfp_jax.metrics.statistics import (
    accuracy_block,
    auroc,
    bootstrap_weights,
    evaluation_metrics,
    holm,
    percentile_interval,
    proportion,
    vote_changes,
)
from ganfp_jax.report import wording
from ganfp_jax.report.ablation_figure import draw_ablation
from ganfp_jax.report.figures import png
from ganfp_jax.report.leak import leak_box
from ganfp_jax.report.table import text_table
from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import write_json

REFERENCE = "identity"  # the single view that every vote is compared with
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
    folder: labelled.LabelledFolder,
    views: Sequence[str],
    *,
    perturbation: str = "none",
    seed: int = 0,
    resize: str = "crop",
    batch_size: int = 32,
    label: str = "ablation",
) -> ViewLogits:
    """Classify every image of `folder` once in each view.

    Args:
        views: names of single views.
        perturbation, seed, resize, batch_size: as for `evaluation.evaluate`.
        label: of the progress bar.

    Raises:
        UserError: as `evaluation.evaluate`, and a view that does not fit the network's images.
    """
    check_classes(attributor, folder)
    perturb.check_perturbation(perturbation)
    voters = attributor.view_voters(views)
    kept: list[int] = []
    parts: dict[str, list[np.ndarray]] = {view: [] for view in voters}
    seconds = dict.fromkeys(voters, 0.0)
    notes: dict[str, str] = {}
    rejected = list(folder.left_out)
    for chunk in read_chunks(folder, attributor.resolution, perturbation, seed, resize, label=label):
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
    origins = labelled.origins(folder)
    return ViewLogits(
        names=[folder.names[i] for i in kept],
        targets=folder.labels[kept],
        origins=[origins[i] for i in kept],
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


def table_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The text of ablation.csv: `COLUMNS` of one condition."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `ablation`."""
    view_sets, rules, conditions = _checked(config)
    attributor = Attributor.load(config["checkpoint"])
    folder = labelled.open_labelled(
        Path(config["data"]["root"]), split="test", classes=attributor.classes, layout=config["data"]["layout"]
    )
    views = list(dict.fromkeys([REFERENCE, *(view for names in view_sets.values() for view in names)]))
    results: dict[str, Any] = {"classes": list(attributor.classes), "method": METHOD, "conditions": []}
    first: ViewLogits | None = None
    for number, (condition, perturbation) in enumerate(conditions.items()):
        measured = view_logits(
            attributor,
            folder,
            views,
            perturbation=perturbation,
            seed=config["seed"],
            resize=config["data"]["resize"],
            batch_size=config["batch_size"],
            label=f"{condition}, {len(views)} views",
        )
        if first is None:  # they can be measured: what an ablation of other conditions left here goes
            for path in [*workdir.glob("ablation-*.csv"), *workdir.glob("logits-*.npz")]:
                path.unlink()
        first = first or measured
        rows, doubt = ablate(measured, view_sets, rules, repeats=config["bootstrap"], seed=config["seed"])
        single = accuracy_block(measured.targets, measured.logits[REFERENCE].argmax(-1), attributor.classes)
        file = f"ablation-{condition}.csv" if number else "ablation.csv"
        atomic.write_bytes(workdir / file, table_csv(rows).encode())
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
        print(f"{condition}, {len(measured.names)} images\n\n{rows_table(rows)}\n")
        if doubt:
            print(f"Telling wrong answers from right ones (AUROC), {condition}\n\n{doubt_table(doubt, rules[0])}\n")
    write_json(workdir / "ablation.json", results)
    atomic.write_bytes(workdir / "ablation.png", png(draw_ablation, results))
    labelled.report_rejected(measured.rejected, workdir)
    labelled.report_notes(measured.notes, workdir)
    row = ablation_page.best_row(results["conditions"][0]["rows"])
    evaluation = evaluation_of(row, first or measured, attributor.classes)
    report = workdir / "report" / "index.html"
    results["leak"] = leak = ablation_page.write_page(report, attributor, folder, evaluation, row, results, config)
    write_json(workdir / "ablation.json", results)
    if leak:
        print(leak_box(leak) + "\n")
    print(f"tables: {workdir / 'ablation.csv'}, {workdir / 'ablation.json'}  figure: {workdir / 'ablation.png'}")
    print(f"report: {report}")


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


def rows_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of one condition for the console."""
    cells = [
        (
            row["views"],
            wording.rule_label(row["rule"]),
            row["num_views"],
            wording.percent(row["accuracy"]),
            wording.interval((row["ci95_low"], row["ci95_high"])),
            f"+{row['wrong_to_right']} -{row['right_to_wrong']}",
            wording.p_value(row["mcnemar_p"]),
            "" if row["holm_p"] is None else wording.p_value(row["holm_p"]),
            f"{row['images_per_second']:.0f}",
        )
        for row in rows
    ]
    headers = ["views", "rule", "n", "accuracy", "95%", "repaired, broken", "McNemar p", "Holm p", "images/s"]
    return text_table(headers, cells, align="<<>>>>>>>")


def doubt_table(doubt: Sequence[Mapping[str, Any]], rule: str) -> str:
    """How well disagreement and its control predict the errors of the single view and of the vote by `rule`."""

    def area(signal: Mapping[str, Any]) -> str:
        if signal["auroc"] is None:
            return "–"
        return f"{signal['auroc']:.3f}" + (" ({:.3f} to {:.3f})".format(*signal["ci95"]) if signal["ci95"] else "")

    cells = [
        (
            *(entry["views"], wording.rule_label(entry["errors_of"]), entry["errors"]),
            *(area(entry[signal]) for signal in ("disagreement", "control", "difference")),
        )
        for entry in doubt
        if entry["errors_of"] in ("single_view", rule)
    ]
    headers = ["views", "errors of", "wrong", "disagreement", "p(1-p) of one view", "difference"]
    return text_table(headers, cells, align="<<>>>>")


def _checked(config: Mapping[str, Any]) -> tuple[dict[str, tuple[str, ...]], list[str], dict[str, str]]:
    """The sets by name, the rules, and the perturbations by condition; all faults are found before any work."""
    if not config["checkpoint"]:
        raise UserError("config.checkpoint is empty; give a trained network: --config.checkpoint=RUN_FOLDER")
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
    return view_sets, list(config["rules"]), {"clean" if p == "none" else p: p for p in config["perturb"]}


def _twice(names: Sequence[str]) -> str:
    return next(name for name in names if list(names).count(name) > 1)


def _count(logits: Float[np.ndarray, "v n k"], rule: str) -> Vote:
    return jax.tree.map(np.asarray, count_votes(logits, rule))


def _measure_doubts(doubts: list[dict[str, Any]], groups: Int[np.ndarray, " n"], repeats: int, seed: int) -> None:
    """Replaces the answers and the signals of each entry by the areas; every entry sees the same bootstrap samples."""
    curves = [{name: auroc(signal, entry["wrong"]) for name, signal in entry["signals"].items()} for entry in doubts]
    drawn: list[dict[str, list[float | None]]] = [{name: [] for name in areas} for areas in curves]
    for weights in bootstrap_weights(groups, repeats, seed) if doubts else ():
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
