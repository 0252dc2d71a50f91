"""What no verdict of a network can tell: a fixed list that follows from the network and its calibration alone."""

from collections.abc import Sequence

from ganfp_jax.attribution import promises
from ganfp_jax.attribution.certainty import Calibration
from ganfp_jax.attribution.sentences import generators
from ganfp_jax.report import wording
from ganfp_jax.report.wording import REAL


def cannot_know(classes: Sequence[str], calibration: Calibration | None) -> list[str]:
    """What the tool cannot know, in sentences, the most general first.

    Args:
        classes: the sources that the network knows.
        calibration: of the vote, None without.
    """
    known, typical = generators(classes), None if calibration is None else calibration.typical
    real = (
        [
            f"Whether a picture is a photograph. “{REAL}” says that no trace of {wording.listed(known, 'or')} was "
            "found; a picture by any other program, or one whose trace was lost, gets the same answer."
        ]
        if REAL in classes and known
        else []
    )
    return [
        "Who made or changed the picture, when and what for, and whether what it shows is true.",
        *real,
        f"Other sources. {promises.about_sources(classes, typical)}",
        "Other trainings, versions and settings of the known generators, unless they were among the training images: "
        "their traces may differ.",
        "What was done to the file before. Compressing, resizing, filtering, screenshots and messengers can remove a "
        "trace, and some of them can leave one that looks like a generator's.",
        "Whether someone removed a trace or forged one on purpose.",
        "What lies in the parts of the picture that were not looked at.",
        "How probable it is that this one verdict is right. Probabilities here compare the known sources with each "
        "other, and p-values compare the image with those of the calibration; neither is the probability that a source "
        "made it.",
        *_of_calibration(calibration),
    ]


def _of_calibration(calibration: Calibration | None) -> list[str]:
    """What the calibration leaves open."""
    if calibration is None:
        return ["How often such verdicts are wrong: the network is not calibrated for this vote."]
    typical = calibration.typical
    return [
        "How often verdicts are wrong on images unlike those of the calibration, in what they show, how they were "
        "taken or how they were processed; the error rate is no promise for each source alone.",
        *([] if typical is None else [promises.not_promised(typical)]),
    ]
