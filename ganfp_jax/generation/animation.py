"""Images one after the other -> one file that moves."""

import itertools
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

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

    | kind | colours | memory                                                                                 |
    |------|---------|----------------------------------------------------------------------------------------|
    | apng | exact   | one frame: each goes from the iterator to the file (Pillow's writer would keep them all) |
    | gif  | 256     | every frame, a byte a pixel: Pillow compares them all before it writes the first        |

    Both play in every browser; GIF is for places that show an APNG as a still. In a GIF, frames that equal the one
    before become one with it, shown longer. (Pillow's lossless WebP, also held whole, came out no smaller than APNG.)

    Args:
        path: the file.
        frames: at least one image, all of one size.
        kind: one of `KINDS`.
        count: how many frames there are, which an APNG says before the first.
        fps: frames a second, 1 to 50; GIF cuts the time of a frame to hundredths of a second.

    Raises:
        UserError: unknown kind, or fps out of range.
        ValueError: `frames` are not `count`.
    """
    check_animation(kind=kind, fps=fps)
    with atomic.writer(path) as file:
        _WRITERS[kind](file, _counted(frames, count), count, fps)


def check_animation(*, kind: str, fps: int) -> None:
    """What `write_animation` would refuse, before any frame is made."""
    if kind not in KINDS:
        raise UserError(f"unknown config.format {kind!r} of the animation; choose from {', '.join(KINDS)}")
    if not 1 <= fps <= FASTEST:
        raise UserError(f"config.fps is {fps}; give 1 to {FASTEST} frames a second")


def _counted(frames: Frames, count: int) -> Iterator[np.ndarray]:
    seen = 0
    for frame in frames:
        seen += 1
        yield frame
    if seen != count:
        raise ValueError(f"an animation of {count} frames was given {seen}")


def _write_apng(file: BinaryIO, frames: Iterator[np.ndarray], count: int, fps: int) -> None:
    """Chunks acTL, fcTL and fdAT of PNG's third edition (W3C, 2025); every frame replaces the one before it whole."""

    def chunk(name: bytes, body: bytes) -> None:
        file.write(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)))

    first = next(frames)
    height, width = first.shape[:2]
    file.write(b"\x89PNG\r\n\x1a\n")
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))  # 8 bits, RGB
    chunk(b"acTL", struct.pack(">II", count, 0))  # 0: played for ever
    number = itertools.count()  # of the chunks that make the animation, from 0
    for index, frame in enumerate(itertools.chain([first], frames)):
        if frame.shape != first.shape:
            raise ValueError(f"frame {index} is {frame.shape}, the first {first.shape}")
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", next(number), width, height, 0, 0, 1, fps, 0, 0))
        if index == 0:  # also what a viewer shows that knows no animations
            chunk(b"IDAT", _compress(frame))
        else:
            chunk(b"fdAT", struct.pack(">I", next(number)) + _compress(frame))
    chunk(b"IEND", b"")


def _compress(frame: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """PNG's image data, filter Up (2): rows that enlargement repeated become zeros."""
    rows = frame.reshape(len(frame), -1)  # (H, 3 W)
    above = np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])
    return zlib.compress(np.insert(rows - above, 0, 2, axis=1).tobytes())


def _write_gif(file: BinaryIO, frames: Iterator[np.ndarray], count: int, fps: int) -> None:
    pictures = map(Image.fromarray, frames)
    first = next(pictures)
    first.save(file, "GIF", save_all=True, append_images=pictures, duration=1000 / fps, loop=0)  # 0: for ever


_WRITERS = {"apng": _write_apng, "gif": _write_gif}
KINDS = tuple(_WRITERS)
SUFFIXES = {"apng": ".png", "gif": ".gif"}
