"""The control among the baselines: the metadata of files must not give the sources away.

Where they do, no accuracy on these images is evidence of a trace in the pixels, and the page says so first.
"""

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from ganfp_jax.report import wording

CONTROL = "metadata"  # a key of `baselines.BASELINES`
BOX_WIDTH = 100  # letters of a line on the console


def leak_of(baselines: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Returns the control's result on the test set where it is most above chance; None where it never is.

    An accuracy is above chance where its interval lies above the accuracy of guessing.

    Args:
        baselines: [{"name", "metrics": {"accuracy", "ci95", "confusion", ...}}].

    Returns:
        {"control", "accuracy", "ci95", "chance"}.
    """
    leaks = []
    for entry in baselines:
        metrics = entry["metrics"]
        chance, _ = wording.guess(metrics["confusion"])
        if _is_control(entry) and metrics["ci95"][0] > chance:
            numbers = {"accuracy": metrics["accuracy"], "ci95": list(metrics["ci95"]), "chance": chance}
            leaks.append({"control": entry["name"], **numbers})
    return max(leaks, key=lambda leak: leak["accuracy"] - leak["chance"], default=None)


def best_baseline(baselines: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Returns the most accurate of the methods that use the pixels; None where there is none."""
    methods = (entry for entry in baselines if not _is_control(entry))
    return max(methods, key=lambda entry: entry["metrics"]["accuracy"], default=None)


def leak_sentence(leak: Mapping[str, Any]) -> str:
    """Says what a leak means, for the head of a page and of the console."""
    return (
        "LEAK: something other than the pixels gives the sources away. What the files say without their pixels "
        f"(format, sizes, settings, text) names {wording.percent(leak['accuracy'])} of the sources "
        f"({wording.interval(leak['ci95'])}), where chance is {wording.percent(leak['chance'])}. No accuracy here says "
        "anything of traces in the images. configs/audit.py names what it is and can write an equalised copy."
    )


def leak_box(leak: Mapping[str, Any]) -> str:
    """Puts the sentence of a leak in a box for the console."""
    lines = textwrap.wrap(leak_sentence(leak), BOX_WIDTH - 4)
    rule = f"+{'-' * (BOX_WIDTH - 2)}+"
    return "\n".join([rule, *(f"| {line:<{BOX_WIDTH - 4}} |" for line in lines), rule])


def _is_control(entry: Mapping[str, Any]) -> bool:
    return entry["name"] == CONTROL
