"""Perturbations that an image meets on its way, or at the hands of somebody who wants its origin hidden."""

import io
import re
from collections.abc import Callable

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from ganfp_jax.errors import UserError


def perturb(
    images: UInt8[np.ndarray, "n h w 3"], name: str, seed: int = 0, numbers: Int[np.ndarray, " n"] | None = None
) -> UInt8[np.ndarray, "n h w 3"]:
    """Perturb images, 0 to 255, each by itself: what happens to one depends on it, `seed` and its number only.

    Args:
        images: the images; they are not changed.
        name: "none", or one of `PERTURBATIONS` with its strength: "jpeg75" (quality), "noise15" (standard deviation on
            the scale 0 to 255), "blur0.7" (standard deviation in pixels).
        numbers: each image's number, such as its place in the folder that it was read from; by default its place in
            `images`.
        seed: 0 to 2**32 - 1; the same images and seed get the same noise, scaled, at every strength.

    Raises:
        UserError: unknown name, or a strength out of range.
    """
    if name == "none":
        return images.copy()
    family, strength = _parse(name)
    numbers = np.arange(len(images)) if numbers is None else numbers
    return PERTURBATIONS[family](images, strength, seed, numbers)


def check_perturbation(name: str) -> None:
    """Raise `UserError` unless `perturb` knows `name`."""
    if name != "none":
        _parse(name)


def jpeg(
    images: UInt8[np.ndarray, "n h w 3"], quality: float, seed: int, numbers: Int[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n h w 3"]:
    """Compress and decompress with colours at half resolution (4:2:0), as cameras and web sites do."""
    result = np.empty_like(images)
    for index, image in enumerate(images):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format="JPEG", quality=int(quality), subsampling="4:2:0")
        result[index] = np.asarray(Image.open(buffer))
    return result


def noise(
    images: UInt8[np.ndarray, "n h w 3"], std: float, seed: int, numbers: Int[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n h w 3"]:
    """Add independent Gaussian noise to every value, round and clip."""
    result = np.empty_like(images)
    for index, (image, number) in enumerate(zip(images, numbers, strict=True)):
        rng = np.random.RandomState([seed, number])  # its streams are the same in every version of NumPy
        result[index] = _to_uint8(image + std * rng.standard_normal(image.shape))
    return result


def blur(
    images: UInt8[np.ndarray, "n h w 3"], sigma: float, seed: int, numbers: Int[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n h w 3"]:
    """Blur with a Gaussian cut off at four standard deviations, with the borders reflected."""
    from scipy import ndimage

    blurred = ndimage.gaussian_filter(images.astype(np.float32), (0, sigma, sigma, 0), mode="reflect", truncate=4.0)
    return _to_uint8(blurred)


PERTURBATIONS: dict[str, Callable[[np.ndarray, float, int, np.ndarray], np.ndarray]] = {
    "jpeg": jpeg,
    "noise": noise,
    "blur": blur,
}
"""The perturbations by the first part of their name: (images, strength, seed, numbers) -> images."""


def _parse(name: str) -> tuple[str, float]:
    match = re.fullmatch(r"([a-z]+)(\d+(?:\.\d+)?)", name)
    family, strength = (match[1], float(match[2])) if match else (name, 0.0)
    usable = strength > 0 and (family != "jpeg" or (strength <= 100 and strength.is_integer()))
    if family not in PERTURBATIONS or not usable:
        raise UserError(
            f"unknown perturbation {name!r}: choose none, jpegQ (quality 1 to 100, such as jpeg75), noiseS "
            "(standard deviation, such as noise15) or blurS (standard deviation in pixels, such as blur0.7)"
        )
    return family, strength


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)
