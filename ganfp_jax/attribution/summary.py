"""The verdicts on many images as the console tells them: tables, and lines that say what they promise."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganfp_jax.attribution import promises
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.verdict import NOTHING, UNKNOWN, UNSURE, Attribution, doubt
from ganfp_jax.interop.weights import CALIBRATION
from ganfp_jax.report import wording
from ganfp_jax.report.table import text_table


def verdict_table(verdicts: Sequence[tuple[str, Attribution]]) -> str:
    """Formats one line an image for the console; typicality and claims have a column where any image has one."""
    typical = any(verdict.typicality is not None for _, verdict in verdicts)
    claiming = any(verdict.claims for _, verdict in verdicts)

    def cells(name: str, verdict: Attribution) -> tuple[str, ...]:
        if verdict.verdict == NOTHING:
            return name, NOTHING, *[""] * (5 if typical else 4), verdict.note, *claims(verdict)
        lead_too_small = verdict.verdict == UNSURE and not doubt(UNSURE, verdict.predicted, verdict.sources)
        return (
            name,
            f"{UNSURE} ({verdict.predicted}?)" if lead_too_small else verdict.verdict,
            wording.percent(verdict.confidence),
            f"{verdict.votes.get(verdict.predicted, 0)} of {sum(verdict.votes.values())}",
            f"{verdict.margin:.2f}",
            f"{verdict.distance:.2f}",
            *([wording.p_value(verdict.typicality)] if verdict.typicality is not None else []),
            verdict.note,
            *claims(verdict),
        )

    def claims(verdict: Attribution) -> list[str]:
        return ["; ".join(filter(None, [*verdict.claims, verdict.disagreement]))] * claiming

    headers = ["image", "verdict", "probability", "votes", "margin", "distance", *["typicality"] * typical, "note"]
    headers += ["claims"] * claiming
    return text_table(headers, [cells(*item) for item in verdicts], align=f"<<>>>>{'>' * typical}<")


def counts_table(counts: Mapping[str, int], classes: Sequence[str]) -> str:
    """Formats the number of images of each verdict for the console."""
    total = sum(counts.values())
    verdicts = [*classes, *(word for word in (UNSURE, UNKNOWN, NOTHING) if counts[word])]
    rows = [(name, counts[name], wording.percent(counts[name] / total if total else None)) for name in verdicts]
    return text_table(["verdict", "images", "share"], [*rows, ("all", total, "")], align="<>>")


def closing_lines(attributor: Attributor, config: Mapping[str, Any]) -> list[str]:
    """Says what the verdicts promise, and that there are other sources than the known ones."""
    calibration = attributor.calibration_for(config["views"], config["rule"])
    typical = None if calibration is None else calibration.typical
    return [
        calibration_line(attributor, config),
        *([] if typical is None else [promises.promised(typical)]),
        promises.about_sources(attributor.classes, typical),
    ]


def calibration_line(attributor: Attributor, config: Mapping[str, Any]) -> str:
    """Says in one line which verdicts are "unsure", or why none is."""
    known = attributor.calibration
    calibration = attributor.calibration_for(config["views"], config["rule"])
    if calibration is not None:
        return promises.about_unsure(calibration)
    if known is not None:
        return (
            f"No verdict is {UNSURE}: the network was calibrated for {known.rule} of {', '.join(known.views)}, not for "
            "these views and this rule; vote with those, or calibrate for these with configs/calibrate.py."
        )
    stale = (Path(config["checkpoint"]) / CALIBRATION).is_file()
    why = f"its {CALIBRATION} is of other weights" if stale else "this network is not calibrated"
    return (
        f"No verdict is {UNSURE}: {why}; do that with labelled images: --config=configs/calibrate.py "
        f"--config.checkpoint={config['checkpoint']} --config.data.root=DIR"
    )


def claims_lines(told: Mapping[str, int]) -> list[str]:
    """Says how many files say how they were made, and how many of them disagree; nothing where none does."""
    if not told.get("claims"):
        return []
    number, against = told["claims"], told.get("disagreements", 0)
    files = "1 file says how it was made" if number == 1 else f"{number} files say how they were made"
    disagree = f", {against} against the verdict" if against else ""
    return [f"claims: {files}{disagree}; a claim proves nothing, and no verdict rests on one"]


def refused_lines(first: Sequence[tuple[str, str]], number: int, place: Path) -> list[str]:
    """Names some of the files that could not be used and says how many there are; nothing where there are none."""
    if not number:
        return []
    files = "1 file" if number == 1 else f"{number} files"
    return [*(f"{name}: {reason}" for name, reason in first), f"{files} could not be used: {place}"]
