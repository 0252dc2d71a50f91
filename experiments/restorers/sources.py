"""The sources of `experiments.restorers`: families of generators, their settings, and the image sets made with them."""

import concurrent.futures
import dataclasses
import functools
import math
import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ganfp_jax.data import manifests
from ganfp_jax.generation.restorers import find, photographs, writing
from ganfp_jax.run.progress import progress
from ganfp_jax.run.reading import read_json

NETWORK = {"white": 1, "threads": 1}

TEN: dict[str, tuple[str, ...]] = {
    "real": ("pillow:real",),
    "lanczos": ("pillow:lanczos-x2",),
    "realesrgan-x4plus": ("ncnn:realesrgan-x4plus",),
    "realesrgan-x4plus-anime": ("ncnn:realesrgan-x4plus-anime",),
    "animevideov3-x2": ("ncnn:animevideov3-x2",),
    "realcugan-se-x2": ("ncnn:realcugan-se-x2-no-denoise",),
    "realcugan-pro-x2": ("ncnn:realcugan-pro-x2-no-denoise",),
    "waifu2x-photo": ("ncnn:waifu2x-upconv-photo-x2",),
    "waifu2x-cunet": ("ncnn:waifu2x-cunet-x2",),
    "srmdnf-x2": ("ncnn:srmdnf-x2",),
}
"""Ten classes of one setting each, at one reduction: the comparison of methods."""

FAMILIES: dict[str, tuple[str, ...]] = {
    "real": ("pillow:real",),
    "lanczos": ("pillow:lanczos-x2", "pillow:lanczos-x4", "pillow:bicubic-x2", "pillow:bilinear-x2"),
    "realesrgan": ("ncnn:realesrgan-x4plus", "ncnn:realesrgan-x4plus-anime"),
    "animevideo": ("ncnn:animevideov3-x2", "ncnn:animevideov3-x4"),
    "realcugan": (
        "ncnn:realcugan-se-x2-no-denoise",
        "ncnn:realcugan-se-x2-denoise1x",
        "ncnn:realcugan-se-x2-denoise3x",
        "ncnn:realcugan-pro-x2-no-denoise",
        "ncnn:realcugan-pro-x2-denoise3x",
        "ncnn:realcugan-nose-x2-no-denoise",
        "ncnn:realcugan-se-x4-no-denoise",
    ),
    "waifu2x": (
        "ncnn:waifu2x-upconv-photo-x2",
        "ncnn:waifu2x-upconv-photo-x2-noise0",
        "ncnn:waifu2x-upconv-photo-x2-noise2",
        "ncnn:waifu2x-upconv-anime-x2-noise1",
        "ncnn:waifu2x-cunet-x2",
        "ncnn:waifu2x-cunet-x2-noise1",
        "ncnn:waifu2x-cunet-x2-noise3",
    ),
    "srmd": ("ncnn:srmdnf-x2", "ncnn:srmdnf-x3", "ncnn:srmd-x2-noise3", "ncnn:srmd-x2-noise7"),
}
"""The classes of the shipped set, by family; several settings of a family are trained together."""

HELD_OUT: dict[str, tuple[str, ...]] = {
    "lanczos": ("pillow:bicubic-x3", "pillow:hamming-x2"),
    "animevideo": ("ncnn:animevideov3-x3",),
    "realcugan": (
        "ncnn:realcugan-se-x2-denoise2x",
        "ncnn:realcugan-se-x2-conservative",
        "ncnn:realcugan-pro-x3-no-denoise",
    ),
    "waifu2x": ("ncnn:waifu2x-upconv-photo-x2-noise1", "ncnn:waifu2x-cunet-x2-noise2"),
    "srmd": ("ncnn:srmd-x2-noise5", "ncnn:srmdnf-x4"),
}
"""Settings that are never trained: whether a family is known by others of its settings."""

