"""What is said of an image: a verdict, or why there is none."""

import dataclasses
from collections.abc import Mapping, Sequence

from ganfp_jax.run.errors import UserError

SOME = 3  # refused images that an error names


@dataclasses.dataclass(frozen=True)
class Attribution:
    """The verdict on one image: the voted source, its probability, and how the views voted.

    Attributes:
        predicted: the source that the vote chose.
        confidence: its probability, the mean over the views (of the rule mean_logit, the softmax of the mean logits).
        votes: how many views chose each source, without those that none chose.
        probabilities: of every source.
        note: what was done to the image before the network saw it, as in "cropped from 300x200; turned upright"; else
            "".
        verdict: `predicted`, or "unsure" where the margin is smaller than the network's calibration asks for.
        margin: `confidence` minus the highest probability of another source, -1 to 1; negative where a majority
            of views overrules their mean.
        distance: the cosine distance of the image's fingerprint to the nearest source's, 0 to 2, as
            `fingerprints.nearest_distance` has it; of the view identity, or of the first where that has no vote.
        views: what each view chose, in the order of the vote.
    """

    predicted: str
    confidence: float
    votes: Mapping[str, int]
    probabilities: Mapping[str, float]
    note: str = ""
    verdict: str = dataclasses.field(kw_only=True)
    margin: float = dataclasses.field(kw_only=True)
    distance: float = dataclasses.field(kw_only=True)
    views: Mapping[str, str] = dataclasses.field(kw_only=True)


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Why an image has no verdict. It shares no field with `Attribution`, so that it cannot pass for one.

    Attributes:
        image: the name of its file, or its place in the list, such as "image 3".
        reason: such as "not an image" or "is 20x20, smaller than 32x32; resize=area would enlarge it".
    """

    image: str
    reason: str

    def __str__(self) -> str:
        return f"{self.image}: {self.reason}"


class RefusedImagesError(UserError):
    """Some images, or all, cannot be used.

    Attributes:
        found: what was found out all the same: one entry an image, in order, a verdict or a refusal.
        refused: the refusals alone.
    """

    def __init__(self, found: "Sequence[Attribution | Refusal]") -> None:
        self.found = list(found)
        self.refused = [entry for entry in found if isinstance(entry, Refusal)]
        shown = "; ".join(map(str, self.refused[:SOME]))
        more = f"; and {len(self.refused) - SOME} more" if len(self.refused) > SOME else ""
        super().__init__(
            f"{len(self.refused)} of {len(self.found)} images cannot be used: {shown}{more}; leave out or convert what "
            'is refused, or ask with errors="collect"'
        )
