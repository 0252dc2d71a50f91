"""Perturbations of images: by usual processing, or by an attacker who hides an image's origin.

The attacks of Yu, Davis and Fritz (2019), section 4.4, have names here; `PUBLISHED` has their ranges. The definition of
each settles what that section leaves open. Relighting is ours: see `relight`.
"""

import dataclasses
import io
import re
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image, ImageFilter

from ganfp_jax.run.errors import UserError


def perturb(
    images: UInt8[np.ndarray, "n h w 3"], name: str, seed: int = 0, numbers: Int[np.ndarray, " n"] | None = None
) -> UInt8[np.ndarray, "n H W 3"]:
    """Perturb images, 0 to 255, independently: the result depends only on the image, `seed` and the image's number.

    Args:
        images: the images; they are not changed.
        name: "none"; or one of `PERTURBATIONS` with its strength: "jpeg75" (quality), "noise15" (standard deviation on
            the scale 0 to 255), "blur0.7" (standard deviation in pixels), "kernel5" (width of the kernel of a blur),
            "crop10" (percent of each side cut away, then enlarged again), "relight0.5" (photographic stops), "median3"
            (width in pixels), "sharpen120" (percent of the difference that is added); or with a range, from which each
            image's strength is drawn evenly: "jpeg10-75"; or "combination": `combine`; or several of these in their
            order, "rescale0.75+jpeg75"; or alternatives, of which each image gets one, as often as any other,
            "none|jpeg50-95". "rescale0.75" changes the size of the images.
        numbers: each image's number, such as its index in its folder; the default is its index in `images`.
        seed: 0 to 2**32 - 1; the same images and seed get the same noise, scaled, at every strength, and likewise the
            same place of the crop and the same light.

    Raises:
        UserError: the name is unknown, or a strength is out of range.
    """
    if name == "none":
        return images.copy()
    numbers = np.arange(len(images)) if numbers is None else numbers
    if ALTERNATIVE in name:
        return _one_of(images, name.split(ALTERNATIVE), seed, numbers)
    if CHAIN in name:
        for part in name.split(CHAIN):
            images = perturb(images, part, seed, numbers)
        return images
    if name == COMBINATION:
        return combine(images, seed, numbers)
    family, low, high = _parse_range(name)
    if low == high:
        return PERTURBATIONS[family].apply(images, low, seed, numbers)
    return _at_drawn_strengths(images, family, (low, high), seed, numbers)


def check_perturbation(name: str) -> None:
    """Raise UserError unless `perturb` knows `name`."""
    for alternative in name.split(ALTERNATIVE):
        for part in alternative.split(CHAIN):
            if part != COMBINATION and alternative != "none":
                _parse_range(part)


def resizes(name: str) -> bool:
    """Return whether a perturbation, or one of several, changes the size of images."""
    chains = name.replace(ALTERNATIVE, CHAIN).split(CHAIN)
    parts = [part for part in chains if part not in ("none", COMBINATION)]
    return any(PERTURBATIONS[_parse_range(part)[0]].resizes for part in parts)


def family_of(name: str) -> str:
    """Return the family of a perturbation: "jpeg" of "jpeg75" and "jpeg10-75", itself of any without one strength.

    Raises:
        UserError: the name is unknown, or a strength is out of range.
    """
    several = CHAIN in name or ALTERNATIVE in name
    return name if name in ("none", COMBINATION) or several else _parse_range(name)[0]


def label(name: str) -> str:
    """Return the name of a perturbation's condition in results: "clean" for "none", else the perturbation's name."""
    return "clean" if name == "none" else name


def in_words(name: str) -> str:
    """Return a perturbation in words: "JPEG quality 75", "crop 5–20%"; other names stay as they are."""
    if ALTERNATIVE in name:
        return " or ".join(in_words(label(part)) for part in name.split(ALTERNATIVE))
    if CHAIN in name:
        return ", then ".join(map(in_words, name.split(CHAIN)))
    match = re.fullmatch(r"([a-z]+)(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", name)
    if not match or match[1] not in PERTURBATIONS:
        return name
    return PERTURBATIONS[match[1]].label.format(f"{match[2]}–{match[3]}" if match[3] else match[2])


