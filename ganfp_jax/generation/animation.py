"""Animations: a sequence of images -> one APNG or GIF file."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError

FASTEST = 50
"""Most frames a second: GIF counts hundredths of a second, and browsers slow down frames shorter than two of them."""

Frames = Iterable[UInt8[np.ndarray, "h w 3"]]


def write_animation(path: Path, frames: Frames, *, kind: str, count: int, fps: int) -> None:
    """Writes an animation that repeats for ever, atomically. The folder must exist.

    | kind | colours | memory                                                             |
    |------|---------|--------------------------------------------------------------------|
    | apng | exact   | every frame, six bytes a pixel: Pillow copies them before it writes |
    | gif  | 256     | every frame, a byte a pixel                                        |

    Both play in every browser; GIF is for programs that show an APNG as a still. In a GIF, a frame that equals the one
    before is merged with it and shown longer.

    Args:
        path: the file.
        frames: at least one image; all have one size.
        kind: one of `KINDS`.
        count: the number of frames.
        fps: frames a second, 1 to 50; GIF cuts the time of a frame to hundredths of a second.

    Raises:
        UserError: the kind is unknown, or fps is out of range.
        ValueError: there are not `count` frames, or their sizes differ.
    """
    check_animation(kind=kind, fps=fps)
    pictures = map(Image.fromarray, _checked(frames, count))
    with atomic.writer(path) as file:
        _WRITERS[kind](file, pictures, count=count, duration=1000 / fps, loop=0)  # 0: for ever


def check_animation(*, kind: str, fps: int) -> None:
    """Raises the UserError of `write_animation` before any frame is made."""
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
    first, *others = pictures  # Pillow iterates over them twice
    # Pillow merges equal neighbours unless another setting differs, so `blend` alternates. For opaque frames, blending
    # by 0 (replace) and by 1 (overlay) are the same.
    blend = [index % 2 for index in range(count)]
    first.save(file, "PNG", save_all=True, append_images=others, blend=blend, **timing)


def _write_gif(file: BinaryIO, pictures: Iterator[Image.Image], *, count: int, **timing: Any) -> None:
    del count
    next(pictures).save(file, "GIF", save_all=True, append_images=pictures, **timing)


_WRITERS = {"apng": _write_apng, "gif": _write_gif}
KINDS = tuple(_WRITERS)
SUFFIXES = {"apng": ".png", "gif": ".gif"}
