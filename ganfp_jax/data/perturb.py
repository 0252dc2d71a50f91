"""Perturbations that an image meets on its way, or at the hands of somebody who wants its origin hidden."""

import io
import re
from collections.abc import Callable, Sequence

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


def check_immunisation(share: float, perturbations: Sequence[str]) -> None:
    """Raise `UserError` unless `immunise` takes these settings."""
    if not 0 <= share <= 1 or (share > 0) != bool(perturbations):
        raise UserError(
            f"immunise: share {share:g} with perturbations {', '.join(perturbations) or 'none'}; "
            "give a share from 0 to 1, and perturbations where it is above 0"
        )
    for name in perturbations:
        _parse_range(name)


def immunise(
    images: UInt8[np.ndarray, "n h w 3"],
    rng: np.random.Generator,
    *,
    share: float,
    perturbations: Sequence[str],
    first: int = 0,
    total: int | None = None,
) -> UInt8[np.ndarray, "n h w 3"]:
    """Perturb each image with probability `share`, so that a network trained on the result withstands it.

    Args:
        images: a training batch, or a part of one; it is not changed.
        rng: decides which images, which perturbation and how strong.
        share: of the images, 0 to 1.
        perturbations: each image that is chosen meets one of them, equally often. Named as for `perturb`, with one
            strength or a range, from which strengths are drawn evenly: "jpeg50-95", "noise5-20".
        first: where the part begins in its batch.
        total: images in the whole batch, by default as many as there are here. What is done to an image of the batch
            does not depend on which part it is in.

    Raises:
        UserError: unknown name, or strengths out of range.
    """
    result = images.copy()
    for place in np.flatnonzero(rng.random(len(images) if total is None else total) < share):
        family, low, high = _parse_range(perturbations[int(rng.integers(len(perturbations)))])
        strength = float(rng.integers(int(low), int(high) + 1)) if family == "jpeg" else rng.uniform(low, high)
        seed, index = int(rng.integers(2**32)), int(place) - first
        if 0 <= index < len(images):
            one = slice(index, index + 1)
            result[one] = PERTURBATIONS[family](images[one], strength, seed, np.zeros(1, np.int64))
    return result


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


def _parse_range(name: str) -> tuple[str, float, float]:
    if name == "none":
        raise UserError("immunise: 'none' is no perturbation; share says how many images stay as they are")
    first, _, high = name.partition("-")
    family, low = _parse(first)
    _, top = _parse(f"{family}{high}") if high else (family, low)
    if top < low:
        raise UserError(f"perturbation {name!r} falls: write the smaller strength first, such as jpeg50-95")
    return family, low, top


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)
