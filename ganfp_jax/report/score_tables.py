"""The numbers of tools beside each other, which the console and the page of `score` share: rows of text."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ganfp_jax.report import wording
from ganfp_jax.report.table import text_table

SECTIONS = {
    "scores": "Scores, one class against the rest",
    "detection": "Real or not",
    "open_set": "Known sources or unknown ones",
}
SHARES = {
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "ece": "ECE",
    "fpr95": "FPR95",
    "oscr": "OSCR",
    **{f"ccr_at_fpr_{rate}": f"CCR at FPR {rate}%" for rate in (1, 5, 10)},
    "balanced_accuracy": "Balanced accuracy",
    **{f"tpr_at_fpr_{rate}": f"TPR at FPR {rate}%" for rate in (1, 5, 10)},
}
COSTS = {"cllr": "Cllr", "cllr_min": "Least Cllr"}


class Grid(NamedTuple):
    """A table: a title, a header and one row a tool or a pair; the first cell of a row names it."""

    title: str
    heads: list[str]
    rows: list[list[str]]


def measured(block: Mapping[str, Any] | None) -> str:
    """Formats a share with its interval: "98.2% (97.7–98.5)"; "–" where there is none."""
    if block is None or block["value"] is None:
        return "–"
    bounds = f" ({wording.interval(block['ci95'])})" if block["ci95"] else ""
    return f"{wording.percent(block['value'])}{bounds}"


def cost(value: Mapping[str, Any] | float | None) -> str:
    """Formats bits, with an interval where they have one: "0.312 (0.290–0.340)"; "–" where there are none."""
    value = value if isinstance(value, Mapping) else {"value": value, "ci95": None}
    if value["value"] is None:
        return "–"
    bounds = " ({:.3f}–{:.3f})".format(*value["ci95"]) if value["ci95"] else ""
    return f"{value['value']:.3f}{bounds}"


def accuracies(tools: Mapping[str, Mapping[str, Any]]) -> Grid:
    """How often each tool is right."""
    rows = [
        [
            name,
            f"{block['total']:,}",
            _accuracy(block),
            measured(block["balanced_accuracy"]),
            f"{block['rejected']:,}",
            wording.percent(block["least_accuracy"]),
        ]
        for name, block in tools.items()
    ]
    return Grid("Right answers", ["", "n", "Accuracy", "Balanced", "Rejected", "With these wrong"], rows)


def by_class(tools: Mapping[str, Mapping[str, Any]], classes: Sequence[str]) -> Grid:
    """The accuracy of each tool on the images of each of some classes."""
    rows = [
        [name, *(_accuracy(block["per_class"][one]) if one in block["per_class"] else "–" for one in classes)]
        for name, block in tools.items()
    ]
    return Grid("Right answers by source", ["", *classes], rows)


def sections(tools: Mapping[str, Mapping[str, Any]]) -> list[Grid]:
    """The tables of scores, of detection and of unknown sources; those that no tool has are left out."""
    grids = []
    for section, title in SECTIONS.items():
        blocks = {name: block[section] for name, block in tools.items() if block[section]}
        keys = [key for key in (*SHARES, *COSTS) if any(key in block for block in blocks.values())]
        rows = [
            [name, *((measured if key in SHARES else cost)(block.get(key)) for key in keys)]
            for name, block in blocks.items()
        ]
        if rows:
            grids.append(Grid(title, ["", *((SHARES | COSTS)[key] for key in keys)], rows))
    return grids


def pairs(found: Sequence[Mapping[str, Any]]) -> Grid:
    """Two tools on the images that both have answered."""
    rows = [
        [
            f"{pair['second']} against {pair['first']}",
            f"{pair['shared']:,}",
            f"{pair['wrong_to_right']:,}",
            f"{pair['right_to_wrong']:,}",
            wording.p_value(pair["holm_p"]),
            difference(pair["difference"]),
        ]
        for pair in found
    ]
    heads = ["", "Shared", "Only it is right", "Only the other", "Holm p", "Difference in points"]
    return Grid("The same images", heads, rows)


def difference(block: Mapping[str, Any]) -> str:
    """Formats a difference of shares in points: "+3.1 (+1.0 to +5.2)"."""
    bounds = " ({} to {})".format(*(wording.signed(100 * end) for end in block["ci95"])) if block["ci95"] else ""
    return f"{wording.signed(100 * block['value'])}{bounds}"


def score_tables(results: Mapping[str, Any]) -> str:
    """Formats all of it for the console.

    Args:
        results: the content of metrics.json.
    """
    tools = results["tools"]
    grids = [accuracies(tools), *sections(tools), *([pairs(results["pairs"])] if results["pairs"] else [])]
    texts = [
        f"{grid.title}\n\n{text_table(grid.heads, grid.rows, '<' + '>' * (len(grid.heads) - 1))}" for grid in grids
    ]
    return "\n\n".join([*texts, *([results["audit"]["verdict"]] if results["audit"] else [])])


def _accuracy(share: Mapping[str, Any]) -> str:
    if share["accuracy"] is None:
        return "–"
    return f"{wording.percent(share['accuracy'])} ({wording.interval(share['ci95'])})"
