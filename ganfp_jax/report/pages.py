"""The pages of the report: each is one HTML file that opens without a network and without a script."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ganfp_jax.report import (
    ablation_page,
    comparison_page,
    evaluation_page,
    evidence_page,
    fingerprint_page,
    groups_page,
    rendering,
    results,
    robustness_page,
    score_page,
)
from ganfp_jax.run import atomic


class Kind(NamedTuple):
    """A kind of page: the schema of its results, and the values for its template, `<name>.html.j2`."""

    schema: Any
    values: Callable[[Mapping[str, Any]], dict[str, Any]]


PAGES = {
    "evaluation": Kind(results.EvaluationPage, evaluation_page.values),
    "ablation": Kind(results.AblationPage, ablation_page.values),
    "robustness": Kind(results.RobustnessPage, robustness_page.values),
    "fingerprints": Kind(results.FingerprintPage, fingerprint_page.values),
    "comparison": Kind(comparison_page.ComparisonPage, comparison_page.values),
    "groups": Kind(groups_page.GroupsPage, groups_page.values),
    "score": Kind(results.ScorePage, score_page.values),
    "evidence": Kind(evidence_page.EvidencePage, evidence_page.values),
    "evidence_index": Kind(evidence_page.IndexPage, evidence_page.index_values),
}


def write_page(name: str, content: Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Writes a page and returns its path; an older page is replaced atomically.

    Args:
        name: a key of `PAGES`.
        content: the results by the page's schema; lists and dicts may be empty.
        path: the HTML file; its folder is made.

    Raises:
        ValueError: keys are missing, or parts contradict each other.
        UserError: a picture cannot be read.
    """
    path = Path(path)
    pieces = _pieces(name, content)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.writer(path) as file:
        for piece in pieces:
            file.write(piece.encode())
    return path


def render(name: str, content: Mapping[str, Any]) -> str:
    """Returns the page of `write_page` as text."""
    return "".join(_pieces(name, content))


def _pieces(name: str, content: Mapping[str, Any]) -> Iterator[str]:
    """Checks the results, and returns an iterator of the pieces of the page."""
    results.check(content, PAGES[name].schema)
    config = json.dumps(content["config"], indent=2, ensure_ascii=False, default=str)
    values = {"results": content, "config": config, **PAGES[name].values(content)}
    return rendering.pieces(f"{name}.html.j2", **values)
