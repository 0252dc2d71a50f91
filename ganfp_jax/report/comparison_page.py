"""The page of `compare`, its words and its table: a likelihood ratio and what it rests on."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ganfp_jax.report import figures, wording
from ganfp_jax.report.results import Page
from ganfp_jax.report.table import text_table
from ganfp_jax.report.tippett_figure import draw_tippett

LEVELS = ((2, "no"), (10, "weak"), (100, "moderate"), (1000, "moderately strong"), (10_000, "strong"))
"""Ratios below which the support has these words, by ENFSI's guideline for evaluative reporting (2015)."""
FEW = 10  # photographs of a source, below which a bootstrap of them makes intervals too short
LIMITS = (
    "It is no probability that one generator made all of them: for that, it is multiplied with the odds before the "
    "images were looked at.",
    "Images that are parts of one photograph, or were saved and resized in one way, are alike without a generator: "
    "then the ratio is too high.",
    "Generators that differ less than the known sources do are taken for one more often than it says.",
)


class ComparisonPage(Page):
    """The page of `compare`: the content of its comparison.json, and more. `classes` are the known sources."""

    ratio: float
    ci95: Sequence[float] | None
    bounds: Sequence[float]
    reference: Sequence[Sequence[str]]
    images: Sequence[Sequence[str]]
    refused: Sequence[Sequence[str]]
    known: Mapping[str, Mapping[str, int]]
    trials: Mapping[str, int]
    validity: Mapping[str, Mapping[str, Any]]
    tippett: Mapping[str, Sequence[float]]
    digest: str


def values(results: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the template's values of a `ComparisonPage`."""
    from markupsafe import Markup

    return {
        "sentence": sentence(results["ratio"]),
        "findings": findings(results),
        "limits": LIMITS,
        "rows": rows(results),
        "drawing": Markup(figures.drawing(draw_tippett, {"tippett": results["tippett"]})),
    }


def sentence(ratio: float) -> str:
    """What a likelihood ratio says."""
    times = max(ratio, 1 / ratio)
    support = next((word for below, word in LEVELS if times < below), "very strong")
    one, two = "one generator made both", "two generators made them"
    if support == "no":
        return f"Images and reference are about as probable where {one} as where {two}: no support for either."
    more, less = (one, two) if ratio > 1 else (two, one)
    return f"Images and reference are {times:.3g} times as probable where {more} as where {less}: {support} support."


def findings(results: Mapping[str, Any]) -> list[str]:
    """Returns what the ratio rests on, in sentences."""
    trials, known = results["trials"], results["known"]
    said = [
        f"The sources of the trials are {wording.listed(list(known))}: two generators means two of these, and one "
        "generator one of these. For others it holds as far as they are like them."
    ]
    if any(math.isclose(results["ratio"], bound) for bound in results["bounds"]):
        said.append(
            f"The ratio stands at its bound: the trials count as {trials['independent']:,} independent ones "
            "of each kind, which support no more."
        )
    few = [name for name, of in known.items() if of["photographs"] < FEW]
    if few:
        said.append(f"Of {wording.listed(few)} there are fewer than {FEW} photographs: the intervals are too short.")
    return said


def rows(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns (what, number) for the page and the console."""
    low, high = results["bounds"]
    trials = results["trials"]
    return [
        ("likelihood ratio", f"{results['ratio']:.3g}{_between(results['ci95'])}"),
        ("supported by the trials (ELUB)", f"{low:.3g} to {high:.3g}"),
        ("images, as one case", f"{len(results['images']):,}"),
        ("reference", f"{len(results['reference']):,}"),
        *((name, _cost(results["validity"][key])) for name, key in (("Cllr", "cllr"), ("least Cllr", "cllr_min"))),
        ("trials of one source, of two", f"{trials['same']:,}, {trials['different']:,}"),
    ]


def text(results: Mapping[str, Any]) -> str:
    """Formats it for the console."""
    (what, number), *others = rows(results)
    paragraphs = [sentence(results["ratio"]), *findings(results), *LIMITS]
    return "\n\n".join([text_table([what, number], others), *paragraphs])


def _cost(measure: Mapping[str, Any]) -> str:
    return f"{measure['value']:.3f}{_between(measure['ci95'])}"


def _between(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f" ({ends[0]:.3g} to {ends[1]:.3g})"
