"""How well a region was found."""

import numpy as np
from jaxtyping import Bool


def iou(found: Bool[np.ndarray, "h w"], truth: Bool[np.ndarray, "h w"]) -> float:
    """The intersection of two regions over their union, 0 to 1; 1 where both are empty."""
    union = int((found | truth).sum())
    return int((found & truth).sum()) / union if union else 1.0
