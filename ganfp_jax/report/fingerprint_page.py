"""The fingerprint page: the fingerprints of images, and how far they separate the sources."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ganfp_jax.report import figures, fingerprint_figures, rendering, wording
from ganfp_jax.report.few import what_is_shown, with_responses
from ganfp_jax.report.results import check_keys
from ganfp_jax.report.table import CONTROLS

MEASURES = (("frechet_ratio",), ("verification", "auc"), ("verification", "eer"))


def values(results: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the template's values of `results.FingerprintPage`.

    Raises:
        ValueError: a name is none of the classes, or a list has a wrong length.
    """
    from markupsafe import Markup

    check(results)
    classes, separability = list(results["classes"]), results["separability"]
    every = results["metrics"]["classes"]
    responding = with_responses(results)
    curves = any(_roc(part) for row in separability.values() for part in (row, row["control"]))
    chance, guess = wording.guess(results["metrics"]["confusion"])
    return {
        "chance": chance,
        "guess": guess,
        "findings": list(_findings(results)),
        "models": [rendering.picture(model) for model in responding["models"]],
        "samples": [rendering.response_row(sample, responding["classes"]) for sample in responding["samples"]],
        "few": what_is_shown(classes, every, "metrics.json"),
        "every": every,
        "columns": responding["classes"],
        "confusion": rendering.confusion_matrix("Confusion matrix, in images", results["metrics"], every, classes),
        "interactions": _interactions(results["interactions"], classes),
        "cosine": _signed_matrix(results["cosine"], results["cosine"], classes, 1.0, 2),
        "embedding": rendering.fingerprint_map(results["embedding"], classes),
        "spectra": [
            _spectra(results, kind) for kind in ("images", "fingerprints") if results["spectra"][kind] is not None
        ],
        "separability": [
            [{"name": name, "is_control": part is not row, **_measured(part)} for name, part in _parts(space, row)]
            for space, row in separability.items()
        ],
        "halves": any(row["control"] is not None for row in separability.values()),
        "photographs": any(row["photographs"] is not None for row in separability.values()),
        "roc": Markup(figures.drawing(fingerprint_figures.draw_roc, results)) if curves else None,
    }


def check(results: Mapping[str, Any]) -> None:
    """Raises ValueError where parts of `results.FingerprintPage` contradict each other."""
    spectra, classes, every = results["spectra"], results["classes"], results["metrics"]["classes"]
    for kind in ("images", "fingerprints"):
        for name, table in ((kind, spectra[kind]), (f"profiles.{kind}", spectra["profiles"][kind])):
            if kind == "images" or spectra["fingerprints"] is not None:
                check_keys(table or {}, classes, f"spectra.{name}")
    if [name for name in every if name in classes] != list(classes):
        raise ValueError("report: the metrics have other classes or another order than the results")
    if len({len(part) for part in results["embedding"].values()}) > 1:
        raise ValueError("report: points, labels and wrong of the embedding are not of one length")
    lists = {key: results[key] for key in ("models", "interactions", "cosine")}
    for number, sample in enumerate(results["samples"]):
        lists |= {f"samples[{number}].{key}": sample[key] for key in ("responses", "logits")}
        for key in ("target", "predicted"):
            if sample[key] not in every:
                raise ValueError(f"report: samples[{number}].{key} {sample[key]!r} is none of the classes")
    for name, entries in lists.items():
        if len(entries) != len(classes):
            raise ValueError(f"report: {name} has {len(entries)} entries for {len(classes)} classes")


def _findings(results: Mapping[str, Any]) -> Iterable[str]:
    """Yields the findings, those that weaken the numbers first, then the caller's notes."""
    chance, guess = wording.guess(results["metrics"]["confusion"])
    if results["metrics"]["ci95"][0] <= chance:
        yield f"Within its interval the network is no better than {guess}."
    yield from results["notes"]


def _parts(space: str, row: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Yields a feature space and its controls with the names of their rows."""
    yield space, row
    for key, name in CONTROLS.items():
        if row[key] is not None:
            yield f"control: {name}", row[key]


def _interactions(values: Any, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Subtracts the mean of each row, since a number that is added to all logits of an image changes no verdict."""
    raw = np.asarray(values, float)
    centred = raw - raw.mean(axis=1, keepdims=True)
    return _signed_matrix(centred, raw, classes, float(np.abs(centred).max()), 1)


def _signed_matrix(
    values: Any, raw: Any, classes: Sequence[str], limit: float | int, digits: int
) -> list[dict[str, Any]]:
    """Returns rows of cells: the text, the strength of its shade (0 to 1), the side of zero, and the raw value."""
    return [
        {
            "name": name,
            "cells": [
                {
                    "text": wording.signed(float(value), digits),
                    "raw": wording.signed(float(whole), 2),
                    "strength": round(min(abs(float(value)) / max(limit, 1e-9), 1), 3),
                    "side": "minus" if value < 0 else "plus",
                    "name": column,
                }
                for column, value, whole in zip(classes, row, raw_row, strict=True)
            ],
        }
        for name, row, raw_row in zip(classes, values, raw, strict=True)
    ]


def _spectra(results: Mapping[str, Any], kind: str) -> dict[str, Any]:
    from markupsafe import Markup

    spectra = results["spectra"][kind]
    low, high = fingerprint_figures.spectrum_limits(spectra)
    ramp = fingerprint_figures.spectrum_picture(np.linspace(low, high, 9)[None], low, high)[0]
    return {
        "kind": kind,
        "low": low,
        "high": high,
        "ramp": ", ".join(f"rgb({red} {green} {blue})" for red, green, blue in ramp.tolist()),
        "pictures": [
            {"source": name, **rendering.picture(fingerprint_figures.spectrum_picture(spectra[name], low, high), 128)}
            for name in results["classes"]
        ],
        "profiles": Markup(figures.drawing(lambda data: fingerprint_figures.draw_profiles(data, kind), results)),
    }


def _measured(row: Mapping[str, Any] | None) -> dict[str, Any]:
    row = row or {}
    return {"n": row.get("n"), "dimension": row.get("dimension"), "measures": [_measure(row, p) for p in MEASURES]}


def _measure(row: Mapping[str, Any], place: Sequence[str]) -> Mapping[str, Any] | None:
    """Returns {"value", "ci95"} at a place inside a row, or None where the value or a part of the way is None."""
    value: Any = row
    for key in place:
        value = (value or {}).get(key)
    return {"ci95": None, **value} if value and value["value"] is not None else None


def _roc(row: Mapping[str, Any] | None) -> Any:
    return ((row or {}).get("verification") or {}).get("roc")
