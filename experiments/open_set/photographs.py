"""What whole photographs are called that no training and no calibration has seen."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from experiments.photographs import rows as listed
from experiments.restorers.photographs import TABLE, Photograph
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
    """The photographs of `experiments.restorers` that are there, without those of the packages of `experiments.zoo`.

    Args:
        root: where `python -m experiments.restorers.photographs` wrote them.
    """
    used = {photo.package for split in ("train", "valid") for photo in zoo.listed(split)}
    names = {photo.name for photo in listed(TABLE, Photograph) if photo.package not in used}
    return sorted(path for path in root.glob("*/*") if path.stem in names)


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
