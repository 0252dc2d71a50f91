"""The part of a page on images of unknown sources."""

from collections.abc import Iterable, Mapping
from typing import Any

from ganfp_jax.report import figures, open_set_figure, rendering, wording
from ganfp_jax.report.few import MOST
from ganfp_jax.report.open_set_tables import called_grid, scores_grid

FEW_GENERATORS = 10  # with fewer, a bootstrap of generators makes its intervals too short
METHOD = (
    "A score is high for images of known sources. AUROC: the chance that a known image scores higher than one of the "
    "kind; 50% says nothing. FPR95: the share of the kind that is accepted where 95% of the known images are. CCR: the "
    "share of the known images that are accepted and named rightly, at a threshold that accepts 1, 5 or 10% of the "
    "kind; OSCR: the area under CCR over FPR. Balanced accuracy: the mean of CCR and the refused share of the kind, at "
    "the threshold of FPR95. In brackets: 95% intervals by a bootstrap of whole generators, where a kind has several "
    "in folders of their own, and of photographs. A score that is chosen by these numbers does worse on other kinds."
)


def part(unknown: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Returns the template's values of `results.Unknown`; None without images of unknown sources."""
    from markupsafe import Markup

    if unknown is None or not unknown["metrics"]["kinds"]:
        return None
    metrics = _fewer(unknown["metrics"])
    kinds = metrics["kinds"]
    return {
        "metrics": unknown["metrics"],
        "called": called_grid(metrics),
        "scores": scores_grid(metrics),
        "method": METHOD,
        "notes": list(_notes(unknown["metrics"], kinds)),
        "bars": Markup(figures.drawing(open_set_figure.draw_called, metrics)),
        "curves": Markup(figures.drawing(open_set_figure.draw_curves, unknown)),
        "drawn": wording.listed(list(unknown["curves"])[: open_set_figure.PANELS]),
        "samples": rendering.samples({kind: sample for kind, sample in unknown["samples"].items() if kind in kinds}),
    }


def _fewer(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics with as many kinds as a page shows: the first ones."""
    return {**metrics, "kinds": dict(list(metrics["kinds"].items())[:MOST])}


def _notes(metrics: Mapping[str, Any], shown: Mapping[str, Any]) -> Iterable[str]:
    """Yields what the numbers do not say."""
    kinds = metrics["kinds"]
    if len(shown) < len(kinds):
        yield f"Of {len(kinds):,} kinds the first {len(shown)} are shown; metrics.json has all."
    few = {kind: block["generators"] for kind, block in kinds.items() if block["generators"]}
    if scarce := [f"{number} of {kind}" for kind, number in few.items() if number < FEW_GENERATORS]:
        yield f"Few generators: there are {wording.listed(scarce)}, so of others expect more than these intervals."
    if alone := [kind for kind, block in kinds.items() if not block["generators"]]:
        yield f"The images of {wording.listed(alone)} count as independent, and say nothing of other generators."
