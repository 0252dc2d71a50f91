"""Words that the folders of published image sets are called by: real or fake, training or test."""

import re
from collections.abc import Mapping

LABELS = {
    "real": frozenset({"real", "reals", "nature", "natural", "authentic", "genuine", "pristine", "original"}),
    "fake": frozenset({"fake", "fakes", "ai", "generated", "synthetic", "synthesized", "manipulated", "deepfake"}),
}
SPLITS = {
    "train": frozenset({"train", "training"}),
    "valid": frozenset({"val", "valid", "validation"}),
    "test": frozenset({"test", "testing"}),
}
_BESIDE = frozenset({"image", "images", "img", "imgs", "set", "data", "split"})  # words that are ignored


def kind_of(name: str, kinds: Mapping[str, frozenset[str]]) -> str:
    """Returns the only kind of `LABELS` or `SPLITS` that a name mentions, or ""; a split's has no other words."""
    words = set(re.findall(r"[a-z]+", name.casefold())) - _BESIDE
    fitting = [kind for kind, known in kinds.items() if words & known]
    return fitting[0] if len(fitting) == 1 and (kinds is LABELS or words <= kinds[fitting[0]]) else ""
