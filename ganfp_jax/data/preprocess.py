"""Fitting of images of any size to the network's size, exactly defined."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from ganfp_jax.data.decode import ImageFile, Picture, Record, Refused, decoded
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress
from ganfp_jax.run.threads import ending, results

RESIZES = {
    "crop": "the centre, pixel for pixel",
    "area": "the centre square, averaged over areas",
    "refuse": "only images that have the size already",
    "celeba": "of aligned CelebA photographs (178x218), the published window around (89, 121)",
    "lsun": "the centre square, resized by an antialiasing filter, as the published LSUN images",
}
"""The ways to fit an image of another size, by name."""


_CELEBA_SIZE = (178, 218)  # width, height
_CELEBA_CENTRE = (89, 121)


def fit(
    image: UInt8[np.ndarray, "h w 3"], resolution: int, resize: str = "crop"
) -> tuple[UInt8[np.ndarray, "r r 3"], str]:
    """Bring an image to `resolution` x `resolution`.

    `crop` keeps the centre, pixel for pixel, so a generator's traces stay as they are. `area` takes the largest centre
    square and resizes it with Pillow's box filter (the mean over the area that a pixel covers; enlarged images become
    blocky), which removes most traces. `refuse` refuses another size. Offsets of centre crops are rounded down.

    Two ways are the published study's, for real photographs. `celeba` cuts the window around x = 89, y = 121 out of an
    aligned CelebA image (at 128x128: rows 57 to 184, columns 25 to 152). `lsun` resizes the centre square with Pillow's
    Lanczos filter, which was its "antialias" (specification, section 7).

    Returns:
        The image, 0 to 255, and its change in words, such as "cropped from 300x200" (width x height); the empty string
        for an image of the right size.

    Raises:
        Refused: the image is smaller than a crop, or has another size under `refuse` or `celeba`.
        UserError: `resize` is unknown.
    """
    check_resize(resize)
    height, width = image.shape[:2]
    if height == width == resolution:
        return image, ""
    if resize == "refuse":
        raise Refused(f"is {width}x{height}, not {resolution}x{resolution}")
    if resize == "crop":
        if min(height, width) < resolution:
            raise Refused(f"is {width}x{height}, smaller than {resolution}x{resolution}; resize=area would enlarge it")
        return _centre(image, resolution), f"cropped from {width}x{height}"
    if resize == "celeba":
        return _celeba_window(image, resolution), f"cropped from {width}x{height}"
    side = min(height, width)
    done = ["cropped"] * (height != width) + ["reduced"] * (side > resolution) + ["enlarged"] * (side < resolution)
    square = Image.fromarray(_centre(image, side))
    resample = Image.Resampling.LANCZOS if resize == "lsun" else Image.Resampling.BOX
    fitted = np.array(square.resize((resolution, resolution), resample))
    return fitted, f"{' and '.join(done)} from {width}x{height}"


def window(height: int, width: int, resolution: int, resize: str) -> tuple[int, int, int, int]:
    """The part of an image of this size that `fit` shows, before it is resized: top, left, bottom, right in pixels."""
    side = resolution if resize in ("crop", "celeba") else min(height, width)
    if resize == "celeba" and (height, width) == _CELEBA_SIZE[::-1]:
        left, top = (centre - resolution // 2 for centre in _CELEBA_CENTRE)
    else:
        top, left = (height - side) // 2, (width - side) // 2
    return top, left, top + side, left + side


def read_fitted(
    file: str | os.PathLike[str] | Record, resolution: int, resize: str = "crop", **limits: Any
) -> tuple[UInt8[np.ndarray, "r r 3"], str]:
    """Decode a file and bring it to `resolution` x `resolution`.

    Args:
        file: as for `decode_image`.
        resolution: side of the image in pixels.
        resize: one of `RESIZES`.
        limits: keywords of `decode.decoded`: `max_pixels`, `seconds`, `stop`.

    Returns:
        The image, 0 to 255, and its changes in words, first those of `fit`, then those of decoding, such as
        "cropped from 300x200; turned upright; alpha dropped"; the empty string where there were none.

    Raises:
        Refused: `decode_image` or `fit` refused it.
        Stopped: `stop` was set.
        UserError: `resize` is unknown.
    """
    with decoded(file, **limits) as picture:
        return fit_picture(picture, resolution, resize)


def fit_picture(picture: Picture, resolution: int, resize: str) -> tuple[UInt8[np.ndarray, "r r 3"], str]:
    """Fit a decoded image as `fit` does; the note includes the conversions of decoding."""
    image, note = fit(picture.pixels, resolution, resize)
    if image.base is not None:  # a part of a large image would keep all of it in memory
        image = image.copy()
    return image, "; ".join(filter(None, (note, *picture.remarks)))


def check_resize(resize: str) -> None:
    """Raise UserError unless `resize` is one of `RESIZES`."""
    if resize not in RESIZES:
        raise UserError(f"unknown resize {resize!r}: choose one of {', '.join(RESIZES)}")


_CHUNK = 1024  # images


def box_downscale(
    images: UInt8[np.ndarray, "*batch h w 3"], factor: int
) -> UInt8[np.ndarray, "*batch h//{factor} w//{factor} 3"]:
    """Average blocks of `factor` x `factor` pixels, 0 to 255, and round half to even.

    A factor of 2**l gives level l of the published image pyramid. The levels of that pyramid are 2 x 2 means of the
    un-quantised level above, and each is quantised only when it is written; means of means of equal blocks are the
    means of the large block, and integer sums make them exact. A factor of 1 returns `images` themselves.

    Raises:
        ValueError: `factor` does not divide the height and the width.
    """
    *batch, height, width, channels = images.shape
    if factor < 1 or height % factor or width % factor:
        raise ValueError(f"a factor of {factor} does not divide images of {width}x{height}")
    if factor == 1:
        return images
    if batch and len(images) > _CHUNK:  # the sums take many times the memory of the images
        parts = (box_downscale(images[first : first + _CHUNK], factor) for first in range(0, len(images), _CHUNK))
        smaller = np.empty((*batch, height // factor, width // factor, channels), np.uint8)
        for first, part in zip(range(0, len(images), _CHUNK), parts, strict=True):
            smaller[first : first + _CHUNK] = part
        return smaller
    rows = images.reshape(*batch, height // factor, factor, width, channels).sum(axis=-3, dtype=np.uint32)
    blocks = rows.reshape(*batch, height // factor, width // factor, factor, channels).sum(axis=-2, dtype=np.uint32)
    return np.rint(blocks / factor**2).astype(np.uint8)


class Fitted(NamedTuple):
    """The result of `decode_and_fit` for a list of files."""

    images: UInt8[np.ndarray, "m r r 3"]
    """The decoded images, 0 to 255, in the order of the files."""
    kept: Int[np.ndarray, " m"]
    """Position in the list of files of each image."""
    refused: dict[int, str]
    """Position -> reason, for the other files."""
    notes: dict[int, str]
    """Position -> the changes to the image (`read_fitted`), for changed images."""


class Checked(NamedTuple):
    """As `Fitted`, without the images."""

    kept: Int[np.ndarray, " m"]
    refused: dict[int, str]
    notes: dict[int, str]


def decode_and_fit(
    files: Sequence[ImageFile],
    resolution: int,
    resize: str = "crop",
    label: str | None = None,
    out: UInt8[np.ndarray, "n r r 3"] | None = None,
    stop: threading.Event | None = None,
) -> Fitted:
    """Decode files and bring them to `resolution` x `resolution`, in threads (Pillow releases the interpreter's lock).

    Args:
        files: the files.
        resolution: side of the images in pixels.
        resize: one of `RESIZES`.
        label: the label of a progress bar, which appears if the work takes longer than a moment; None for no bar.
        out: the array for the images, with room for one of every file; None for a new array.
        stop: an event that another thread sets when it no longer needs the images.

    Raises:
        UserError: `resize` is unknown. Bad files raise nothing: they are in the result with their reasons.
        Stopped: `stop` was set.
    """
    images = np.empty((len(files), resolution, resolution, 3), np.uint8) if out is None else out
    kept, refused, notes = _fit_each(files, resolution, resize, label, images.__setitem__, stop)
    if refused:  # the gaps are closed in place, since a copy would double the memory
        for place, position in enumerate(kept):
            images[place] = images[position]
    return Fitted(images[: len(kept)], kept, refused, notes)


def check_files(files: Sequence[ImageFile], resolution: int, resize: str = "crop", label: str | None = None) -> Checked:
    """As `decode_and_fit`, but without keeping the images: it checks which files of a large set can be used."""
    return _fit_each(files, resolution, resize, label, lambda position, image: None)


def _fit_each(
    files: Sequence[ImageFile],
    resolution: int,
    resize: str,
    label: str | None,
    take: Callable[[int, UInt8[np.ndarray, "r r 3"]], None],
    stop: threading.Event | None = None,
) -> Checked:
    check_resize(resize)
    notes: dict[int, str] = {}

    def read(position: int, ended: threading.Event) -> None:
        image, note = read_fitted(files[position], resolution, resize, stop=ended)
        take(position, image)
        if note:
            notes[position] = note

    refused = read_each(len(files), read, label, stop)
    kept = np.array([position for position in range(len(files)) if position not in refused], np.int64)
    return Checked(kept, refused, dict(sorted(notes.items())))


def read_each(
    count: int,
    read: Callable[[int, threading.Event], None],
    label: str | None = None,
    stop: threading.Event | None = None,
) -> dict[int, str]:
    """Reads files in threads.

    Args:
        count: how many files there are.
        read: reads the file at a position and keeps what it needs; it may raise `Refused`, and `Stopped` once the event
            is set.
        label: the label of a progress bar; None for no bar.
        stop: as for `decode_and_fit`.

    Returns:
        Position -> reason of the refused files, in their order.
    """
    refused: dict[int, str] = {}
    ended = stop or threading.Event()

    def read_some(first: int) -> int:
        some = range(first, min(first + chunk, count))
        for position in some:
            try:
                read(position, ended)
            except Refused as reason:
                refused[position] = str(reason)
        return len(some)

    workers = min(8, os.cpu_count() or 1)
    # A task costs as much as a small image, so it has several files, but few large images must keep all threads busy.
    chunk = max(1, min(64, count // (4 * workers)))
    with (
        ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool,  # it waits for its threads at the end
        ending(ended),
        progress(count, label or "", "image", delay=2.0, disable=label is None) as bar,
    ):
        for done in results(pool, read_some, range(0, count, chunk)):
            bar.update(done)
    return dict(sorted(refused.items()))


def _celeba_window(image: np.ndarray, resolution: int) -> np.ndarray:
    height, width = image.shape[:2]
    left, top = _CELEBA_CENTRE[0] - resolution // 2, _CELEBA_CENTRE[1] - resolution // 2
    if (width, height) != _CELEBA_SIZE:
        raise Refused(f"is {width}x{height}, not the 178x218 of aligned CelebA")
    if min(left, top, width - left - resolution, height - top - resolution) < 0:
        raise Refused(f"a window of {resolution}x{resolution} around (89, 121) leaves the image of 178x218")
    return image[top : top + resolution, left : left + resolution]


def _centre(image: np.ndarray, side: int) -> np.ndarray:
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return image[top : top + side, left : left + side]
