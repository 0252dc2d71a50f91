"""What a network says of attacked images, and how far they are from what they were."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Integer, UInt8

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.verdict import UNKNOWN, UNSURE
from ganfp_jax.metrics.statistics import wilson_interval

OUTCOMES = ("right", "aim", "another", UNSURE, UNKNOWN)
"""The verdict is the image's own source, the one that the attacker wants, another one, or one of the two words."""


@dataclasses.dataclass(frozen=True)
class Victims:
    """N images that are attacked.

    Attributes:
        goal: "removal" of generators' fingerprints, or "forging" of one on photographs.
        images: 0 to 255.
        own: the source of each.
        aims: the source that each should be taken for.
        units: number of each image's photograph, or its own number.
    """

    goal: str
    images: UInt8[np.ndarray, "n h w 3"]
    own: Sequence[str]
    aims: Sequence[str]
    units: Integer[np.ndarray, " n"]


def outcomes(verdicts: Sequence[str], victims: Victims) -> dict[str, int]:
    """How many images have each of `OUTCOMES`."""
    counts = dict.fromkeys(OUTCOMES, 0)
    for verdict, own, aim in zip(verdicts, victims.own, victims.aims, strict=True):
        if verdict in (UNSURE, UNKNOWN):
            counts[verdict] += 1
        else:
            counts["right" if verdict == own else "aim" if verdict == aim else "another"] += 1
    return counts


def interval(count: int, units: Integer[np.ndarray, " n"]) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of images, over independent units.

    Crops of one photograph count as one observation together, which is the most that they can depend on each other:
    the interval is that of the same share of as many units.
    """
    number = len(np.unique(units))
    return wilson_interval(count * number / len(units), number)


def psnr(before: UInt8[np.ndarray, "n h w 3"], after: UInt8[np.ndarray, "n h w 3"]) -> float | None:
    """Peak signal-to-noise ratio of all changes together, in dB; None where nothing has changed."""
    error = float(((before.astype(np.float64) - after) ** 2).mean())
    return 10 * float(np.log10(255**2 / error)) if error else None


def rows(
    attack: Mapping[str, Any], victims: Victims, changed: np.ndarray, networks: Mapping[str, Attributor]
) -> Iterator[dict[str, Any]]:
    """One result a network: what it makes of the changed images."""
    for name, network in networks.items():
        verdicts = [found.verdict for found in network.attribute(changed, min_luma_std=0.0)]
        counts = outcomes(verdicts, victims)
        yield {
            **attack,
            "goal": victims.goal,
            "network": name,
            "psnr": psnr(victims.images, changed),
            "n": len(changed),
            "units": len(np.unique(victims.units)),
            "counts": counts,
            "ci95": {outcome: interval(count, victims.units) for outcome, count in counts.items()},
        }