UNKNOWN: dict[str, tuple[str, ...]] = {
    "span": ("ncnn:span-x2-ch48", "ncnn:span-x2-ch52", "ncnn:span-x4-ch48", "ncnn:span-x4-ch52"),
}
"""Families of which nothing is trained: what is said of networks that the shipped set does not know."""


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """How the images of one split are made of its photographs, as slots of one window a photograph.

    All classes have the same slots, with the same places at the same reductions. A class takes its settings in turn.
    """

    crop: int
    """The side of the images."""
    cluster: int
    """A window is `cluster` x `cluster` images side by side."""
    slots: int
    reductions: tuple[float, ...]
    """The reductions of the photographs, taken in turn."""
    tiles: tuple[int, ...]
    """The sides of the networks' tiles in pixels of the output, taken in turn; at least a window's."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One folder of images: what one generator makes of the photographs of a split in one slot."""

    root: Path
    """The labelled image folder."""
    photographs: str
    """The folder of the photographs."""
    source_name: str
    """`class/setting`."""
    generator: str
    """As for `config.generator`."""
    settings: writing.Settings
    """With the tile in pixels of the output."""


def jobs(root: Path, folder: str, classes: Mapping[str, Sequence[str]], images: ImageSet) -> Iterator[Job]:
    """Yields what makes `<root>/<class>/<setting>/...png` for each class, setting and slot.

    Args:
        root: the labelled image folder.
        folder: the folder of the photographs.
        classes: class -> its generators, as for `config.generator`.
        images: sizes and slots.
    """
    for name, generators in classes.items():
        for slot in range(images.slots):
            turn = slot // math.lcm(len(generators), len(images.reductions))
            generator = generators[(slot + turn) % len(generators)]  # at another reduction in the next turn
            settings = writing.Settings(
                crop=images.crop,
                crops=images.cluster**2,
                cluster=images.cluster,
                min_luma_std=10.0,
                reduction=images.reductions[slot % len(images.reductions)],
                tile=images.tiles[slot % len(images.tiles)],
                input_jpeg=0,
                seed=slot,
            )
            yield Job(root, folder, f"{name}/{slot}-{generator.partition(':')[2]}", generator, settings)


def make(todo: Sequence[Job]) -> None:
    """Does the jobs, as many at once as there are processors; images that are there already are kept."""
    todo = sorted(
        (job for job in todo if not _is_done(job)),
        key=lambda job: "x4plus" not in job.generator,  # what takes longest first
    )
    if not todo:
        return
    with (
        concurrent.futures.ProcessPoolExecutor(
            mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent
        ) as pool,
        progress(len(todo), "image sets", "folder") as bar,
    ):
        for done in concurrent.futures.as_completed([pool.submit(_make, job) for job in todo]):
            done.result()
            bar.update()


def _end_with_parent() -> None:
    """Ends this process when the one that started it is killed, so that a restart finds the folder free."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _is_done(job: Job) -> bool:
    """Whether all of its images are there, which the manifest says, made with these settings of these photographs.

    Where others are there, the job is to be tried, and says so.
    """
    source, _, setting = job.source_name.partition("/")
    manifest = manifests.read_manifest(job.root) or {"sources": {}}
    if setting not in manifest["sources"].get(source, {}).get("settings", {}):
        return False
    origin = read_json(job.root / job.source_name / writing.BEGUN)
    tile = job.settings.tile // origin["scale"]
    wanted = dataclasses.asdict(job.settings) | {"tile": tile if origin["tile"] else 0}  # 0: the whole picture
    return all(origin[key] == value for key, value in wanted.items()) and origin["digests"] == _digests(job.photographs)


@functools.cache
def _digests(folder: str) -> dict[str, str]:
    return {photograph.name: photograph.digest for photograph in photographs.find(folder)[0]}


def _make(job: Job) -> None:
    found, _ = photographs.find(job.photographs)
    restorer = find.load(job.generator, **NETWORK)
    settings = dataclasses.replace(job.settings, tile=job.settings.tile // restorer.scale)
    writing.write_restored(restorer, job.root, found, settings, source_name=job.source_name)


def family_of(name: str) -> str:
    """The family that a class belongs to: the name of a class begins with it."""
    return max((family for family in FAMILIES if name.startswith(family)), key=len)  # not "real" of "realesrgan"
