"""What the pages of the report have in common: templates, filters, confusion matrices."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ganfp_jax.report import wording

FILTERS = {
    "number": "{:,}".format,
    "percent": wording.percent,
    "interval": wording.interval,
    "p_value": wording.p_value,
    "duration": wording.duration,
    "votes": wording.votes,
    "listed": wording.listed,
    "signed": wording.signed,
    "baseline_label": wording.baseline_label,
    "condition_label": wording.condition_label,
    "rule_label": wording.rule_label,
}


def check_keys(results: Mapping[str, Any], required: Iterable[str], where: str = "results") -> None:
    """Raises ValueError that lists the required keys which are not there."""
    missing = [key for key in required if key not in results]
    if missing:
        raise ValueError(f"report: {where} without {', '.join(missing)}")


def render(template: str, **values: Any) -> str:
    """A template of this package as text; whatever is put into it is escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ganfp_jax", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    return environment.get_template(template).render(**values)


def confusion_matrix(title: str, metrics: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """A confusion matrix as the macro `matrix` draws it.

    Args:
        title: its caption.
        metrics: with "confusion", counts; rows target, columns predicted.
        classes: names in the order of rows and columns.
    """
    return {
        "title": title,
        "rows": [
            {
                "target": target,
                "total": sum(row),
                "cells": [
                    {"count": count, "predicted": predicted, "share": count / max(sum(row), 1)}
                    for predicted, count in zip(classes, row, strict=True)
                ],
            }
            for target, row in zip(classes, metrics["confusion"], strict=True)
        ],
    }
