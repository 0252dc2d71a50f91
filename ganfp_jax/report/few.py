"""The choice of sources for a page where there are too many: a table of all pairs grows with their square."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MOST = 30  # sources on a page
COLUMNS = 10  # sources whose responses a page shows: a picture for every image and source


def most_confused(
    metrics: Mapping[str, Any], most: int = MOST, *, classes: Sequence[str] = (), always: str = ""
) -> list[str]:
    """Returns the names of the `most` sources with the most mistakes, in index order; all names if they are fewer.

    A mistake counts for the source of the image and for the predicted source.

    Args:
        metrics: with "confusion" (rows target, columns predicted) and, unless `classes` are given, "classes".
        most: at least 1.
        classes: all names in the order of the confusion matrix.
        always: a source that is always shown, "" for none.
    """
    names = list(classes or metrics["classes"])
    if len(names) <= most:
        return names
    counts = np.array(metrics["confusion"])
    mistakes = counts.sum(0) + counts.sum(1) - 2 * np.diagonal(counts)
    order = sorted(range(len(names)), key=lambda k: (names[k] != always, -mistakes[k], k))
    return [names[k] for k in sorted(order[:most])]


def what_is_shown(names: Sequence[str], classes: Sequence[str], file: str) -> str:
    """Returns the sentence for a page that leaves sources out, "" where it shows all.

    Args:
        names: the names on the page.
        classes: all names.
        file: the file with all numbers.
    """
    if len(names) == len(classes):
        return ""
    return f"Of the {len(classes):,} sources the {len(names)} that are confused most are shown; {file} has all."


def with_responses(results: Mapping[str, Any]) -> dict[str, Any]:
    """Restricts the results of an inspection to the classes, models and samples whose responses are shown.

    These are all of them or, of more than `COLUMNS` sources, the most confused ones with one sample each.

    Args:
        results: a `results.FingerprintPage`.
    """
    classes, fewer = list(results["classes"]), dict(results)
    columns = [name for name in most_confused(results["metrics"], COLUMNS) if name in classes] or classes[:COLUMNS]
    if len(columns) < len(classes):
        places = [classes.index(name) for name in columns]
        firsts = {sample["target"]: sample for sample in reversed(results["samples"])}
        fewer |= {"classes": columns, "models": [results["models"][k] for k in places]}
        fewer["samples"] = [
            {**firsts[name], **{key: [firsts[name][key][k] for k in places] for key in ("responses", "logits")}}
            for name in columns
            if name in firsts
        ]
    return fewer
