"""JPEGs of the size of aligned CelebA, 178x218, cut from photographs in installed packages."""

from pathlib import Path

import numpy as np
from PIL import Image

from ganfp_jax.data import sources

WIDTH, HEIGHT = 178, 218  # size of aligned CelebA
SIDE = 144  # side of the crops, which are enlarged; the smallest photograph has 150 rows


def write_photographs(folder: Path, *, count: int) -> None:
    """Writes `000001.jpg`, `000002.jpg`, ..., with the names of CelebA."""
    folder.mkdir(parents=True, exist_ok=True)
    crops = sources.photos(split="all", count=count, resolution=SIDE).images
    assert isinstance(crops, np.ndarray)
    for number, crop in enumerate(crops, start=1):
        photograph = Image.fromarray(crop).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        photograph.save(folder / f"{number:06d}.jpg", quality=95)
