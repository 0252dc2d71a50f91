"""A walk through the latents of a trained generator: its frames, and one still picture of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from ganfp_jax.data.decode import decode_image, encode_png
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.models import latents
from ganfp_jax.report.grid import image_grid
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress
from ganfp_jax.run.reading import read_json
from ganfp_jax.run.run_folder import write_json

RECORD = "walk.json"
STRIP = "strip.png"
STRIP_COLUMNS = 9  # stills from one anchor to the next, both included

# Longer training changes these keys of the record; a walk that differs in nothing else is replaced.
_WEIGHTS = ("step", "digest")


def list_anchors(*, seeds: Sequence[int], seed: int, count: int) -> list[tuple[int, int]]:
    """Returns (seed, image) of each anchor: image 0 of each of `seeds` or, without any, the first `count` of `seed`.

    `generate.py` with that seed makes that image.

    Raises:
        UserError: there are fewer than two anchors.
    """
    anchors = [(each, 0) for each in seeds] or [(seed, image) for image in range(count)]
    if len(anchors) < 2:
        given = f"config.seeds is {tuple(seeds)}" if seeds else f"config.count is {count}"
        raise UserError(f"{given}: a walk needs two anchors or more; give more seeds, or none and a count")
    return anchors


def draw_anchors(anchors: Sequence[tuple[int, int]], spec: dict[str, Any]) -> Float32[np.ndarray, "k d"]:
    """Draws the latent of each (seed, image); `spec` is the `latents` section of the generator's config."""
    return np.stack(
        [latents.draw_latents(np.random.RandomState(seed), image + 1, **spec)[image] for seed, image in anchors]
    )


def frame_path(root: Path, index: int) -> Path:
    """Returns the path of frame `index`, counted from 0."""
    return root / f"frame_{index:05d}.png"


def claim(root: Path, record: dict[str, Any]) -> None:
    """Makes `root` the folder of the walk that `record` describes, by writing `walk.json` there.

    A folder with the same walk, perhaps an interrupted one, is reused. The same walk has the same files, so no older
    file remains among them. Nothing else is overwritten.

    Raises:
        UserError: the folder holds another walk (the differing keys are named), or files of these names without a
            record.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise UserError(f"cannot write to config.root {root} ({error.strerror}); choose another folder") from error
    path = root / RECORD
    if path.is_file():
        try:
            old = read_json(path)
            different = [key for key in record if key not in _WEIGHTS and old[key] != record[key]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error!r}); delete the folder or give another config.root") from error
        if different:
            raise UserError(f"{root} holds a walk with other {', '.join(different)}; give another config.root")
    elif foreign := sorted([*root.glob("frame_*.png"), *root.glob("walk.*"), *root.glob(STRIP)]):
        raise UserError(f"{foreign[0]} is of no walk ({root} has no {RECORD}); give another config.root")
    write_json(path, record)


def write_frames(
    sampler: Sampler,
    root: Path,
    corners: Float32[np.ndarray, "k d"],
    *,
    mode: str,
    leg: int,
    num_frames: int,
    batch_size: int,
) -> None:
    """Writes the frames batch by batch; frame i stands at position i / `leg` of `latents.walk`.

    An anchor's frame equals the image that `generate.py` makes with the same batch size. With another batch size, the
    compiled network sums in another order, and a few values are rounded to the next level. A generator that normalises
    by its batch makes other images than `generate.py`: its batches hold neighbours on the walk, not random latents (the
    last batch is padded with the last frame). Between two batches its walk has a seam.
    """
    batch_size = sampler.batch_size or batch_size
    with progress(num_frames, sampler.source_name, "frame") as bar:
        for start in range(0, num_frames, batch_size):
            positions = np.arange(start, min(start + batch_size, num_frames)) / leg
            points = latents.walk(corners, positions, mode=mode, distribution=sampler.latents["distribution"])
            for index, image in enumerate(sampler.draw(points, batch_size), start):
                encode_png(frame_path(root, index), image)
                bar.update()


def strip_frames(num_legs: int, leg: int, num_frames: int) -> list[int]:
    """Returns the frames of the still picture: evenly spaced stills from one anchor to the next, for each pair.

    Args:
        num_legs: pairs of neighbouring anchors.
        leg: frames from one anchor to the next, the first of them counted.
        num_frames: frames of the whole walk; a walk that returns ends before its frame 0 is repeated.

    Returns:
        Frame indices, `min(leg + 1, STRIP_COLUMNS)` for each pair.
    """
    stills = np.rint(np.linspace(0, leg, min(leg + 1, STRIP_COLUMNS))).astype(int)
    return [int(start * leg + still) % num_frames for start in range(num_legs) for still in stills]


def write_strip(root: Path, *, num_legs: int, leg: int, num_frames: int) -> None:
    """Writes `strip.png` from the files of the frames, with one row for each pair of anchors."""
    stills = strip_frames(num_legs, leg, num_frames)
    pictures = np.stack([decode_image(frame_path(root, index)) for index in stills])
    encode_png(root / STRIP, image_grid(pictures, len(stills) // num_legs, scale=max(1, 64 // pictures.shape[1])))
