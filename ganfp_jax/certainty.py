"""How sure is a vote, and from where on is it sure enough?"""

import numpy as np
from jaxtyping import Float, Integer


def margins(probabilities: Float[np.ndarray, "n k"], predicted: Integer[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The lead of the class that a vote chose: its probability minus the highest of the others, -1 to 1.

    Negative where a majority of views overrules their mean; a network of one class has margins of 1.
    """
    chosen = np.take_along_axis(probabilities, predicted[:, None], axis=1)[:, 0]
    others = probabilities.copy()
    np.put_along_axis(others, predicted[:, None], 0.0, axis=1)
    return chosen - others.max(axis=1)
