"""Images of sources that differ in their traces alone, for networks that were never trained."""

import numpy as np

from ganfp_jax.data.decode import encode_png

SIDE = 16
KINDS = ["real", "ProGAN", "SNGAN", "stripes", "squares"]


def drawn(kind, count, seed):
    """Noise on many colours, with a trace of its source: none, blur, two pixels alike, stripes, or squares."""
    rng = np.random.default_rng([KINDS.index(kind), seed])
    noise = 20 * rng.standard_normal((count, SIDE, SIDE, 3))
    y, x = np.mgrid[:SIDE, :SIDE]
    if kind == "ProGAN":
        noise = 1.5 * (noise + np.roll(noise, 1, 1) + np.roll(noise, 1, 2)) / 2
    if kind == "SNGAN":
        noise = noise[:, ::2, ::2].repeat(2, 1).repeat(2, 2)
    pattern = {"stripes": (x % 4 < 2) + 0.0, "squares": ((x % 8 < 4) ^ (y % 8 < 4)) + 0.0}.get(kind, np.zeros_like(x))
    colours = rng.integers(80, 176, (count, 1, 1, 3))
    return (colours + noise + 80 * (pattern - 0.5)[None, :, :, None]).clip(0, 255).astype(np.uint8)


def write(folder, images):
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{i:03d}.png" for i in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        encode_png(path, image)
    return paths