def check_immunisation(share: float, perturbations: Sequence[str]) -> None:
    """Raise UserError unless `immunise` takes these settings."""
    if not 0 <= share <= 1 or (share > 0) != bool(perturbations):
        raise UserError(
            f"immunise: share {share:g} with perturbations {', '.join(perturbations) or 'none'}; "
            "give a share from 0 to 1, and perturbations where it is above 0"
        )
    for name in perturbations:
        if name == "none":
            raise UserError("immunise: 'none' is no perturbation; share says how many images stay as they are")
        check_perturbation(name)


def immunise(
    images: UInt8[np.ndarray, "n h w 3"],
    rng: np.random.Generator,
    *,
    share: float,
    perturbations: Sequence[str],
    first: int = 0,
    total: int | None = None,
    side: int | None = None,
) -> UInt8[np.ndarray, "n H W 3"]:
    """Perturb each image with probability `share`, so that a network trained on the result is robust to it.

    Args:
        images: a training batch, or a part of one; it is not changed.
        rng: the generator that draws the images, perturbations, strengths and windows.
        share: the probability of an image, 0 to 1.
        perturbations: names as for `perturb`, with one strength or a range, from which strengths are drawn evenly:
            "jpeg50-95", "noise5-20", "combination". Each chosen image gets one of them with equal probability.
        first: the index at which the part begins in its batch.
        total: the number of images in the whole batch; the default is the length of `images`. The result for an image
            does not depend on the part.
        side: the side in pixels of a window, at a drawn place, that is cut out of every image afterwards; None keeps
            the whole images. It begins at a multiple of `JPEG_BLOCK`, as tiles of a picture do (`data.tiles`), so that
            JPEG's blocks always lie alike.

    Raises:
        UserError: a name is unknown, strengths are out of range, or a perturbed image is smaller than the window.
    """
    total = len(images) if total is None else total
    result = list(images)
    for place in np.flatnonzero(rng.random(total) < share):
        chain = perturbations[int(rng.integers(len(perturbations)))].split(CHAIN)
        applied = [_draw(rng, part) for part in chain]
        index = int(place) - first
        if 0 <= index < len(images):
            one = images[index : index + 1]
            for apply in applied:
                one = apply(one)
            result[index] = one[0]
    if side is not None:
        places = rng.random((total, 2))[first : first + len(images)]
        result = [_window(image, side, place) for image, place in zip(result, places, strict=True)]
    return np.stack(result) if result else images.copy()


def _draw(rng: np.random.Generator, name: str) -> Callable[[np.ndarray], np.ndarray]:
    """Draw the strength and the seed of a perturbation of one image."""
    apply: Callable[..., np.ndarray] = combine
    if name != COMBINATION:
        family, low, high = _parse_range(name)
        apply = partial(PERTURBATIONS[family].apply, strength=_drawn(rng, PERTURBATIONS[family].step, low, high))
    return partial(apply, seed=int(rng.integers(2**32)), numbers=np.zeros(1, np.int64))


