"""The figure of the experiment: the votes for the named source, of images that were named rightly and wrongly."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ganfp_jax.attribution.stability import LADDER, UNPROCESSED, strength
from ganfp_jax.report import stability_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_shares(results: Mapping[str, Any]) -> "Figure":
    """Draws the mean share of the views for the named source by condition and by whether it was right.

    Args:
        results: {"rows": those of results.jsonl}.
    """
    there = {name for row in results["rows"] for of in row["curves"].values() for name in of}
    ladder = {family: [name for name in names if name in there] for family, names in LADDER.items()}
    ladder = {family: names for family, names in ladder.items() if names}
    curves = [
        stability_figure.Curve(
            f"{row['condition']}, named {how}",
            of[UNPROCESSED]["share"],
            {family: [of[name]["share"] for name in names] for family, names in ladder.items()},
            {family: [True] * len(names) for family, names in ladder.items()},
        )
        for row in results["rows"]
        for how, of in row["curves"].items()
        if of
    ]
    strengths = {family: [strength(name) for name in names] for family, names in ladder.items()}
    return stability_figure.draw(strengths, curves, "views for it, %")
