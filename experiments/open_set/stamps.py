"""Whole stamps of Tux Paint, photographs and drawings, on plain grounds: other pictures than crops of photographs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ganfp_jax.data.decode import encode_png
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress

PACKAGE = "tuxpaint-stamps-default"
FOLDER = Path("usr", "share", "tuxpaint", "stamps")
SMALLEST, LARGEST = 0.6, 1.0  # longer side of a stamp, as a share of the picture's


def write_stamps(root: Path, packages: Path, *, count: int, resolution: int, seed: int) -> None:
    """Writes `<root>/<number>.png`; the stamps take turns, each time of another size, in another place and colour.

    Args:
        root: where they go.
        packages: the folder that the package was unpacked into.
        count: number of pictures.
        resolution: side of a picture in pixels.
        seed: 0 to 2**32 - 1.

    Raises:
        UserError: the package is not there.
    """
    paths = sorted((packages / FOLDER).rglob("*.png"))
    if not paths:
        raise UserError(f"{packages / FOLDER} has no stamp: install {PACKAGE}, or unpack it and give --packages")
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.RandomState(seed)
    with progress(count, "stamps", "image") as bar:
        for number, stamp in zip(range(count), _in_turn([paths[i] for i in rng.permutation(len(paths))]), strict=False):
            encode_png(root / f"{number:05d}.png", placed(stamp, resolution, rng))
            bar.update()


def placed(stamp: Image.Image, resolution: int, rng: np.random.RandomState) -> UInt8[np.ndarray, "r r 3"]:
    """A stamp with transparency, trimmed, in a random size and place on a ground of a random colour."""
    trimmed = stamp.crop(stamp.getchannel("A").getbbox())
    scale = rng.uniform(SMALLEST, LARGEST) * resolution / max(trimmed.size)
    width, height = (max(1, round(scale * side)) for side in trimmed.size)
    small = trimmed.resize((width, height), Image.Resampling.LANCZOS)
    ground = Image.new("RGBA", (resolution, resolution), (*rng.randint(0, 256, 3).tolist(), 255))
    ground.alpha_composite(small, (rng.randint(resolution - width + 1), rng.randint(resolution - height + 1)))
    return np.asarray(ground.convert("RGB"))


def _in_turn(paths: list[Path]) -> Iterator[Image.Image]:
    while True:
        for path in paths:
            with Image.open(path) as opened:
                yield opened.convert("RGBA")
