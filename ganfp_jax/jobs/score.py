"""The job `score`: what any tools said of labelled images, as CSV files -> metrics with intervals, and one page.

The way of a table: `data.tables` reads it, `attribution.tool_answers` makes arrays of it and says which rows are no
use, `attribution.scoring` measures, `report` shows.
"""

from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganfp_jax.attribution.predictions import METRICS, PREDICTIONS
from ganfp_jax.attribution.scoring import METHOD, compare, score
from ganfp_jax.attribution.tool_answers import Columns, Task, ToolAnswers, read_answers
from ganfp_jax.audit.sample import list_files, read_sample
from ganfp_jax.audit.verdict import judge, overall
from ganfp_jax.data import labelled, reports
from ganfp_jax.data.listing import printable
from ganfp_jax.report import pages
from ganfp_jax.report.score_tables import score_tables
from ganfp_jax.run.command import command
from ganfp_jax.run.config_keys import require
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.provenance import provenance
from ganfp_jax.run.run_folder import write_json

SOME = 3  # rejected rows that the console shows


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `score`."""
    require(config, "predictions")
    check(config)
    folder = _folder(**config["data"])
    tools = [_placed(answers, folder) for answers in _read(config)]
    pairs = compare(tools, repeats=config["repeats"], seed=config["seed"])  # first, since it may refuse them
    settings = {key: config[key] for key in ("real", "bins", "repeats", "seed")}
    results = {
        "tools": {answers.tool: score(answers, **settings) for answers in tools},
        "pairs": pairs,
        "audit": None if folder is None else _audit(folder, config["audit"], config["seed"]),
        "method": METHOD,
    }
    report = workdir / "report" / "index.html"
    report.unlink(missing_ok=True)  # it may show other answers
    _write_rejected(tools, workdir)
    write_json(workdir / METRICS, results)
    write_page(report, results, config)
    print(score_tables(results))
    print(f"\nmetrics: {workdir / METRICS}  report: {report}")


def check(config: Mapping[str, Any]) -> None:
    """Raises UserError for impossible settings."""
    if min(config["bins"], config["repeats"]) < 1:
        raise UserError(f"config.bins is {config['bins']}, config.repeats {config['repeats']}; give 1 or more of each")
    audit = config["audit"]
    if not 2 <= audit["folds"] <= audit["files_per_source"]:
        raise UserError(
            f"config.audit.folds is {audit['folds']}, config.audit.files_per_source {audit['files_per_source']}; give "
            "2 folds or more, and at least as many files"
        )


def several(value: str | Sequence[str]) -> list[str]:
    """Returns the values of a key that takes a tuple, or a text in which commas separate them."""
    values = value.split(",") if isinstance(value, str) else value
    return [one.strip() for one in values if one.strip()]


def tool_names(paths: Sequence[Path], given: Sequence[str]) -> list[str]:
    """Returns what the tools are called: the given names, else those of the files and run folders.

    Raises:
        UserError: the names are not as many as the files, or not different.
    """
    short = [path.parent.name if path.name == PREDICTIONS and path.parent.name else path.stem for path in paths]
    names = list(given) or (short if len(set(short)) == len(short) else list(map(str, paths)))
    names = [printable(name) for name in names]
    if len(names) != len(paths) or len(set(names)) < len(names):
        raise UserError(
            f"config.names is {', '.join(names)} for {', '.join(map(str, paths))}; give each file a name of its own"
        )
    return names


def _read(config: Mapping[str, Any]) -> list[ToolAnswers]:
    columns, task = Columns(**config["columns"]), _task(config)
    paths = [Path(path) for path in several(config["predictions"])]
    named = zip(paths, tool_names(paths, several(config["names"])), strict=True)
    return [read_answers(path, name, columns, task) for path, name in named]


def _task(config: Mapping[str, Any]) -> Task:
    classes, unknown = (tuple(several(config[key])) for key in ("classes", "unknown"))
    if wrong := next((name for name in classes if name in unknown or classes.count(name) > 1), None):
        raise UserError(f"config.classes has {wrong!r} twice, or config.unknown has it too; name each source once")
    return Task(classes, unknown, config["real"], config["threshold"])


def _folder(root: str, layout: str) -> labelled.LabelledFolder | None:
    return labelled.open_labelled(root, split="test", layout=layout) if root else None


def _placed(answers: ToolAnswers, folder: labelled.LabelledFolder | None) -> ToolAnswers:
    """The answers with names as the folder has them, and with the photographs that its manifest lists.

    Raises:
        UserError: none of the images is in the folder.
    """
    if folder is None:
        return answers
    origins = dict(zip(folder.names, labelled.origins(folder), strict=True))
    beginnings = tuple(f"{place}/" for place in (folder.root.as_posix(), folder.root.name))
    names = [_inside(name, beginnings, origins) for name in answers.names]
    found = sum(name in origins for name in names)
    if not found:
        raise UserError(
            f"none of the images of {answers.tool} is in {folder.root} (which has {folder.names[0]!r}, not "
            f"{names[0]!r}); give the folder in which the paths begin as config.data.root, or none"
        )
    if found < len(names):
        print(f"{answers.tool}: {len(names) - found:,} of {len(names):,} images are not in {folder.root}")
    groups = answers.groups
    if groups is None and any(origin != name for name, origin in origins.items()):
        groups = [origins.get(name, name) for name in names]
    return answers._replace(names=names, groups=groups)


def _inside(name: str, beginnings: Sequence[str], known: Container[str]) -> str:
    """The name without the first of the `beginnings` that leaves a known one."""
    shorter = [name.removeprefix(beginning) for beginning in ("", *beginnings)]
    return next((one for one in shorter if one in known), name)


def _audit(folder: labelled.LabelledFolder, settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Whether anything but a fingerprint gives the sources of the images away; the job `audit` tells more."""
    files_per_source, folds = settings["files_per_source"], settings["folds"]
    facts, sample, _ = read_sample(
        list_files({"": folder}),
        len(folder.classes),
        root=str(folder.root),
        files_per_source=files_per_source,
        folds=folds,
        seed=seed,
    )
    findings = judge(
        facts,
        np.array([file.label for file in sample]),
        folder.classes,
        [file.origin for file in sample],
        **{key: settings[key] for key in ("folds", "alpha", "min_gain")},
        seed=seed,
    )
    return {
        "root": str(folder.root),
        "files_tested": len(sample),
        "verdict": overall(findings),
        "leak": any(finding.verdict == "leak" for finding in findings),
        "kinds": [
            {key: getattr(one, key) for key in ("kind", "accuracy", "ci95", "chance", "p_holm", "verdict", "says")}
            for one in findings
        ],
    }


def _write_rejected(tools: Sequence[ToolAnswers], workdir: Path) -> None:
    """Lists the rows that cannot be used, and says how many there are of each tool."""
    (workdir / "rejected.csv").unlink(missing_ok=True)
    rejected = [(name, f"{answers.tool}, {reason}") for answers in tools for name, reason in answers.rejected]
    if not rejected:
        return
    reports.write_rejected(workdir / "rejected.csv", rejected)
    for answers in tools:
        if answers.rejected:
            number, total = len(answers.rejected), len(answers.rejected) + len(answers.names)
            print(f"{answers.tool}: {number:,} of {total:,} rows cannot be used: {workdir / 'rejected.csv'}")
            for name, reason in answers.rejected[:SOME]:
                print(f"  {name or 'a row'}: {reason}")


def write_page(path: Path, results: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Writes report/index.html of the job `score`."""
    classes = dict.fromkeys(name for block in results["tools"].values() for name in block["per_class"])
    page = {
        "title": "Which tool names the sources best?" if results["pairs"] else "How well does it name the sources?",
        "command": command("score", config),
        **provenance(),
        "config": config,
        "classes": list(classes),
        **results,
    }
    pages.write_page("score", page, path)
