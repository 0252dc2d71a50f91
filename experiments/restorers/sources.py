"""The sources of `experiments.restorers`: families of generators, their settings, and the image sets made with them."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ganfp_jax.generation.restorers import find, photographs, writing

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


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """How the images of one split are made of its photographs; crops and clusters as `writing.Settings`."""

    crop: int
    crops: int
    cluster: int
    reductions: tuple[float, ...]
    """Each photograph is used at each of them."""
    tiles: tuple[int, ...]
    """The sides of the networks' tiles in pixels of the output, one for each reduction; -1 is the program's own."""


def family_of(name: str) -> str:
    """The family that a class belongs to: the name of a class begins with it."""
    return max((family for family in FAMILIES if name.startswith(family)), key=len)  # not "real" of "realesrgan"


def make(root: Path, folder: str, classes: Mapping[str, Sequence[str]], images: ImageSet, seed: int) -> None:
    """Writes `<root>/<class>/<setting>/...png` for each class; what is there already is kept.

    Args:
        root: the labelled image folder.
        folder: the folder of the photographs, or "embedded".
        classes: class -> its generators, as for `config.generator`.
        images: sizes and numbers.
        seed: of the places.
    """
    found, _ = photographs.find(folder)
    for name, generators in classes.items():
        for generator, setting, label in _settings(generators, images, seed):
            restorer = find.load(generator, **NETWORK)
            tile = setting.tile if setting.tile < 1 else setting.tile // restorer.scale
            setting = dataclasses.replace(setting, tile=tile)
            writing.write_restored(restorer, root, found, setting, source_name=f"{name}/{label}")


def _settings(generators: Sequence[str], images: ImageSet, seed: int) -> Iterator[tuple[str, writing.Settings, str]]:
    """Yields (generator, settings, name of the folder). A class has as many images at each reduction, in all."""
    crops = max(1, images.crops // (len(generators) * len(images.reductions)))
    for generator in generators:
        for reduction, tile in zip(images.reductions, images.tiles, strict=True):
            setting = writing.Settings(
                crop=images.crop,
                crops=crops,
                cluster=images.cluster,
                min_luma_std=10.0,
                reduction=reduction,
                tile=tile,
                input_jpeg=0,
                seed=seed,
            )
            yield generator, setting, f"{generator.partition(':')[2]}-r{reduction:g}"
