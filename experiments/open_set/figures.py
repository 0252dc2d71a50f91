"""The figures of the protocol: what images of each kind were called, and the AUROC of every score by kind."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.open_set.images import NO_PHOTOGRAPH
from ganfp_jax.report.figures import INK, MARKERS, PALETTE, empty_figure
from ganfp_jax.report.legends import legend_below
from ganfp_jax.report.open_set_figure import draw_called

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]


def draw_verdicts(results: Mapping[str, Any]) -> "Figure":
    """Draws the verdicts on known images, changed ones and those of unknown test kinds.

    Args:
        results: {"rows": the rows of results.jsonl}.
    """
    rows = results["rows"]
    known = next(row for row in rows if row["side"] == "known")
    kinds = {label(row): row for row in shown(rows) if row["side"] != "development"}
    return draw_called({"known": known, "kinds": kinds})


def draw_auroc(results: Mapping[str, Any]) -> "Figure":
    """Draws a line a kind and a marker a score, with 95 % intervals for the score that development kinds chose.

    Args:
        results: as for `draw_verdicts`.
    """
    rows, chosen = shown(results["rows"]), next(row for row in results["rows"] if row["side"] == "choice")
    figure = empty_figure(7.2, 1.2 + 0.26 * len(rows))
    panel = figure.subplots()
    for index, name in enumerate(chosen["mean_auroc"]):
        values = [row["scores"][name]["auroc"]["value"] for row in rows]
        picked = name == chosen["score"]
        panel.plot(values, range(len(rows)), linestyle="", color=PALETTE[index % len(PALETTE)],
                   marker=MARKERS[index % len(MARKERS)], markersize=6.5 if picked else 4.0,
                   label=f"{name} (chosen)" if picked else name)  # fmt: skip
        for place, row in enumerate(rows):
            if picked and (bounds := row["scores"][name]["auroc"]["ci95"]):
                panel.plot(bounds, [place, place], color=PALETTE[index % len(PALETTE)], linewidth=1.4)
    panel.axvline(0.5, color=INK, linewidth=0.8, linestyle=":")
    names = [f"{label(row)} [dev.]" if row["side"] == "development" else label(row) for row in rows]
    panel.set_yticks(range(len(rows)), names)
    panel.invert_yaxis()
    panel.set_xlim(-0.02, 1.02)
    panel.set_xlabel("AUROC of known against these images; 0.5 is chance")
    panel.grid(alpha=0.2, linewidth=0.5, color=INK)
    legend_below(figure, *panel.get_legend_handles_labels(), 4)
    return figure


def shown(rows: Rows) -> list[Mapping[str, Any]]:
    """The rows of a figure: kinds, or the generators of a kind that has several in place of all of it."""
    scored = [row for row in rows if "scores" in row]
    kinds = {(row["side"], row["kind"]) for row in scored if row["generator"]}
    return [row for row in scored if row["generator"] or (row["side"], row["kind"]) not in kinds]


def label(row: Mapping[str, Any]) -> str:
    """What a row is called."""
    if not row["generator"]:
        return row["kind"]
    return row["generator"] if row["kind"] == NO_PHOTOGRAPH else f"{row['kind']}: {row['generator']}"
