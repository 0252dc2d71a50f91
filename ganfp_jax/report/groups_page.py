"""The page of `group`, its words and its tables: groups of unknown images, and what they rest on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ganfp_jax.report import wording
from ganfp_jax.report.grid import image_grid
from ganfp_jax.report.rendering import picture
from ganfp_jax.report.results import Page
from ganfp_jax.report.table import text_table

SHOWN = 60  # images of a group on the page
COLUMNS = 12
WIDTH = 600  # pixels of a sheet on the page
LIMITS = (
    "Images of one generator may fall into several groups, and those of two that are alike into one: how often, "
    "experiments/grouping has measured.",
    "Images that are of one subject, or were saved and resized in one way, are alike without a generator.",
    "A group is no proof that a generator made its images; the network only says that none that it knows did.",
)


class GroupsPage(Page):
    """The page of `group`: the content of its groups.json, and pictures. `classes` are the known sources."""

    images: int
    groups: Sequence[Mapping[str, Any]]
    alone: Sequence[str]
    refused: Sequence[Sequence[str]]
    verdicts: Mapping[str, int]
    of: Sequence[str]
    known: Mapping[str, int]
    threshold: float
    smallest: int
    digest: str
    commands: Sequence[str]
    """That enrol each group; "" where that cannot be."""
    tiles: Sequence[np.ndarray]
    """(n, r, r, 3), of each group, the most central first."""
    tiles_alone: np.ndarray | None


def values(results: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the template's values of a `GroupsPage`."""
    sheets = zip(results["groups"], results["tiles"], results["commands"], strict=True)
    return {
        "sentence": sentence(results),
        "findings": findings(results),
        "limits": LIMITS,
        "rows": rows(results),
        "groups": [{**of, "sheet": _sheet(tiles), "command": command} for of, tiles, command in sheets],
        "sheet_alone": None if results["tiles_alone"] is None else _sheet(results["tiles_alone"]),
        "shown": SHOWN,
    }


def _sheet(tiles: np.ndarray) -> dict[str, Any]:
    """The first images side by side, for the macro `picture`."""
    sheet = image_grid(tiles[:SHOWN], COLUMNS, gap=max(1, tiles.shape[1] // 16))
    return picture(sheet, side=min(WIDTH, 2 * max(sheet.shape[:2])))


def sentence(results: Mapping[str, Any]) -> str:
    """How many groups there are of how many images."""
    count, images, alone = len(results["groups"]), results["images"], len(results["alone"])
    if not count:
        return f"None of {images:,} images are enough alike to be of one generator: all are alone."
    one = count == 1
    return (
        f"{images - alone:,} of {images:,} images fall into {count} group{'' if one else 's'}, as of "
        f"{'one generator' if one else f'{count} generators'}; {alone:,} {'is' if alone == 1 else 'are'} alone."
    )


def findings(results: Mapping[str, Any]) -> list[str]:
    """Returns what the groups rest on, in sentences."""
    said = [f"{number:,} {verdict}" for verdict, number in results["verdicts"].items()]
    found = [f"The network's verdicts: {wording.listed(said)}. Grouped were those with: {', '.join(results['of'])}."]
    if len(results["groups"]) > 1:
        found.append("A silhouette says how much nearer images are to their own group than to the next one, 1 to -1.")
    return found


def rows(results: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """Returns (group, images, mean distance, mean silhouette, most central image) of each group."""
    return [
        (
            str(of["group"]),
            f"{of['images']:,}",
            f"{of['distance']:.2f}",
            "–" if of["silhouette"] is None else f"{of['silhouette']:.2f}",
            of["central"],
        )
        for of in results["groups"]
    ]


def text(results: Mapping[str, Any]) -> str:
    """Formats it for the console."""
    parts = [sentence(results), *findings(results)]
    if results["groups"]:
        heads = ["group", "images", "mean distance", "mean silhouette", "most central image"]
        parts.insert(1, text_table(heads, rows(results), align=">>>><"))
    parts += LIMITS
    commands = [line for line in results["commands"] if line]
    if commands:
        parts.append("\n".join(["To give a group a name:", *commands]))
    return "\n\n".join(parts)
