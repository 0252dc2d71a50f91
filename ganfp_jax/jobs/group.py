"""The job `group`: images that a network does not know -> groups of one generator each, as lists, tables and a page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ganfp_jax.attribution import grouping
from ganfp_jax.attribution.group_files import enrolments, write_lists
from ganfp_jax.attribution.grouping import Grouping, Member
from ganfp_jax.data import reports
from ganfp_jax.data.cells import cell
from ganfp_jax.data.preprocess import check_resize
from ganfp_jax.data.tiles import Tiling
from ganfp_jax.interop.load import load
from ganfp_jax.report import pages
from ganfp_jax.report.groups_page import text
from ganfp_jax.report.table import csv_text
from ganfp_jax.run import atomic
from ganfp_jax.run.command import command
from ganfp_jax.run.config_keys import require
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.provenance import provenance
from ganfp_jax.run.run_folder import write_json

RESULTS, TABLE = "groups.json", "groups.csv"
COLUMNS = ("image", "verdict", "group", "distance", "silhouette")
SETTINGS = ("of", "threshold", "smallest", "most", "images_per_source", "resize")


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `group`.

    Raises:
        UserError: there is no network or image, or `grouping.group` refuses them.
    """
    require(config, "checkpoint", "data.root")
    if not config["images"]:
        raise UserError("no images: give those to group after --, or as config.images")
    tiling = Tiling(config["tiles"], config["min_luma_std"])
    tiling.check()
    check_resize(config["resize"])
    grouping.check(config["smallest"], config["most"], config["threshold"])
    found = grouping.group(
        load(config["checkpoint"], "attribution"),
        config["images"],
        config["data"]["root"],
        layout=config["data"]["layout"],
        tiling=tiling,
        **{key: config[key] for key in SETTINGS},
    )
    reports.report_rejected(found.refused, workdir)
    commands = enrolments(write_lists(found, workdir), config)
    results = found.to_dict() | {"commands": commands}
    write_json(workdir / RESULTS, results)
    atomic.write_bytes(workdir / TABLE, csv_text(COLUMNS, map(_row, found.members)).encode())
    report = workdir / "report" / "index.html"
    write_page(report, found, results, config)
    print(text(results))
    print(f"\nresults: {workdir / TABLE} and {workdir / RESULTS}  report: {report}")


def write_page(path: Path, found: Grouping, results: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Writes report/index.html of the job `group`."""
    files = [config["images"]] if isinstance(config["images"], str) else config["images"]
    settings = {key: value for key, value in config.items() if key != "images"}
    sheets = [_tiles(found, number) for number in range(1, len(found.groups) + 1)]
    page = {
        "title": "Which unknown images come from one generator?",
        "command": command("group", settings, files=files),
        **provenance(),
        "config": config,
        "classes": list(found.known),
        **results,
        "tiles": sheets,
        "tiles_alone": _tiles(found, 0),
    }
    pages.write_page("groups", page, path)


def _tiles(found: Grouping, number: int) -> np.ndarray | None:
    """What was seen of the members of a group, of those that are alone for 0; None where there is none."""
    tiles = [member.tile for member in found.members if member.group == number]
    return np.stack(tiles) if tiles else None


def _row(member: Member) -> dict[str, Any]:
    sure = {"distance": member.distance, "silhouette": member.silhouette}
    numbers = {key: "" if value is None else f"{value:.3f}" for key, value in sure.items()}
    return {"image": cell(member.name), "verdict": cell(member.verdict), "group": member.group or "", **numbers}
