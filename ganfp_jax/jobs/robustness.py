"""The job `robustness`: what attacks do to attribution networks -> robustness.csv, metrics.json, a figure, a page.

Every network meets every attack on the same images, by `evaluation.evaluate`. Each of these evaluations is complete in
a folder of its own, so a job that was stopped goes on with those that are missing.
"""

import csv
import dataclasses
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import evaluate, write_outputs
from ganfp_jax.attribution.voting import check_vote
from ganfp_jax.audit.quick import report_leaks
from ganfp_jax.baselines import beside
from ganfp_jax.baselines.images import first_at_random
from ganfp_jax.data import labelled, perturb
from ganfp_jax.data.cells import text_of
from ganfp_jax.data.views import resolve_views
from ganfp_jax.metrics.statistics import holm, vote_changes
from ganfp_jax.report import wording
from ganfp_jax.report.figures import png
from ganfp_jax.report.grid import image_grid
from ganfp_jax.report.leak import leak_box, leak_of
from ganfp_jax.report.pages import write_page
from ganfp_jax.report.robustness_figure import draw_robustness
from ganfp_jax.report.robustness_page import PICTURED
from ganfp_jax.report.table import text_table
from ganfp_jax.run import atomic
from ganfp_jax.run.command import command
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress
from ganfp_jax.run.provenance import provenance
from ganfp_jax.run.run_folder import CONFIG, read_config, write_json

