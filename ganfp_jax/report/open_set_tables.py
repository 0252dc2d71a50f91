"""The numbers of an open set as tables, which console and page share: rows of text."""

from collections.abc import Mapping
from typing import Any

from ganfp_jax.report import wording
from ganfp_jax.report.few import MOST
from ganfp_jax.report.score_tables import SHARES, Grid, measured
from ganfp_jax.report.table import text_table

SCORED = ("auroc", "fpr95", "oscr", "ccr_at_fpr_1", "ccr_at_fpr_5", "ccr_at_fpr_10", "balanced_accuracy")
KNOWN = "known sources"
OTHERS = "other sources"
NAMES = 8  # of sources in a table of verdicts, whose columns have to find room


def scores_grid(unknown: Mapping[str, Any]) -> Grid:
    """How well each score tells the images of a kind from known ones: a row for each kind and score.

    Args:
        unknown: the section `unknown` of metrics.json.
    """
    rows = [
        [kind, name, *(measured(numbers[key]) for key in SCORED)]
        for kind, block in unknown["kinds"].items()
        for name, numbers in block["scores"].items()
    ]
    return Grid("Known or unknown, by score", ["", "Score", *(SHARES[key] for key in SCORED)], rows)


def called_grid(unknown: Mapping[str, Any]) -> Grid:
    """What the images of each kind, and the known ones, were called: a row each, in percent of its images."""
    blocks = named_most(unknown)
    heads = ["", "Images", "Generators", *next(iter(blocks.values()))]
    rows = [
        [name, f"{block['images']:,}", _generators(block), *map(wording.percent, called.values())]
        for (name, block), called in zip(_blocks(unknown).items(), blocks.values(), strict=True)
    ]
    return Grid("What they were called", heads, rows)


def named_most(unknown: Mapping[str, Any], most: int = NAMES) -> dict[str, dict[str, float]]:
    """The share of each verdict in the images of each kind and in the known ones.

    Of more than `most` sources, those that unknown images are called most often; the rest are `OTHERS`.

    Returns:
        Kind, or `KNOWN` -> verdict -> share of the images, in one order of verdicts; words that no image got are left
        out.
    """
    blocks = _blocks(unknown)
    *sources, unsure, nobody, nothing = blocks[KNOWN]["called"]
    totals = {name: sum(block["called"][name] for block in unknown["kinds"].values()) for name in sources}
    kept = sorted(sorted(sources, key=lambda name: -totals[name])[:most], key=sources.index)
    words = [word for word in (unsure, nobody, nothing) if any(block["called"][word] for block in blocks.values())]
    shares = {}
    for kind, block in blocks.items():
        counts = {name: block["called"][name] for name in kept}
        if len(kept) < len(sources):
            counts[OTHERS] = sum(block["called"][name] for name in sources if name not in kept)
        counts |= {word: block["called"][word] for word in words}
        shares[kind] = {name: count / block["images"] for name, count in counts.items()}
    return shares


def text(unknown: Mapping[str, Any]) -> str:
    """Formats both tables for the console."""
    grids = [called_grid(unknown), scores_grid(unknown)]
    if len(unknown["kinds"]) > MOST:
        return f"{len(unknown['kinds'])} kinds of unknown sources: see metrics.json"
    return "\n\n".join(
        f"{grid.title}\n\n{text_table(grid.heads, grid.rows, '<<' + '>' * (len(grid.heads) - 2))}" for grid in grids
    )


def _blocks(unknown: Mapping[str, Any]) -> dict[str, Any]:
    return {KNOWN: unknown["known"], **unknown["kinds"]}


def _generators(block: Mapping[str, Any]) -> str:
    number = block.get("generators")
    return "–" if number is None else f"{number:,}"
