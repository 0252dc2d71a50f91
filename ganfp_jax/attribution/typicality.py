"""How typical of a source is an image? Conformal p-values by source, from few photographs with many images each.

A score tells how strange an image is for a source. Its p-value compares it with images that are known to be of that
source, n photographs of which count as one each, however many images they have:

    p = (1 + the sum over the photographs of the share of their images that are at least as strange) / (n + 1)

An image of the source, of a new photograph like those, has a p-value of at most r with a probability of at most r, in
the mean over calibrations and whatever the score is: photographs need to be exchangeable, their images need not (Lee,
Barber and Willett, "Distribution-free inference with hierarchical data", arXiv 2306.06342). Of one image a photograph
this is split conformal prediction by class ("Mondrian"). Images that count as one each promise too much, since those of
one photograph are alike; so do scores that are means over photographs, since one image varies more than a mean.
"""

import dataclasses
import math
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

from ganfp_jax.run.errors import UserError

STEPS = 400  # of a source that are kept: p-values are overstated by no more than 1 / STEPS


@dataclasses.dataclass(frozen=True)
class Known:
    """How strange the images of one source are for it: what its p-values compare with.

    Attributes:
        source: its name.
        photographs: how many independent ones there are, n; an image of no known photograph is one.
        images: how many images they have together.
        scores: strictly ascending, a step each, at most `STEPS`.
        at_least: how many photographs are at least as strange as a score of this step, which ends at the score and
            begins after the one before; n or less, never ascending. After the last step there are none.
    """

    source: str
    photographs: int
    images: int
    scores: tuple[float, ...]
    at_least: tuple[float, ...]

    @property
    def smallest(self) -> float:
        """The smallest p-value: no lower rate can be shown."""
        return 1 / (self.photographs + 1)

    def p_values(self, scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """The p-value of images with these scores; `smallest` where a score is NaN."""
        steps = np.searchsorted(np.asarray(self.scores, np.float32), scores.astype(np.float32))
        return (1 + np.append(self.at_least, 0.0)[steps]) / (self.photographs + 1)

    def highest_rate(self, rate: float, confidence: float = 0.95) -> float:
        """How often images of new photographs have a p-value of at most `rate` in an unlucky calibration.

        It is the quantile `confidence` of that share over calibrations of so many photographs of one image each (a beta
        distribution, whatever the score is); 0 where the p-values are never so small.
        """
        from scipy.special import betaincinv  # takes a while to import

        ranks = ranks_below(rate, self.photographs)
        return float(betaincinv(ranks, self.photographs + 1 - ranks, confidence)) if ranks else 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it, and as `from_dict` takes it."""
        return dataclasses.asdict(self) | {"scores": list(self.scores), "at_least": list(self.at_least)}

    @classmethod
    def from_dict(cls, value: Any) -> "Known":
        """What `to_dict` wrote.

        Raises:
            TypeError, KeyError, ValueError: something else.
        """
        found = cls(**value | {"scores": tuple(value["scores"]), "at_least": tuple(value["at_least"])})
        numbers = [*found.scores, *found.at_least]
        if not all(type(number) in (int, float) and abs(number) < 1e38 for number in numbers):
            raise ValueError("a step that is no number")
        if not all(type(count) is int for count in (found.photographs, found.images)):
            raise ValueError("a count that is none")
        scores, at_least = np.asarray(found.scores, np.float64), np.asarray(found.at_least, np.float64)
        if not (
            isinstance(found.source, str)
            and 0 <= found.photographs <= found.images <= 2**53
            and len(scores) == len(at_least) <= STEPS
            and (found.images > 0) == (found.photographs > 0) == (len(scores) > 0)
            and (np.diff(scores.astype(np.float32)) > 0).all()
            and (np.diff(at_least) <= 0).all()
            and (at_least <= found.photographs).all()
            and (at_least >= 0).all()
        ):
            raise ValueError("steps that are none")
        return found


@dataclasses.dataclass(frozen=True)
class Typical:
    """The sources that an image is typical of: those whose p-value is above a rate.

    Attributes:
        score: of strangeness by source, one of `attribution.verdict.SCORES`.
        unknown_rate: the rate, between 0 and 1.
        known: of each source, in the order of the classes.
    """

    score: str
    unknown_rate: float
    known: tuple[Known, ...]

    @property
    def too_few(self) -> tuple[Known, ...]:
        """The sources with too few photographs for the rate, fewest first; where there are any, none is ruled out."""
        return tuple(known for known in self.worst_first if known.photographs < needed(self.unknown_rate))

    @property
    def worst_first(self) -> tuple[Known, ...]:
        """The sources, those with the fewest photographs first."""
        return tuple(sorted(self.known, key=lambda known: known.photographs))

    def p_values(self, scores: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
        """How typical images with these scores are of each source, above 0 to 1."""
        return np.stack([known.p_values(of) for known, of in zip(self.known, scores.T, strict=True)], axis=-1)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it, and as `from_dict` takes it."""
        known = [known.to_dict() for known in self.known]
        return {"score": self.score, "unknown_rate": self.unknown_rate, "known": known}

    @classmethod
    def from_dict(cls, value: Any) -> "Typical":
        """What `to_dict` wrote; whether there is such a score is not its business.

        Raises:
            TypeError, KeyError, ValueError: something else.
        """
        found = cls(**value | {"known": tuple(Known.from_dict(known) for known in value["known"])})
        if not (isinstance(found.score, str) and type(found.unknown_rate) is float and 0 < found.unknown_rate < 1):
            raise ValueError("a rate or a score that is none")
        return found


def learn(source: str, scores: Float[np.ndarray, " n"], photographs: Integer[np.ndarray, " n"]) -> Known:
    """What p-values of a source compare with, by its images' scores and the number of each image's photograph.

    Of more than `STEPS` scores some are left out; p-values are then a little too large, never too small.

    Args:
        scores: high where an image is strange.
        photographs: images of one photograph have one number.
    """
    if not len(scores):
        return Known(source, 0, 0, (), ())
    of, sizes = _counted(photographs)
    distinct, _, at_least = _ranked(scores, of, sizes)
    ends = np.unique(np.linspace(0, len(distinct) - 1, STEPS).round().astype(int))
    starts = np.append(0, ends[:-1] + 1)  # of a step that ends there: its least strange score
    return Known(
        source=source,
        photographs=len(sizes),
        images=len(scores),
        scores=tuple(float(str(score)) for score in distinct[ends]),  # the shortest text of a float32
        at_least=tuple(min(math.ceil(1e6 * count - 1e-3) / 1e6, len(sizes)) for count in at_least[starts].tolist()),
    )


def without_own(scores: Float[np.ndarray, " n"], photographs: Integer[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The p-values of the images that a source is learned from, each as if its own photograph were not among them.

    Args:
        scores, photographs: as for `learn`.
    """
    of, sizes = _counted(photographs)
    distinct, places, at_least = _ranked(scores, of, sizes)
    keys = of * len(distinct) + places  # one photograph's after the other's, by score
    own = (np.cumsum(sizes)[of] - np.searchsorted(np.sort(keys), keys)) / sizes[of] if len(keys) else keys
    return (1 + at_least[places] - own) / max(len(sizes), 1)


def _counted(photographs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The photograph of each image, 0 to n - 1, and how many images each photograph has."""
    return np.unique(photographs, return_inverse=True, return_counts=True)[1:]


def _ranked(scores: np.ndarray, of: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct scores, each image's place among them, and how many photographs are at least as strange as each."""
    distinct, places = np.unique(scores.astype(np.float32), return_inverse=True)
    mass = np.bincount(places, weights=1 / sizes[of], minlength=len(distinct))
    return distinct, places, np.cumsum(mass[::-1])[::-1]


def ranks_below(rate: float, photographs: int) -> int:
    """How many of the n + 1 p-values that photographs of one image can have are at most `rate`."""
    return math.floor(rate * (photographs + 1) + 1e-9)  # 0.05 * 20 is no more than 1


def needed(rate: float) -> int:
    """The fewest photographs of which p-values can be as small as `rate`."""
    return math.ceil(1 / rate - 1e-9) - 1


def check_unknown_rate(rate: float) -> None:
    """Raises UserError unless the rate is a share that can be promised, or 0 for none."""
    if not 0 <= rate < 1:
        raise UserError(
            f"config.unknown_rate is {rate}; give a share below 1, such as 0.05, or 0 for verdicts without unknown"
        )
