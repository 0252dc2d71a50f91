"""Classical controls: the photograph itself, and Pillow's filters that enlarge it."""

import numpy as np
import PIL
from jaxtyping import Float32, UInt8
from PIL import Image

from ganfp_jax.generation.restorers.restorer import Restorer

REAL = "real"
FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
NAMES = (REAL, *(f"{name}-x{scale}" for name in FILTERS for scale in (2, 3, 4)))
"""`real`, and `<filter>-x<scale>`."""


def load(name: str) -> Restorer:
    """Returns the control of a name in `NAMES`; `real` changes nothing."""
    kind, _, scale = name.partition("-x")
    factor = int(scale or 1)

    def forward(picture: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "H W 3"]:
        if name == REAL:
            return picture.astype(np.float32)
        image = Image.fromarray(picture)
        size = image.width * factor, image.height * factor
        return np.asarray(image.resize(size, Image.Resampling[kind.upper()]), np.float32)

    return Restorer(name, {"package": "pillow", "version": PIL.__version__}, factor, forward, whole=True)