CLEAN = "none"  # the perturbation that every other one is compared with
# What a plain and an immunised network must share to be compared.
TRAINED_ALIKE = ("seed", "resolution", "model", "augment", "num_steps", "batch_size", "optimizer")
PLAIN, IMMUNISED = "plain", "immunised"  # the networks of the config's keys of these names
COLUMNS = (
    *("network", "attack", "accuracy", "ci95_low", "ci95_high", "single_view_accuracy", "n"),
    *("wrong_to_right", "right_to_wrong", "mcnemar_p", "psnr", "images_per_second"),
)
METHOD = {
    "mcnemar_p": (
        "exact McNemar test of the network's answers to the attacked images against its answers to the clean ones, "
        "which wrong_to_right and right_to_wrong count"
    ),
    "holm_p": "Holm's correction of mcnemar_p over all attacks on one network",
    "against_plain": (
        "the same test against the answers of the network plain to the same images; holm_p is over all of them, the "
        "clean images included"
    ),
    "psnr": (
        "10 log10 (255^2 / mean squared error), in dB, over all values of all images; a crop moves every pixel, so its "
        "value says how much has changed, not how much of it is seen"
    ),
    "strength": "of a range and in the combination each image has its own, by the seed and its place in the folder",
    "independence": "McNemar, Holm and Wilson take images for independent, which crops of one photograph are not",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")  # of a network, whose folder is called so


@dataclasses.dataclass(frozen=True)
class Answers:
    """What one network said of the N images under one attack."""

    names: Sequence[str]
    targets: Int[np.ndarray, " n"]
    predicted: Int[np.ndarray, " n"]
    metrics: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> "Answers":
        """Reads what `evaluation.write_outputs` has left."""
        metrics = json.loads((folder / "metrics.json").read_text())
        index = {name: k for k, name in enumerate(metrics["classes"])}
        with (folder / "predictions.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        return cls(
            names=[text_of(row["image"]) for row in rows],
            targets=np.array([index[row["target"]] for row in rows]),
            predicted=np.array([index[row["predicted"]] for row in rows]),
            metrics=metrics,
        )


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `robustness`."""
    attacks, checkpoints = _checked(config)
    training = {name: training_of(checkpoint) for name, checkpoint in checkpoints.items()}
    _check_roles(training)
    networks = {name: _load(name, checkpoint, config) for name, checkpoint in checkpoints.items()}
    resolution, classes = _common(networks)
    root = Path(config["data"]["root"])
    folder = labelled.open_labelled(root, split="test", classes=classes, layout=config["data"]["layout"])
    _check_unchanged(networks, checkpoints, workdir)  # writes: not before the inputs can be read
    report_leaks(folder)
    images = labelled.Images(folder, resolution, config["data"]["resize"], seed=config["seed"])
    answers = _ask(networks, attacks, images, config, workdir)
    images = images.part(folder.places(answers[next(iter(networks))][CLEAN].names))
    strengths = _once(workdir / "attacks.json", lambda: psnr(images, attacks))
    baselines, reason = beside.rows_or_reason(
        config["baselines"],
        root,
        folder,
        lambda: _once(
            workdir / "baselines.json",
            lambda: beside.train_and_measure(config["baselines"], root, images, attacks),
        ),
    )
    results = {
        "classes": list(classes),
        "views": list(resolve_views(config["views"])),
        "rule": config["rule"],
        "total": len(images),
        "per_source": np.bincount(folder.labels[images.indices], minlength=len(classes)).tolist(),
        "networks": [
            {"name": name, "checkpoint": str(checkpoints[name]), "training": training[name]} for name in networks
        ],
        "attacks": [
            {"attack": perturb.label(attack), "family": perturb.family_of(attack), "psnr": strengths[attack]}
            for attack in attacks
        ],
        "rows": compare(answers, strengths),
        "baselines": baselines,
        "leak": leak_of(baselines),
        "immunised": wording.immunised_by(config["baselines"]["immunise"]),
        "method": METHOD,
    }
    write_outputs_of(workdir, results)
    labelled.report_rejected(_pairs(workdir, networks, "rejected.csv"), workdir)
    labelled.report_notes(dict(_pairs(workdir, networks, "notes.csv")), workdir)
    plain_command = "" if PLAIN in networks else training_command(PLAIN, config)
    report = write_page(
        "robustness",
        {
            **results,
            **provenance(),
            "title": "What attacks do to attribution",
            "command": command("robustness", config, whole=("networks",)),
            "config": config,
            "pictures": pictures(images, attacks),
            "sentences": _sentences(config, folder, reason),
            "plain_command": plain_command,
        },
        workdir / "report" / "index.html",
    )
    if results["leak"]:
        print(leak_box(results["leak"]) + "\n")
    print(console_table(results))
    if plain_command:
        print(f"\nno plain network to compare with; to train one: {plain_command}")
    if reason:
        print(f"no baselines: {reason}")
    print(f"\ntable: {workdir / 'robustness.csv'}  figure: {workdir / 'robustness.png'}  report: {report}")


def _ask(
    networks: Mapping[str, Attributor],
    attacks: Sequence[str],
    images: labelled.Images,
    config: Mapping[str, Any],
    workdir: Path,
) -> dict[str, dict[str, Answers]]:
    """Network -> attack -> its answers; those that are in the run folder are read from there."""
    folder = images.folder
    if config["count"]:
        images = images.part(first_at_random(folder.labels, config["count"], config["seed"]))
    found: dict[str, dict[str, Answers]] = {}
    with progress(len(networks) * len(attacks), "robustness", "attack") as bar:
        for name, attributor in networks.items():
            for attack in attacks:
                target = workdir / "networks" / name / perturb.label(attack)
                if not (target / "metrics.json").exists():
                    evaluation = evaluate(
                        attributor,
                        images.under(attack),
                        views=config["views"],
                        rule=config["rule"],
                        batch_size=config["batch_size"],
                    )
                    write_outputs(target, evaluation)
                found.setdefault(name, {})[attack] = Answers.read(target)
                bar.update(1)
    every = [answers for by_attack in found.values() for answers in by_attack.values()]
    if any(answers.names != every[0].names for answers in every) or not set(every[0].names) <= set(folder.names):
        raise UserError(f"the images of {folder.root} have changed since {workdir} was begun; choose another --workdir")
    return found


def psnr(images: labelled.Images, attacks: Sequence[str]) -> dict[str, float | None]:
    """How much each attack changes the images, which are clean, in dB (`METHOD`); None where it changes nothing."""
    squares, values = dict.fromkeys(attacks, 0), 0
    for chunk in images.chunks("strength of the attacks"):
        values += chunk.images.size
        for attack in attacks:
            attacked = perturb.perturb(chunk.images, attack, images.seed, numbers=chunk.kept)
            squares[attack] += int(np.square(attacked.astype(np.int32) - chunk.images).sum(dtype=np.int64))
    return {attack: 10 * math.log10(255**2 * values / square) if square else None for attack, square in squares.items()}


def compare(
    answers: Mapping[str, Mapping[str, Answers]], strengths: Mapping[str, float | None]
) -> list[dict[str, Any]]:
    """A row of results for every network and attack, clean images first.

    Args:
        answers: network -> attack -> its answers; of the same images in the same order.
        strengths: of `psnr`.

    Returns:
        Rows with `COLUMNS`, `correct`, `per_class`, `confusion`, `holm_p` (None for clean images), and `against_plain`
        with `wrong_to_right`, `right_to_wrong`, `mcnemar_p` and `holm_p`, or None for the plain network and without it.
    """
    rows = []
    for name, by_attack in answers.items():
        own = []
        for attack, given in by_attack.items():
            metrics = given.metrics
            own.append({
                "network": name,
                "attack": perturb.label(attack),
                "accuracy": metrics["accuracy"],
                "ci95_low": metrics["ci95"][0],
                "ci95_high": metrics["ci95"][1],
                "single_view_accuracy": metrics["single_view"]["accuracy"],
                "n": metrics["total"],
                **vote_changes(given.targets, by_attack[CLEAN].predicted, given.predicted),
                "psnr": strengths[attack],
                "images_per_second": metrics["images_per_second"],
                "correct": metrics["correct"],
                "per_class": metrics["per_class"],
                "confusion": metrics["confusion"],
                "against_plain": None,
            })  # fmt: skip
            if PLAIN in answers and name != PLAIN:
                own[-1]["against_plain"] = vote_changes(
                    given.targets, answers[PLAIN][attack].predicted, given.predicted
                )
        attacked = [row for row in own if row["attack"] != perturb.label(CLEAN)]
        _correct(attacked)
        _correct([row["against_plain"] for row in own if row["against_plain"]])
        rows += [{"holm_p": None, **row} for row in own]
    return rows


def _correct(tests: Sequence[dict[str, Any]]) -> None:
    for test, p in zip(tests, holm([test["mcnemar_p"] for test in tests]), strict=True):
        test["holm_p"] = p


def pictures(images: labelled.Images, attacks: Sequence[str]) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
    """What each attack makes of one image of each of the first sources, side by side, by what the attack is called."""
    labels = images.folder.labels[images.indices]
    firsts = images.part([int(images.indices[labels == label][0]) for label in np.unique(labels)[:PICTURED]])
    scale = max(1, 64 // images.resolution)
    return {
        perturb.label(attack): image_grid(firsts.under(attack).decode().images, len(firsts), scale=scale, gap=2)
        for attack in attacks
    }


def training_of(checkpoint: str) -> dict[str, Any] | None:
    """How a network was trained, where its run folder says: `augment`, and `immunise` with share and perturbations."""
    if not (Path(checkpoint) / CONFIG).is_file():
        return None
    config = read_config(Path(checkpoint))
    return {key: config[key] for key in ("augment", "immunise")} if "immunise" in config else None


def training_command(name: str, config: Mapping[str, Any]) -> str:
    """The command that trains a network as `name` needs it, into the run folder runs/`name`.

    The plain one is trained as the immunised one was, or more than immunising would tell them apart.
    """
    immunise: dict[str, Any] = {"perturbations": (perturb.COMBINATION,)}
    trained: dict[str, Any] = {}
    if name == PLAIN:
        immunise = {"share": 0.0, "perturbations": ()}
        if training_of(config[IMMUNISED]):
            trained = read_config(Path(config[IMMUNISED]))
    settings = {key: trained[key] for key in TRAINED_ALIKE if key in trained}
    settings |= {"data": {"root": config["data"]["root"]}, "immunise": immunise}
    return command("attribution", settings, workdir=f"runs/{name}")


def write_outputs_of(workdir: Path, results: Mapping[str, Any]) -> None:
    """Writes robustness.csv, robustness.png and, last, metrics.json."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(results["rows"])
    atomic.write_bytes(workdir / "robustness.csv", text.getvalue().encode())
    atomic.write_bytes(workdir / "robustness.png", png(draw_robustness, results))
    write_json(workdir / "metrics.json", dict(results))


def console_table(results: Mapping[str, Any]) -> str:
    """Every row and every baseline, one line each."""
    strengths = {entry["attack"]: entry["psnr"] for entry in results["attacks"]}
    lines = []
    for attack, strength in strengths.items():
        label, decibels = wording.condition_label(attack), "" if strength is None else f"{strength:.1f}"
        for row in results["rows"]:
            if row["attack"] == attack:
                changed = "" if row["holm_p"] is None else f"+{row['wrong_to_right']} -{row['right_to_wrong']}"
                p = "" if row["holm_p"] is None else wording.p_value(row["holm_p"])
                shares = (wording.percent(row["single_view_accuracy"]), wording.percent(row["accuracy"]))
                interval = wording.interval((row["ci95_low"], row["ci95_high"]))
                lines.append((label, decibels, row["network"], *shares, interval, changed, p))
        for entry in results["baselines"]:
            if entry["condition"] == attack:
                share, interval = entry["metrics"]["accuracy"], wording.interval(entry["metrics"]["ci95"])
                who = wording.baseline_label(entry["name"], results["immunised"])
                lines.append((label, decibels, who, "-", wording.percent(share), interval, "", ""))
    headers = ["attack", "PSNR", "method", "one view", "vote", "95%", "against clean", "Holm p"]
    return f"{results['total']} images\n\n{text_table(headers, lines, align='<><>>>>>')}"


def _checked(config: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
    """The attacks, `CLEAN` first, and the checkpoints by name; all faults of the config are found before any work."""
    attacks = config["attacks"]
    if not attacks or isinstance(attacks, str):
        raise UserError("config.attacks needs a list of one or more: --config.attacks=\"('jpeg75', 'combination')\"")
    if twice := [attack for attack in attacks if list(attacks).count(attack) > 1]:
        raise UserError(f"config.attacks names {twice[0]!r} twice; leave one out")
    for attack in attacks:
        perturb.check_perturbation(attack)
    if list(attacks) == [CLEAN]:
        raise UserError(f"config.attacks names {CLEAN!r} alone, the clean images; give an attack, such as jpeg75")
    if config["count"] < 0:
        raise UserError(f"config.count is {config['count']}; give the number of images of each source, or 0 for all")
    check_vote(config["views"], config["rule"], config["batch_size"])
    beside.check(config["baselines"])
    checkpoints = {name: config[name] for name in (PLAIN, IMMUNISED) if config[name]}
    for name, checkpoint in config["networks"].items():
        if not _NAME.fullmatch(name) or name in (PLAIN, IMMUNISED):
            raise UserError(
                f"config.networks: {name!r} is no name for a network; use letters, digits, '_', '-' and '.', and "
                f"neither {PLAIN} nor {IMMUNISED}"
            )
        if not checkpoint or not isinstance(checkpoint, str):
            raise UserError(f"config.networks.{name} is {checkpoint!r}; give a run folder or a file of weights")
        checkpoints[name] = checkpoint
    if not checkpoints:
        raise UserError(
            "no network: give --config.immunised=RUN_FOLDER, --config.plain=RUN_FOLDER or "
            "--config.networks=\"{'name': 'RUN_FOLDER'}\""
        )
    return list(dict.fromkeys([CLEAN, *attacks])), checkpoints


def _check_roles(training: Mapping[str, Mapping[str, Any] | None]) -> None:
    for name, wanted in ((PLAIN, False), (IMMUNISED, True)):
        found = training.get(name)
        if found and bool(found["immunise"]["share"]) is not wanted:
            share, how = found["immunise"]["share"], ", ".join(found["immunise"]["perturbations"]) or "none"
            raise UserError(
                f"config.{name} was trained with {share:.0%} perturbed images ({how}), so it is not {name}; give "
                "another run folder, or name this one in config.networks"
            )


def _load(name: str, checkpoint: str, config: Mapping[str, Any]) -> Attributor:
    try:
        return Attributor.load(checkpoint)
    except UserError as error:
        if Path(checkpoint).exists():
            raise
        key = name if name in (PLAIN, IMMUNISED) else f"networks.{name}"
        root = config["data"]["root"]
        if not Path(root).exists():
            raise UserError(
                f"config.{key} is {checkpoint}, which is not there, nor are the images in {root}; run "
                "configs/quickstart.py:scratch first, or give a network and --config.data.root=DIR"
            ) from error
        raise UserError(
            f"config.{key} is {checkpoint}, which is not there; give --config.{key}=runs/{name} after "
            f"{training_command(name, config)}"
        ) from error


def _check_unchanged(networks: Mapping[str, Attributor], checkpoints: Mapping[str, str], workdir: Path) -> None:
    """Raises UserError where answers in the run folder are those of other weights than a network has now."""
    digests = {name: attributor.digest for name, attributor in networks.items()}
    begun_with = _once(workdir / "networks.json", lambda: digests)
    for name, digest in digests.items():
        if begun_with.get(name) != digest:
            raise UserError(
                f"the network {name} of {checkpoints[name]} has changed since {workdir} was begun; choose another "
                "--workdir"
            )


def _common(networks: Mapping[str, Attributor]) -> tuple[int, tuple[str, ...]]:
    """Resolution and classes, which all networks must share: only then they meet the same images."""
    (first, one), *others = networks.items()
    for name, other in others:
        if (other.resolution, other.classes) != (one.resolution, one.classes):
            raise UserError(
                f"the networks {first} and {name} do not know the same sources at the same size: "
                f"{', '.join(one.classes)} at {one.resolution}, {', '.join(other.classes)} at {other.resolution}; "
                "compare networks of one labelled folder"
            )
    return one.resolution, one.classes


def _once(path: Path, make: Callable[[], Any]) -> Any:
    """What `make` gives, or gave before the run was stopped."""
    if not path.exists():
        write_json(path, make())
    return json.loads(path.read_text())


def _pairs(workdir: Path, networks: Iterable[str], file: str) -> list[tuple[str, str]]:
    """(name, words) of the images that were refused, or that have a note: the same for every network and attack."""
    path = workdir / "networks" / next(iter(networks)) / perturb.label(CLEAN) / file
    with path.open(newline="") as lines:
        return [(text_of(name), text_of(words)) for name, words in list(csv.reader(lines))[1:]]


def _sentences(config: Mapping[str, Any], folder: labelled.LabelledFolder, no_baselines: str | None) -> list[str]:
    """What the page says of how it was done, beside what it can see from the results."""
    sentences = [f"The images are from {folder.root}; the attacks draw with seed {config['seed']}."]
    if no_baselines:
        return [*sentences, f"No baselines: {no_baselines}."]
    section = config["baselines"]
    sentences.append(f"Baselines were trained on at most {section['images_per_source']:,} images of each source.")
    if section["immunised_methods"]:
        share, how = section["immunise"]["share"], wording.immunised_by(section["immunise"])
        sentences.append(f"Of the immunised ones' training images {share:.0%} were attacked {how}.")
    return sentences
