"""What whole photographs are called that no training and no calibration has seen."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from experiments.restorers.photographs import listed
from experiments.zoo import photographs as zoo
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.data import perturb
from ganfp_jax.data.decode import decode_image
from ganfp_jax.data.tiles import TILING
from ganfp_jax.run.progress import progress

SIDE = "photographs"
FORMS = {"whole photographs": TILING.tiles, "centres of photographs": 0}
"""How they are shown -> the tiles of each."""
CONDITIONS = ("none", "jpeg75")
TOGETHER = 8  # photographs in memory


def unseen(root: Path) -> list[Path]:
    """The photographs of `experiments.restorers` that are there and that `experiments.zoo` has no use for.

    Args:
        root: where `python -m experiments.restorers.photographs` wrote them.
    """
    used = {photo.package for split in zoo.SIDES for photo in zoo.listed(split)}
    seen = {photo.file for split in zoo.SIDES for photo in zoo.further(split)}
    files = [photo.file for photo in listed() if photo.package not in used and photo.file not in seen]
    return sorted(root / file for file in files if (root / file).is_file())


def rows(attributor: Attributor, paths: list[Path]) -> Iterator[dict[str, Any]]:
    """How many photographs have each verdict: a row for each form and condition.

    Args:
        attributor: a calibrated network.
        paths: the photographs.
    """
    for kind, tiles in FORMS.items():
        for condition in CONDITIONS:
            called: Counter[str] = Counter()
            with progress(len(paths), f"{kind}, {perturb.label(condition)}", "image") as bar:
                for start in range(0, len(paths), TOGETHER):
                    some = [_sent(path, condition) for path in paths[start : start + TOGETHER]]
                    called.update(said.verdict for said in attributor.attribute(some, tiles=tiles))
                    bar.update(len(some))
            yield {"side": SIDE, "kind": kind, "condition": condition, "images": len(paths), "called": dict(called)}


def _sent(path: Path, condition: str) -> UInt8[np.ndarray, "h w 3"]:
    return perturb.perturb(decode_image(path)[None], condition)[0]
