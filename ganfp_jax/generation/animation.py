"""Images one after the other -> one file that moves."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError

FASTEST = 50
"""Frames a second at most: GIF counts hundredths of a second, and browsers slow down frames shorter than two."""

Frames = Iterable[UInt8[np.ndarray, "h w 3"]]


def write_animation(path: Path, frames: Frames, *, kind: str, count: int, fps: int) -> None:
    """Writes an animation that repeats for ever; `path` is whole or absent at any time. Its folder must exist.

    | kind | colours | memory                                                             |
    |------|---------|--------------------------------------------------------------------|
    | apng | exact   | every frame, six bytes a pixel: Pillow copies them before it writes |
    | gif  | 256     | every frame, a byte a pixel                                        |

    Both play in every browser; GIF is for places that show an APNG as a still. In a GIF, frames that equal the one
    before become one with it, shown longer. (Pillow's lossless WebP, also held whole, came out no smaller than APNG.)

    Args:
        path: the file.
        frames: at least one image, all of one size.
        kind: one of `KINDS`.
        count: how many frames there are.
        fps: frames a second, 1 to 50; GIF cuts the time of a frame to hundredths of a second.

    Raises:
        UserError: unknown kind, or fps out of range.
        ValueError: `frames` are not `count`, or not of one size.
    """
    check_animation(kind=kind, fps=fps)
    pictures = map(Image.fromarray, _checked(frames, count))
    with atomic.writer(path) as file:
        _WRITERS[kind](file, pictures, count=count, duration=1000 / fps, loop=0)  # 0: for ever


def check_animation(*, kind: str, fps: int) -> None:
    """What `write_animation` would refuse, before any frame is made."""
    if kind not in KINDS:
        raise UserError(f"unknown config.format {kind!r} of the animation; choose from {', '.join(KINDS)}")
    if not 1 <= fps <= FASTEST:
        raise UserError(f"config.fps is {fps}; give 1 to {FASTEST} frames a second")


def _checked(frames: Frames, count: int) -> Iterator[np.ndarray]:
    seen, shape = 0, None
    for frame in frames:
        shape = shape or frame.shape
        if frame.shape != shape:
            raise ValueError(f"frame {seen} is {frame.shape}, the first {shape}")
        seen += 1
        yield frame
    if seen != count:
        raise ValueError(f"an animation of {count} frames was given {seen}")


def _write_apng(file: BinaryIO, pictures: Iterator[Image.Image], *, count: int, **timing: Any) -> None:
    first, *others = pictures  # Pillow goes through them twice
    # Pillow makes one frame of equal neighbours unless something else differs. Of opaque frames the two ways to
    # blend, 0 (replace) and 1 (lay over), are the same.
    blend = [index % 2 for index in range(count)]
    first.save(file, "PNG", save_all=True, append_images=others, blend=blend, **timing)


def _write_gif(file: BinaryIO, pictures: Iterator[Image.Image], *, count: int, **timing: Any) -> None:
    del count
    next(pictures).save(file, "GIF", save_all=True, append_images=pictures, **timing)


_WRITERS = {"apng": _write_apng, "gif": _write_gif}
KINDS = tuple(_WRITERS)
SUFFIXES = {"apng": ".png", "gif": ".gif"}
