"""What is promised of verdicts and what is not, in sentences that console, pages and web page share."""

import math
from collections.abc import Sequence

from ganfp_jax.attribution.certainty import Calibration
from ganfp_jax.attribution.typicality import Known, Typical, needed
from ganfp_jax.attribution.verdict import UNKNOWN, UNSURE
from ganfp_jax.data import perturb
from ganfp_jax.report import wording
from ganfp_jax.report.table import text_table


def about_unsure(calibration: Calibration) -> str:
    """Says which verdicts are unsure, and how many of the others are wrong at most."""
    return f"{UNSURE}: {calibration.where_unsure}. {error_rate(calibration, 'the other verdicts')}"


def error_rate(calibration: Calibration, which: str) -> str:
    """Says how many of some verdicts, such as "the other verdicts", are wrong at most."""
    return (
        f"No more than {_rate(calibration.error_rate)} of {which} on images like those of the calibration are wrong "
        f"({calibration.confidence:.0%} confidence)."
    )


def basis(calibration: Calibration) -> str:
    """Says in a few words what that rests on."""
    known = None if calibration.typicality is None else calibration.typicality.worst_first
    photographs = "a number of photographs that is not on record"
    if known is not None:
        photographs = f"at least {known[0].photographs:,} photographs of each source"
    return f"This rests on {calibration.images:,} images of {photographs}."


def measured(calibration: Calibration) -> str:
    """Says on how many images of how many photographs the error rate was measured."""
    known = None if calibration.typicality is None else calibration.typicality.worst_first
    photographs = (
        "Of how many photographs they are is not on record; images of one photograph are alike, so of new photographs "
        "more may be wrong."
        if known is None
        else f"They are of (fewest first) {wording.listed([_counted(of) for of in known])}."
    )
    spared = calibration.per_class.get(calibration.spared)
    none = f" None of the {spared['decided']:,} verdicts on images of {calibration.spared} was wrong." if spared else ""
    return (
        f"That was measured on {calibration.images:,} labelled images: {calibration.decided:,} got a verdict that "
        f"names a source, and {calibration.wrong:,} of those {'is' if calibration.wrong == 1 else 'are'} wrong.{none} "
        f"{photographs} {shown(calibration)}".rstrip()
    )


def shown(calibration: Calibration) -> str:
    """Says how the images of the calibration were shown; "" where they were as they are."""
    words = perturb.in_words(calibration.perturbation)
    return "" if calibration.perturbation == "none" else f"The images were shown as: {words}."


def about_sources(classes: Sequence[str], typical: Typical | None) -> str:
    """Names the known sources and says what becomes of images of others.

    Args:
        classes: the known sources.
        typical: the p-values of the verdicts, None without.
    """
    others = (
        "their images get one of these names all the same."
        if typical is None
        else f"their images are {UNKNOWN} where they are unlike all of these, and how many are is not promised."
    )
    return f"The network knows {wording.listed(classes)}. There are other sources: {others}"


def promised(typical: Typical) -> str:
    """Says when an image is unknown, and how often a known source is denied its own images at most."""
    rate = typical.unknown_rate
    return (
        f"{UNKNOWN}: where no source has a p-value above {rate:g}; {UNSURE}: where another source than the voted one "
        f"has. Each source is denied at most {_rate(rate)} of its images of new photographs like those of the "
        "calibration, in the mean over calibrations. This rests on (fewest first) "
        f"{wording.listed([_counted(known) for known in typical.worst_first])}."
    )


def not_promised(typical: Typical) -> str:
    """Says what so few photographs cannot show."""
    worst, rate = typical.worst_first[0], typical.unknown_rate
    return (
        f"Not promised: a rate below {_rate(worst.smallest)} for {worst.source}, since of {_counted(worst)} the "
        f"smallest p-value is 1/{worst.photographs + 1}; that this very calibration keeps the {_rate(rate)}, since of "
        f"one in twenty by so few, {worst.source} is denied more than {wording.percent(worst.highest_rate(rate))}; how "
        "many images of other sources are unknown; anything of images unlike those of the calibration."
    )


def too_few(typical: Typical) -> str:
    """Says why no verdict is unknown, and which rate could be promised."""
    worst = typical.too_few[0]
    lowest = math.ceil(1000 * worst.smallest) / 1000  # rounded up, so that it can be promised
    remedy = f"{lowest:g} is the lowest config.unknown_rate for these" if worst.photographs else "calibrate with some"
    return (
        f"No verdict is {UNKNOWN}: a rate of {_rate(typical.unknown_rate)} takes {needed(typical.unknown_rate)} "
        "independent photographs of each source to show, and there are "
        f"{wording.listed([_counted(known) for known in typical.too_few])}; {remedy}. (Images of a photograph that "
        "manifest.json lists count as one, others as one each.)"
    )


def table(typical: Typical) -> str:
    """What each source's p-values rest on, the source with the fewest photographs first."""
    rows = [
        (
            known.source,
            f"{known.images:,}",
            f"{known.photographs:,}",
            f"{known.smallest:.4f}",
            wording.percent(known.highest_rate(typical.unknown_rate)),
        )
        for known in typical.worst_first
    ]
    headers = ["source, worst first", "images", "photographs", "smallest p-value", "1 calibration in 20 denies over"]
    return text_table(headers, rows, align="<>>>>")


def paragraphs(typical: Typical | None) -> list[str]:
    """All that `configs/calibrate.py` tells of the p-values; nothing without."""
    if typical is None:
        return []
    return [too_few(typical)] if typical.too_few else [table(typical), promised(typical), not_promised(typical)]


def _counted(known: Known) -> str:
    """How many photographs, or images where each is its own: "41 photographs of real"."""
    what = "image" if known.images == known.photographs else "photograph"
    return f"{known.photographs:,} {what}{'s' * (known.photographs != 1)} of {known.source}"


def _rate(share: float) -> str:
    return f"{100 * share:.3g}%"