def _window(image: UInt8[np.ndarray, "h w 3"], side: int, place: np.ndarray) -> UInt8[np.ndarray, "r r 3"]:
    """Cut out a window; `place` says where, each of its two numbers from 0 to 1."""
    height, width = image.shape[:2]
    if min(height, width) < side:
        raise UserError(
            f"a perturbed image is {width}x{height}, smaller than the network's {side}x{side}; give a larger "
            "data.crop_from, or a weaker rescaling"
        )
    top, left = (
        int(share * (free // JPEG_BLOCK + 1)) * JPEG_BLOCK
        for share, free in zip(place, (height - side, width - side), strict=True)
    )
    return image[top : top + side, left : left + side]


def _drawn(rng: np.random.Generator, step: int, low: float, high: float) -> float:
    """Draw a strength from a range: any number or, with a step, one of `low`, `low` + `step`, ... up to `high`."""
    if not step:
        return rng.uniform(low, high)
    return low + step * float(rng.integers(int(high - low) // step + 1))


def jpeg(
    images: UInt8[np.ndarray, "n h w 3"], strength: float, seed: int, numbers: Int[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n h w 3"]:
    """Compress with quality `strength` and decompress; colours at half resolution (4:2:0), as cameras and sites do."""
    result = np.empty_like(images)
    for index, image in enumerate(images):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format="JPEG", quality=int(strength), subsampling="4:2:0")
        result[index] = np.asarray(Image.open(buffer))
    return result


def noise(
    images: UInt8[np.ndarray, "n h w 3"], strength: float, seed: int, numbers: Int[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n h w 3"]:
    """Add independent Gaussian noise of standard deviation `strength` to every value, round and clip.

    The paper calls 5 to 20 a variance. Frank et al. (2020), who repeated its attacks, take it for the deviation, and so
    does this function: a variance of 20 would be a deviation of only 4.5.
    """
    result = np.empty_like(images)
    for index, (image, number) in enumerate(zip(images, numbers, strict=True)):
        rng = np.random.RandomState([seed, number])  # its streams are the same in every version of NumPy
        result[index] = _to_uint8(image + strength * rng.standard_normal(image.shape))
    return result


def blur(
    images: UInt8[np.ndarray, "n h w 3"], strength: float, seed: int, numbers: Int[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n h w 3"]:
    """Blur with a Gaussian of deviation `strength` in pixels, truncated at four deviations; borders are reflected."""
    from scipy import ndimage

    sigmas = (0, strength, strength, 0)
    return _to_uint8(ndimage.gaussian_filter(images.astype(np.float32), sigmas, mode="reflect", truncate=4.0))


def blur_by_kernel(
    images: UInt8[np.ndarray, "n h w 3"], strength: float, seed: int, numbers: Int[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n h w 3"]:
    """Blur with a Gaussian kernel whose width is `strength` pixels, an odd number; 1 leaves the images as they are.

    The paper gives only the width. The deviation is that of image libraries for a kernel of this width,
    0.3 ((strength - 1) / 2 - 1) + 0.8: 0.8, 1.1, 1.4 and 1.7 pixels for 3, 5, 7 and 9.
    """
    from scipy import ndimage

    radius = (int(strength) - 1) // 2
    if radius == 0:
        return images.copy()
    sigma = 0.3 * (radius - 1) + 0.8
    kernel = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    kernel /= kernel.sum()
    rows = ndimage.correlate1d(images.astype(np.float32), kernel, axis=1, mode="reflect")
    return _to_uint8(ndimage.correlate1d(rows, kernel, axis=2, mode="reflect"))


def crop(
    images: UInt8[np.ndarray, "n h w 3"], strength: float, seed: int, numbers: Int[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n h w 3"]:
    """Cut away `strength` percent of the rows and of the columns and enlarge the rest to the old size (bicubic).

    The number of rows and columns is rounded, and at least one is cut. Their division between the two sides is drawn.
    """
    result = np.empty_like(images)
    height, width = images.shape[1:3]
    gone = [max(1, round(side * strength / 100)) for side in (height, width)]
    for index, (image, number) in enumerate(zip(images, numbers, strict=True)):
        shares = _random("crop", seed, number).random_sample(2)
        top, left = (int(share * (count + 1)) for share, count in zip(shares, gone, strict=True))
        rest = image[top : top + height - gone[0], left : left + width - gone[1]]
        result[index] = np.asarray(Image.fromarray(rest).resize((width, height), Image.Resampling.BICUBIC))
    return result


def rescale(
    images: UInt8[np.ndarray, "n h w 3"], strength: float, seed: int, numbers: Int[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n H W 3"]:
    """Resize by the factor `strength`, as sites and programs do; the result has another size, of 1 pixel at least.

    The filter of each image is drawn from Pillow's bilinear, bicubic and Lanczos.
    """
    size = [max(1, round(side * strength)) for side in images.shape[2:0:-1]]  # width, height
    result = np.empty((len(images), size[1], size[0], 3), np.uint8)
    for index, (image, number) in enumerate(zip(images, numbers, strict=True)):
        resample = FILTERS[_random("rescale", seed, number).randint(len(FILTERS))]
        result[index] = np.asarray(Image.fromarray(image).resize(size, resample))
    return result


def median(
    images: UInt8[np.ndarray, "n h w 3"], strength: float, seed: int, numbers: Int[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n h w 3"]:
    """Replace each value by the median of the square around it, `strength` pixels wide, as simple denoising does."""
    result, kind = np.empty_like(images), ImageFilter.MedianFilter(int(strength))
    for index, image in enumerate(images):
        result[index] = np.asarray(Image.fromarray(image).filter(kind))
    return result


def sharpen(
    images: UInt8[np.ndarray, "n h w 3"], strength: float, seed: int, numbers: Int[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n h w 3"]:
    """Sharpen by an unsharp mask of `strength` percent, where the difference is more than two levels.

    The radius of each image is drawn from 1, 2 and 3 pixels.
    """
    result = np.empty_like(images)
    for index, (image, number) in enumerate(zip(images, numbers, strict=True)):
        radius = 1 + _random("sharpen", seed, number).randint(3)
        kind = ImageFilter.UnsharpMask(radius=radius, percent=round(strength), threshold=2)
        result[index] = np.asarray(Image.fromarray(image).filter(kind))
    return result


def relight(
    images: UInt8[np.ndarray, "n h w 3"], strength: float, seed: int, numbers: Int[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n h w 3"]:
    """Relight each image as if it were painted on a dome, by factors between 2**-strength and 2**strength.

    The light is drawn from second-order spherical harmonics, as diffuse surfaces reflect it, and has no colour. It
    falls on the normals of a dome over the image, takes `strength` stops from the darkest point and adds as many to the
    brightest. It is applied to linear light (decoded sRGB).

    The paper relights faces with SfSNet, a network that estimates the normals of a face and has a set of lights. This
    replacement needs no network and no face, and ignores the shape of what is shown.
    """
    result = np.empty_like(images)
    basis = _dome(*images.shape[1:3])
    for index, (image, number) in enumerate(zip(images, numbers, strict=True)):
        light = basis @ _random("relight", seed, number).standard_normal(basis.shape[-1])
        light = 2 * (light - light.min()) / (light.max() - light.min()) - 1
        result[index] = _to_uint8(255 * _encoded(_linear(image / 255) * 2 ** (strength * light[..., None])))
    return result


def combine(
    images: UInt8[np.ndarray, "n h w 3"], seed: int, numbers: Int[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n h w 3"]:
    """Apply the published combination: each of the attacks of `PUBLISHED`, in that order, with probability one half.

    The strengths are drawn from their ranges; one image of 32 stays as it is.
    """
    result = images.copy()
    for index, number in enumerate(numbers):
        one = slice(index, index + 1)
        chosen = _random(COMBINATION, seed, number).random_sample(len(PUBLISHED)) < 0.5
        for name, hit in zip(PUBLISHED.values(), chosen, strict=True):
            if hit:
                result[one] = perturb(result[one], name, seed, numbers[one])
    return result


@dataclasses.dataclass(frozen=True)
class Perturbation:
    """A family of perturbations: its function and its strengths.

    `apply` is a function (images, strength, seed, numbers) -> images. Strengths are above 0 and at most `highest`; with
    a `step` they are 1, 1 + `step`, ... An error shows `example`. `label` is the name in a sentence, with "{}" for the
    strength, and `axis` is the quantity of the strengths. A higher strength does more damage, or less where it `eases`.
    The result has another size where it `resizes`.
    """

    apply: Callable[..., UInt8[np.ndarray, "n h w 3"]]
    example: str
    label: str
    axis: str
    eases: bool = False
    highest: float = np.inf
    step: int = 0
    resizes: bool = False


PERTURBATIONS = {
    "jpeg": Perturbation(
        jpeg,
        "jpegQ (quality 1 to 100, such as jpeg75)",
        "JPEG quality {}",
        "JPEG, quality",
        eases=True,
        highest=100.0,
        step=1,
    ),
    "noise": Perturbation(noise, "noiseS (standard deviation, such as noise15)", "noise σ {}", "noise, σ of 255"),
    "blur": Perturbation(
        blur, "blurS (standard deviation in pixels, such as blur0.7)", "blur σ {}", "blur, σ in pixels"
    ),
    "kernel": Perturbation(
        blur_by_kernel,
        "kernelK (blur, odd width in pixels: kernel5)",
        "blur kernel {}",
        "blur, kernel in pixels",
        highest=99.0,
        step=2,
    ),
    "crop": Perturbation(
        crop, "cropP (percent of each side up to 90, such as crop10)", "crop {}%", "crop, % of the side", highest=90.0
    ),
    "relight": Perturbation(
        relight, "relightE (stops up to 4, such as relight0.5)", "relighting {} EV", "relighting, stops", highest=4.0
    ),
    "median": Perturbation(
        median,
        "medianK (odd width in pixels: median3)",
        "median of {} pixels",
        "median, width in pixels",
        highest=99.0,
        step=2,
    ),
    "sharpen": Perturbation(
        sharpen,
        "sharpenP (percent up to 500, such as sharpen120)",
        "sharpening by {}%",
        "sharpening, percent",
        highest=500.0,
    ),
    "rescale": Perturbation(
        rescale,
        "rescaleF (factor up to 4, such as rescale0.75)",
        "rescaling by {}",
        "rescaling, factor",
        eases=True,
        highest=4.0,
        resizes=True,
    ),
}
"""The families by the first part of a perturbation's name."""

PUBLISHED = {
    "relight": "relight0.25-1",
    "crop": "crop5-20",
    "blur": "kernel1-9",
    "jpeg": "jpeg10-75",
    "noise": "noise5-20",
}
"""The attacks of the paper with its ranges, in the order in which its combination applies them.

Relighting and its range are ours.
"""

COMBINATION = "combination"
CHAIN = "+"
ALTERNATIVE = "|"
JPEG_BLOCK = 8  # pixels
FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)


def _parse(name: str) -> tuple[str, float]:
    match = re.fullmatch(r"([a-z]+)(\d+(?:\.\d+)?)", name)
    family, strength = (match[1], float(match[2])) if match else (name, 0.0)
    if family not in PERTURBATIONS or not _usable(PERTURBATIONS[family], strength):
        choices = ", ".join(known.example for known in PERTURBATIONS.values())
        raise UserError(
            f"unknown perturbation {name!r}: choose none, {choices}, a range of one of these such as jpeg50-95, "
            f"{COMBINATION}, or several such as rescale0.75{CHAIN}jpeg75"
        )
    return family, strength


def _usable(family: Perturbation, strength: float) -> bool:
    fits = not family.step or (strength - 1) % family.step == 0
    return 0 < strength <= family.highest and fits


def _parse_range(name: str) -> tuple[str, float, float]:
    """Parse a name into family, lowest and highest strength."""
    first, dash, high = name.partition("-")
    family, low = _parse(first)
    _, top = _parse(f"{family}{high}") if dash else (family, low)
    if top < low:
        raise UserError(f"perturbation {name!r} falls: write the smaller strength first, such as jpeg50-95")
    return family, low, top


def _at_drawn_strengths(
    images: np.ndarray, name: str, bounds: tuple[float, float], seed: int, numbers: np.ndarray
) -> np.ndarray:
    """Perturb each image with its own strength."""
    (low, high), family = bounds, PERTURBATIONS[name]
    if family.resizes and len(images) > 1:
        raise UserError(f"{name} with a range makes images of several sizes; give one factor, such as {name}0.75")
    result = []
    for index, number in enumerate(numbers):
        one, share = slice(index, index + 1), _random(f"strength of {name}", seed, number).random_sample()
        if family.step:
            strength = low + family.step * int(share * (int(high - low) // family.step + 1))
        else:
            strength = low + share * (high - low)
        result.append(family.apply(images[one], strength, seed, numbers[one])[0])
    return np.stack(result) if result else images.copy()


def _one_of(images: np.ndarray, names: Sequence[str], seed: int, numbers: np.ndarray) -> np.ndarray:
    """Perturb each image by one of `names`, which its number draws."""
    if len(images) > 1 and any(map(resizes, names)):
        raise UserError(f"{ALTERNATIVE.join(names)} makes images of several sizes; give one of these")
    result = []
    for index, number in enumerate(numbers):
        name = names[_random("alternative", seed, number).randint(len(names))]
        one = slice(index, index + 1)
        result.append(perturb(images[one], name, seed, numbers[one])[0])
    return np.stack(result) if result else images.copy()


def _random(purpose: str, seed: int, number: int | np.integer) -> np.random.RandomState:
    """Return the generator for one image and one purpose; its streams are the same in every version of NumPy."""
    return np.random.RandomState([seed, number, *purpose.encode()])


def _dome(height: int, width: int) -> np.ndarray:
    """Return the second-order spherical harmonics of the normals of a dome, (height, width, 8), without the constant.

    The weights of a diffuse surface are those of Ramamoorthi and Hanrahan (2001): 2/3 for the first order and 1/4 for
    the second.
    """
    y, x = np.meshgrid(*((2 * np.arange(side) + 1) / side - 1 for side in (height, width)), indexing="ij")
    x, y = 0.7 * x, 0.7 * y  # the corners stand almost upright
    z = np.sqrt(1 - x**2 - y**2)
    first = [x, y, z]
    second = [x * y, x * z, y * z, (x**2 - y**2) / 2, (3 * z**2 - 1) / np.sqrt(12)]
    return np.stack([*(2 / 3 * part for part in first), *(np.sqrt(5) / 4 * part for part in second)], axis=-1)


def _linear(values: np.ndarray) -> np.ndarray:
    """Decode sRGB, 0 to 1, to linear light."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _encoded(light: np.ndarray) -> np.ndarray:
    """Encode linear light, clipped to 0 to 1, as sRGB."""
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)
