"""Competitors: ways to attribute images, from uint8 on the host to decisions on the host."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from ganfp_jax.attribution.voting import count_votes
from ganfp_jax.data.views import EXACT_VIEWS
from ganfp_jax.run.errors import UserError

TOLERANCE = 1e-4

Images = UInt8[np.ndarray, "n h w 3"]


class Answer(NamedTuple):
    """A competitor's answer for N images, as NumPy arrays."""

    predicted: Int[np.ndarray, " n"]
    logits: Float[np.ndarray, "v n k"]  # logits of its views; the rule "mean_logit" has only their mean, V = 1


@dataclasses.dataclass(frozen=True)
class Competitor:
    """One way to attribute images; `views` are some of `EXACT_VIEWS`, `rule` is one of `voting.RULES`."""

    name: str
    views: tuple[str, ...]
    rule: str
    answer: Callable[[Images], Answer]


def check_agreement(competitors: Sequence[Competitor], judge: Answer, images: Images, exact: bool = True) -> None:
    """Checks that all competitors do the same work, before they are timed.

    Args:
        competitors: competitors to check.
        judge: logits of all `EXACT_VIEWS`, in their order, from a network that was called view by view.
        images: the judge's images.
        exact: False for bfloat16 or TF32: logits may then differ by a tenth of the largest, and decisions too.

    Raises:
        UserError: logits differ by more than `TOLERANCE`, or decisions do not follow from them.
    """
    tolerance = TOLERANCE if exact else 0.1 * float(np.abs(judge.logits).max())
    for competitor in competitors:
        answer = competitor.answer(images)
        views = judge.logits[[EXACT_VIEWS.index(view) for view in competitor.views]]
        expected = views.mean(0, keepdims=True) if competitor.rule == "mean_logit" else views
        difference = float(np.abs(answer.logits - expected).max())
        if not difference <= tolerance:
            raise UserError(f"{competitor.name}: logits differ by {difference:.2g}, more than {tolerance:g}")
        wrong = int(np.sum(answer.predicted != np.asarray(count_votes(views, competitor.rule).predicted)))
        if wrong and exact:
            raise UserError(f"{competitor.name}: decides otherwise on {wrong} of {len(images)} images")
