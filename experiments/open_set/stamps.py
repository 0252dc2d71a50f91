"""Whole stamps of Tux Paint on plain grounds: photographs, drawings and letters, not crops of photographs."""

import functools
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
    order = rng.permutation(len(paths))
    cut_out = functools.cache(lambda place: trimmed(paths[order[place]], 4 * resolution))
    with progress(count, "stamps", "image") as bar:
        for number in range(count):
            encode_png(root / f"{number:05d}.png", placed(cut_out(number % len(paths)), resolution, rng))
            bar.update()


def trimmed(path: Path, side: int) -> Image.Image:
    """A stamp with transparency, without its empty rim, of at most `side` pixels."""
    with Image.open(path) as opened:
        stamp = opened.convert("RGBA")
    cut = stamp.crop(stamp.getchannel("A").getbbox())
    cut.thumbnail((side, side), Image.Resampling.LANCZOS)
    return cut


def placed(stamp: Image.Image, resolution: int, rng: np.random.RandomState) -> UInt8[np.ndarray, "r r 3"]:
    """A stamp in a random size and place on a ground of a random colour."""
    scale = rng.uniform(SMALLEST, LARGEST) * resolution / max(stamp.size)
    width, height = (max(1, round(scale * side)) for side in stamp.size)
    small = stamp.resize((width, height), Image.Resampling.LANCZOS)
    ground = Image.new("RGBA", (resolution, resolution), (*rng.randint(0, 256, 3).tolist(), 255))
    ground.alpha_composite(small, (rng.randint(resolution - width + 1), rng.randint(resolution - height + 1)))
    return np.asarray(ground.convert("RGB"))
